"""A folder that has its name is whole: it is filled under another one beside it, and gets its name at the end."""

import contextlib
import tempfile
from collections.abc import Iterator
from pathlib import Path

from nrn_mlfit import textfile
from nrn_mlfit.errors import MachineError, MlfitError


def check_free(folder: Path):
    """Refuse a folder that holds anything, before any work is done for it; raises MachineError."""
    if folder.is_file() or folder.is_dir() and any(folder.iterdir()):
        raise MachineError(f"{folder}: already there and not empty; name a new folder with -o")


@contextlib.contextmanager
def whole(folder: Path, within: Path | None = None) -> Iterator[Path]:
    """A path, in a hidden folder beside `folder` or in the folder `within`, that gets the name `folder` at the end of a `with`.

    Where the `with` is left by an error nothing of it stays.
    """
    with (
        textfile.writing(folder),
        tempfile.TemporaryDirectory(dir=within or folder.parent, prefix=f".{folder.name}-") as scratch,
    ):
        fresh = Path(scratch) / folder.name
        yield fresh
        fresh.rename(folder)


@contextlib.contextmanager
def named_as(fresh: Path, lasting: Path) -> Iterator[None]:
    """A `with` whose errors name the folder `lasting` in place of `fresh`, which will not be there when they are read."""
    try:
        yield
    except MlfitError as error:
        text = str(error)
        for name in (fresh, fresh.resolve()):
            text = text.replace(str(name), str(lasting))
        raise type(error)(text) from None
