"""A run: a folder with run.json (what was drawn and simulated), cell/ (a copy of the cell) and shards."""

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import numpy as np

from nrn_mlfit import textfile
from nrn_mlfit.errors import ShardError
from nrn_mlfit.shards import manifest as manifests
from nrn_mlfit.shards.format import OF_A_BANK, Shard, injected, name_of, read, read_status

PER_SET = ("phys_par", "unit_par", "volts")
SHARD = re.compile(r"shard-(\d{10,})\.h5")


@dataclass(frozen=True, eq=False)
class Run:
    """A folder of shards and its manifest."""

    folder: Path
    manifest: dict

    @property
    def shards(self) -> list[Path]:
        """The shards' paths, in the order of their sets."""
        found = [(int(m[1]), path) for path in self.folder.iterdir() if (m := SHARD.fullmatch(path.name))]
        return [path for _, path in sorted(found)]

    @property
    def cell_folder(self) -> Path:
        return self.folder / "cell"

    @cached_property
    def spans(self) -> list[tuple[int, int]]:
        """(first, count) of every shard, in order. Raises ShardError for a shard that is damaged or of another run."""
        return [(first_of(path), len(self.status(path))) for path in self.shards]

    def status(self, path: Path) -> np.ndarray:
        """status (N,) of a shard of this run."""
        status, attributes = read_status(path)
        self.check_belongs(path, attributes)
        return status

    def read(self, path: Path) -> Shard:
        """A shard of this run, whole."""
        shard = read(path)
        self.check_belongs(path, shard.attributes)
        return shard

    def check_belongs(self, path: Path, attributes: dict):
        """Raises ShardError for a shard that was copied or renamed into this folder."""
        same = all(attributes.get(key) == self.manifest[key] for key in ("content_hash", "seed"))
        if not same or name_of(int(attributes.get("first", -1))) != path.name:
            raise ShardError(
                f"{path}: belongs to another run or has another name than it was given; take it out of the folder"
            )


def first_of(path: Path) -> int:
    """The number of a shard's first set, by its name."""
    found = SHARD.fullmatch(path.name)
    if not found:
        raise ShardError(f"{path}: not the name of a shard")
    return int(found[1])


def open_run(folder: Path) -> Run:
    """The run that `folder` holds, with at least one shard."""
    path = folder / manifests.NAME
    if not path.is_file():
        raise ShardError(
            f"{folder}: holds no run (no run.json); make one with `nrn-mlfit simulate CELL -n SETS -o {folder}`"
        )
    run = Run(folder, read_manifest(path))
    if not run.shards:
        raise ShardError(f"{folder}: holds no finished shard yet; give the same `nrn-mlfit simulate` command again")
    return run


def read_manifest(path: Path) -> dict:
    """What a run.json holds."""
    held = textfile.read_json(path, ShardError)
    if not {"content_hash", "seed", "sets_a_shard"} <= set(held):
        raise ShardError(f"{path}: describes no run; copy it anew, or simulate again into another folder")
    return held


@dataclass(frozen=True, eq=False)
class Traces:
    """All good sets of one or more runs in memory, and what they belong to.

    phys_par and unit_par (N, K), volts (N, P, S, T) int16 counts, currents (S, stop); of a bank currents (B, S, stop),
    stim_index and stim_scale (N,).
    """

    phys_par: np.ndarray
    unit_par: np.ndarray
    volts: np.ndarray
    currents: np.ndarray
    manifest: dict
    cell_folder: Path
    stim_index: np.ndarray | None = None
    stim_scale: np.ndarray | None = None

    @property
    def injected(self):
        """What the sets got while the network looks, (N, S, T) in nA."""
        return injected(self)


def load_runs(folders: Sequence[Path | str], limit: int | None = None) -> Traces:
    """The sets with status ok of runs that share cell and protocol, at most `limit` of them."""
    runs = open_runs(folders)
    first, held, count = runs[0], [], 0
    for owner, path in ((run, path) for run in runs for path in run.shards):
        held.append(owner.read(path))
        count += int(held[-1].ok.sum())
        if limit and count >= limit:
            break
    if not count:
        raise nothing_good(first)
    names = [*PER_SET, *(OF_A_BANK if held[0].stim_index is not None else ())]
    good = {name: np.concatenate([getattr(s, name)[s.ok] for s in held])[:limit] for name in names}
    return Traces(**good, currents=held[0].currents, manifest=first.manifest, cell_folder=first.cell_folder)


def open_runs(folders: Sequence[Path | str]) -> list[Run]:
    """Runs that belong together; raises ShardError for another cell or protocol, and for sets that are there twice."""
    runs = [open_run(Path(folder)) for folder in folders]
    for run in runs:
        if run.manifest["content_hash"] != runs[0].manifest["content_hash"]:
            raise ShardError(f"{run.folder}: another cell or protocol than {runs[0].folder}; train on runs of one cell")
    check_disjoint(runs)
    return runs


def nothing_good(run: Run) -> ShardError:
    """The error of runs without a good set, the first of which is `run`."""
    return ShardError(f"{run.folder}: not one set went well; see the causes with `nrn-mlfit shards failed`")


def check_disjoint(runs: Iterable[Run]):
    """Raises ShardError where two runs (or one run twice) hold the same sets of the same seed."""
    spans = sorted((run.manifest["seed"], *span, str(run.folder)) for run in runs for span in run.spans)
    for (seed, first, count, folder), (other_seed, other_first, _, other) in zip(spans, spans[1:], strict=False):
        if seed == other_seed and other_first < first + count:
            raise ShardError(f"{other}: set {other_first} of seed {seed} is in {folder}, too; name one of them")
