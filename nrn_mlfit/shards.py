"""Shards: the HDF5 files that hold simulated traces (docs/format.md). A file that has its name is complete.

A run is a folder: `run.json` says what was drawn and simulated, `cell/` is a copy of the cell, each `shard-*.h5`
holds the sets [first, first + N). Letters: N sets, K parameters, P probes, S stimuli, T time points.
"""

import io
import json
from collections.abc import Sequence
from dataclasses import dataclass
from enum import IntEnum
from pathlib import Path

import h5py
import numpy as np

from nrn_mlfit import textfile
from nrn_mlfit.errors import ShardError

FORMAT = "nrn_mlfit shard"
FORMAT_VERSION = 1
MV_PER_COUNT = 0.01
LARGEST_MV = 327.0  # beyond it int16 at 0.01 mV overflows
MISSING = np.int16(-32768)  # the samples of a set that failed


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

    `currents` (S, stop) is all that was injected up to the window's end, `attributes` the file's attributes.
    """

    phys_par: np.ndarray
    unit_par: np.ndarray
    volts: np.ndarray
    status: np.ndarray
    currents: np.ndarray
    attributes: dict

    @property
    def parameter_names(self) -> list[str]:
        """The names of the K columns."""
        return [p["name"] for p in json.loads(self.attributes["cell"])["parameters"]]

    @property
    def ok(self):
        """The rows (N,) whose simulation went well."""
        return self.status == Status.OK


def to_counts(millivolts):
    """int16 counts of 0.01 mV; the inverse of `to_millivolts` to 0.005 mV."""
    return np.rint(np.asarray(millivolts) / MV_PER_COUNT).astype(np.int16)


def to_millivolts(counts):
    """mV, as float32, of int16 counts of 0.01 mV."""
    return np.asarray(counts, np.float32) * np.float32(MV_PER_COUNT)


def name_of(first: int) -> str:
    """The file name of the shard whose first set is `first`."""
    return f"shard-{first:010d}.h5"


def write(path: Path, shard: Shard):
    """Write a shard: an image in memory, then a temporary file, fsync and rename; the same shard gives the same bytes."""
    image = io.BytesIO()
    # HDF5's format 1.10 has checksummed metadata and any HDF5 since 2016 reads it. Texts of variable length have no
    # checksum there (a flipped bit would pass unseen, or let HDF5 search for ever), so texts are of fixed length.
    with h5py.File(image, "w", libver=("v110", "v110")) as file:
        for key, value in shard.attributes.items():
            file.attrs[key] = np.bytes_(value.encode()) if isinstance(value, str) else value
        start = shard.currents.shape[1] - shard.volts.shape[-1]
        for name, data in (
            ("phys_par", shard.phys_par),
            ("unit_par", shard.unit_par),
            ("status", shard.status.astype(np.uint8)),
            ("stims", shard.currents[:, start:]),
            ("currents", shard.currents),
            ("volts", shard.volts),
        ):
            chunks = (1, *data.shape[1:]) if name == "volts" else data.shape
            file.create_dataset(name, data=data, chunks=chunks, fletcher32=True)
    textfile.write_atomic(path, image.getvalue())


def attributes_of(manifest: dict, first: int) -> dict:
    """The attributes of the shard of a run that starts at set `first`."""
    kept = ("content_hash", "seed", "dt", "t0", "engine")
    return {
        "format": FORMAT,
        "format_version": FORMAT_VERSION,
        "scale": MV_PER_COUNT,
        "first": first,
        **{key: manifest[key] for key in kept},
        **{key: json.dumps(manifest[key], sort_keys=True) for key in ("cell", "protocol", "versions")},
    }


def read(path: Path, rows: slice | list | None = None) -> Shard:
    """Read a shard whole, or some of its rows."""
    chosen = slice(None) if rows is None else rows
    try:
        with h5py.File(path, "r") as file:
            attributes = attributes_in(file)
            _check_format(path, attributes)
            per_set = {name: file[name][chosen] for name in ("phys_par", "unit_par", "volts", "status")}
            return Shard(**per_set, currents=file["currents"][()], attributes=attributes)
    except (OSError, KeyError, RuntimeError, ValueError, TypeError) as error:
        raise ShardError(
            f"{path}: cut short or damaged ({_short(error)}); delete it and simulate again to make it anew"
        ) from None


def attributes_in(file: h5py.File) -> dict:
    """The attributes of an open shard, texts as str."""
    return {key: value.decode() if isinstance(value, bytes) else value for key, value in file.attrs.items()}


def rows(path: Path, manifest: dict | None = None) -> int:
    """How many sets a shard holds; 0 for a file that is not there or not whole.

    Raises ShardError where the shard is not one of the run with this manifest.
    """
    try:
        with h5py.File(path, "r") as file:
            count, attributes = int(file["status"].shape[0]), attributes_in(file)
    except (OSError, KeyError, RuntimeError, ValueError, TypeError):
        return 0
    if manifest is not None:
        _check_belongs(path, attributes, manifest)
    return count


def _check_belongs(path, attributes, manifest):
    """A shard that was copied or renamed into a folder must not pass for one of its run."""
    wanted = {"content_hash": manifest["content_hash"], "seed": manifest["seed"]}
    same = all(attributes.get(key) == value for key, value in wanted.items())
    if not same or name_of(int(attributes.get("first", -1))) != path.name:
        raise ShardError(
            f"{path}: belongs to another run or has another name than it was given; take it out of the folder"
        )


def _check_format(path, attributes):
    if attributes.get("format") != FORMAT:
        raise ShardError(f"{path}: not a shard of simulated traces; name a file that `nrn-mlfit simulate` wrote")
    if attributes["format_version"] != FORMAT_VERSION:
        raise ShardError(
            f"{path}: shard format {attributes['format_version']}, this version reads {FORMAT_VERSION}; "
            "read it with the version that wrote it"
        )


def _short(error) -> str:
    return str(error).splitlines()[0][:120] if str(error) else type(error).__name__


@dataclass(frozen=True, eq=False)
class Run:
    """A folder of shards and its manifest."""

    folder: Path
    manifest: dict

    @property
    def shards(self) -> list[Path]:
        return sorted(self.folder.glob("shard-*.h5"))

    @property
    def cell_folder(self) -> Path:
        return self.folder / "cell"


def open_run(folder: Path) -> Run:
    """The run that `folder` holds, with at least one shard."""
    manifest = folder / "run.json"
    if not manifest.is_file():
        raise ShardError(f"{folder}: holds no run (no run.json); make one with `nrn-mlfit simulate CELL -o {folder}`")
    run = Run(folder, textfile.read_json(manifest, ShardError))
    if not {"content_hash", "seed"} <= set(run.manifest):
        raise ShardError(f"{manifest}: describes no run; copy it anew, or simulate again into another folder")
    if not run.shards:
        raise ShardError(f"{folder}: holds no finished shard yet; give the same `nrn-mlfit simulate` command again")
    return run


def check_free(folder: Path, manifest: dict) -> bool:
    """Whether `folder` already holds this run (with any number of sets); raises ShardError if it holds anything else."""
    path = folder / "run.json"
    if path.is_file():
        held = textfile.read_json(path, ShardError)
        different = [key for key in sorted(set(held) | set(manifest)) if held.get(key) != manifest.get(key)]
        if different:
            raise ShardError(
                f"{folder}: already holds another run (it differs in {', '.join(different)}); choose another folder with -o"
            )
        return True
    if folder.is_file() or folder.is_dir() and any(folder.iterdir()):
        raise ShardError(f"{folder}: holds something else; choose an empty or new folder with -o")
    return False


@dataclass(frozen=True, eq=False)
class Traces:
    """All good sets of one or more runs in memory: unit_par (N, K), volts (N, P, S, T) int16, and what they belong to."""

    unit_par: np.ndarray
    volts: np.ndarray
    currents: np.ndarray
    manifest: dict
    cell_folder: Path


def load_runs(folders: Sequence[Path | str], limit: int | None = None) -> Traces:
    """The sets with status ok of runs that share cell and protocol, at most `limit` of them."""
    runs = [open_run(Path(folder)) for folder in folders]
    first, seeds = runs[0], dict[int, Run]()
    for run in runs:
        if run.manifest["content_hash"] != first.manifest["content_hash"]:
            raise ShardError(f"{run.folder}: another cell or protocol than {first.folder}; train on runs of one cell")
        twin = seeds.setdefault(run.manifest["seed"], run)
        if twin is not run:
            raise ShardError(
                f"{run.folder}: the same sets as {twin.folder} (seed {run.manifest['seed']}); name one of them"
            )
    paths = [(path, run.manifest) for run in runs for path in run.shards]
    shards, count = [], 0
    for path, manifest in paths:
        shards.append(read(path))
        _check_belongs(path, shards[-1].attributes, manifest)
        count += int(shards[-1].ok.sum())
        if limit and count >= limit:
            break
    if not count:
        raise ShardError(f"{first.folder}: not one set went well; see the causes that `nrn-mlfit simulate` printed")
    unit_par = np.concatenate([s.unit_par[s.ok] for s in shards])[:limit]
    volts = np.concatenate([s.volts[s.ok] for s in shards])[:limit]
    return Traces(unit_par, volts, shards[0].currents, first.manifest, first.cell_folder)
