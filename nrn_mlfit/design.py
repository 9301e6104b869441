"""Which stimulus lets one learn which parameter, before anyone trains: the information in a cell's curated traces.

At random points of the parameter space the curated trace (log10(V - floor + 1), means of 0.5 ms) is taken for linear in
the parameters, and its derivatives are finite differences; `information` has what follows of them.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from nrn_mlfit import progress, textfile
from nrn_mlfit.candidates import Candidate
from nrn_mlfit.errors import CellError
from nrn_mlfit.information import NOISE, Information, judge
from nrn_mlfit.shards import Status
from nrn_mlfit.simulator.batch import ENGINE, Batch
from nrn_mlfit.spikes import spike_counts

POINTS = 64
STEPS = (0.002, 0.01)  # of a unit parameter to either side; the first one counts, the second one checks it
BIN_MS = 0.5


def curated(volts, floor: float, dt: float):
    """Traces (n, P, S, T) in mV at `dt` ms as (n, D): log10(V - floor + 1), averaged over 0.5 ms, all probes and stimuli.

    In double precision: differences of 1e-6 of a range are to be had.
    """
    width = min(max(1, round(BIN_MS / dt)), volts.shape[-1])
    bins = volts.shape[-1] // width
    seen = np.log10(np.maximum(volts[..., : bins * width] - floor + 1, 1))
    return seen.reshape(*seen.shape[:-1], bins, width).mean(axis=-1).reshape(len(volts), -1)


@dataclass(frozen=True, eq=False)
class Finding:
    """What came of a candidate: its information, the spikes (m,) of its points' traces at the first probe, their lowest
    voltage in mV, and the engine that it was simulated with."""

    candidate: Candidate
    information: Information
    spikes: np.ndarray
    lowest: float
    engine: str

    @property
    def name(self) -> str:
        return self.candidate.name

    @property
    def typical_spikes(self) -> float:
        """The median number of spikes a trace."""
        return float(np.median(self.spikes))

    @property
    def silent(self) -> float:
        """The share of traces without a spike."""
        return float(np.mean(self.spikes == 0))


def leaders(findings: Sequence[Finding]) -> list[Finding]:
    """The candidate with the highest mean R2 and those that it leads by no more than the doubt about them."""
    known = [f for f in findings if np.isfinite(f.information.mean)]
    if not known:
        return []
    best = max(known, key=lambda f: f.information.mean)
    top = best.information
    return [f for f in known if top.mean - f.information.mean <= max(top.doubt, f.information.doubt) or f is best]


def design(
    compared: Sequence[Candidate],
    points: int = POINTS,
    seed: int = 1,
    steps: tuple[float, float] = STEPS,
    workers: int | None = None,
    engine: str = ENGINE,
    report: progress.Report = progress.silent,
) -> list[Finding]:
    """The information in each candidate's traces at the first `points` draws of `seed`, the same for all candidates.

    Each point costs 1 + 4 K sets; `workers` processes share them (by default one a core). `steps`, in unit space: the
    one that counts, and another one to check it.
    """
    space = compared[0].model.space
    # A step away from the ends: beyond them a conductance may be negative.
    unit_par = space.draw(seed, 0, points) * (1 - max(steps))
    _check(compared, engine, report)
    tick = _Tick(len(compared) * points * (1 + 4 * len(space)), report)
    found = []
    for number, candidate in enumerate(compared, 1):
        with Batch(candidate.model, engine, workers, report) as batch:
            tick.begin()
            found.append(_examine(candidate, unit_par, steps, batch, tick))
        report(f"{number}/{len(compared)} {candidate.name}: mean R2 {found[-1].information.mean:.2f}")
    return found


class _Tick:
    """Counts the sets of all candidates together."""

    def __init__(self, total: int, report: progress.Report):
        self._total, self._report, self._done = total, report, 0

    def begin(self):
        """Called when a cell is built: what compiling took would spoil the rate and the time left."""
        if not self._done:
            self._meter = progress.Meter(self._total, "sets", self._report)

    def __call__(self, count: int):
        self._done += count
        self._meter.at(self._done)


def _check(compared, engine, report):
    """Build each cell once, so that a wrong name shows now and not after the hour that the first candidates take."""
    shapes = {textfile.to_json([c.model.geometry, list(c.model.probes.items())]): c.model for c in compared}
    for model in shapes.values() if len(shapes) > 1 else ():
        with Batch(model, engine, 1, report):
            pass


def _examine(candidate, unit_par, steps, batch, tick) -> Finding:
    """The points first, as the floor of the curation lies below all that the cell does there."""
    space, dt = candidate.model.space, candidate.model.protocol.dt
    lowest, spikes, status = batch.run(space.to_phys(unit_par), _sketch, tick)
    good = status == Status.OK
    if not good.any():
        raise CellError(f"{candidate.name}: none of {len(good)} sets can be simulated; try a smaller scale or range")
    bottom = float(lowest[good].min())

    def reduce(volts):
        return curated(volts, bottom - 1, dt), _all_spikes(volts)

    *held, statuses = batch.run(space.to_phys(neighbours(unit_par, steps)), reduce, tick)
    sides = (len(unit_par), len(steps), len(space), 2)
    below, above, low_counts, high_counts = (
        part.reshape(*sides, -1)[:, :, :, side] for part in held for side in (0, 1)
    )
    derivatives = (above - below) / (2 * np.array(steps)[:, None, None])
    failed = (statuses != Status.OK).reshape(sides).any(axis=-1)
    information = judge(space.names, derivatives, (low_counts != high_counts).any(axis=-1), failed)
    return Finding(candidate, information, spikes[good].ravel(), bottom, batch.engine)


def neighbours(unit_par, steps):
    """The ends of the differences around unit_par (M, K), as rows (M x steps x K x 2, K); below, then above."""
    unit = np.eye(unit_par.shape[1])
    moves = np.multiply.outer(np.array(steps), np.stack([-unit, unit], axis=1))
    return (unit_par[:, None, None, None] + moves).reshape(-1, unit_par.shape[1])


def _sketch(volts):
    return volts.min(axis=(1, 2, 3)), spike_counts(volts[:, 0])


def _all_spikes(volts):
    return spike_counts(volts).reshape(len(volts), -1)


def write(findings: Sequence[Finding], folder: Path, **about):
    """Write design.json, with `about` what was asked, and design.csv, a row a candidate, into `folder`."""
    rows = [_row(finding) for finding in findings]
    kept = {"noise": NOISE, "bin_ms": BIN_MS, **about, "candidates": rows}
    textfile.write_atomic(folder / "design.json", textfile.to_json(kept))
    columns = ["name", "spikes", "silent", "lowest_mv", "points", "mean_r2", "log_det", "unlike"]
    heads = [*columns, *(f"r2_{name}" for name in rows[0]["parameters"])]
    table = ([*(row[c] for c in columns), *(p["r2"] for p in row["parameters"].values())] for row in rows)
    textfile.write_atomic(folder / "design.csv", textfile.to_csv([heads, *table]))


def _row(finding) -> dict:
    """A finding as JSON-ready values; None where no point counts."""
    model, told = finding.candidate.model, finding.information
    words, along = told.worst_in_words
    return {
        "name": finding.name,
        "engine": finding.engine,
        "stimulus": model.protocol.specs,
        "probes": [list(pair) for pair in model.probes.items()],
        "geometry": model.geometry,
        "spikes": finding.typical_spikes,
        "silent": finding.silent,
        "lowest_mv": finding.lowest,
        "points": len(told.r2),
        "points_with_jumps": int(told.jumps.any(axis=1).sum()),
        "points_failed": int(told.failed.any(axis=1).sum()),
        "jumps": int(told.jumps.sum()),
        "unlike": _number(told.unlike),
        "mean_r2": _number(told.mean),
        "log_det": _number(told.typical_log_det),
        "worst_direction": {"words": words, "weights": told.worst[0].tolist(), "r2": along},
        "parameters": {name: _parameter(told, k) for k, name in enumerate(told.names)},
    }


def _parameter(told, k) -> dict:
    low, middle, high = (_number(value) for value in told.quartiles[:, k])
    other = _number(told.other_median[k])
    return {"r2": middle, "quartiles": [low, high], "r2_other_step": other, "jumps": int(told.jumps[:, k].sum())}


def _number(value) -> float | None:
    return float(value) if np.isfinite(value) else None
