"""Which ensembles serve a recording: those whose stimulus is in it; and how one is made where none does."""

import contextlib
import math
import shlex
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

from nrn_mlfit import alignment, banks, cells, fit, machine, progress, recordings, simulator, workers
from nrn_mlfit.errors import EnsembleError, MlfitError
from nrn_mlfit.learn import outline, shipped
from nrn_mlfit.learn.outline import Outline
from nrn_mlfit.recordings import Recording
from nrn_mlfit.simulator.mechanisms import cache_folder

CELL = "mainen_wide"  # what a recording is fitted with where nothing else is said: its ranges hold recorded neurons
TRACES, MINUTES, FOLDS = 50_000, 30, 4  # of an ensemble that is made for one recording
TIMED_SETS = 64  # that tell how fast this machine is
AS_RECORDED = (
    "--offset",
    1,
    "--gain",
    1,
    "--jitter",
    0.1,
)  # mV, %, ms: what an amplifier and an alignment leave unknown
SAFETY = 1.2  # an estimate is for planning: better late than short


def made_folder() -> Path:
    """Where ensembles lie that were made for a recording (`nrn-mlfit fit --train`)."""
    return cache_folder() / "ensembles"


@dataclass(frozen=True, eq=False)
class Known:
    """An ensemble that need not be named to be found: one that was made here, or that comes with a `package`, under a `name`."""

    folder: Path
    outline: Outline
    made: bool
    name: str
    package: str

    @property
    def typed(self) -> str:
        """What is typed after -e to have it."""
        return shlex.quote(str(self.folder)) if self.made else self.name

    @property
    def told(self) -> str:
        """Its cell, and where it is from."""
        return f"of {self.outline.cell} ({'made here' if self.made else f'comes with {self.package}'})"


def known(cell: str | None = None) -> list[Known]:
    """The ensembles that are found without being named, in the order in which they are chosen; those of `cell` where it is given:
    the name that they have for it, or a cell file, as it is now.

    The cell decides: mainen_wide, then the others that come with the package, those with channels of their own before point
    processes (which copy a voltage and no conductance), then the user's and those of other packages. Of one cell it is the latest
    made here, then that which comes with a package. Damaged ones are none. Raises CellError for a cell that there is not.
    """
    made = [path.parent for path in made_folder().glob("*/ensemble.json")]
    folders = [(folder, True, folder.name, "") for folder in made]
    folders += [(offer.path, False, name, offer.package) for name, offer in shipped.available().items()]
    found = []
    for folder, is_made, name, package in folders:
        with contextlib.suppress(MlfitError):
            found.append(Known(folder, outline.read(folder), is_made, name, package))
    return sorted(found if cell is None else _of(cell, found), key=_rank)


def _of(cell, found):
    called_so = [one for one in found if one.outline.cell == cell]
    if called_so:
        return called_so
    of_it = _asked_for(cell)
    return [one for one in found if of_it(one.outline)]


def _asked_for(cell: str) -> Callable[[Outline], bool]:
    """Whether an ensemble is of `cell`: for a cell that is known by name its name decides, for a cell file the cell as it is now.

    Raises CellError for a cell that there is not.
    """
    model, is_file = cells.load(cell), cell not in cells.available()

    def asked_for(about):
        # The hash in an ensemble is that of the cell under its stimulus, on which it hangs what 1 nA is.
        now = replace(model, protocol=about.protocol)
        return about.cell == model.name and (not is_file or about.cell_hash == now.digest())

    return asked_for


def _rank(one: Known):
    ours = [CELL, *sorted(cells.SHIPPED, key=lambda name: "izhikevich" in name)]
    cell = ours.index(one.outline.cell) if one.outline.cell in ours else len(ours)
    age = -(one.folder / "ensemble.json").stat().st_mtime if one.made else 0.0
    return cell, not one.made, age, one.name


def find(*those: Recording, cell: str | None = None) -> list[Known]:
    """Those of `known` that have seen the stimulus, at about that strength, of the first of the recordings that any has seen."""
    held = known(cell)
    return next(filter(None, ([one for one in held if _serves(one.outline, each)] for each in those)), [])


def check_cell(ensemble: Path, about: Outline, cell: str | None):
    """Raises EnsembleError where an ensemble that was named is of another cell than was asked for (as of `known`)."""
    if cell is None or about.cell == cell or _asked_for(cell)(about):
        return
    other = "as it is in {} now" if about.cell == cells.load(cell).name else "of {}"
    raise EnsembleError(
        f"-e {ensemble}: is an ensemble of {about.cell}, not {other.format(cell)}; leave out --cell, or name another with -e"
    )


def _serves(about, recording) -> bool:
    try:
        piece = alignment.aligned(about.protocol, recording)
        fit.check(about.protocol, about.probes, piece)
    except MlfitError:
        return False
    return not list(fit.strength(about.protocol, piece))


@dataclass(frozen=True)
class Plan:
    """How an ensemble for a recording is made: the words of the commands, the folder it comes to, and how long it takes."""

    commands: tuple[tuple[str, ...], ...]
    ensemble: Path
    seconds: float

    @property
    def lines(self) -> list[str]:
        """The commands, to be typed."""
        return [shlex.join(["nrn-mlfit", *words]) for words in self.commands]

    @property
    def time(self) -> str:
        """About how long they take, in steps of five minutes."""
        return f"{5 * math.ceil(self.seconds / 300)} min"

    def carry_out(self, report: progress.Report):
        """Run the commands one after the other; what an earlier try has left is gone on with. Raises EnsembleError."""
        for words, line in zip(self.commands, self.lines, strict=True):
            report(f"$ {line}")
            if subprocess.run([sys.executable, "-m", "nrn_mlfit", *words]).returncode:
                raise EnsembleError(
                    f"`{line}` failed; mend what it says, and the same command again goes on from there"
                )


def plan(path: Path, recording: Recording, cell: str, report: progress.Report = progress.silent) -> Plan:
    """The commands that make an ensemble of `cell` for the currents in the file `path` with its noise, timed here.

    Raises RecordingError or StimulusError where the file holds no stimulus, EnsembleError where `recording`, a sweep of it,
    could not be fitted by that ensemble.
    """
    model = replace(cells.load(cell), protocol=banks.from_files([path]))
    fit.check(model.protocol, tuple(model.probes), alignment.aligned(model.protocol, recording))
    ranks = machine.cores() if workers.can_share() else 1
    name = f"{Path(cell).stem}-{model.digest()[:6]}{model.protocol.digest()[:6]}"
    traces, ensemble = made_folder() / f"{name}-traces", made_folder() / name
    simulate = ["simulate", cell, "--stimulus", path, "-n", TRACES, *_shared(ranks), "-o", traces]
    budget = ["--folds", FOLDS, "--minutes", MINUTES, *_shared(min(ranks, FOLDS))]
    words = simulate, ["train", traces, *_as_recorded(path), *budget, "-o", ensemble]
    seconds = SAFETY * (60 * MINUTES + TRACES * _seconds_a_set(model, report) / ranks)
    return Plan(tuple(tuple(map(str, line)) for line in words), ensemble, seconds)


def _shared(ranks):
    """The words that share a command's work among so many processes."""
    return ("-j", ranks) if ranks > 1 else ()


def _as_recorded(path):
    """What the networks are to learn of a recording's faults; nothing of one without noise, which was simulated."""
    try:
        recordings.noise(path)
    except MlfitError:
        return ()
    return ("--noise", path, *AS_RECORDED)


def _seconds_a_set(model, report) -> float:
    """How long a set takes on one core of this machine, by simulating some."""
    report(f"simulating {TIMED_SETS} sets, to say how long it takes on this machine to make one")
    with tempfile.TemporaryDirectory() as scratch:
        simulator.simulate(model, TIMED_SETS, Path(scratch) / "first")  # compiles, and compares with plain NEURON
        began = time.monotonic()
        simulator.simulate(model, TIMED_SETS, Path(scratch) / "second", seed=2)
        return (time.monotonic() - began) / TIMED_SETS
