"""What a voltage trace is like, whatever networks make of it: coarse shape, roughness, and its path in the phase plane.

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


@dataclass(frozen=True, eq=False)
class Traits:
    """Of N traces with R rows each: `shape` (N, C), the curated trace in bins of 1 ms; `roughness` (N, C), the log of the rms
    second difference in them, in mV; `path` (N, R, Q) uint16, the cells of the phase plane that are passed, 5 a ms."""

    shape: np.ndarray
    roughness: np.ndarray
    path: np.ndarray

    def __getitem__(self, rows) -> "Traits":
        return Traits(*(getattr(self, part.name)[rows] for part in fields(self)))


def traits_of(volts, curated, dt: float) -> Traits:
    """The traits of traces (N, R, T) in mV, given raw and curated, with a sample every `dt` ms."""
    bends = np.zeros_like(volts)
    bends[..., 1:-1] = np.diff(volts, 2)
    width = _samples(BIN_MS, dt, volts.shape[-1])
    roughness = np.log(np.sqrt(_binned(bends**2, width)) + QUIET)
    return Traits(_binned(curated, width), roughness, _path(volts, dt))


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


def _path(volts, dt):
    step = _samples(PHASE_MS, dt, volts.shape[-1] - 1)
    taken = volts[..., ::step]
    slope = np.arcsinh(np.diff(taken) / (step * dt))
    level = np.clip((taken[..., :-1] - LOWEST) / MV_A_CELL, 0, PLANE // SLOPES - 1)
    across = np.clip((slope / STEEPEST + 1) * SLOPES / 2, 0, SLOPES - 1)
    return (level.astype(np.uint16) * SLOPES + across.astype(np.uint16)).astype(np.uint16)
