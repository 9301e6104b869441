"""What a run holds, told without reading its traces; and how to simulate again a set of it that failed."""

import itertools
import shlex
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from nrn_mlfit.errors import ShardError
from nrn_mlfit.shards import manifest as manifests
from nrn_mlfit.shards.format import Status
from nrn_mlfit.shards.run import Run, first_of, open_run
from nrn_mlfit.stimuli import alternatives_in

Span = tuple[int, int]  # (first, count) of sets


def ranges(spans: Iterable[Span]) -> str:
    """Set numbers as a person reads them: `0-299, 400-1999`, where spans that meet are one range."""
    united: list[list[int]] = []
    for first, count in sorted(spans):
        if united and first <= united[-1][1]:
            united[-1][1] = max(united[-1][1], first + count)
        else:
            united.append([first, first + count])
    return ", ".join(f"{low}-{stop - 1}" if stop - low > 1 else f"{low}" for low, stop in united)


def gaps(spans: Iterable[Span]) -> list[Span]:
    """The sets between the first and the last of `spans` that are in none of them."""
    missing, stop = [], None
    for first, count in sorted(spans):
        if stop is not None and first > stop:
            missing.append((stop, first - stop))
        stop = max(stop or 0, first + count)
    return missing


def label(status: int) -> str:
    """The name of a status; its number where this version knows none."""
    return Status(status).label if status in list(Status) else str(status)


@dataclass(frozen=True)
class Overview:
    """A run at a glance: its manifest, (first, count) of its shards, sets by status, bytes, shards that do not read."""

    folder: Path
    manifest: dict
    spans: list[Span]
    statuses: Counter
    size: int
    unreadable: list[Path]

    @property
    def sets(self) -> int:
        return sum(self.statuses.values())

    @property
    def traces(self) -> int:
        """One for each set, probe and stimulus."""
        return self.sets * len(self.manifest["cell"]["probes"]) * len(alternatives_in(self.manifest["protocol"])[0])

    def lines(self) -> list[str]:
        """The overview as a person reads it; raises ShardError if run.json lacks what it should say."""
        try:
            return [str(self.folder), *(f"  {name:<10} {told}" for name, told in self._rows())]
        except (LookupError, TypeError, AttributeError) as error:
            raise ShardError(
                f"{self.folder / manifests.NAME}: damaged ({type(error).__name__}: {error}); "
                f"see `nrn-mlfit shards verify {shlex.quote(str(self.folder))}`"
            ) from None

    def _rows(self):
        about, cell = self.manifest, self.manifest["cell"]
        yield "cell", f"{cell['name']}, {_many(len(cell['parameters']), 'parameter')}, {_stimulus(about['protocol'])}"
        yield "seed", about["seed"]
        yield "engine", f"{about['engine']}, NEURON {about['versions'].get('neuron')}, on {about['instruction_set']}"
        yield "sets", f"{ranges(self.spans)} ({_many(self.sets, 'set')} in {_many(len(self.spans), 'shard')})"
        if missing := gaps(self.spans):
            yield "missing", ranges(missing)
        yield "ended", ", ".join(f"{count} {label(status)}" for status, count in sorted(self.statuses.items()))
        yield "on disk", f"{_bytes(self.size)}, {_bytes(self.size / max(self.traces, 1))} a trace"
        if self.unreadable:
            yield "unreadable", ", ".join(path.name for path in self.unreadable)


def overview(folder: Path | str) -> Overview:
    """What the run in `folder` holds; raises ShardError if it holds none."""
    run = open_run(Path(folder))
    spans, statuses, size, unreadable = [], Counter[int](), 0, []
    for path in run.shards:
        try:
            status = run.status(path)
        except ShardError:
            unreadable.append(path)
            continue
        spans.append((first_of(path), len(status)))
        statuses.update(status.tolist())
        size += path.stat().st_size
    return Overview(run.folder, run.manifest, spans, statuses, size, unreadable)


def _stimulus(specs) -> str:
    alternatives = alternatives_in(specs)
    kinds = ", ".join(dict.fromkeys(str(spec["kind"]) for held in alternatives for spec in held))
    if not isinstance(specs, dict):
        return f"stimulus {', '.join(str(spec['kind']) for spec in specs)}"
    low, high = specs["amplitudes"]
    return f"a bank of {len(alternatives)} ({kinds}), each times {low:g} to {high:g}"


def _many(count, thing) -> str:
    return f"{count} {thing}{'' if count == 1 else 's'}"


def _bytes(size) -> str:
    for unit in ("bytes", "kB", "MB", "GB"):
        if size < 1000:
            return f"{size:.3g} {unit}"
        size /= 1000
    return f"{size:.4g} TB"


@dataclass(frozen=True)
class Failure:
    """A set whose simulation did not end well, and the command that does it alone once more."""

    number: int
    status: str
    command: str


def failed(folder: Path | str) -> list[Failure]:
    """The failed sets of the run in `folder`, by number; raises ShardError if it holds none or a shard does not read."""
    run = open_run(Path(folder))
    return list(itertools.chain.from_iterable(_failures(run, path) for path in run.shards))


def _failures(run: Run, path):
    status, first = run.status(path), first_of(path)
    for row in np.flatnonzero(status != Status.OK).tolist():
        number = first + row
        where = f"{shlex.quote(str(run.cell_folder))} --seed {run.manifest['seed']} --first {number}"
        yield Failure(number, label(status[row]), f"nrn-mlfit simulate {where} -n 1 -o set-{number}")
