"""Writing a large file piece by piece that, like those of textfile.write_atomic, has its name only when it is whole."""

import contextlib
import os
from collections.abc import Iterator
from pathlib import Path

from nrn_mlfit import textfile


@contextlib.contextmanager
def replacing(path: Path) -> Iterator[Path]:
    """A temporary path to write to in a `with`; at its end that file is flushed to disk and takes the name `path`.

    Where the `with` is left by an error, nothing of it stays. An OSError becomes a MachineError, a sentence for the user.
    """
    temporary = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    try:
        with textfile.writing(path):
            yield temporary
            with open(temporary, "rb+") as written:
                os.fsync(written.fileno())
            os.replace(temporary, path)
    finally:
        with contextlib.suppress(OSError):
            temporary.unlink(missing_ok=True)
