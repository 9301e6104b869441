"""The training of one network: budget, learning rate, steps, best weights; broken off and gone on with to the same bits.

The learning rate warms up over the first steps, falls by the design's `reduce_lr` where the validation loss no longer does,
and cools down linearly over the last part of the budget. The cool-down is what makes short budgets pay: it averages out the
noise of the last steps, wherever the budget ends (Haegele et al., "Scaling laws and compute-optimal training beyond fixed
training durations", NeurIPS 2024).
"""

import math
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass, field

import torch
from torch import nn

from nrn_mlfit.errors import EnsembleError
from nrn_mlfit.learn.augment import CLEAN, Augmentation, numbers
from nrn_mlfit.learn.averaging import Average
from nrn_mlfit.learn.corpus import Corpus, Piece, count
from nrn_mlfit.learn.devices import autocast
from nrn_mlfit.learn.networks import Design, TraceCNN, settle
from nrn_mlfit.learn.optimizers import make_optimizer
from nrn_mlfit.learn.scaling import TraceScaler
from nrn_mlfit.learn.stream import Stream

WARM_UP_STEPS = 50
COOL_DOWN_FROM = 0.5  # of the budget
LEAST_COOL = 0.02
EPOCHS_TO_REDUCE, EPOCHS_TO_STOP = 10, 25  # without a better validation loss
LEAST_STEPS_AN_EPOCH = 50  # small training sets take smaller batches than the design's
SMALLEST_BATCH = 8
SETTLING_SETS = 128
VALIDATED_AT_MOST = 4000  # sets of the held-out fold; their voltages stay in memory
SETS_A_ROUND = 20_000  # after so many, or an epoch if that is shorter, comes a validation
SETS_AT_ONCE = 64  # when predicting
LARGEST_GRADIENT = 1.0
RETRY_RATE = 0.1
SETTLING, VALIDATING = 2**62, 2**62 + 1  # of random numbers; those of the steps count from 0


@dataclass(frozen=True, eq=False)
class Task:
    """What one member is trained with: pieces to learn from and to validate on, the seed, the precision, the batch, what is
    done to its traces, and what makes its network from design, channels, length and outputs."""

    design: Design
    corpus: Corpus
    scaler: TraceScaler
    learn: list[Piece]
    validate: list[Piece]
    seed: int
    device: torch.device
    precision: str = "f32"
    batch: int | None = None
    augmentation: Augmentation = CLEAN
    make: Callable[[Design, int, int, int], TraceCNN] = TraceCNN

    def as_recorded(self, counts, number: int):
        """Counts as a recording would hold them, by random numbers of the seed and `number`."""
        if not self.augmentation:
            return counts
        return self.corpus.as_recorded(counts.to(self.device), self.augmentation, numbers(self.seed, number))

    @property
    def batch_size(self) -> int:
        """The sets in one step: as asked for, or the design's, or fewer where the training set is small."""
        return self.batch or min(self.design.batch_size, max(SMALLEST_BATCH, count(self.learn) // LEAST_STEPS_AN_EPOCH))


@dataclass(frozen=True)
class Budget:
    """How long a member may train: `epochs`, or `seconds`, whichever ends first."""

    epochs: float
    seconds: float = math.inf

    def used(self, epochs: float, seconds: float) -> float:
        """The share in [0, 1] that is used up after `epochs` and `seconds`."""
        return min(1.0, max(epochs / self.epochs, seconds / self.seconds))


@dataclass
class History:
    """Losses after each round (an epoch, or a part of one), and what happened on the way."""

    epochs: list[float] = field(default_factory=list)
    train: list[float] = field(default_factory=list)
    validation: list[float] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)

    @property
    def best(self) -> float:
        """The lowest validation loss so far."""
        return min(self.validation, default=math.inf)

    @property
    def best_epoch(self) -> float:
        return self.epochs[self.validation.index(self.best)] if self.validation else 0.0

    @property
    def stale(self) -> float:
        """Epochs since the lowest validation loss."""
        return self.epochs[-1] - self.best_epoch if self.epochs else 0.0

    def add(self, epochs: float, train: float, validation: float) -> bool:
        """Note a round; whether it is the best so far."""
        better = validation < self.best
        self.epochs.append(epochs)
        self.train.append(train)
        self.validation.append(validation)
        return better


@dataclass(frozen=True, eq=False)
class Trained:
    """A network with its best weights, on the CPU, its losses, and its mean square error (K,) on held-out sets."""

    network: TraceCNN
    history: History
    errors: torch.Tensor


Tell = Callable[[float, float, History], object]  # epochs done, share of the budget used, losses so far
Keep = Callable[[Callable[[], dict]], object]  # may ask for all that is needed to go on


def train_member(
    task: Task,
    budget: Budget,
    tell: Tell = lambda *_: None,
    keep: Keep = lambda _: None,
    kept: dict | None = None,
    clock: Callable[[], float] = time.monotonic,
) -> Trained:
    """Train a network within `budget`; `kept`, what `keep` asked for last, makes it go on from there to the same bits.

    The budget's seconds are those of `clock`.

    A loss that stops being a number means one new start with a tenth of the learning rate; after a second time the best
    weights so far are kept, and EnsembleError is raised if there are none.
    """
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(task.seed)
        run = _Run(task, budget, clock)
        if kept:
            run.load(kept)
        while not run.go(tell, keep):
            if not run.begin_anew():
                break
    return run.result()


class _Run:
    """A training and its state."""

    def __init__(self, task: Task, budget: Budget, clock: Callable[[], float]):
        self.task, self.budget, self._clock = task, budget, clock
        counts, targets = _some(task.corpus, task.validate, VALIDATED_AT_MOST)
        self._held_out = task.as_recorded(counts, VALIDATING).cpu(), targets
        trace_bytes = counts[0].numel() * counts.element_size()
        self.stream = Stream(task.corpus, task.learn, task.batch_size, task.seed, trace_bytes)
        _, channels, length = counts.shape
        self.network = task.make(task.design, channels, length, targets.shape[1]).to(task.device)
        self._settle(next(iter(self.stream.batches()))[0])
        self.history, self.rate, self.attempt = History(), task.design.rate, 0
        self._start()

    def _settle(self, counts):
        counts = self.task.as_recorded(counts[:SETTLING_SETS], SETTLING)
        settle(self.network, self._curated(counts))
        self._fresh = {name: value.clone() for name, value in self.network.state_dict().items()}

    def _start(self):
        """From the first step on, with `rate`."""
        self.optimizer = make_optimizer(self.network, self.rate, self.task.precision)
        self.average = Average(self.network, self.task.design.average)
        self.step, self.seconds, self.sums = 0, 0.0, torch.zeros(2)
        self.best: dict[str, torch.Tensor] | None = None

    def begin_anew(self) -> bool:
        """A new start with a tenth of the rate, after a loss that was no number; False after the second one."""
        if self.attempt:
            return False
        self.attempt, self.rate, seconds = 1, self.task.design.rate * RETRY_RATE, self.seconds
        self.network.load_state_dict(self._fresh)
        best, losses = self.best, self.history
        self._start()
        self.best, self.history, self.seconds = best, losses, seconds
        return True

    @property
    def epochs(self) -> float:
        return self.step / self.stream.steps_an_epoch

    @property
    def used(self) -> float:
        return self.budget.used(self.epochs, self.seconds)

    def go(self, tell: Tell, keep: Keep) -> bool:
        """Train to the end of the budget, or until nothing gets better; False if the loss is no number any more."""
        a_round = max(1, min(self.stream.steps_an_epoch, SETS_A_ROUND // self.task.batch_size))
        for counts, targets in self.stream.batches(self.step):
            if self._is_over():
                return True
            began = self._clock()
            self._learn(counts, targets)
            self.seconds += self._clock() - began
            if self.step % a_round == 0 or self.used >= 1:
                began = self._clock()
                if not self._close_round():
                    return False
                self.seconds += self._clock() - began
            tell(self.epochs, self.used, self.history)
            keep(self.state)
        raise AssertionError("a stream has no end")

    def _is_over(self) -> bool:
        """Whether the budget is used up, or nothing has got better for long."""
        return bool(self.history.epochs) and (self.used >= 1 or self.history.stale >= EPOCHS_TO_STOP)

    def _learn(self, counts, targets):
        """One step of the optimizer."""
        self.network.train()
        for group in self.optimizer.param_groups:
            group["lr"] = group["share"] * self.rate * schedule(self.step, self.used)
        counts = self.task.as_recorded(counts, self.step)
        with autocast(self.task.device, self.task.precision):
            answer = self.network(self._curated(counts))
        loss = self.network.loss(answer, targets.to(self.task.device))
        self.optimizer.zero_grad()
        loss.backward()
        nn.utils.clip_grad_norm_(self.network.parameters(), LARGEST_GRADIENT)
        self.optimizer.step()
        self.average.take(self.network)
        self.step += 1
        self.sums += torch.tensor([float(loss.detach()), 1.0])

    def _close_round(self) -> bool:
        """Validate and note; False if a loss is no number any more."""
        train, weights = float(self.sums[0] / self.sums[1]), self.average.weights(self.network)
        self.sums = torch.zeros(2)
        answers = self._answers(weights)
        validation = float(self.network.loss(answers, self._held_out[1]))
        if not (math.isfinite(train) and math.isfinite(validation)):
            self.history.notes.append(f"diverged at learning rate {self.rate:g} after {self.epochs:.1f} epochs")
            return False
        if self.history.add(self.epochs, train, validation):
            self.best = {name: value.detach().cpu().clone() for name, value in weights.items()}
            self.reduced_at = 0.0
        elif self.history.stale >= EPOCHS_TO_REDUCE + self.reduced_at:
            self.rate, self.reduced_at = self.rate * self.task.design.reduce_lr, self.history.stale
        return True

    def _curated(self, counts):
        """int16 travels to the device, float32 is made there."""
        return self.task.scaler.from_counts(counts.to(self.task.device))

    @torch.inference_mode()
    def _answers(self, weights, precision=None) -> torch.Tensor:
        """What a network with `weights` says of the held-out sets, (n, K) float32 on the CPU."""
        own = {name: value.clone() for name, value in self.network.state_dict().items()}
        self.network.load_state_dict(weights)
        self.network.eval()
        with autocast(self.task.device, precision or self.task.precision):
            parts = self._held_out[0].split(SETS_AT_ONCE)
            answers = torch.cat([self.network(self._curated(part)).float().cpu() for part in parts])
        self.network.load_state_dict(own)
        return answers

    def result(self) -> Trained:
        if self.best is None:
            raise EnsembleError(
                f"design {self.task.design.name}: training {', then '.join(self.history.notes)}; "
                "set a lower learning_rate in the design, or use another design"
            )
        errors = (self._answers(self.best, "f32") - self._held_out[1]).square().mean(0)
        self.network.load_state_dict(self.best)
        return Trained(self.network.cpu().eval(), self.history, errors)

    # ---- To be gone on with ----

    PLAIN = ("step", "seconds", "rate", "attempt", "reduced_at")
    reduced_at = 0.0

    def state(self) -> dict:
        """All that is needed to go on, as tensors and plain values."""
        return {
            **{name: getattr(self, name) for name in self.PLAIN},
            "network": self.network.state_dict(),
            "optimizer": self.optimizer.state_dict(),
            "average": self.average.state(),
            "sums": self.sums,
            "best": self.best,
            "history": asdict(self.history),
            "random": torch.get_rng_state(),
        }

    def load(self, kept: dict):
        for name in self.PLAIN:
            setattr(self, name, kept[name])
        self.network.load_state_dict(kept["network"])
        self.optimizer.load_state_dict(kept["optimizer"])
        self.average.load(kept["average"])
        self.sums, self.best, self.history = kept["sums"], kept["best"], History(**kept["history"])
        torch.set_rng_state(kept["random"])


def _some(corpus, pieces, most) -> tuple[torch.Tensor, torch.Tensor]:
    """Of some pieces the first ones, of `most` sets or a little fewer."""
    chosen: list[Piece] = []
    for piece in pieces:
        if chosen and count(chosen) + len(piece.rows) > most:
            break
        chosen.append(piece)
    return corpus.read(chosen)


def schedule(steps: int, used: float) -> float:
    """What the learning rate is multiplied by: a warm-up in `steps`, a cool-down in the share `used` of the budget."""
    warm = min(1.0, (steps + 1) / WARM_UP_STEPS)
    cool = min(1.0, (1 - used) / (1 - COOL_DOWN_FROM))
    return warm * max(LEAST_COOL, cool)
