"""Taking a run's folder for a simulation: nobody else writes there, what lies there is ours, and what is missing."""

import contextlib
import fcntl
import itertools
import json
import os
import re
import socket
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from nrn_mlfit import cells, textfile
from nrn_mlfit.cells import CellModel
from nrn_mlfit.errors import ShardError
from nrn_mlfit.shards import manifest as manifests
from nrn_mlfit.shards.format import Status, name_of, read_status, rows
from nrn_mlfit.shards.run import Run, first_of, read_manifest

LOCK = ".lock"
TRIES = 20  # to open it
OF_A_START = re.compile(r"\.lock|\.run\.json\.[\w-]+\.tmp")  # what one that was killed at its very start leaves


@dataclass(frozen=True)
class Piece:
    """A shard to make: the number of its first set, how many it holds, and how many of them are left to simulate.

    `again`: the sets of the shard that ran out of time are tried once more.
    """

    first: int
    count: int
    left: int
    again: bool = False


def check_free(folder: Path, manifest: dict) -> bool:
    """Whether `folder` already holds this run (with any number of sets); raises ShardError if it holds anything else."""
    path = folder / manifests.NAME
    if path.is_file():
        manifests.check_same(folder, read_manifest(path), manifest)
        return True
    if folder.is_file() or folder.is_dir() and not all(OF_A_START.fullmatch(p.name) for p in folder.iterdir()):
        raise ShardError(f"{folder}: holds something else; choose an empty or new folder with -o")
    return False


@contextlib.contextmanager
def held(folder: Path) -> Iterator[bool]:
    """Hold the folder, for the length of a `with`, against every other run that wants to write there.

    Gives whether it is held: not on a file system without locks.

    A lock of the kernel on the file .lock: it ends with the process that holds it, however that ends, so a lock of a
    dead process is none. Raises ShardError, naming the holder, if another process has it.
    """
    lock, alone = _locked(folder)
    try:
        yield alone
    finally:
        (folder / LOCK).unlink(missing_ok=True)
        lock.close()


def _locked(folder):
    path = folder / LOCK
    while True:
        lock = _opened(path)
        alone = True
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise ShardError(
                f"{folder}: {_holder(lock)} is writing there; wait for it, or choose another folder with -o"
            ) from None
        except OSError:
            alone = False
        with contextlib.suppress(FileNotFoundError):
            if os.path.samestat(os.fstat(lock.fileno()), path.stat()):
                break
        lock.close()  # its last holder removed the file while we waited: that lock holds nobody off
    lock.truncate(0)
    lock.write(json.dumps({"host": socket.gethostname(), "pid": os.getpid()}))
    lock.flush()
    return lock, alone


def _opened(path):
    """The file of a lock in its folder, which its last holder may remove, too, while we come."""
    for _ in range(TRIES):
        with contextlib.suppress(OSError):
            path.parent.mkdir(parents=True, exist_ok=True)
            return open(path, "a+")
    with textfile.writing(path):  # which says what is in the way
        return open(path, "a+")


def _holder(lock) -> str:
    lock.seek(0)
    try:
        about = json.loads(lock.read())
        return f"process {about['pid']} on {about['host']}"
    except (ValueError, KeyError, TypeError):
        return "another process"


def begin(model: CellModel, folder: Path, manifest: dict, alone: bool):
    """Manifest and copy of the cell in a folder; where nobody else can be writing, what a killed process left is removed."""
    for left in folder.rglob(".*.tmp") if alone else ():
        left.unlink(missing_ok=True)
    textfile.write_atomic(folder / manifests.NAME, textfile.to_json(manifest))  # first: what is cut off can go on
    cells.bundle(model, folder / "cell")


def missing(folder: Path, manifest: dict, first: int, samples: int) -> list[Piece]:
    """The shards of the sets first .. first+samples-1 that are still to make."""
    run, wanted = Run(folder, manifest), layout(first, samples, manifest["sets_a_shard"])
    _check_layout(run, wanted)
    return [piece for first, count in wanted if (piece := _piece(run, first, count)).left]


def layout(first: int, samples: int, sets_a_shard: int) -> list[tuple[int, int]]:
    """(first, count) of the shards of a run; between its ends their borders are the multiples of sets_a_shard."""
    stop = first + samples
    borders = [first, *range(first - first % sets_a_shard + sets_a_shard, stop, sets_a_shard), stop]
    return [(low, high - low) for low, high in itertools.pairwise(borders)]


def _check_layout(run, wanted):
    """A set must not come to lie in two shards, which a run with another --first could bring about."""
    starts, (low, _), (last, count) = {first for first, _ in wanted}, wanted[0], wanted[-1]
    for path in run.shards:
        first = first_of(path)
        if first in starts or first >= last + count:
            continue
        size = rows(path)
        if first + size > low:
            raise ShardError(
                f"{path}: holds the sets {first} to {first + size - 1}, some of which are asked for in other shards; "
                "choose another folder with -o"
            )


def _piece(run, first, count) -> Piece:
    path = run.folder / name_of(first)
    try:
        status, attributes = read_status(path)
    except ShardError:  # not there, or damaged: made anew
        return Piece(first, count, count)
    run.check_belongs(path, attributes)
    late = 0 if attributes["retried"] else int((status == Status.TIMEOUT).sum())
    return Piece(first, max(count, len(status)), max(count - len(status), 0) + late, late > 0)
