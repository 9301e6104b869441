"""How far a trace lies from a recorded one, as a number that falls while the two become alike. P probes, S stimuli, T samples.

Spike counts and times, shapes of spikes, the voltage between them and at rest, each in units of an error that matters, as
features are weighed in searches for models of neurons (Druckmann et al., Front. Neurosci. 1:7, 2007; there the unit is what
repeats differ by, which one sweep does not tell). Squares are summed up; each levels off at some units, so that a trace which
is wrong in one thing can still be better or worse in the others.
"""

from dataclasses import dataclass

import numpy as np

from nrn_mlfit.comparison import PRECISION_MS, rms_between
from nrn_mlfit.recordings import Recording, quality
from nrn_mlfit.recordings.spike_shapes import spikes
from nrn_mlfit.spikes import spike_times

COUNT_SHARE = 1 / 8  # of the recorded count, and at least one spike
TIME_MS, FIRST_MS = 8.0, 5.0
BETWEEN_MV = 3.0
REST_MV = 2.0
SHAPE = np.array([5.0, 0.25, 4.0, 4.0, 5.0, 0.25])  # mV, ms: of _shape's columns
CLOSE, FEW, MANY = 2.0, 4.0, 7.0  # units at which a square has come to half of what it can be
ABSENT = 2 * FEW**2 + CLOSE**2  # of times that only one of two traces has
TROUGH_MS = 30.0  # after a spike, or until the next one


@dataclass(frozen=True, eq=False)
class Target:
    """A recording and what of its spikes, and of its rest, a trace is compared with: of each probe under each stimulus, P S of
    them; a rest is the samples before the stimulus begins, None where there are none."""

    recording: Recording
    times: list
    shapes: list
    rests: list

    @classmethod
    def of(cls, recording: Recording) -> "Target":
        probes, stimuli, _ = recording.volts.shape
        every = _each(recording.volts)
        times = [spike_times(volts, recording.dt) for volts in every]
        currents = [None] * stimuli if recording.currents is None else list(recording.currents)
        rests = [_rest(*pair, recording.dt) for pair in zip(every, currents * probes, strict=True)]
        return cls(recording, times, [_shape(volts, recording.dt) for volts in every], rests)

    def distance(self, volts) -> float:
        """How far a trace (P, S, T) in mV lies from the recording: 0 for the same trace, about 1 for each thing off by a
        unit (of spikes and rests the mean over probes and stimuli); largest() at most, also of one that is not finite."""
        if not np.isfinite(volts).all():
            return self.largest()
        dt = self.recording.dt
        spiking = [
            _times_apart(ours, spike_times(trace, dt)) + _shapes_apart(shape, _shape(trace, dt))
            for ours, shape, trace in zip(self.times, self.shapes, _each(volts), strict=True)
        ]
        return float(np.mean(spiking) + self._between(volts) + self._rests_apart(volts))

    def _rests_apart(self, volts) -> float:
        pairs = zip(_each(self.recording.volts), _each(volts), self.rests, strict=True)
        apart = [np.median(ours[rest]) - np.median(theirs[rest]) for ours, theirs, rest in pairs if rest is not None]
        return float(np.mean([_soft(one / REST_MV, MANY) for one in apart])) if apart else 0.0

    def _between(self, volts) -> float:
        """Of the voltage far from spikes. A trace that spikes so often that nothing is left of it there is as far as can be,
        unless the recording does so, too."""
        recorded, dt = self.recording.volts, self.recording.dt
        between = rms_between(recorded, volts, dt)
        if between is not None:
            return _soft(between / BETWEEN_MV, MANY)
        alone = rms_between(recorded, recorded, dt)
        return 0.0 if alone is None else MANY**2

    def largest(self) -> float:
        """What no trace exceeds."""
        return 3 * MANY**2 + ABSENT + FEW**2 * len(SHAPE)


def _each(volts):
    """Traces (P, S, T) one after the other, (P S, T)."""
    return np.reshape(volts, (-1, np.shape(volts)[-1]))


def _rest(volts, current, dt):
    """The samples of a trace (T,) before its stimulus begins, None where there are none without a spike."""
    before, _ = quality.rests(current, len(volts), dt, [spike.top for spike in spikes(volts, dt)])
    return before


def _soft(units, half) -> float:
    """The square of `units` while they are few, half of half**2 at `half`, less than half**2 always."""
    square = np.square(units)
    return half**2 * square / (half**2 + square)


def _times_apart(ours, theirs) -> float:
    """Of two spike trains: the count, the first spike, and the k-th beside the k-th."""
    apart = _soft((ours.size - theirs.size) / max(1.0, COUNT_SHARE * ours.size), MANY)
    both = min(ours.size, theirs.size)
    if not both:
        return apart + (ABSENT if ours.size or theirs.size else 0.0)
    late = ours[:both] - theirs[:both]
    # Coarse and fine: far trains are to come nearer, and near ones within what counts as coincident.
    each = _soft(late / TIME_MS, FEW) + _soft(late / PRECISION_MS, CLOSE)
    return apart + _soft(late[0] / FIRST_MS, FEW) + float(np.mean(each))


def _shapes_apart(ours, theirs) -> float:
    if ours is None:  # nothing to compare with
        return 0.0
    if theirs is None:
        return FEW**2 * len(SHAPE)
    return float(np.sum(_soft((ours - theirs) / SHAPE, FEW)))


def _shape(volts, dt):
    """Peak (mV), width at half height (ms), onset (mV) and the lowest voltage after a spike (mV), medians over the whole spikes
    of a trace (T,); peak and width of the first. None without one."""
    found = spikes(volts, dt)
    if not found:
        return None
    tops = [spike.top for spike in found]
    ends = np.minimum([*tops[1:], len(volts)], np.add(tops, round(TROUGH_MS / dt)))
    troughs = [volts[top : max(end, top + 1)].min() for top, end in zip(tops, ends, strict=True)]
    peaks, widths = volts[tops], [spike.width for spike in found]
    onsets = peaks - [spike.height for spike in found]
    medians = [np.median(column) for column in (peaks, widths, onsets, troughs)]
    return np.array([*medians, peaks[0], widths[0]], float)
