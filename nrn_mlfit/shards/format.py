"""One shard: an HDF5 file that holds the sets [first, first + N) and their traces. A file that has its name is complete."""

import hashlib
import io
import json
from dataclasses import dataclass
from enum import IntEnum
from pathlib import Path

import h5py
import numpy as np

from nrn_mlfit import textfile
from nrn_mlfit.errors import ShardError
from nrn_mlfit.stimuli import Protocol

FORMAT = "nrn_mlfit shard"
FORMAT_VERSION = 2
MV_PER_COUNT = 0.01
LARGEST_MV = 327.0  # beyond it int16 at 0.01 mV overflows
MISSING = np.int16(-32768)  # the samples of a set that failed
USER_BLOCK = 512  # bytes before the HDF5 part, which HDF5 leaves to us: the SHA-256 of all that follows
SHARED = (
    "content_hash",
    "seed",
    "sets_a_shard",
    "dt",
    "t0",
    "engine",
    "instruction_set",
)  # attributes from the manifest
SHARED_JSON = ("cell", "protocol", "versions")  # those that are JSON there
PACKING = {"shuffle": True, "compression": "gzip", "compression_opts": 1, "fletcher32": True}
PER_SET = ("phys_par", "unit_par", "volts", "status")
OF_A_BANK = ("stim_index", "stim_scale")  # a set, too, where there is a bank
DAMAGE = (OSError, KeyError, RuntimeError, ValueError, TypeError)  # what h5py raises for a broken file
STAMP = "nrn_mlfit shard, sha256 of all after byte 512: {}\n"


class Status(IntEnum):
    """How the simulation of a set ended."""

    OK = 0
    NON_FINITE = 1
    VOLTAGE_RANGE = 2
    TIMEOUT = 3
    HOC_ERROR = 4
    CRASHED = 5

    @property
    def label(self) -> str:
        return self.name.lower()


@dataclass(frozen=True, eq=False)
class Shard:
    """N sets and their traces: phys_par and unit_par (N, K), volts (N, P, S, T) int16 counts of 0.01 mV, status (N,).

    `currents` (S, stop) is all that was injected up to the window's end, `attributes` the file's attributes. Of a bank
    `currents` (B, S, stop) are its alternatives; set i got that of number `stim_index` (N,), times `stim_scale` (N,).
    """

    phys_par: np.ndarray
    unit_par: np.ndarray
    volts: np.ndarray
    status: np.ndarray
    currents: np.ndarray
    attributes: dict
    stim_index: np.ndarray | None = None
    stim_scale: np.ndarray | None = None

    @property
    def parameter_names(self) -> list[str]:
        """The names of the K columns."""
        return [p["name"] for p in json.loads(self.attributes["cell"])["parameters"]]

    @property
    def ok(self):
        """The rows (N,) whose simulation went well."""
        return self.status == Status.OK

    @property
    def protocol(self) -> Protocol:
        """What the sets were simulated under."""
        start = self.currents.shape[-1] - self.volts.shape[-1]
        return Protocol.rebuilt(
            self.currents, float(self.attributes["dt"]), start, json.loads(self.attributes["protocol"])
        )

    @property
    def injected(self):
        """What the sets got while the network looks, (N, S, T) in nA."""
        return injected(self)


def injected(held) -> np.ndarray:
    """What the sets of a Shard (or of run.Traces) got while the network looks, (N, S, T) in nA."""
    windows = held.currents[..., -held.volts.shape[-1] :]
    if held.stim_index is None:
        return np.broadcast_to(windows, (len(held.volts), *windows.shape))
    return windows[held.stim_index] * held.stim_scale[:, None, None]


def to_counts(millivolts):
    """int16 counts of 0.01 mV; the inverse of `to_millivolts` to 0.005 mV.

    Raises ValueError for what a count cannot hold: NaN, or beyond LARGEST_MV.
    """
    millivolts = np.asarray(millivolts)
    if not (np.abs(millivolts) <= LARGEST_MV).all():  # also true of NaN, which compares as false
        raise ValueError(f"not finite, or beyond {LARGEST_MV} mV")
    return np.rint(millivolts / MV_PER_COUNT).astype(np.int16)


def to_millivolts(counts):
    """mV, as float32, of int16 counts of 0.01 mV."""
    return np.asarray(counts, np.float32) * np.float32(MV_PER_COUNT)


def name_of(first: int) -> str:
    """The file name of the shard whose first set is `first`."""
    return f"shard-{first:010d}.h5"


def write(path: Path, shard: Shard):
    """Write a shard: an image in memory, then a temporary file, fsync and rename; the same shard gives the same bytes."""
    image = _image(shard)
    stamp = STAMP.format(hashlib.sha256(image).hexdigest()).encode()
    textfile.write_atomic(path, stamp.ljust(USER_BLOCK, b"\0") + image)


def _image(shard) -> bytes:
    image = io.BytesIO()
    # HDF5's format 1.10 has checksummed metadata and any HDF5 since 2016 reads it. Texts of variable length have no
    # checksum there (a flipped bit would pass unseen, or let HDF5 search for ever), so texts are of fixed length.
    with h5py.File(image, "w", libver=("v110", "v110"), userblock_size=USER_BLOCK) as file:
        for key, value in shard.attributes.items():
            file.attrs[key] = np.bytes_(value.encode()) if isinstance(value, str) else value
        for name, data in (
            ("phys_par", shard.phys_par),
            ("unit_par", shard.unit_par),
            ("status", shard.status.astype(np.uint8)),
            ("stims", shard.currents[..., -shard.volts.shape[-1] :]),
            ("currents", shard.currents),
            *((name, getattr(shard, name)) for name in OF_A_BANK if shard.stim_index is not None),
        ):
            file.create_dataset(name, data=data, chunks=data.shape, **PACKING)
        file.create_dataset("volts", data=shard.volts, chunks=(1, *shard.volts.shape[1:]), **PACKING)
    return image.getvalue()[USER_BLOCK:]


def is_as_written(path: Path) -> bool:
    """Whether a file carries the stamp of `write` and every byte is as it was then."""
    held = path.read_bytes()
    stamp = STAMP.format(hashlib.sha256(held[USER_BLOCK:]).hexdigest()).encode()
    return held[:USER_BLOCK] == stamp.ljust(USER_BLOCK, b"\0")


def attributes_of(manifest: dict, first: int, retried: bool = False) -> dict:
    """The attributes of the shard of a run that starts at set `first`; `retried` if its time-outs were tried again."""
    return {
        "format": FORMAT,
        "format_version": FORMAT_VERSION,
        "scale": MV_PER_COUNT,
        "first": first,
        "retried": int(retried),
        **{key: manifest[key] for key in SHARED},
        **{key: json.dumps(manifest[key], sort_keys=True) for key in SHARED_JSON},
    }


def read(path: Path, rows: slice | list | None = None) -> Shard:
    """Read a shard whole, or some of its rows."""
    chosen = slice(None) if rows is None else rows
    try:
        with h5py.File(path, "r") as file:
            attributes = attributes_in(file)
            _check_format(path, attributes)
            held = [*PER_SET, *(name for name in OF_A_BANK if name in file)]
            per_set = {name: file[name][chosen] for name in held}
            return Shard(**per_set, currents=file["currents"][()], attributes=attributes)
    except DAMAGE as error:
        raise _damaged(path, error) from None


def attributes_in(file: h5py.File) -> dict:
    """The attributes of an open shard, texts as str."""
    return {key: value.decode() if isinstance(value, bytes) else value for key, value in file.attrs.items()}


def rows(path: Path) -> int:
    """How many sets a shard holds; 0 for a file that is not there or not whole."""
    try:
        return len(read_status(path)[0])
    except ShardError:
        return 0


def read_status(path: Path) -> tuple[np.ndarray, dict]:
    """status (N,) and the attributes of a shard, without reading its traces."""
    try:
        with h5py.File(path, "r") as file:
            return file["status"][()], attributes_in(file)
    except DAMAGE as error:
        raise _damaged(path, error) from None


def _check_format(path, attributes):
    if attributes.get("format") != FORMAT:
        raise ShardError(f"{path}: not a shard of simulated traces; name a file that `nrn-mlfit simulate` wrote")
    if attributes["format_version"] != FORMAT_VERSION:
        raise ShardError(
            f"{path}: shard format {attributes['format_version']}, this version reads {FORMAT_VERSION}; "
            "read it with the version that wrote it"
        )


def _damaged(path, error) -> ShardError:
    cause = str(error).splitlines()[0][:120] if str(error) else type(error).__name__
    return ShardError(f"{path}: cut short or damaged ({cause}); delete it and simulate again to make it anew")
