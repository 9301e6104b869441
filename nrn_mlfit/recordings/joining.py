"""Recordings that belong together, as one: of several electrodes in one cell, or of one cell under several stimuli."""

from dataclasses import replace

import numpy as np

from nrn_mlfit.errors import RecordingError
from nrn_mlfit.recordings.recording import Recording

FAINT = 0.25  # of the largest current's swing: less at another electrode is noise, or a holding current


def as_probes(*those: Recording) -> Recording:
    """The voltages of electrodes that recorded one cell at the same time, as the probes (P, S, T) of one recording, in order.

    The current is that of the electrode whose current swings most. Raises RecordingError where sample step, length or stimuli
    differ, and where a second electrode injects another current: a cell file has one site for it.
    """
    _check(those, "probes", lambda one: one.volts.shape[1:])
    flowed = [one for one in those if one.currents is not None]
    source = max(flowed, key=_swing, default=those[0])
    for one in flowed:
        alike = np.array_equal(np.asarray(one.currents), np.asarray(source.currents))
        if _swing(one) > FAINT * _swing(source) and not alike:
            raise RecordingError(
                f"{one.name}: a current flows there and in {source.name}, a cell gets its current at one site; leave out one "
                "electrode, or take a sweep in which one of them injects"
            )
    volts = np.concatenate([one.volts for one in those])
    return _joined(those, replace(source, volts=volts, currents=source.currents))


def as_stimuli(*those: Recording) -> Recording:
    """Responses of one cell to several stimuli as one recording (P, S, T), in that order.

    Raises RecordingError where sample step, length or probes differ, and where one has no current.
    """
    _check(those, "stimuli", lambda one: (len(one.volts), one.volts.shape[-1]))
    if without := [one.name for one in those if one.currents is None]:
        raise RecordingError(f"{without[0]}: holds no current; give it (--stim-from), so that it can be told apart")
    volts = np.concatenate([one.volts for one in those], axis=1)
    currents = np.concatenate([np.asarray(one.currents) for one in those])
    return _joined(those, replace(those[0], volts=volts, currents=currents))


def _swing(recording) -> float:
    return float(np.ptp(recording.currents))


def _check(those, what, shape):
    """Refuse recordings of other sample steps or shapes than the first one's."""
    if not those:
        raise RecordingError(f"{what}: no recordings to join; give two or more")
    first = those[0]
    for one in those[1:]:
        if not np.isclose(one.dt, first.dt, rtol=1e-6) or shape(one) != shape(first):
            raise RecordingError(
                f"{one.name}: holds {_words(one)}, {first.name} {_words(first)}; bring them to one sample step, length and shape "
                "first (recordings.resampled, Recording.cut)"
            )


def _words(recording) -> str:
    return f"voltages {recording.volts.shape} at {recording.dt:g} ms"


def _joined(those, made: Recording) -> Recording:
    names = [one.name for one in those]
    warnings = tuple(dict.fromkeys(text for one in those for text in one.warnings))
    return replace(made, name=" + ".join(names), source={**made.source, "joined": names}, warnings=warnings)
