"""Stimuli from samples: a recorded current, or a file that holds one."""

from pathlib import Path

import numpy as np

from nrn_mlfit.errors import StimulusError
from nrn_mlfit.stimuli.stimulus import Stimulus

LEAD_MS = 100.0  # how long a file's first level is held before its samples begin, so that the cell has settled
LEVEL_MS = 4.0


def samples(
    current,
    dt: float,
    source: str = "samples",
    scale: float = 1.0,
    lead: float = LEAD_MS,
    origin: dict | None = None,
) -> Stimulus:
    """A current (T,) nA as it was recorded, the window is all of it; its level at the start is held for `lead` ms before.

    The level is the median of the first 4 ms: one noisy sample, held so long, would shift the cell by millivolts. `origin`
    says of which sweep of which recording it is, and goes into the description.
    """
    current = np.atleast_1d(np.asarray(current, float))
    if current.ndim != 1 or not (np.isfinite(dt) and dt > 0):
        raise StimulusError(
            f"{source}: needs one row of samples and a step above 0 ms, got {current.shape} and {dt} ms"
        )
    held = round(lead / dt) if current.size else 0
    scaled = scale * current  # before the median: what is written out and read again has the same last bit
    level = np.median(scaled[: max(1, round(LEVEL_MS / dt))]) if current.size else 0.0
    whole = np.concatenate([np.full(held, level), scaled])
    spec = {"kind": "file", "scale": scale, "path": source, "lead": lead, **({"origin": origin} if origin else {})}
    return Stimulus(whole, dt, held, whole.size, spec)


def from_file(path, scale: float = 1.0, lead: float = LEAD_MS, origin: dict | None = None) -> Stimulus:
    """A stimulus from an npz file with `current` (T,) nA and `dt` ms, or a CSV file with columns time, current.

    `origin` as for `samples`.
    """
    path = Path(path)
    if not path.is_file():
        raise StimulusError(f"{path}: no such file; a stimulus file is .npz (current, dt) or .csv (time, current)")
    if path.suffix == ".npz":
        current, dt = _read_npz(path)
    elif path.suffix == ".csv":
        current, dt = _read_csv(path)
    else:
        raise StimulusError(
            f"{path.name}: a stimulus file ends in .npz or .csv; cut one from a recording with `nrn-mlfit recording`"
        )
    return samples(current, dt, path.name, scale, lead, origin)


def _read_npz(path):
    try:
        with np.load(path, allow_pickle=False) as file:
            held = {name: np.asarray(file[name], float) for name in ("current", "dt") if name in file}
            missing = [name for name in ("current", "dt") if name not in held]
    except Exception as error:  # damage comes up as any of zipfile's, zlib's and numpy's errors
        raise StimulusError(f"{path.name}: cannot be read ({error}); save plain arrays with numpy.savez") from None
    if missing or held["dt"].size != 1:
        raise StimulusError(
            f"{path.name}: no {' and no '.join(missing or ['single dt'])} inside; "
            "a stimulus needs current (T,) nA and dt ms"
        )
    return np.squeeze(held["current"]), float(held["dt"].reshape(()))


def _read_csv(path):
    try:
        table = np.genfromtxt(path, delimiter=",", names=True)
    except (ValueError, IndexError):  # lines of different length, no text, nothing
        table = np.empty(0)
    if not table.dtype.names or not {"time", "current"} <= set(table.dtype.names) or table.size < 2:
        raise StimulusError(f"{path.name}: needs a first line `time,current`, then samples in ms and nA")
    steps = np.diff(table["time"])
    if not (steps[0] > 0 and np.allclose(steps, steps[0], rtol=1e-3)):
        raise StimulusError(f"{path.name}: the times are not evenly spaced; resample the current to one step first")
    return table["current"], float(round(np.mean(steps), 9))
