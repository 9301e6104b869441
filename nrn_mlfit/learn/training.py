"""The training of one network: budget, learning rate, epochs, best weights.

The learning rate warms up over the first steps, falls by the design's `reduce_lr` where the validation loss no longer does,
and cools down linearly over the last part of the budget. The cool-down is what makes short budgets pay: it averages out the
noise of the last steps, wherever the budget ends (Haegele et al., "Scaling laws and compute-optimal training beyond fixed
training durations", NeurIPS 2024).
"""

import math
import time
from collections.abc import Callable
from dataclasses import dataclass, field

import torch
from torch import nn

from nrn_mlfit.errors import EnsembleError
from nrn_mlfit.learn.dataset import Data
from nrn_mlfit.learn.devices import autocast
from nrn_mlfit.learn.networks import Design, TraceCNN, settle
from nrn_mlfit.learn.threads import Threads

OPTIMIZERS = {"adam": torch.optim.Adam, "nadam": torch.optim.NAdam, "adadelta": torch.optim.Adadelta}
LOSSES = {"mse": nn.functional.mse_loss, "mae": nn.functional.l1_loss}
WARM_UP_STEPS = 50
COOL_DOWN_FROM = 0.5  # of the budget
LEAST_COOL = 0.02
EPOCHS_TO_REDUCE, EPOCHS_TO_STOP = 10, 25  # without a better validation loss
LEAST_STEPS_AN_EPOCH = 50  # small training sets take smaller batches than the design's
SMALLEST_BATCH = 8
SETTLING_SETS = 128
LARGEST_GRADIENT = 1.0
RETRY_RATE = 0.1


@dataclass(frozen=True)
class Task:
    """What one member is trained with: rows (n,) to learn from and to validate on, the seed, the precision, the batch."""

    design: Design
    data: Data
    learn: torch.Tensor
    validate: torch.Tensor
    seed: int
    precision: str = "f32"
    batch: int | None = None

    @property
    def batch_size(self) -> int:
        """The sets in one step: as asked for, or the design's, or fewer where the training set is small."""
        return self.batch or min(self.design.batch_size, max(SMALLEST_BATCH, len(self.learn) // LEAST_STEPS_AN_EPOCH))

    @property
    def steps(self) -> int:
        """Steps an epoch."""
        return math.ceil(len(self.learn) / self.batch_size)


class Budget:
    """How long a member may train: `epochs`, or `seconds` from now, whichever ends first."""

    def __init__(self, epochs: float, seconds: float = math.inf):
        self.epochs, self.seconds, self._began = epochs, seconds, time.monotonic()

    def used(self, epochs: float) -> float:
        """The share in [0, 1] that is used up after `epochs`."""
        return min(1.0, max(epochs / self.epochs, (time.monotonic() - self._began) / self.seconds))


@dataclass
class History:
    """Losses after each epoch (the last may be a part of one), and what happened on the way."""

    epochs: list[float] = field(default_factory=list)
    train: list[float] = field(default_factory=list)
    validation: list[float] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)

    @property
    def best(self) -> float:
        """The lowest validation loss so far."""
        return min(self.validation, default=math.inf)

    @property
    def stale(self) -> int:
        """Epochs since the lowest validation loss."""
        return len(self.validation) - 1 - self.validation.index(self.best) if self.validation else 0

    def add(self, epochs: float, train: float, validation: float) -> bool:
        """Note an epoch; whether it is the best so far."""
        better = validation < self.best
        self.epochs.append(epochs)
        self.train.append(train)
        self.validation.append(validation)
        return better


Tell = Callable[[float, float, History], None]  # epochs done, share of the budget used, losses so far


@dataclass(frozen=True, eq=False)
class Trained:
    """A network with its best weights, on the CPU, its losses, and its answers (n, K) for the rows it was validated on."""

    network: TraceCNN
    history: History
    answers: torch.Tensor


def train_member(task: Task, budget: Budget, tell: Tell) -> Trained:
    """Train a network within `budget`.

    A loss that stops being a number means one new start with a tenth of the learning rate; after a second time the best
    weights so far are kept, and EnsembleError is raised if there are none.
    """
    runs: list[_Run] = []
    threads = Threads()
    try:
        with torch.random.fork_rng():
            torch.manual_seed(task.seed)
            for rate in (task.design.rate, task.design.rate * RETRY_RATE):
                runs.append(_Run(task, budget, rate, threads))
                if runs[-1].go(tell):
                    break
        return _best_of(runs, task)
    finally:
        threads.restore()


def _best_of(runs: "list[_Run]", task: Task) -> Trained:
    notes = [note for run in runs for note in run.history.notes]
    run = min(runs, key=lambda run: run.history.best)
    if run.kept is None:
        raise EnsembleError(
            f"design {task.design.name}: training {', then '.join(notes)}; "
            "set a lower learning_rate in the design, or use another design"
        )
    run.history.notes = notes
    run.network.load_state_dict(run.kept)
    answers = task.data.predict(run.network, task.validate)
    return Trained(run.network.cpu().eval(), run.history, answers)


class _Run:
    """One training from a fresh start."""

    def __init__(self, task: Task, budget: Budget, rate: float, threads: Threads):
        self.task, self.budget, self.rate, self.threads = task, budget, rate, threads
        self.history = History()
        self.step_count = 0
        self.kept: dict[str, torch.Tensor] | None = None
        _, channels, length = task.data.counts.shape
        self.network = TraceCNN(task.design, channels, length, task.data.targets.shape[1]).to(task.data.device)
        settle(self.network, task.data.inputs(task.learn[:SETTLING_SETS]))
        self.optimizer = OPTIMIZERS[task.design.optimizer](self.network.parameters(), lr=rate)
        self.loss = LOSSES[task.design.loss]

    @property
    def epochs(self) -> float:
        return self.step_count / self.task.steps

    @property
    def used(self) -> float:
        return self.budget.used(self.epochs)

    def go(self, tell: Tell) -> bool:
        """Train to the end of the budget, or until nothing gets better; False if the loss is no number any more."""
        while True:
            train = self._epoch(tell)
            validation = self._validate()
            if not (math.isfinite(train) and math.isfinite(validation)):
                self.history.notes.append(f"diverged at learning rate {self.rate:g} after {self.epochs:.1f} epochs")
                return False
            if self.history.add(self.epochs, train, validation):
                self.kept = {name: value.detach().clone() for name, value in self.network.state_dict().items()}
            tell(self.epochs, self.used, self.history)
            if self.used >= 1 or self.history.stale >= EPOCHS_TO_STOP:
                return True
            if self.history.stale and self.history.stale % EPOCHS_TO_REDUCE == 0:
                self.rate *= self.task.design.reduce_lr

    def _epoch(self, tell) -> float:
        """One pass over the training rows in random order, or what the budget leaves of it; the mean loss."""
        self.network.train()
        order = self.task.learn[torch.randperm(len(self.task.learn))]
        losses = []
        for rows in order.split(self.task.batch_size):
            with self.threads.step():
                losses.append(self._step(rows))
            if self.used >= 1:
                break
            tell(self.epochs, self.used, self.history)
        return float(torch.stack(losses).mean())

    def _step(self, rows):
        """One step of the optimizer; its loss."""
        for group in self.optimizer.param_groups:
            group["lr"] = self.rate * schedule(self.step_count, self.used)
        inputs, targets = self.task.data.batch(rows)
        with autocast(self.task.data.device, self.task.precision):
            answer = self.network(inputs)
        loss = self.loss(answer, targets)
        self.optimizer.zero_grad()
        loss.backward()
        nn.utils.clip_grad_norm_(self.network.parameters(), LARGEST_GRADIENT)
        self.optimizer.step()
        self.step_count += 1
        return loss.detach()

    def _validate(self) -> float:
        task = self.task
        answer = task.data.predict(self.network, task.validate, task.precision)
        return float(self.loss(answer, task.data.targets[task.validate]))


def schedule(steps: int, used: float) -> float:
    """What the learning rate is multiplied by: a warm-up in `steps`, a cool-down in the share `used` of the budget."""
    warm = min(1.0, (steps + 1) / WARM_UP_STEPS)
    cool = min(1.0, (1 - used) / (1 - COOL_DOWN_FROM))
    return warm * max(LEAST_COOL, cool)
