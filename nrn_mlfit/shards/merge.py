"""Uniting the parts of one run, made with `simulate --first`, into one folder."""

import itertools
import shutil
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from nrn_mlfit import cells, progress, textfile
from nrn_mlfit.cells import CellModel
from nrn_mlfit.errors import ShardError
from nrn_mlfit.shards import claim
from nrn_mlfit.shards import manifest as manifests
from nrn_mlfit.shards.format import USER_BLOCK, is_as_written, rows
from nrn_mlfit.shards.overview import Span, gaps, ranges
from nrn_mlfit.shards.run import Run, first_of, open_run


@dataclass(frozen=True)
class Merged:
    """What came of a merge: the folder's (first, count) of all shards, how many were copied, how many were there."""

    folder: Path
    spans: list[Span]
    copied: int
    kept: int

    def lines(self) -> list[str]:
        """The merge as a person reads it."""
        there = f" ({self.kept} more were there already)" if self.kept else ""
        lines = [f"{self.copied} shard{'' if self.copied == 1 else 's'} copied{there}"]
        lines.append(f"{self.folder}: sets {ranges(self.spans)}, {sum(count for _, count in self.spans)} sets")
        if missing := gaps(self.spans):
            lines.append(f"missing: {ranges(missing)}; merge the part that holds them into the same folder")
        return lines


def merge(parts: Sequence[Path | str], folder: Path | str, report: progress.Report = progress.silent) -> Merged:
    """Copy the shards of all `parts` into `folder`, which becomes the run that was never split.

    Every shard's stamp is checked on the way; shards that are there already, and as written, are kept. Raises
    ShardError if the parts are not of one run, if two shards hold the same set, if a shard is damaged, or if
    `folder` holds anything else; what was copied until then stays, and the same merge goes on.
    """
    folder, runs = Path(folder), [open_run(Path(part)) for part in parts]
    for run in runs[1:]:
        _check_same(runs[0], run)
    shards = [(*span, path) for run in runs for span, path in zip(run.spans, run.shards, strict=True)]
    _check_disjoint(shards)
    manifest, model = runs[0].manifest, _cell_of(runs[0])
    claim.check_free(folder, manifest)  # before anything is made
    with claim.held(folder) as alone:
        claim.check_free(folder, manifest)
        kept = _kept(shards, folder)
        claim.begin(model, folder, manifest, alone)
        copied = _copy_all([path for _, _, path in shards if path.name not in kept], folder, report)
    return Merged(folder, Run(folder, manifest).spans, copied, len(kept))


def _check_same(one: Run, other: Run):
    if one.manifest == other.manifest:
        return
    told = list(manifests.differences(other.manifest, one.manifest))
    more = f" and {len(told) - manifests.NAMED_AT_MOST} more" if len(told) > manifests.NAMED_AT_MOST else ""
    raise ShardError(
        f"{other.folder}: not a part of the same run as {one.folder}: "
        f"{', '.join(told[: manifests.NAMED_AT_MOST])}{more}; leave it out, or make it anew with the same options"
    )


def _cell_of(run: Run) -> CellModel:
    model = cells.load(run.cell_folder)
    if manifests.content_hash(model) != run.manifest["content_hash"]:
        raise ShardError(
            f"{run.cell_folder}: not the cell that was simulated; see `nrn-mlfit shards verify {run.folder}`"
        )
    return model


def _check_disjoint(shards):
    """Raises ShardError, naming both, where two of the shards (first, count, path) hold the same set."""
    for (first, count, path), (other_first, _, other) in itertools.pairwise(sorted(shards)):
        if other_first < first + count:
            raise ShardError(f"{other}: holds set {other_first}, which {path} holds, too; take one of them out")


def _kept(shards, folder) -> set[str]:
    """The names of the shards whose copies are in `folder`; raises ShardError if it holds their sets in other shards.

    What has the name of a shard and is not as it was written was damaged since: it is neither, and made anew.
    """
    sources, kept, others = {path.name: path for _, _, path in shards}, set(), []
    for target in Run(folder, {}).shards:
        source = sources.get(target.name)
        if source and is_as_written(target) and _stamp(target) == _stamp(source):
            kept.add(target.name)
        elif source is None or is_as_written(target):
            others.append((first_of(target), rows(target), target))
    _check_disjoint([*shards, *(shard for shard in others if shard[1])])
    return kept


def _stamp(path) -> bytes:
    with open(path, "rb") as file:
        return file.read(USER_BLOCK)


def _copy_all(paths, folder, report) -> int:
    """Copy the shards at `paths`; returns how many."""
    meter = progress.Meter(len(paths), "shards", report)
    for done, path in enumerate(paths, 1):
        _copy(path, folder / path.name)
        meter.at(done)
    return len(paths)


def _copy(source, target):
    with textfile.replacing(target) as temporary:
        shutil.copyfile(source, temporary)
        if not is_as_written(temporary):
            raise ShardError(
                f"{source}: not as it was written (cut short, or bytes in it changed); delete it, and make it anew "
                "with the same `nrn-mlfit simulate` command"
            )
