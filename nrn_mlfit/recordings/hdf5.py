"""HDF5 files: datasets volts or voltage (T,) or (P, S, T) mV, current or stims (T,) or (S, T) nA, dt ms."""

from contextlib import contextmanager
from pathlib import Path

import h5py

from nrn_mlfit import shards
from nrn_mlfit.errors import RecordingError
from nrn_mlfit.recordings.npz import current_names, step
from nrn_mlfit.recordings.reading import Reading
from nrn_mlfit.recordings.recording import Raw

# Flipped bits in an HDF5 file come up as any of these, also as values of a type that nobody wrote.
DAMAGE = (OSError, LookupError, RuntimeError, ValueError, TypeError, AttributeError, MemoryError)
MOST_BYTES = 4e9  # of one dataset: days of recording
MOST_PACKED = 2000  # times smaller than its values a file may be; zlib packs to a thousandth at best


@contextmanager
def opened(path: Path):
    """An HDF5 file to read; what HDF5 cannot read in it becomes one RecordingError."""
    try:
        with h5py.File(path, "r") as file:
            yield file
    except DAMAGE:
        raise RecordingError(f"{path.name}: cut short or damaged; copy it anew from where it came") from None


def is_one(path: Path) -> bool:
    """Whether a file is HDF5, wherever in it the HDF5 part begins."""
    with open(path, "rb"):  # a file that may not be read is no matter of its format
        return bool(h5py.is_hdf5(path))


def kind(path: Path) -> str:
    """What an HDF5 file says it is: shard, nwb, or just hdf5."""
    with opened(path) as file:
        if file.attrs.get("format") in (shards.FORMAT, shards.FORMAT.encode()):
            return "shard"
        return "nwb" if "nwb_version" in file.attrs else "hdf5"


def sweeps(path: Path, reading: Reading):
    """One function that reads the file's only recording."""
    return [lambda: _read(path, reading)]


def _read(path, reading) -> Raw:
    with opened(path) as file:
        volts, current = _first(file, "volts", "voltage"), _first(file, *current_names(file, reading, path.name))
        if volts is None:
            raise RecordingError(
                f"{path.name}: no dataset volts or voltage inside; it holds {', '.join(file) or 'nothing'}"
            )
        dt = file["dt"][()] if "dt" in file else file.attrs.get("dt", volts.attrs.get("dt"))
        if dt is None:
            raise RecordingError(f"{path.name}: no attribute or dataset dt inside; add the sample step in ms")
        source = {"file": str(path), "format": "HDF5", "sweep": 0}
        current = None if current is None else current[()]
        return Raw(volts[()], current, step(dt, path.name), path.name, source)


def bounded(data: h5py.Dataset, name: str):
    """Refuse a dataset of more bytes than its file can hold, before memory is taken for it."""
    size = Path(data.file.filename).stat().st_size
    if data.nbytes > min(MOST_BYTES, MOST_PACKED * size):
        raise RecordingError(
            f"{name}: claims {data.nbytes:.2g} bytes in a file of {size}; copy it anew from where it came"
        )
    return data


def _first(file, *names):
    """The first dataset of these names."""
    found = (file[name] for name in names if isinstance(file.get(name), h5py.Dataset))
    data = next(found, None)
    return None if data is None else bounded(data, Path(file.filename).name)
