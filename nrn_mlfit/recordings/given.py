"""The current that --stim-from gives to a recording which does not hold it, or a wrong one."""

from math import isclose
from pathlib import Path

from nrn_mlfit import stimuli
from nrn_mlfit.errors import RecordingError
from nrn_mlfit.recordings import abf
from nrn_mlfit.recordings.recording import Raw

AXON = (".abf", ".atf")


def current(path: Path, sweep: int, raw: Raw):
    """The current (T,) in nA of a stimulus file for a sweep of `raw`'s length and step.

    Of Axon's files it is the channel in amperes, or the first one, in pA; of npz and CSV files the column `current`.
    """
    if not path.is_file():
        raise RecordingError(f"{path}: no such file; --stim-from takes a stimulus file: .abf, .atf, .npz or .csv")
    if path.suffix.lower() in AXON:
        values, dt = abf.stimulus(path, sweep)
    else:
        stimulus = stimuli.from_file(path)
        values, dt = stimulus.window, stimulus.dt
    wanted = raw.volts.shape[-1] if getattr(raw.volts, "ndim", 0) else 0
    if values.size != wanted or not isclose(dt, raw.dt, rel_tol=1e-6):
        raise RecordingError(
            f"{raw.name}: --stim-from {path.name} holds {values.size} samples of {dt:g} ms, the recording {wanted} of "
            f"{raw.dt:g} ms; give one of the same length and step"
        )
    return values
