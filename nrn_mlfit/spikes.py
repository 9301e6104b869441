"""Spikes of a trace: times by linear interpolation of upward crossings, and how well two trains coincide."""

import numpy as np

THRESHOLD_MV = -20.0  # as eFEL's default
ONSET_SLOPE = 10.0  # mV/ms, as eFEL's DerivativeThreshold


def spike_times(volts, dt: float, t0: float = 0.0, threshold: float = THRESHOLD_MV):
    """Times in ms at which a trace (T,) in mV crosses `threshold` upwards."""
    volts = np.asarray(volts, float)
    at = np.flatnonzero((volts[:-1] < threshold) & (volts[1:] >= threshold))
    return t0 + dt * (at + (threshold - volts[at]) / (volts[at + 1] - volts[at]))


def spike_counts(volts, threshold: float = THRESHOLD_MV):
    """How many spikes each trace of (..., T) in mV has."""
    above = np.asarray(volts) >= threshold
    return np.sum(above[..., 1:] & ~above[..., :-1], axis=-1)


def coincidence(times, others, duration: float, window: float = 2.0) -> float:
    """The coincidence factor of two spike trains: 1 when they agree to `window` ms, 0 when no better than chance.

    Gamma of Kistler, Gerstner & van Hemmen, Neural Computation 9:1015 (1997), eq. 27. Both empty count as 1. Where
    spikes are so dense that half of them would coincide by chance, the window is narrower.
    """
    times, others = np.asarray(times, float), np.asarray(others, float)
    if not times.size or not others.size:
        return float(times.size == others.size)
    rate = others.size / duration
    window = min(window, 0.25 / rate)
    chance = 2 * rate * window
    hits = _pairs(times, others, window)
    return float((hits - chance * times.size) / (0.5 * (times.size + others.size)) / (1 - chance))


def _pairs(times, others, window) -> int:
    """How many spikes have a partner of their own within `window`; both trains rise."""
    count = a = b = 0
    while a < len(times) and b < len(others):
        gap = times[a] - others[b]
        count += bool(abs(gap) <= window)
        a, b = a + bool(gap <= window), b + bool(gap >= -window)
    return count


def slope(volts, dt: float):
    """dV/dt (T,) in mV/ms of a trace (T,) in mV, by central differences."""
    return np.gradient(np.asarray(volts, float), dt)


def onsets(volts, dt: float):
    """The voltage (n,) in mV at which each spike begins: where dV/dt last passed 10 mV/ms before the trace crosses -20 mV."""
    volts = np.asarray(volts, float)
    slow = np.flatnonzero(slope(volts, dt) < ONSET_SLOPE)
    crossings = np.flatnonzero((volts[:-1] < THRESHOLD_MV) & (volts[1:] >= THRESHOLD_MV))
    before = np.searchsorted(slow, crossings, side="right") - 1
    return volts[slow[before[before >= 0]]]


def around(volts, dt: float, at: float, before: float, after: float):
    """Times (n,) from `at` on, and the voltages (n,) there, of a trace (T,) from `before` ms before to `after` ms after it."""
    volts = np.asarray(volts, float)
    time = dt * np.arange(len(volts)) - at
    inside = (time >= -before) & (time <= after)
    return time[inside], volts[inside]
