"""The HOC files that NEURON has loaded, by name: load_file() takes another file of a known name for that one, and skips it."""

import hashlib
from collections.abc import Iterable
from pathlib import Path

from nrn_mlfit.errors import MlfitError

# By name alone: a file that is loaded by its path changes to its folder, and there loads others by their names.
_held: dict[str, dict[str, Path]] = {}  # name -> sha256 of what was loaded under it -> the folder that it is from


def note(script: Path, reads: Iterable[Path], error: type[MlfitError]):
    """Note that `script` is about to be loaded (whatever has its name), and with it the HOC files among those that it `reads`.

    Raises `error` where NEURON holds another content under the name of one of these.
    """
    parts = {path: _digest(path) for path in reads if path.suffix == ".hoc"}
    for path, digest in parts.items():
        known = _held.get(path.name, {digest: path})
        if digest not in known:
            raise error(_clash(script.parent, path.name, next(iter(known.values()))))
    for path, digest in parts.items():
        _held.setdefault(path.name, {})[digest] = script.parent.resolve()
    _held[script.name] = {_digest(script): script.parent.resolve()}


def _digest(path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()


def _clash(folder, name, other) -> str:
    whence = "an earlier load from this folder" if other == folder.resolve() else str(other)
    return (
        f"{folder}: NEURON holds another {name} already, from {whence}, and loads no second file of that name; start a new "
        "Python, or give the file another name in its cell"
    )
