"""Verifying a finished run to the last byte.

It is a chain. A shard's stamp vouches for its bytes, its data are what its attributes give, the manifest is what the
shards say and what cell/ gives, and cell/ is what was copied there. What breaks a link is named with its file, and
everything else is checked all the same.
"""

import contextlib
import hashlib
import tempfile
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from nrn_mlfit import cells, progress, textfile
from nrn_mlfit.cells import CellModel
from nrn_mlfit.errors import MachineError, MlfitError, ShardError
from nrn_mlfit.shards import manifest as manifests
from nrn_mlfit.shards.claim import LOCK
from nrn_mlfit.shards.format import SHARED_JSON, attributes_of
from nrn_mlfit.shards.overview import Span, ranges
from nrn_mlfit.shards.run import SHARD, Run, first_of, open_run, read_manifest
from nrn_mlfit.shards.soundness import AGAIN, Sound, checked
from nrn_mlfit.stimuli import alternatives_in

RESTORE = "restore it from a copy"
FOREIGN = "does not belong to the run; take it out of the folder"
TOLD_AT_MOST = 5


@dataclass(frozen=True)
class Problem:
    """A file, or a folder, that is not as it was written, and in what."""

    path: Path
    what: str

    def __str__(self) -> str:
        return f"{self.path}: {self.what}"


@dataclass(frozen=True)
class Verdict:
    """What came of a check: the shards that are well, and every problem."""

    folder: Path
    spans: list[Span]
    problems: list[Problem]

    def lines(self) -> list[str]:
        """One line if all is well, else one a problem."""
        if self.problems:
            return [str(problem) for problem in self.problems]
        shards, sets = len(self.spans), sum(count for _, count in self.spans)
        many = "s" if shards > 1 else ""
        return [f"{self.folder}: {shards} shard{many}, sets {ranges(self.spans)}, {sets} sets, all as written"]


def verify(folders: Sequence[Path | str], report: progress.Report = progress.silent) -> Iterator[Verdict]:
    """Check the runs in `folders` to the last byte, one verdict after the other.

    What is wrong is a Problem of the verdict. Raises ShardError only where a folder holds no run at all.
    """
    runs = [(Path(folder), _shards_of(Path(folder))) for folder in folders]  # all of them before the long work
    for folder, paths in runs:
        yield _verdict(folder, paths, report)


def _shards_of(folder) -> list[Path]:
    paths = Run(folder, {}).shards if folder.is_dir() else []
    return paths or open_run(folder).shards  # which says what is missing


def _verdict(folder, paths, report) -> Verdict:
    problems: list[Problem] = []
    sound = _sound_shards(paths, problems, report)
    manifest = _manifest(folder / manifests.NAME, problems)
    with _noting(problems, folder / manifests.NAME):
        problems += _strangers(folder / manifests.NAME, manifest, sound)
    with _noting(problems, folder / "cell"):
        problems += _cell_problems(folder, manifest, sound)
    with _noting(problems, folder / manifests.NAME):
        problems += _set_problems(folder, paths, sound)
        problems += _layout_problems(folder / manifests.NAME, manifest, sound)
    problems += _strays(folder)
    return Verdict(folder, [one.span for one in sound], list(dict.fromkeys(problems)))


@contextlib.contextmanager
def _noting(problems, path):
    """A `with` in which what goes wrong becomes a problem of `path`; bytes that changed can bring up any error."""
    try:
        yield
    except MachineError:  # the disk for the comparison is full, say: not the run's fault
        raise
    except Exception as error:
        problems.append(Problem(path, _told(error, path)))


def _told(error, path) -> str:
    if isinstance(error, MlfitError):
        return str(error).removeprefix(str(path)).lstrip(":, ")
    if isinstance(error, OSError) and error.strerror:
        return f"cannot be read ({error.strerror}); {RESTORE}"
    return f"makes no sense ({type(error).__name__}: {str(error)[:120]}); {RESTORE}".replace("\n", " ")


# --- shards, each by itself ---


def _sound_shards(paths, problems, report) -> list[Sound]:
    meter, sound = progress.Meter(len(paths), "shards", report), []
    for done, path in enumerate(paths, 1):
        with _noting(problems, path):
            sound.append(checked(path))
        meter.at(done)
    return sound


# --- the manifest, by the shards ---


def _manifest(path, problems) -> dict:
    """What run.json holds; an empty one, and a problem, where that is nothing."""
    with _noting(problems, path):
        if not path.is_file():
            raise ShardError(f"missing; {RESTORE}")
        held = read_manifest(path)
        if path.read_bytes() != textfile.to_json(held).encode():
            raise ShardError(f"not as it was written; {RESTORE}")
        return held
    return {}


def _strangers(path, manifest, sound) -> Iterator[Problem]:
    """Attributes that are not the manifest's: its own fault where all shards agree on another value, else theirs."""
    if not manifest:
        return
    off = {one.path: _off(one.attributes, manifest) for one in sound}
    keys = set.intersection(*map(set, off.values())) if off else set()
    ours = {key for key in keys if len({str(one.attributes.get(key)) for one in sound}) == 1}
    for key in sorted(ours):
        yield Problem(path, f"{off[sound[0].path][key]}; {RESTORE}")
    for one in sound:
        if told := [what for key, what in off[one.path].items() if key not in ours]:
            yield Problem(one.path, f"belongs to another run: {', '.join(told)}; take it out of the folder")


def _off(attributes, manifest) -> dict[str, str]:
    """The attributes that are not the manifest's, and what to say of each."""
    wanted = attributes_of(manifest, int(attributes["first"]), bool(attributes["retried"]))
    changed = [key for key in sorted({*attributes, *wanted}) if attributes.get(key) != wanted.get(key)]
    return {key: _in_words(key, attributes.get(key), wanted.get(key)) for key in changed}


def _in_words(key, in_shard, in_manifest) -> str:
    if key in SHARED_JSON and in_shard is not None and in_manifest is not None:
        return f"{key} is not the same in run.json and in the shard"
    return f"{key} is {in_manifest} in run.json and {in_shard} in the shard"


# --- the copy of the cell, and the manifest by it ---


def _cell_problems(folder, manifest, sound) -> Iterator[Problem]:
    """What is wrong in cell/; and in run.json, where cell/ is the one that the shards were simulated with."""
    path, model = _cell_file(folder / "cell", manifest), None
    problems: list[Problem] = []
    with _noting(problems, path):
        if not path.exists():
            raise ShardError(f"missing; {RESTORE}")
        model = cells.load(path)
    if model is None:
        yield from _changed_files(folder / "cell", manifest)
        yield from (_at_its_file(problem, folder / "cell") for problem in problems)
        return
    told = Counter(one.attributes["content_hash"] for one in sound).most_common(1)
    genuine = manifests.content_hash(model) == (told[0][0] if told else manifest.get("content_hash"))
    found = list(_differences(manifest, model)) if manifest else []
    if genuine and found:
        yield Problem(folder / manifests.NAME, f"is not what cell/ gives: {', '.join(found)}; {RESTORE}")
    elif not genuine:
        changed = list(_changed_files(folder / "cell", manifest, model.sources()))
        yield from changed or [Problem(path, f"is not the cell that was simulated: {', '.join(found)}; {RESTORE}")]
    yield from _not_as_copied(folder / "cell", model)


def _cell_file(folder, manifest) -> Path:
    """The cell file in cell/: the one of that name, as another one beside it may not belong there."""
    cell = manifest.get("cell")
    name = cell.get("name") if isinstance(cell, dict) else None
    path = folder / f"{name}.yaml"
    return folder if not path.is_file() and (not name or any(folder.glob("*.yaml"))) else path


def _at_its_file(problem, folder) -> Problem:
    """The same problem, of the file of cell/ that it is told of: a cell file with a stimulus from another one, say."""
    name, _, what = problem.what.partition(": ")
    return Problem(folder / name, what) if (folder / name).is_file() else problem


def _changed_files(folder, manifest, held=()) -> Iterator[Problem]:
    """HOC, MOD and other files of cell/ that are not those of the manifest; `held` are the names of what the cell has."""
    wanted = manifest.get("files")
    for name in sorted({*wanted, *held}) if isinstance(wanted, dict) else ():
        path = folder / name
        if name not in wanted:
            yield Problem(path, FOREIGN)
        elif not path.is_file():
            yield Problem(path, f"missing; {RESTORE}")
        elif hashlib.sha256(path.read_bytes()).hexdigest() != wanted[name]:
            yield Problem(path, f"not as it was copied; {RESTORE}")


def _differences(manifest, model: CellModel) -> list[str]:
    """In what the manifest is not the one that `model` gives."""
    wanted = manifests.describe(model, manifest["seed"], manifest["sets_a_shard"], manifest.get("engine", ""))
    wanted |= {key: manifest.get(key) for key in ("instruction_set", "versions")}  # of the machine that simulated
    for ours, theirs in zip(*map(alternatives_in, (wanted["protocol"], manifest["protocol"])), strict=False):
        for number, (mine, other) in enumerate(
            zip(ours, theirs, strict=False)
        ):  # another number of them is a difference
            if mine["kind"] == "file":  # the copy's samples lie in another file than those of the run: the hash tells
                ours[number] = other
    if textfile.to_json(wanted) == textfile.to_json(manifest):
        return []
    told = list(manifests.differences(manifest, wanted)) or ["it is written differently"]
    return told[:TOLD_AT_MOST] + (["and more"] if len(told) > TOLD_AT_MOST else [])


def _not_as_copied(folder, model) -> Iterator[Problem]:
    """The files of cell/ that are not, byte for byte, those of a copy made now."""
    with (
        textfile.writing(Path(tempfile.gettempdir(), "cell")),
        tempfile.TemporaryDirectory(prefix="nrn_mlfit-") as place,
    ):
        fresh = _files(cells.bundle(model, Path(place)))
    held = _files(folder)
    for name in sorted({*fresh, *held}):
        if name not in held:
            yield Problem(folder / name, f"missing; {RESTORE}")
        elif name not in fresh:
            yield Problem(folder / name, FOREIGN)
        elif held[name] != fresh[name]:
            yield Problem(folder / name, f"not as it was copied; {RESTORE}")


def _files(folder) -> dict[str, bytes]:
    return {str(p.relative_to(folder)): p.read_bytes() for p in sorted(folder.rglob("*")) if p.is_file()}


# --- sets and files that are too many or too few ---


def _set_problems(folder, paths, sound) -> Iterator[Problem]:
    """Sets that are in two shards, and those between the first and the last that are in none."""
    counts = {one.path: one.count for one in sound}
    stop, holder = first_of(paths[0]), paths[0]
    for path in paths:
        first = first_of(path)
        if first < stop:
            yield Problem(
                path, f"holds set {first}, which {holder.name} holds, too; take one of them out of the folder"
            )
        elif first > stop and holder in counts:  # what lacks behind a broken shard may be its own sets
            yield Problem(folder, f"sets {stop} to {first - 1} are missing; {AGAIN}")
        if first + counts.get(path, 0) >= stop:
            stop, holder = first + counts.get(path, 0), path


def _layout_problems(path, manifest, sound) -> Iterator[Problem]:
    """No shard reaches over a multiple of sets_a_shard."""
    size = manifest.get("sets_a_shard", 0)
    for one in sound if manifest else ():
        first, count = one.span
        if first // size != (first + count - 1) // size:
            yield Problem(
                path,
                f"sets_a_shard is {size}, but {one.path.name} holds sets {first} to {first + count - 1}; {RESTORE}",
            )
            return


def _strays(folder) -> Iterator[Problem]:
    for path in sorted(folder.iterdir()):
        if path.name in (manifests.NAME, "cell") or SHARD.fullmatch(path.name):
            continue
        if path.name == LOCK or path.match(".*.tmp"):
            yield Problem(path, f"left by a process that was killed, or that is still writing; {AGAIN}")
        else:
            yield Problem(path, FOREIGN)
