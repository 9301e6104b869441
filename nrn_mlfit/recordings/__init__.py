"""Current-clamp recordings and simulated rows, of any format that is read, as a `Recording` in mV, nA and ms.

    recording = recordings.read("cell7.nwb", sweep=3)
    piece = recordings.around_change(recording)         # at most 300 ms around the current's step
    piece.save("piece.npz")

Each format is one module with one function, `sweeps(path)`: a list of functions that read one sweep each.
"""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType

from nrn_mlfit.errors import MlfitError, RecordingError
from nrn_mlfit.recordings import csv_file, hdf5, npz, nwb, shard_row, units
from nrn_mlfit.recordings.changes import around_change
from nrn_mlfit.recordings.recording import Recording

__all__ = ["Recording", "Sweep", "around_change", "files", "read", "sweeps"]

HDF5_SUFFIXES = (".h5", ".hdf5", ".nwb")
SUFFIXES = (*HDF5_SUFFIXES, ".npz", ".csv")
READ_ARE = "read are NWB 2 (.nwb), HDF5 and shards (.h5, .hdf5), .npz and .csv"


@dataclass(frozen=True)
class Sweep:
    """A sweep in short: duration and dt in ms, its range in mV, and in pA where a current is stored.

    A sweep that cannot be read has a `problem` and no figures.
    """

    number: int
    name: str
    duration: float = 0.0
    dt: float = 0.0
    mv: tuple[float, float] | None = None
    pa: tuple[float, float] | None = None
    problem: str = ""


def read(path, sweep: int | None = None) -> Recording:
    """The recording in a file, or its sweep `sweep` (from 0; the row of a shard) where it holds several.

    Raises RecordingError (ShardError for a damaged shard) in one sentence for whatever cannot be read.
    """
    path = Path(path)
    readers = _readers(path)
    return _read(readers[_chosen(path.name, len(readers), sweep)])


def sweeps(path) -> list[Sweep]:
    """What the sweeps of a file are, in short; raises RecordingError where the file cannot be read."""
    path = Path(path)
    readers = _readers(path)
    if len(readers) == 1:
        return [_described(0, _read(readers[0]))]
    return [_described_or_problem(number, reader) for number, reader in enumerate(readers)]


def files(folder) -> list[Path]:
    """The files of a folder whose names end as recordings do; raises RecordingError where there are none."""
    found = sorted(path for path in Path(folder).glob("*") if path.suffix.lower() in SUFFIXES and path.is_file())
    if not found:
        raise RecordingError(f"{folder}: holds no recording; {READ_ARE}")
    return found


def _read(reader: Callable[[], Recording]) -> Recording:
    recording = reader()
    units.check(recording)
    return recording


def _readers(path) -> list[Callable[[], Recording]]:
    if path.is_dir():
        raise RecordingError(f"{path}: is a folder; name one file in it")
    if not path.is_file():
        raise RecordingError(f"{path}: no such file; {READ_ARE}")
    return _format(path).sweeps(path)


def _format(path) -> ModuleType:
    """The module that reads a file: by content where HDF5 is behind it, else by suffix."""
    if hdf5.is_one(path):
        return {"shard": shard_row, "nwb": nwb, "hdf5": hdf5}[hdf5.kind(path)]
    suffix = path.suffix.lower()
    if suffix in HDF5_SUFFIXES:
        raise RecordingError(f"{path.name}: cut short, damaged or no HDF5 at all; copy it anew from where it came")
    if suffix not in SUFFIXES:
        raise RecordingError(f"{path.name}: a format that is not read; {READ_ARE}")
    return npz if suffix == ".npz" else csv_file


def _chosen(name, count, sweep) -> int:
    holds = f"holds {count} sweeps (0-{count - 1})" if count > 1 else "holds one sweep (0)"
    if sweep is None and count > 1:
        raise RecordingError(f"{name}: {holds}; choose one with --sweep")
    if sweep is not None and not 0 <= sweep < count:
        raise RecordingError(f"{name}: there is no sweep {sweep}; it {holds}")
    return sweep or 0


def _described_or_problem(number, reader) -> Sweep:
    try:
        return _described(number, _read(reader))
    except MlfitError as error:
        return Sweep(number, "", problem=str(error).split(": ", 1)[-1])


def _described(number, recording) -> Sweep:
    name = recording.source.get("series", recording.name).split("/")[-1]
    volts, currents = recording.volts, recording.currents
    mv = float(volts.min()), float(volts.max())
    pa = None if currents is None else (1e3 * float(currents.min()), 1e3 * float(currents.max()))
    return Sweep(number, name, recording.duration, recording.dt, mv, pa)
