"""What steps of current tell of a membrane: input resistance, time constant, and the bridge's error. T samples."""

import warnings
from dataclasses import dataclass
from itertools import pairwise

import numpy as np

from nrn_mlfit.recordings import pieces

SHORTEST_MS = 50.0  # of a step that input resistance and time constant are measured on
BASE_MS = 100.0  # before it, as ipfx's subthreshold features
STEADY_SHARE = 0.2  # of the step, its end
DEEPEST_MV, HIGHEST_MV = 30.0, 10.0  # of a response, downwards and upwards: beyond, channels open
LEAST_SNR = 20.0  # of the response against the noise, for a time constant, as ipfx's subthreshold features
SMOOTH_MS = 5.0
SKIP_MS = 1.0  # after a jump: the bridge's error and the pipette's capacitance
SMALLEST_JUMP_NA = 0.02
JUMP_SIGMAS = 8.0
BRIDGE_MS = 2.5  # after a jump a parabola through so much of the trace is drawn back to it
FEWEST_SAMPLES = 8
LAG_MS = 0.25  # the amplifier's filter has passed by then
SETTLED_SHARE = 0.01  # of a step's response: so far from rest the membrane may still be on the baseline before it
SLOW_MS = 50.0  # the time constant of a membrane that shows none: longer than most
QUIET_BEFORE_MS = 1000.0  # without spikes: their slow after-hyperpolarisation would be taken for the step's response


Step = tuple[pieces.Stretch, pieces.Stretch]  # what is before a jump of the current, and after it


@dataclass(frozen=True)
class Passive:
    """Input resistance and bridge error in MOhm, time constant in ms; None where no step tells."""

    resistance: float | None = None
    tau: float | None = None
    bridge: float | None = None


def measured(volts, current, dt: float, tops) -> Passive:
    """What the steps of (T,) mV and nA tell; `tops` are the samples of spikes."""
    bridges = [b for pair in _jumps(current, dt) if (b := _bridge(volts, dt, *pair, tops)) is not None]
    bridge = float(np.median(bridges)) if bridges else None
    settled = [step for step in steps(current, dt) if is_settled(volts, current, dt, step, tops)]
    chosen = deepest(volts, dt, settled, tops)
    if chosen is None:
        return Passive(bridge=bridge)
    return Passive(resistance(volts, dt, chosen), tau(volts, dt, chosen), bridge)


def steps(current, dt: float) -> list[Step]:
    """The steps of a current (T,) from its holding level that are long enough to measure a membrane on."""
    jumps, slack = _jumps(current, dt), _least(current, dt) / 2
    if not jumps:
        return []
    holding = jumps[0][0].level
    return [(a, b) for a, b in jumps if _is_long(a, b, dt) and abs(a.level - holding) <= slack < abs(b.level - holding)]


def deepest(volts, dt: float, of: list[Step], tops) -> Step | None:
    """The step to measure on: down, as deep as the membrane stays passive; else a small one up."""
    sizes = [(passive_size(volts, dt, step, tops), step) for step in of]
    told = [(step[1].level < step[0].level, size, step) for size, step in sizes if size is not None]
    return max(told, key=lambda held: held[:2])[2] if told else None


def passive_size(volts, dt: float, step: Step, tops) -> float | None:
    """How far (mV) a step moves (T,) its own way; None where the membrane is not passive there: it spikes, or goes too far."""
    before, after = step
    if _any_within(tops, before, after, dt):
        return None
    sign = np.sign(after.level - before.level)
    size = _deflection(volts, dt, before, after) * sign
    return float(size) if 0 < size <= (DEEPEST_MV if sign < 0 else HIGHEST_MV) else None


def is_settled(volts, current, dt: float, step: Step, tops) -> bool:
    """Whether a membrane has come to rest on the baseline before a step from what the current (T,) did earlier.

    A membrane of R and C is still off by R times what the current, smoothed by its time constant, is off the baseline's: its mean
    over the same samples, so that a current which wanders slowly is followed. The time constant is measured in the step itself:
    what is left of an earlier response falls with it, too. True where there are spikes, since no membrane is measured there.
    """
    from scipy.signal import lfilter

    before, after = step
    if before.first == 0 or _any_within(tops, before, after, dt):
        return True
    keep = float(np.exp(-dt / (tau(volts, dt, step) or SLOW_MS)))
    off = current[: before.last] - float(np.mean(_base(current, before, dt)))
    left, _ = lfilter([1 - keep], [1, -keep], off, zi=[keep * float(np.median(off[: max(1, round(1 / dt))]))])
    return abs(float(np.mean(_base(left, before, dt)))) <= SETTLED_SHARE * abs(after.level - before.level)


def resistance(volts, dt: float, step: Step) -> float:
    """Input resistance in MOhm: what a step moves (T,) by, over the step."""
    before, after = step
    return float(_deflection(volts, dt, before, after) / (after.level - before.level))


def _jumps(current, dt) -> list[Step]:
    parts, least = pieces.stretches(current, dt), _least(current, dt)
    return [(a, b) for a, b in pairwise(parts) if abs(b.level - a.level) >= least]


def _least(current, dt) -> float:
    """What counts as a jump, nA."""
    return max(SMALLEST_JUMP_NA, JUMP_SIGMAS * pieces.sample_noise(current) / np.sqrt(max(1, round(1 / dt))))


def _is_long(before, after, dt) -> bool:
    return after.size * dt >= SHORTEST_MS and before.size * dt >= 2 * SMOOTH_MS


def _any_within(tops, before, after, dt) -> bool:
    begin = before.last - round(QUIET_BEFORE_MS / dt)
    return any(begin <= top < after.last for top in tops)


def _base(values, before, dt):
    """What (T,) is just before a step."""
    return values[max(before.first, before.last - round(BASE_MS / dt)) : before.last]


def _deflection(volts, dt, before, after) -> float:
    base = _base(volts, before, dt)
    steady = volts[after.last - max(2, round(STEADY_SHARE * after.size)) : after.last]
    return float(np.mean(steady) - np.mean(base))


def tau(volts, dt: float, step: Step) -> float | None:
    """The time constant in ms that a step shows in (T,), or None.

    By an exponential through the response, from 1 ms after the jump to where it is largest (a sag may follow).
    """
    from scipy.optimize import OptimizeWarning, curve_fit  # slow to load

    before, after = step
    base = _base(volts, before, dt)
    response = volts[after.first : after.last]
    width = max(1, round(SMOOTH_MS / dt))
    smooth = np.convolve(response, np.full(width, 1 / width), "valid")
    sign = np.sign(after.level - before.level)
    last = int(np.argmax(sign * smooth)) + width // 2
    first = round(SKIP_MS / dt)
    noise = float(np.std(base - smooth_line(base)))
    size = abs(float(smooth[last - width // 2]) - float(np.mean(base)))
    if size < LEAST_SNR * noise or last - first < FEWEST_SAMPLES:
        return None
    time = dt * np.arange(last - first)
    shown = response[first:last]
    guess = (shown[-1], shown[0] - shown[-1], time[-1] / 4)
    bounds = ([-np.inf, -np.inf, dt], [np.inf, np.inf, 10 * time[-1]])
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", OptimizeWarning)
            found, spread = curve_fit(_exponential, time, shown, p0=guess, bounds=bounds)
    except (RuntimeError, ValueError):
        return None
    value, error = float(found[2]), float(np.sqrt(spread[2, 2]))
    return value if value < time[-1] and error < 0.2 * value else None


def smooth_line(values):
    """The best straight line through (T,)."""
    at = np.linspace(-1, 1, values.size)
    return np.polyval(np.polyfit(at, values, 1), at) if values.size > 2 else values


def _exponential(time, end, size, tau):
    return end + size * np.exp(-time / tau)


def _bridge(volts, dt, before, after, tops) -> float | None:
    """The voltage's own jump over the current's, MOhm: a parabola after it is drawn back to it."""
    lag, count = max(1, round(LAG_MS / dt)), max(FEWEST_SAMPLES, round(BRIDGE_MS / dt))
    at = (before.last + after.first) / 2
    earlier = volts[max(0, before.last - count) : before.last]
    first = after.first + lag
    later = volts[first : first + count]
    if later.size < count or first + count > after.last or earlier.size < count:
        return None
    if any(before.last - 4 * count <= top < first + 3 * count for top in tops):
        return None
    start = np.polyval(np.polyfit(np.arange(earlier.size) - earlier.size, earlier, 1), 0.0)
    times = np.arange(count) + first - at
    jump = np.polyval(np.polyfit(times, later, 2), 0.0) - start
    return float(jump / (after.level - before.level))
