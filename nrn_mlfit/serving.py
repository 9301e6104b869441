"""Which ensembles serve a recording: those whose stimulus is in it; and how one is made where none does."""

import math
import shlex
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass, replace
from pathlib import Path

from nrn_mlfit import alignment, banks, cells, fit, machine, progress, recordings, simulator, workers
from nrn_mlfit.errors import EnsembleError, MlfitError
from nrn_mlfit.learn import shipped, storage
from nrn_mlfit.recordings import Recording
from nrn_mlfit.simulator.mechanisms import cache_folder

CELL = "mainen_slice"  # what a recording is fitted with where nothing else is said: its rest, temperature and size are free
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


def known() -> dict[str, Path]:
    """Every ensemble that can be found without being named: those made here, the latest first, then those shipped."""
    made = sorted(made_folder().glob("*/ensemble.json"), key=lambda path: -path.stat().st_mtime)
    folders = {path.parent.name: path.parent for path in made}
    return {**folders, **{name: shipped.find(name) for name in sorted(shipped.names(), key=_is_point_cell)}}


def _is_point_cell(name) -> tuple[bool, str]:
    """Cells with channels of their own come before point processes, which copy a voltage and no conductance."""
    return "izhikevich" in name, name


def find(recording: Recording) -> list[str]:
    """The names of the ensembles in `known` that have seen the stimulus of a recording, at about that strength."""
    return [name for name, folder in known().items() if _serves(folder, recording)]


def _serves(folder, recording) -> bool:
    try:
        protocol, probes = storage.read_protocol(folder)
        piece = alignment.aligned(protocol, recording)
        fit.check(protocol, probes, piece)
    except MlfitError:
        return False
    return not list(fit.strength(protocol, piece))


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
    fit.check(model.protocol, len(model.probes), alignment.aligned(model.protocol, recording))
    ranks = machine.cores() if workers.can_share() else 1
    name = f"{Path(cell).stem}-{model.protocol.digest()[:12]}"
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
