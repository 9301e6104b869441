"""Height and width of spikes, and whether their tops are cut off. T samples, K spikes."""

from dataclasses import dataclass

import numpy as np

from nrn_mlfit.spikes import THRESHOLD_MV

ONSET_MV_A_MS = 10.0  # dV/dt at which a spike begins, as eFEL's DerivativeThreshold
BEFORE_MS = 3.0  # a spike begins no earlier before it crosses -20 mV
AFTER_MS = 5.0  # and its top comes no later
CLIPPED_SAMPLES, CLIPPED_MS = (
    3,
    0.09,
)  # a top of so many equal samples, and so long, is the amplifier's or converter's limit


@dataclass(frozen=True)
class Spike:
    """A spike whose top is at sample `top`: height (mV) above its onset, width (ms) at half of it."""

    top: int
    height: float
    width: float
    clipped: bool


def spikes(volts, dt: float) -> list[Spike]:
    """The whole spikes of (T,) mV, in order; one that an end of the trace cuts off is left out."""
    up = np.flatnonzero((volts[:-1] < THRESHOLD_MV) & (volts[1:] >= THRESHOLD_MV)) + 1
    found = (_spike(volts, dt, int(at)) for at in up)
    return [spike for spike in found if spike]


def _spike(volts, dt, at) -> Spike | None:
    last = min(volts.size, at + round(AFTER_MS / dt) + 1)
    below = np.flatnonzero(volts[at:last] < THRESHOLD_MV)
    if not below.size:
        return None
    top = at + int(np.argmax(volts[at : at + below[0]]))
    onset = _onset(volts, dt, at)
    half = (volts[top] + volts[onset]) / 2
    ends = _crossing(volts, top, half, -1), _crossing(volts, top, half, 1)
    if onset <= 0 or None in ends:
        return None
    width = (ends[1] - ends[0]) * dt
    if not (width > 0 and volts[top] > volts[onset]):
        return None  # of two samples: nothing to measure
    return Spike(top, float(volts[top] - volts[onset]), float(width), _is_clipped(volts, top, dt))


def _onset(volts, dt, at) -> int:
    """The first sample of the rise to `at` that is faster than 10 mV/ms."""
    first = max(0, at - round(BEFORE_MS / dt))
    slow = np.flatnonzero(np.diff(volts[first : at + 1]) < ONSET_MV_A_MS * dt)
    return first + (int(slow[-1]) + 1 if slow.size else 0)


def _crossing(volts, top, level, side):
    """Where, counted in samples and between them, the trace first falls below `level` before or after its top."""
    line = volts[top::side]
    below = np.flatnonzero(line < level)
    if not below.size:
        return None
    k = int(below[0])
    return top + side * (k - 1 + (line[k - 1] - level) / (line[k - 1] - line[k]))


def _is_clipped(volts, top, dt) -> bool:
    same = volts[top:] == volts[top]
    count = int(np.argmin(same)) if not same.all() else same.size
    return count >= CLIPPED_SAMPLES and count * dt >= CLIPPED_MS
