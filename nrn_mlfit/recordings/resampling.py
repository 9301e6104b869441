"""Another sample step, without folding what is too fast for it back into the trace."""

from dataclasses import replace
from fractions import Fraction
from math import isfinite

import numpy as np

from nrn_mlfit.errors import RecordingError
from nrn_mlfit.recordings.current import COMMANDED
from nrn_mlfit.recordings.protocols import recognised
from nrn_mlfit.recordings.recording import Recording

LARGEST_FACTOR = 10_000  # of both whole numbers whose ratio is that of the steps
SAME = 1e-9


def resampled(recording: Recording, dt: float) -> Recording:
    """The recording at a step of `dt` ms, through scipy's polyphase filter, which takes away what the new rate cannot hold.

    The first sample stays where it is. A command of steps is taken at each new sample's time instead: a filter would let
    it ring. Raises RecordingError for a step that makes no sense.
    """
    if not (isfinite(dt) and dt > 0):
        raise RecordingError(f"{recording.name}: the new sample step must be above 0 ms, got {dt}")
    if abs(dt / recording.dt - 1) < SAME:
        return recording
    ratio = Fraction(recording.dt / dt).limit_denominator(LARGEST_FACTOR)
    if not ratio or ratio.numerator > LARGEST_FACTOR or abs(ratio * dt / recording.dt - 1) > 1e-6:
        raise RecordingError(
            f"{recording.name}: a step of {recording.dt:g} ms cannot be made into one of {dt:g} ms; choose a step between "
            f"{recording.dt / 100:g} and {recording.dt * 100:g} ms"
        )
    volts = _filtered(recording.volts, ratio)
    if volts.shape[-1] < 2:
        raise RecordingError(f"{recording.name}: of {recording.duration:g} ms too little is left at {dt:g} ms a sample")
    currents = recording.currents
    if currents is not None:
        held = recording.source.get("current") == COMMANDED and recognised(currents[0], recording.dt) == "step"
        currents = _taken(currents, ratio, volts.shape[-1]) if held else _filtered(currents, ratio)
    source = {**recording.source, "resampled_from_ms": recording.dt}
    return replace(recording, volts=volts, currents=currents, dt=float(dt), source=source)


def _filtered(values, ratio: Fraction):
    from scipy.signal import resample_poly

    return resample_poly(values, ratio.numerator, ratio.denominator, axis=-1, padtype="line")


def _taken(values, ratio: Fraction, size: int):
    """The values (S, T) that hold at the times of `size` new samples: each the last one before."""
    at = np.arange(size) * ratio.denominator // ratio.numerator
    return values[:, np.minimum(at, values.shape[-1] - 1)]
