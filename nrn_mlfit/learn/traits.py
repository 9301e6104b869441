"""What a voltage trace is like, whatever networks make of it: coarse shape, roughness, rests, and its path in the phase plane.

The phase plane is that of V against dV/dt, in which every spike draws its loop (Jenerick, Biophys. J. 3:363, 1963): an offset, a
gain, a filter or a clipped spike leaves the places where the loops of a cell lie.
"""

from dataclasses import dataclass, fields

import numpy as np

BIN_MS = 1.0
QUIET = 0.001  # mV, added to the roughness before its logarithm
PHASE_MS = 0.2  # between two samples of the path
LOWEST, HIGHEST, MV_A_CELL = -150.0, 100.0, 1.0  # of the phase plane; what lies beyond counts as its edge
SLOPES = 64  # cells across, even in asinh(dV/dt / (mV/ms))
STEEPEST = 8.0  # asinh of some 1500 mV/ms
PLANE = round((HIGHEST - LOWEST) / MV_A_CELL) * SLOPES  # cells
LEVELS_AN_OCTAVE, LEVELS = 4, 64  # in which the length of a rest is told: up to 2^16 samples


@dataclass(frozen=True, eq=False)
class Traits:
    """Of N traces with R rows each: `shape` (N, C), the curated trace in bins of 1 ms; `roughness` (N, C), the log of the rms
    second difference in them, in mV; `rests` (N, C) uint8, for how many samples the voltage rests there to the last digit, in
    levels, 4 an octave; `path` (N, R, Q) uint16, the cells of the phase plane that are passed, 5 a ms."""

    shape: np.ndarray
    roughness: np.ndarray
    rests: np.ndarray
    path: np.ndarray

    def __getitem__(self, rows) -> "Traits":
        return Traits(*(getattr(self, part.name)[rows] for part in fields(self)))


def traits_of(volts, curated, dt: float) -> Traits:
    """The traits of traces (N, R, T) in mV, given raw and curated, with a sample every `dt` ms."""
    bends = np.zeros_like(volts)
    bends[..., 1:-1] = np.diff(volts, 2)
    width = _samples(BIN_MS, dt, volts.shape[-1])
    roughness = np.log(np.sqrt(_binned(bends**2, width)) + QUIET)
    return Traits(_binned(curated, width), roughness, _rests(volts, width), _path(volts, dt))


def join_traits(parts: list[Traits]) -> Traits:
    """The traits of several blocks of traces as one."""
    return Traits(*(np.concatenate([getattr(part, field.name) for part in parts]) for field in fields(Traits)))


def _samples(ms: float, dt: float, length: int) -> int:
    return min(max(1, round(ms / dt)), length)


def _binned(traces, width):
    """Means (N, R * T // width)."""
    count, rows, length = traces.shape
    bins = length // width
    return traces[..., : bins * width].reshape(count, rows * bins, width).mean(axis=-1)


def _rests(volts, width):
    """The longest run of equal samples that touches each bin, however far it reaches beyond: its level (N, C)."""
    count, rows, length = volts.shape
    place = np.arange(length, dtype=np.int32)
    begins = np.ones(volts.shape, bool)
    begins[..., 1:] = volts[..., 1:] != volts[..., :-1]
    first = np.maximum.accumulate(np.where(begins, place, 0), axis=-1)
    ends = np.ones(volts.shape, bool)
    ends[..., :-1] = begins[..., 1:]
    last = np.minimum.accumulate(np.where(ends, place, length)[..., ::-1], axis=-1)[..., ::-1]
    bins = length // width
    runs = (last - first + 1)[..., : bins * width].reshape(count, rows * bins, width).max(axis=-1)
    return np.minimum(LEVELS_AN_OCTAVE * np.log2(runs), LEVELS - 1).astype(np.uint8)


def _path(volts, dt):
    step = _samples(PHASE_MS, dt, volts.shape[-1] - 1)
    taken = volts[..., ::step]
    slope = np.arcsinh(np.diff(taken) / (step * dt))
    level = np.clip((taken[..., :-1] - LOWEST) / MV_A_CELL, 0, PLANE // SLOPES - 1)
    across = np.clip((slope / STEEPEST + 1) * SLOPES / 2, 0, SLOPES - 1)
    return (level.astype(np.uint16) * SLOPES + across.astype(np.uint16)).astype(np.uint16)
