"""Is a recording good enough to fit? Figures of a sweep, and what fails: each limit with where it comes from.

[A] Allen Cell Types Database, technical white paper: electrophysiology (2017), and its published criteria for sweeps
(Ephys QC Criteria v1.1, of the package ipfx). What is marked "own" is this package's choice.
"""

from collections.abc import Sequence
from dataclasses import dataclass, fields

import numpy as np

from nrn_mlfit.recordings import passive, pieces, protocols, spike_shapes
from nrn_mlfit.recordings.recording import Recording

STABLE_MS = 500.0  # the longest stretch before and after a stimulus that drift and slow noise are measured on [A]
FAST_MS = 1.5  # noise is that of pieces so long [A]
WINDOW_MS = 100.0  # noise is compared from window to window of this length
FEWEST_MS = 20.0  # of a stretch that tells of rest
SETTLED_MS = 250.0  # after a stimulus the membrane needs so long before drift can be told
FLAT_MS = 5.0  # equal samples for so long are no noise, but lost
RESTLESS = 0.1  # of noisy samples at least so many are peaks or troughs; a simulation without noise may rest for long
HELD_NA = 0.005

DRIFT_MV, SLOW_NOISE_MV = 1.0, 0.5  # [A]
QUIET_NOISE_MV = 0.07  # [A]; beyond it a sweep is called noisy, since it hangs on the amplifier's filter
FAST_NOISE_MV = 0.5  # own: as much as Allen's slow noise; the onset of a spike is lost in it
BRIDGE_MOHM, BRIDGE_SHARE = 20.0, 0.15  # [A], for access resistance: of the input resistance
NOISE_JUMP = 3.0  # own
ACROSS_MV = 3.0  # own
HEIGHT_SHARE, WIDTH_SHARE = 0.2, 0.3  # own


@dataclass(frozen=True)
class Quality:
    """Figures of one sweep; None where it does not tell.

    rest_mv: median before the stimulus, under holding_pa. noise_mv: rms within 1.5 ms; by second differences where the stimulus
    fills the sweep. slow_noise_mv: rms within 500 ms.
    drift_mv: after minus before. noise_jump: noisiest over quietest 100 ms. spike_*: of the first spike. *_drift: last over
    first spike of the sweep, minus 1. bridge_mohm, input_resistance_mohm, tau_ms: `passive`. clipped: spikes with flat tops.
    missing_ms: the longest run of equal samples in a noisy trace.
    """

    rest_mv: float | None = None
    holding_pa: float | None = None
    noise_mv: float | None = None
    slow_noise_mv: float | None = None
    drift_mv: float | None = None
    noise_jump: float | None = None
    spike_height_mv: float | None = None
    spike_width_ms: float | None = None
    height_drift: float | None = None
    width_drift: float | None = None
    clipped: int = 0
    missing_ms: float = 0.0
    bridge_mohm: float | None = None
    input_resistance_mohm: float | None = None
    tau_ms: float | None = None

    def __post_init__(self):
        for held in fields(self):
            value = getattr(self, held.name)
            if value is not None and not np.isfinite(value):
                object.__setattr__(self, held.name, None)


def measured(recording: Recording) -> Quality:
    """The figures of a recording, of its first probe and stimulus."""
    volts, dt = recording.volts[0, 0], recording.dt
    current = None if recording.currents is None else recording.currents[0]
    spikes = spike_shapes.spikes(volts, dt)
    tops = [spike.top for spike in spikes]
    before, after = rests(current, volts.size, dt, tops)
    shown = volts[before] if before else volts[:0]
    found = passive.Passive() if current is None else passive.measured(volts, current, dt, tops)
    fast = _fast_noise(volts, dt, tops)
    return Quality(
        rest_mv=float(np.median(shown if shown.size else volts)),
        holding_pa=None if current is None or not before else 1e3 * float(np.median(current[before])),
        noise_mv=_noise(shown, dt) if shown.size or volts.size < 3 else _quiet_noise(volts),
        slow_noise_mv=_slow_noise(shown, dt),
        drift_mv=_drift(volts, dt, before, after),
        noise_jump=float(fast.max() / fast.min()) if fast.size > 1 and fast.min() > 0 else None,
        **_shape(spikes),
        clipped=sum(spike.clipped for spike in spikes),
        missing_ms=_missing(volts, dt),
        bridge_mohm=found.bridge,
        input_resistance_mohm=found.resistance,
        tau_ms=found.tau,
    )


@dataclass(frozen=True)
class Noise:
    """The loudest of a recording's sweeps: `fast_mv`, rms within 1.5 ms, and `slow_mv`, within 500 ms. Slow noise beyond its
    limit is left out of that, in `restless` sweeps: so much are potentials of the cell, not noise of the electrode."""

    fast_mv: float
    slow_mv: float
    restless: int = 0

    @property
    def mv(self) -> float:
        """The standard deviation of both."""
        return max(self.fast_mv, self.slow_mv)


def loudest(qualities: Sequence[Quality]) -> Noise:
    """The noise of a recording with sweeps of these figures; 0 where they tell of none."""
    slow = [q.slow_noise_mv for q in qualities if q.slow_noise_mv is not None]
    quiet = [value for value in slow if value <= SLOW_NOISE_MV]
    return Noise(
        max((q.noise_mv or 0.0 for q in qualities), default=0.0), max(quiet, default=0.0), len(slow) - len(quiet)
    )


def failures(quality: Quality, protocol: str = "step") -> tuple[str, ...]:
    """Why a sweep fails by itself, each with its figure; after a ramp the membrane is not expected to be back [A]."""
    q = quality
    limit = BRIDGE_MOHM
    if q.input_resistance_mohm:
        limit = min(limit, BRIDGE_SHARE * abs(q.input_resistance_mohm))
    drift = None if protocol == "ramp" else q.drift_mv
    checks = (
        (q.missing_ms >= FLAT_MS, f"{q.missing_ms:.3g} ms of equal samples: data are missing"),
        (q.clipped > 0, f"{q.clipped} spike{'s' if q.clipped > 1 else ''} with a flat top: clipped by the amplifier"),
        (_beyond(drift, DRIFT_MV), f"the baseline drifts by {drift or 0:+.2f} mV (limit {DRIFT_MV:g})"),
        (_beyond(q.noise_mv, FAST_NOISE_MV), f"noise of {q.noise_mv or 0:.3f} mV in 1.5 ms (limit {FAST_NOISE_MV:g})"),
        (
            _beyond(q.slow_noise_mv, SLOW_NOISE_MV),
            f"slow noise of {q.slow_noise_mv or 0:.2f} mV (limit {SLOW_NOISE_MV:g})",
        ),
        (_beyond(q.noise_jump, NOISE_JUMP), f"the noise jumps {q.noise_jump or 0:.1f}-fold (limit {NOISE_JUMP:g})"),
        (_beyond(q.bridge_mohm, limit), f"a bridge error of {q.bridge_mohm or 0:.1f} MOhm (limit {limit:.3g})"),
    )
    return tuple(text for fails, text in checks if fails)


def across(qualities: Sequence[Quality]) -> list[tuple[str, ...]]:
    """Why each sweep of a file fails beside the others: rest (at the same holding current) and first spike's shape."""
    rests = _apart([q.rest_mv for q in qualities], [round((q.holding_pa or 0) / (1e3 * HELD_NA)) for q in qualities])
    heights, widths = (_apart([getattr(q, name) for q in qualities]) for name in ("spike_height_mv", "spike_width_ms"))
    return [
        tuple(
            text
            for fails, text in (
                (
                    _beyond(rest[0], ACROSS_MV),
                    f"rest is {rest[0]:+.1f} mV from the other sweeps' {rest[1]:.1f} (limit 3)",
                ),
                (
                    _beyond(height[0], HEIGHT_SHARE * height[1]),
                    f"spike height is {height[0]:+.0f} mV from the other sweeps' {height[1]:.0f} (limit 20%)",
                ),
                (
                    _beyond(width[0], WIDTH_SHARE * width[1]),
                    f"spike width is {width[0]:+.2f} ms from the other sweeps' {width[1]:.2f} (limit 30%)",
                ),
            )
            if fails
        )
        for rest, height, width in zip(rests, heights, widths, strict=True)
    ]


def _apart(values, groups=None) -> list[tuple[float, float]]:
    """Each value's distance from the median of its group, and that median; 0 for what is not known."""
    groups = groups or [0] * len(values)
    middles = {}
    for group in set(groups):
        known = [v for v, g in zip(values, groups, strict=True) if g == group and v is not None]
        middles[group] = float(np.median(known)) if known else 0.0
    return [(0.0 if v is None else v - middles[g], middles[g]) for v, g in zip(values, groups, strict=True)]


def _beyond(value, limit) -> bool:
    return value is not None and abs(value) > limit


def rests(current, size: int, dt: float, tops):
    """Slices before the first and after the last change of the current, without spikes; None where there is none."""
    if current is None:
        return None, None
    if protocols.recognised(current, dt) == "none":
        return _free(0, size // 2, tops, dt), _free(size // 2, size, tops, dt)
    parts = pieces.stretches(current, dt)
    still = [p for p in parts if is_still(current, p, dt)]
    first = next((p for p in still if p.first == 0), None)
    if first is None:
        return _lead(current, dt, tops), None
    last = still[-1] if len(still) > 1 and still[-1].last == current.size else None
    before = _free(first.first, first.last, tops, dt)
    if last is None or abs(last.level - first.level) > pieces.tolerance(current, dt):
        return before, None
    return before, _free(last.first, last.last, tops, dt)


def is_still(current, part: pieces.Stretch, dt: float) -> bool:
    """Whether a current (T,) holds one level over a stretch of it."""
    means, _ = pieces.blocks(current[part.first : part.last], dt)
    return pieces.strays(means) <= pieces.tolerance(current, dt)


def _lead(current, dt, tops):
    """Of a current that begins to move without a jump: until it has left its first value."""
    means, width = pieces.blocks(current, dt)
    moved = np.flatnonzero(np.abs(means - means[0]) > max(pieces.tolerance(current, dt) / 5, 1e-9))
    return _free(0, int(moved[0]) * width if moved.size else current.size, tops, dt)


def _free(first, last, tops, dt):
    """A slice, or None where it is too short; it ends before a spike."""
    inside = [top for top in tops if first <= top < last]
    last = min([last, *(top - round(10 / dt) for top in inside)])
    return slice(first, last) if (last - first) * dt >= FEWEST_MS else None


def _noise(values, dt) -> float | None:
    """The median rms of (T,) within pieces of 1.5 ms, each about its own mean."""
    width = max(3, round(FAST_MS / dt))
    count = values.size // width
    if count < 2:
        return None
    return float(np.sqrt(np.median(values[: count * width].reshape(count, width).var(axis=1, ddof=1))))


def _slow_noise(values, dt) -> float | None:
    return float(np.std(values[-round(STABLE_MS / dt) :])) if values.size * dt >= FEWEST_MS else None


def _drift(volts, dt, before, after) -> float | None:
    """The mean at the end of the sweep minus that before the stimulus, of at most 500 ms each."""
    if not before or not after or (after.stop - after.start) * dt < 2 * SETTLED_MS:
        return None
    begin = max(after.start + round(SETTLED_MS / dt), after.stop - round(STABLE_MS / dt))
    early = volts[max(before.start, before.stop - round(STABLE_MS / dt)) : before.stop]
    return float(np.mean(volts[begin : after.stop]) - np.mean(early))


def _fast_noise(volts, dt, tops):
    """The noise of each 100 ms without a spike: by second differences, which no slow course of the voltage enters."""
    width = round(WINDOW_MS / dt)
    spiking = {k for top in tops for k in ((top - round(5 / dt)) // width, (top + round(20 / dt)) // width)}
    free = [k for k in range(volts.size // width) if k not in spiking]
    return np.array([_quiet_noise(volts[k * width : (k + 1) * width]) for k in free])


def _quiet_noise(values) -> float:
    bends = np.abs(np.diff(values, 2))
    return float(np.percentile(bends, 68.3)) / np.sqrt(
        6
    )  # of white noise the second difference has 6 times the variance


def _shape(spikes) -> dict:
    if not spikes:
        return {}
    first, last = spikes[0], spikes[-1]
    return {
        "spike_height_mv": first.height,
        "spike_width_ms": first.width,
        "height_drift": last.height / first.height - 1 if len(spikes) > 1 else None,
        "width_drift": last.width / first.width - 1 if len(spikes) > 1 else None,
    }


def _missing(volts, dt) -> float:
    """The longest run of equal samples, ms, where samples usually differ; 0 in a trace without noise."""
    changes = np.diff(volts)
    same, signs = changes == 0, np.sign(changes)
    if changes.size < 2 or np.mean(signs[1:] * signs[:-1] < 0) < RESTLESS:
        return 0.0
    ends = np.flatnonzero(np.concatenate([[True], ~same, [True]]))
    longest = float(np.diff(ends).max()) * dt
    return longest if longest >= FLAT_MS else 0.0
