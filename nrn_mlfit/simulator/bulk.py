"""Bulk simulation: (seed, index) -> parameter sets -> traces -> shards, on as many ranks as there are."""

from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from importlib.metadata import version
from pathlib import Path

import numpy as np

import nrn_mlfit
from nrn_mlfit import cells, progress, shards, textfile, workers
from nrn_mlfit.cells import CellModel
from nrn_mlfit.errors import ParameterError
from nrn_mlfit.shards import Status
from nrn_mlfit.simulator.mechanisms import build, is_built
from nrn_mlfit.simulator.neuron import NeuronEngine
from nrn_mlfit.spikes import spike_counts

SETS_A_SHARD = 100


@dataclass
class Summary:
    """What came of a run: counts by status, spikes a trace, voltages, speed."""

    statuses: Counter = field(default_factory=Counter)
    spikes: list = field(default_factory=list)
    lowest: float = np.inf
    highest: float = -np.inf
    seconds: float = 0.0
    found: int = 0

    @property
    def sets(self) -> int:
        return sum(self.statuses.values())

    @property
    def silent(self) -> float:
        """The share of traces without a spike."""
        return float(np.mean(np.array(self.spikes) == 0)) if self.spikes else 0.0

    def add(self, part: "Summary"):
        self.statuses += part.statuses
        self.spikes += part.spikes
        self.lowest, self.highest = min(self.lowest, part.lowest), max(self.highest, part.highest)

    def lines(self) -> list[str]:
        """The summary as a person reads it."""
        there = f" ({self.found} more were there already)" if self.found else ""
        if not self.sets:
            return [f"nothing left to simulate: all {self.found} sets are there"]
        failed = ", ".join(f"{n} {Status(s).label}" for s, n in sorted(self.statuses.items()) if s != Status.OK)
        lines = [f"{self.sets} sets in {progress.duration(self.seconds)}, {self.sets / self.seconds:.3g}/s{there}"]
        lines.append(f"failed: {failed or 'none'}")
        if self.spikes:
            low, middle, high = np.percentile(self.spikes, [5, 50, 95])
            lines.append(
                f"spikes a trace: median {middle:g} (5% {low:g}, 95% {high:g}); silent: {100 * self.silent:.1f}%"
            )
            lines.append(f"voltage: {self.lowest:.1f} to {self.highest:.1f} mV")
        return lines


def simulate(
    model: CellModel,
    samples: int,
    folder: Path | str,
    seed: int = 1,
    sets_a_shard: int = SETS_A_SHARD,
    report: progress.Report = progress.silent,
) -> Summary:
    """Simulate the sets 0 .. samples-1 of `seed` into shards in `folder`; what is there already is kept.

    Under an MPI launcher every rank calls this and shares the work; the summary is rank 0's. Raises ShardError if
    the folder holds another run.
    """
    if not 0 <= seed < 2**63:
        raise ParameterError(f"seed {seed}: must lie in 0 .. 2^63 - 1")
    folder, team = Path(folder), workers.connect()
    manifest = describe(model, seed, sets_a_shard)
    team.once(lambda: shards.check_free(folder, manifest))
    team.once(lambda: _compile(model, report))
    engine = team.everywhere(lambda: NeuronEngine(model))
    todo = team.once(lambda: _start(model, samples, folder, manifest))
    left = sum(count for _, count in todo)
    total = Summary(found=samples - left)
    watch = _Watch(team.rank, progress.Meter(left, "sets", report), total)

    def work(piece, serve):
        return _shard(engine, model, folder, manifest, piece, lambda: (serve(), watch.tick()))

    team.map(work, todo, watch.take)
    total.seconds = watch.meter.seconds
    return total


def describe(model: CellModel, seed: int, sets_a_shard: int) -> dict:
    """The manifest of a run: everything its bytes depend on."""
    protocol = model.protocol
    return {
        "content_hash": content_hash(model),
        "cell_hash": model.digest(),
        "protocol_hash": protocol.digest(),
        "cell": model.settings(),
        "protocol": protocol.specs,
        "dt": protocol.dt,
        "start": protocol.start,
        "stop": protocol.stop,
        "t0": protocol.t0,
        "seed": seed,
        "sets_a_shard": sets_a_shard,
        "engine": NeuronEngine.name,
        "versions": {"nrn_mlfit": nrn_mlfit.__version__, "neuron": version("neuron")},
    }


def content_hash(model: CellModel) -> str:
    """One hash of cell, HOC and MOD bytes, and protocol."""
    return f"{model.digest()[:32]}{model.protocol.digest()[:32]}"


def _compile(model, report):
    if model.mod and not is_built(model.mod):
        report("compiling the MOD files (once; they are kept)")
        build(model.mod)


def _start(model, samples, folder, manifest) -> list[tuple[int, int]]:
    """The folder, the copy of the cell and the manifest; returns the shards (first, count) that are still to make."""
    textfile.write_atomic(folder / "run.json", textfile.to_json(manifest))  # first: what is cut off here can go on
    cells.bundle(model, folder / "cell")
    size = manifest["sets_a_shard"]
    wanted = [(first, min(size, samples - first)) for first in range(0, samples, size)]
    return [(first, count) for first, count in wanted if shards.rows(folder / shards.name_of(first), manifest) < count]


def _shard(engine, model, folder, manifest, piece, tick: Callable[[], object]) -> Summary:
    first, count = piece
    unit_par = model.space.draw(manifest["seed"], first, count)
    phys_par = model.space.to_phys(unit_par)
    volts, status = engine.run(phys_par, tick)
    ok = status == Status.OK
    counts = np.full(volts.shape, shards.MISSING)
    counts[ok] = shards.to_counts(volts[ok])
    attributes = shards.attributes_of(manifest, first)
    shard = shards.Shard(phys_par, unit_par, counts, status, model.protocol.currents, attributes)
    shards.write(folder / shards.name_of(first), shard)
    return _summary(volts[ok], status)


def _summary(volts, status) -> Summary:
    part = Summary(statuses=Counter(int(s) for s in status))
    if volts.size:
        part.spikes = spike_counts(volts[:, 0]).ravel().tolist()
        part.lowest, part.highest = float(volts.min()), float(volts.max())
    return part


class _Watch:
    """Progress as rank 0 sees it: its own sets as they end, the other ranks' by the shard."""

    def __init__(self, rank: int, meter: progress.Meter, total: Summary):
        self.meter, self._total = meter, total
        self._speaks, self._done = rank == 0, 0

    def tick(self):
        self._done += 1
        if self._speaks:
            self.meter.at(self._done)

    def take(self, rank: int, part: Summary):
        self._total.add(part)
        self._done += part.sets if rank else 0
        self.meter.at(self._done)
