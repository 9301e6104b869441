"""The fields of a cell file, checked as they are taken out of it."""

from pathlib import Path

import numpy as np

from nrn_mlfit.errors import CellError


def mapping(held, key) -> dict:
    value = held.get(key, {})
    if not isinstance(value, dict):
        raise CellError(f"{key}: must be a mapping, got {value!r}")
    return value


def number(held, key, default) -> float:
    value = held.get(key, default)
    if isinstance(value, bool) or not isinstance(value, int | float) or not np.isfinite(value):
        raise CellError(f"{key}: must be a number, got {value!r}")
    return float(value)


def positive(held, key, default) -> float:
    value = number(held, key, default)
    if value <= 0:
        raise CellError(f"{key}: must be above 0, got {value:g}")
    return value


def file(folder, name) -> Path:
    path = folder / str(name)
    if not path.is_file():
        raise CellError(f"{path} does not exist; paths are relative to the cell file")
    return path


def files(folder, held) -> tuple[Path, ...]:
    """What the HOC reads lies in its folder, so that a copy of that folder is a copy of the cell."""
    names = held.get("files", [])
    if not isinstance(names, list):
        raise CellError(f"files: must be a list of file names, got {names!r}")
    beside = file(folder, held["hoc"]).parent
    for path in (paths := tuple(file(folder, name) for name in names)):
        if not path.resolve().is_relative_to(beside.resolve()):
            raise CellError(f"files: {path} must lie in the folder of the HOC file that reads it, {beside}")
    return paths


def mod_folder(folder, name) -> Path | None:
    if name is None:
        return None
    path = (folder / str(name)).resolve()
    if not sorted(path.glob("*.mod")):
        raise CellError(f"mod: {path} holds no .mod file; paths are relative to the cell file")
    return path
