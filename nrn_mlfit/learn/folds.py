"""k folds: member i learns from all folds but the i-th and is validated on that; together they are an Ensemble."""

import math
import time
from dataclasses import asdict, dataclass

import numpy as np
import torch

import nrn_mlfit
from nrn_mlfit import cells, progress
from nrn_mlfit.errors import EnsembleError
from nrn_mlfit.learn.dataset import Data, fold_rows, from_traces
from nrn_mlfit.learn.devices import pick_device, pick_precision
from nrn_mlfit.learn.ensemble import Ensemble
from nrn_mlfit.learn.networks import Design, load_design
from nrn_mlfit.learn.scaling import fit_scaler
from nrn_mlfit.learn.training import Budget, History, Task, Trained, train_member
from nrn_mlfit.shards import MV_PER_COUNT, Traces

EPOCHS = 60  # without --epochs or --minutes
SECONDS_BETWEEN_LINES = 2.0
SECONDS_WITHIN_EPOCH = 10.0


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

    def budget(self, member: int, began: float) -> Budget:
        """The budget of a member: what earlier ones left of the minutes is shared by the rest."""
        epochs = self.epochs or (math.inf if self.minutes else EPOCHS)
        if not self.minutes:
            return Budget(epochs)
        left = began + 60 * self.minutes - time.monotonic()
        return Budget(epochs, max(0.001, left / (self.folds - member)))


def train(
    traces: Traces,
    design: Design | str = "golden203",
    settings: Settings | None = None,
    report: progress.Report = progress.silent,
) -> Ensemble:
    """Train an ensemble on simulated traces; with a budget in epochs the same seed gives the same weights (on one thread).

    Raises EnsembleError for too few traces, DesignError for a design that does not fit their length.
    """
    settings = settings or Settings()
    design = load_design(design) if isinstance(design, str) else design
    cell = cells.load(traces.cell_folder)
    if cell.digest() != traces.manifest["cell_hash"]:
        raise EnsembleError(f"{traces.cell_folder}: is not the cell that was simulated; copy or simulate the run again")
    if len(cell.space) != traces.unit_par.shape[1]:
        raise EnsembleError(
            f"{traces.cell_folder}: {len(cell.space)} parameters, its traces have {traces.unit_par.shape[1]}"
        )
    device = pick_device(settings.device)
    data = from_traces(traces, fit_scaler(traces.volts), device)
    precision = pick_precision(settings.precision, device)
    tasks = _tasks(data, design, settings, precision)
    trained = _train_all(tasks, settings, report)
    members = tuple(one.network for one in trained)
    rms, fold_mse = _validate(trained, tasks)
    return Ensemble(
        members=members,
        scaler=data.scaler,
        space=cell.space,
        protocol=cell.protocol,
        probes=cell.probes,
        voltage_range=_voltage_range(traces.volts),
        validation_rms=rms,
        cell_folder=traces.cell_folder,
        record={
            **_origin(traces.manifest, cell),
            "traces": len(traces.volts),
            "training": {
                **asdict(settings),
                "device": device.type,
                "precision": precision,
                "batch": tasks[0].batch_size,
            },
            "fold_losses": [float(x) for x in fold_mse],
            "histories": [asdict(one.history) for one in trained],
        },
    )


def _tasks(data: Data, design: Design, settings: Settings, precision: str) -> list[Task]:
    parts = fold_rows(len(data.counts), settings.folds, settings.seed)
    learn = [torch.cat(parts[:i] + parts[i + 1 :]) for i in range(len(parts))]
    seeds = range(1000 * settings.seed, 1000 * settings.seed + settings.folds)
    return [
        Task(design, data, rows, held_out, seed, precision, settings.batch)
        for rows, held_out, seed in zip(learn, parts, seeds, strict=True)
    ]


def _train_all(tasks: list[Task], settings: Settings, report: progress.Report) -> list[Trained]:
    first = tasks[0]
    first.design.pooled_length(first.data.counts.shape[-1])  # a design that cannot be built says so first
    report(
        f"{len(tasks)} networks of design {first.design.name}, {len(first.learn)} traces each, batches of "
        f"{first.batch_size}, {first.data.device.type}, {first.precision}; guessing the middle has a loss of "
        f"{first.design.guessing_loss:.3f}"
    )
    lines = _Lines(len(tasks), settings, report)
    trained: list[Trained] = []
    for member, task in enumerate(tasks):
        trained.append(train_member(task, settings.budget(member, lines.began), lines.of(member, len(task.learn))))
        lines.close(member, trained[-1].history)
    return trained


class _Lines:
    """Progress as lines: epoch, losses, speed, time left; at most one in two seconds."""

    def __init__(self, members: int, settings: Settings, report: progress.Report):
        self.began = self._said = time.monotonic()
        self._members, self._report = members, report
        self._deadline = self.began + 60 * settings.minutes if settings.minutes else math.inf

    def of(self, member: int, sets: int):
        """What `train_member` calls after each step and epoch of a member that learns from `sets` traces."""
        began = time.monotonic()

        def tell(epochs: float, used: float, history: History):
            now = time.monotonic()
            whole = bool(history.epochs) and history.epochs[-1] == epochs
            if now - self._said >= (SECONDS_BETWEEN_LINES if whole else SECONDS_WITHIN_EPOCH):
                self._said = now
                rate, left = epochs * sets / (now - began), self._left(now, (member + used) / self._members)
                self._report(f"  {self._name(member)}  {_losses(epochs, history)}  {rate:.0f} traces/s  {left} left")

        return tell

    def close(self, member: int, history: History):
        for note in history.notes:
            self._report(f"  {self._name(member)}  {note}")
        best = history.validation.index(history.best)
        self._report(
            f"  {self._name(member)} done: best validation loss {history.best:.4f} at epoch {history.epochs[best]:.1f}"
        )

    def _name(self, member) -> str:
        return f"network {member + 1}/{self._members}"

    def _left(self, now, share) -> str:
        by_share = (now - self.began) * (1 - share) / share
        return progress.duration(min(by_share, self._deadline - now))


def _losses(epochs: float, history: History) -> str:
    if not history.epochs:
        return f"epoch {epochs:6.2f}"
    return f"epoch {epochs:6.2f}  training {history.train[-1]:.4f}  validation {history.validation[-1]:.4f}"


def _validate(trained: list[Trained], tasks: list[Task]):
    """Out-of-fold rms error (K,) of each unit parameter, and the mean square error (M,) of each fold."""
    pairs = zip(trained, tasks, strict=True)
    squares = [((one.answers - task.data.targets[task.validate]) ** 2).numpy() for one, task in pairs]
    return np.sqrt(np.concatenate(squares).mean(axis=0)), [square.mean() for square in squares]


def _voltage_range(counts) -> tuple[float, float]:
    return round(float(counts.min()) * MV_PER_COUNT, 2), round(float(counts.max()) * MV_PER_COUNT, 2)


def _origin(manifest: dict, cell: cells.CellModel) -> dict:
    """What the traces are, from the manifest of their run, and who trained on them."""
    return {
        "cell": manifest["cell"]["name"],
        **{key: manifest[key] for key in ("cell_hash", "protocol_hash", "content_hash")},
        "simulation": {
            "substeps": cell.substeps,
            "current_unit": cell.current_unit,
            "start": manifest["start"],
            "stop": manifest["stop"],
            "dt": manifest["dt"],
        },
        "versions": {**manifest["versions"], "nrn_mlfit": nrn_mlfit.__version__, "torch": torch.__version__},
    }
