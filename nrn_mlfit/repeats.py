"""A fitted cell beside repeats of one sweep: how far off it is, in units of what the neuron itself varies by. T samples."""

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from itertools import combinations
from pathlib import Path

import numpy as np

from nrn_mlfit import features, textfile
from nrn_mlfit.features import Repeated
from nrn_mlfit.recordings import Recording, pieces

SAME_SHARE = 0.01  # of a current's range, or
SAME_SIGMAS = 8.0  # of the noise of its 1 ms means: two currents that differ by no more are one


@dataclass(frozen=True)
class Repeats:
    """`count` repeats of a sweep and a fitted cell under its current: rms difference in mV of the cell from the repeats and of
    the repeats from each other, the mean over pairs, and eFEL's features (none without eFEL)."""

    count: int
    rms: float
    rms_among: float
    features: tuple[Repeated, ...]

    def lines(self) -> list[str]:
        """All of it as a person reads it."""
        times = f", {self.rms / self.rms_among:.1f} times as much" if self.rms_among else ""
        told = f"{self.count} repeats under this current: rms difference {self.rms_among:.2f} mV from each other"
        shown = [_line(f) for f in self.features if f.mean is not None]
        alone = ", ".join(f.words for f in self.features if f.mean is None and f.fitted is not None)
        more = [f"  of the fitted cell alone: {alone}"] if alone else []
        return [f"{told}; the fitted cell's from them {self.rms:.2f} mV{times}", *shown, *more]

    def save(self, path: Path):
        """Write repeats.json."""
        held = asdict(self) | {"features": [{**asdict(f), "z": f.z} for f in self.features]}
        textfile.write_atomic(path, textfile.to_json(held))


def of(other: Recording, sweeps: Sequence[Recording]) -> list[Recording]:
    """Those of some sweeps that are under the current of `other`, itself among them if it is one of them."""
    return [sweep for sweep in sweeps if _is_repeat(sweep, other)]


def _is_repeat(sweep, other) -> bool:
    if (
        sweep.currents is None
        or other.currents is None
        or sweep.dt != other.dt
        or sweep.volts.shape != other.volts.shape
    ):
        return False
    return all(_is_same(a, b, other.dt) for a, b in zip(sweep.currents, other.currents, strict=True))


def _is_same(one, other, dt) -> bool:
    """Whether two currents (T,) are one but for noise."""
    apart, width = pieces.blocks(one - other, dt)
    noise = SAME_SIGMAS * pieces.sample_noise(other) / np.sqrt(width)
    return bool(np.all(np.abs(apart) <= max(SAME_SHARE * pieces.span(other, dt), noise)))


def compare(repeats: Sequence[Recording], simulated) -> Repeats:
    """Two or more repeats with their current beside the fitted cell's trace (P, S, T) in mV; features are those of the first
    probe and stimulus."""
    traces, dt, currents = [repeat.volts for repeat in repeats], repeats[0].dt, repeats[0].currents
    found = []
    if features.is_there() and currents is not None:
        found = features.over([trace[0, 0] for trace in traces], simulated[0, 0], currents[0], dt)
    return Repeats(
        count=len(traces),
        rms=float(np.mean([_rms(trace - simulated) for trace in traces])),
        rms_among=float(np.mean([_rms(a - b) for a, b in combinations(traces, 2)])),
        features=tuple(found),
    )


def _rms(difference) -> float:
    return float(np.sqrt(np.mean(difference**2)))


def _line(f: Repeated) -> str:
    own = f"{f.mean:.4g} {f.unit}".rstrip()
    spread = "" if f.sd is None else f" +- {f.sd:.2g}"
    fitted = "has none" if f.fitted is None else f"{f.fitted:.4g}"
    z = "" if f.z is None else f", z = {f.z:+.1f}"
    return f"  {f.words}: repeats {own}{spread}, fitted cell {fitted}{z}"
