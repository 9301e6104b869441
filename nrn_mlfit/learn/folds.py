"""k folds: member i learns from all folds but the i-th and is validated on that; together they are an Ensemble."""

import math
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path

import numpy as np
import torch

import nrn_mlfit
from nrn_mlfit import cells, progress, workers
from nrn_mlfit.errors import EnsembleError
from nrn_mlfit.learn import storage
from nrn_mlfit.learn.alarm import make_alarm
from nrn_mlfit.learn.augment import Augmentation, numbers
from nrn_mlfit.learn.checkpoint import Checkpoints, trained_of
from nrn_mlfit.learn.corpus import Corpus, Piece, count, deal
from nrn_mlfit.learn.devices import pick_device, pick_precision
from nrn_mlfit.learn.ensemble import Ensemble
from nrn_mlfit.learn.intervals import calibrate
from nrn_mlfit.learn.look import join_looks
from nrn_mlfit.learn.networks import Design, load_design, network_of
from nrn_mlfit.learn.scaling import fit_scaler
from nrn_mlfit.learn.training import Budget, History, Task, Trained, train_member
from nrn_mlfit.shards import MV_PER_COUNT, to_millivolts

EPOCHS = 60  # without --epochs or --minutes
SETS_LOOKED_AT = 2000  # for the curation and the range of voltages
SECONDS_BETWEEN_LINES = 5.0
LOOKING, CALIBRATING = 2**62, 2**62 + 1  # seeds of what is done to traces that no member learns from


@dataclass(frozen=True)
class Settings:
    """How an ensemble is trained; `minutes` are for all members together, None takes the default (or no limit)."""

    folds: int = 5
    epochs: int | None = None
    minutes: float | None = None
    batch: int | None = None
    seed: int = 1
    precision: str = "auto"
    device: str = "auto"
    weights: str = "float32"  # as they are saved; intervals and alarm are made with what is saved
    augmentation: Augmentation = field(default_factory=Augmentation)  # what is done to the traces

    def to_json(self) -> dict:
        """JSON-ready values; of the augmentation only what is done."""
        held = asdict(self)
        del held["augmentation"]
        return {**held, **({"augmentation": self.augmentation.to_json()} if self.augmentation else {})}

    def budget(self, turns: int) -> Budget:
        """The budget of a member; `turns` of them train one after the other."""
        epochs = self.epochs or (math.inf if self.minutes else EPOCHS)
        return Budget(epochs, 60 * self.minutes / turns if self.minutes else math.inf)


def train(
    corpus: Corpus,
    ensemble: Path | str,
    design: Design | str = "residual",
    settings: Settings | None = None,
    report: progress.Report = progress.silent,
) -> Ensemble:
    """Train an ensemble on the traces of a corpus and save it as the folder `ensemble`; on rank 0 it is returned.

    Under an MPI launcher the ranks share the members. What is broken off goes on when the same is asked for again. With a
    budget in epochs the same seed and number of threads give the same weights, broken off or not.

    Raises EnsembleError for too few traces, DesignError for a design that does not fit their length, ShardError where another
    process trains the same ensemble.
    """
    settings, ensemble = settings or Settings(), Path(ensemble)
    design = load_design(design) if isinstance(design, str) else design
    team = workers.connect()
    team.once(lambda: storage.check_free(ensemble))
    checkpoints = Checkpoints(ensemble)
    with team.watched(), _threads_among(team.neighbours) as threads, ExitStack() as alone:
        held, tasks = team.everywhere(lambda: _tasks(corpus, design, settings))
        budget = settings.budget(math.ceil(settings.folds / team.size))
        counts = team.once(lambda: checkpoints.begin(_about(corpus, design, settings), threads, alone))
        lines = _Lines(settings.folds, count(tasks[0].learn), report if team.rank == 0 else progress.silent)
        lines.begin(tasks[0], team.size, counts)

        def make(number, serve) -> tuple[int, History]:
            return _member(tasks[number], budget, checkpoints.member(number), lines.of(number, serve))

        team.map(make, range(settings.folds), lambda rank, result: lines.close(*result))
        if team.rank == 0:
            report(f"intervals and alarm, by {count(held)} traces that no network has learned from")
        return team.once(lambda: _finish(ensemble, settings, tasks, held, checkpoints))


def _about(corpus, design, settings) -> dict:
    """What a training must have in common with one that goes on with it."""
    return {
        "nrn_mlfit": nrn_mlfit.__version__,
        "torch": torch.__version__,
        "content_hash": corpus.manifest["content_hash"],
        "traces": len(corpus),
        "shards": sorted({f"{piece.run.manifest['seed']} {piece.path.name}" for piece in corpus.pieces}),
        "design": design.to_json(),
        "settings": settings.to_json(),
    }


@contextmanager
def _threads_among(neighbours: int) -> Iterator[int]:
    """A `with` in which this process has its share of the threads that it has before and after; how many they are."""
    before = torch.get_num_threads()
    share = max(1, before // neighbours)
    torch.set_num_threads(share)  # the last bits hang on it
    try:
        yield share
    finally:
        torch.set_num_threads(before)


def _tasks(corpus: Corpus, design: Design, settings: Settings) -> tuple[list[Piece], list[Task]]:
    """The pieces to calibrate with, and what each member is to learn."""
    _check_cell(corpus)
    device = pick_device(settings.device)
    precision = pick_precision(settings.precision, device)
    counts = _looked_at(corpus, settings)
    design.pooled_length(counts.shape[-1])  # a design that cannot be built says so first
    scaler = replace(fit_scaler(corpus.apart(counts)[0]), currents=corpus.currents, full_current=corpus.full_current)
    held, parts = deal(corpus.pieces, settings.folds, settings.seed)
    return held, [
        Task(
            design=design,
            corpus=corpus,
            scaler=scaler,
            learn=[piece for other, part in enumerate(parts) if other != number for piece in part],
            validate=parts[number],
            seed=1000 * settings.seed + number,
            device=device,
            precision=precision,
            batch=settings.batch,
            augmentation=settings.augmentation,
        )
        for number in range(settings.folds)
    ]


def _looked_at(corpus: Corpus, settings: Settings) -> torch.Tensor:
    """The counts of a sample, as the networks will meet such traces."""
    counts, _ = sample(corpus)
    settings.augmentation.check(corpus.manifest["dt"], counts.shape[-1])
    return corpus.as_recorded(counts, settings.augmentation, numbers(LOOKING, 0))


def _check_cell(corpus: Corpus):
    cell = cells.load(corpus.cell_folder)
    if cell.digest() != corpus.manifest["cell_hash"]:
        raise EnsembleError(f"{corpus.cell_folder}: is not the cell that was simulated; copy or simulate the run again")


def sample(corpus: Corpus) -> tuple[torch.Tensor, torch.Tensor]:
    """counts (n, P*S, T) and unit parameters (n, K) of some 2000 sets from all over a corpus."""
    size = max(len(piece.rows) for piece in corpus.pieces)
    step = max(1, len(corpus.pieces) * size // SETS_LOOKED_AT)
    return corpus.read(corpus.pieces[::step])


def _member(task: Task, budget: Budget, file, tell) -> tuple[int, History]:
    """Train a member, or go on with it, unless it is there; its number and history."""
    kept = file.load()
    if kept and "done" in kept:
        return task.seed % 1000, History(**kept["history"])
    trained = train_member(task, budget, tell, file.keep, kept)
    file.finish(trained)
    return task.seed % 1000, trained.history


def _finish(folder, settings, tasks, held, checkpoints) -> Ensemble:
    """The ensemble of the members that are there, calibrated and saved; what they needed to go on is removed."""
    counts = _looked_at(tasks[0].corpus, settings)
    trained = []
    for number, task in enumerate(tasks):
        kept = checkpoints.member(number).load()
        trained.append(trained_of(kept, _blank(task, counts)))
    ensemble = _put_together(trained, tasks[0], settings, counts)
    ensemble = _calibrated(ensemble, tasks[0].corpus, held)
    storage.save(ensemble, folder, checkpoints.folder)  # what a kill leaves there is removed with it
    checkpoints.remove()
    return Ensemble.load(folder)


def _blank(task, counts):
    _, channels, length = counts.shape
    return network_of(task.design, channels, length, len(task.corpus.manifest["cell"]["parameters"]))


def _calibrated(ensemble: Ensemble, corpus, pieces) -> Ensemble:
    """With intervals and alarm, by sets that no member has learned from, read piece by piece; they hold for traces to which
    was done what was done to those that were learned from."""
    seen, truth = [], []
    for number, piece in enumerate(pieces):
        counts, targets = corpus.read([piece])
        counts = corpus.as_recorded(counts, ensemble.augmentation, numbers(CALIBRATING, number))
        volts, injected = corpus.apart(counts)
        seen.append(ensemble.look(to_millivolts(volts).reshape(-1, *ensemble.shape), injected))
        truth.append(targets.numpy())
    whole = join_looks(seen)
    calibration = calibrate(whole.answers, np.concatenate(truth))
    return replace(ensemble, calibration=calibration, alarm=make_alarm(whole))


def _put_together(trained: list[Trained], task: Task, settings, counts) -> Ensemble:
    corpus = task.corpus
    cell, errors = cells.load(corpus.cell_folder), torch.stack([one.errors for one in trained])
    return Ensemble(
        members=tuple(storage.rounded(one.network, settings.weights) for one in trained),
        scaler=task.scaler,
        space=cell.space,
        protocol=cell.protocol,
        probes=cell.probes,
        voltage_range=_voltage_range(corpus.apart(counts)[0]),
        validation_rms=errors.mean(0).sqrt().numpy(),
        cell_folder=corpus.cell_folder,
        record={
            **_origin(corpus.manifest, cell),
            "traces": len(corpus),
            "training": {
                **settings.to_json(),
                "device": task.device.type,
                "precision": task.precision,
                "batch": task.batch_size,
            },
            "fold_losses": errors.mean(1).tolist(),
            "histories": [asdict(one.history) for one in trained],
        },
    )


class _Lines:
    """Progress as lines: epoch, losses, speed, time left; of the members that rank 0 trains, and of all when they are done."""

    def __init__(self, members: int, sets: int, report: progress.Report):
        self._members, self._sets, self._report = members, sets, report
        self._said = time.monotonic()

    def begin(self, task: Task, ranks: int, threads: list[int]):
        """`threads`: the numbers of them that the training was and is gone on with."""
        at_once = f", {min(ranks, self._members)} at a time" if ranks > 1 else ""
        self._report(
            f"{self._members} networks of design {task.design.name}{at_once}, {self._sets} traces each, batches of "
            f"{task.batch_size}, {task.device.type}, {task.precision}; guessing the middle has a loss of "
            f"{task.design.guessing_loss:.3f}"
        )
        if len(threads) > 1:
            self._report(
                f"begun with {threads[0]} thread{'s' * (threads[0] > 1)} a process, gone on with "
                f"{' and '.join(map(str, threads[1:]))}: the last bits may differ from those of an unbroken training"
            )

    def of(self, number: int, serve):
        """What `train_member` calls after each step of a member; `serve` answers other ranks meanwhile."""
        began, first = time.monotonic(), None

        def tell(epochs: float, used: float, history: History):
            nonlocal first
            if serve:
                serve()
            now = time.monotonic()
            first = (epochs, used) if first is None else first
            if now - self._said >= SECONDS_BETWEEN_LINES:
                self._said = now
                done, share = epochs - first[0], used - first[1]
                left = progress.duration((1 - used) * (now - began) / share) if share else "?"
                rate = done * self._sets / (now - began)
                self._report(f"  {self._name(number)}  {_losses(epochs, history)}  {rate:.0f} traces/s  {left} left")

        return tell

    def close(self, number: int, history: History):
        for note in history.notes:
            self._report(f"  {self._name(number)}  {note}")
        self._report(
            f"  {self._name(number)} done: best validation loss {history.best:.4f} at epoch {history.best_epoch:.1f}"
        )

    def _name(self, number) -> str:
        return f"network {number + 1}/{self._members}"


def _losses(epochs: float, history: History) -> str:
    if not history.epochs:
        return f"epoch {epochs:6.2f}"
    return f"epoch {epochs:6.2f}  training {history.train[-1]:.4f}  validation {history.validation[-1]:.4f}"


def _voltage_range(counts) -> tuple[float, float]:
    """The lowest and the highest mV of some traces; of n, another one leaves it with a probability of 2 / (n + 1) at most."""
    return round(float(counts.min()) * MV_PER_COUNT, 2), round(float(counts.max()) * MV_PER_COUNT, 2)


def _origin(manifest: dict, cell: cells.CellModel) -> dict:
    """What the traces are, from the manifest of their run, and who trained on them."""
    return {
        "cell": manifest["cell"]["name"],
        **{key: manifest[key] for key in ("cell_hash", "protocol_hash", "content_hash")},
        **({"fixed": cell.held} if cell.held else {}),
        "simulation": {
            "substeps": cell.substeps,
            "current_unit": cell.current_unit,
            "start": manifest["start"],
            "stop": manifest["stop"],
            "dt": manifest["dt"],
        },
        "versions": {**manifest["versions"], "nrn_mlfit": nrn_mlfit.__version__, "torch": torch.__version__},
    }
