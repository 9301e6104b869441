"""npz files: volts or voltage (T,) or (P, S, T) mV, current (T,) or (S, T) nA if there is one, dt ms."""

import json
from pathlib import Path
from typing import Any

import numpy as np

from nrn_mlfit.errors import RecordingError
from nrn_mlfit.recordings.reading import Reading
from nrn_mlfit.recordings.recording import Raw

CURRENT_NAMES = ("current", "stims")


def sweeps(path: Path, reading: Reading):
    """One function that reads the file's only recording."""
    return [lambda: _read(path, reading)]


def current_names(held, reading: Reading, name: str) -> tuple[str, ...]:
    """Under which names a file's current is looked for, the first one first."""
    wanted = reading.current_channel
    if wanted is None:
        return CURRENT_NAMES
    if wanted not in held:
        raise RecordingError(
            f"{name}: there is no {wanted}; --current-channel takes one of {', '.join(held) or 'nothing'}"
        )
    return (wanted,)


def _read(path, reading) -> Raw:
    held = _arrays(path)
    volts: Any = held.get("volts", held.get("voltage"))
    missing = [name for name, value in (("volts", volts), ("dt", held.get("dt"))) if value is None]
    if missing:
        raise RecordingError(
            f"{path.name}: no {' and no '.join(missing)} inside; it holds {', '.join(held) or 'nothing'}"
        )
    origin = _json(held.get("source"))
    source = {"file": str(path), "format": "npz", "sweep": 0} | ({"origin": origin} if origin else {})
    current = next((held[name] for name in current_names(held, reading, path.name) if name in held), None)
    truth = _json(held.get("truth"))
    return Raw(volts, current, step(held["dt"], path.name), path.name, source, _kind(origin), truth=truth)


def _kind(origin) -> str:
    """What the piece's current was where it was cut."""
    return str(origin.get("current", ""))


def _arrays(path) -> dict[str, Any]:
    try:
        with np.load(path, allow_pickle=False) as file:
            return {name: file[name] for name in file.files}
    except Exception as error:  # damage comes up as any of zipfile's, zlib's, numpy's and the tokenizer's errors
        if str(error).startswith("Object arrays"):
            raise RecordingError(f"{path.name}: holds Python objects; save plain arrays of numbers") from None
        raise RecordingError(f"{path.name}: cut short or damaged; copy it anew from where it came") from None


def step(value, name: str) -> float:
    """A sample step that a file holds, as one float."""
    value = np.asarray(value)
    if value.size != 1 or value.dtype.kind not in "iuf":
        raise RecordingError(f"{name}: dt must be one number, the sample step in ms")
    return float(value.reshape(()))


def _json(value) -> dict:
    """What `Recording.save` left as JSON; another program's array of that name means nothing here."""
    try:
        held = json.loads(str(value))
    except ValueError:
        return {}
    return held if isinstance(held, dict) else {}
