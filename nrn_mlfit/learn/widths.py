"""How large the error of an answer is likely to be, by what the members say: a small network learns it from known errors.

Its inputs are the members' mean and the logarithm of their spread, of all parameters; its outputs are the logarithms of the
errors' sizes, for which it maximises the Gaussian likelihood of the errors with the mean as given (Nix & Weigend, ICNN 1994,
eq. 4). What it says is raised to a power, one a parameter, that makes the intervals the narrowest on sets it has not learned
from: 0 makes them all of one width.
"""

from dataclasses import dataclass, replace

import numpy as np
import torch
from torch import nn

HIDDEN = 64
STEPS, BATCH, RATE, DECAY, DROPPED = 2000, 200, 3e-3, 0.05, 0.1
STEPS_A_CHECK = 100  # between two looks at what it has not learned from
FEWEST = 500  # sets to learn from; with fewer, one width for all
POWERS = (0.0, 0.25, 0.5, 0.75, 1.0)
JUDGED_BY = 0.9  # the level at which powers are compared
SMALLEST = 1e-4  # added to the spread before its logarithm, in unit parameters
FARTHEST = 4.0  # standard deviations of an input
SEED = 1


@dataclass(frozen=True, eq=False)
class Widths:
    """Inputs less `centre` over `unit` (2 K,), then layers `first` (H, 2 K + 1) and `last` (K, H + 1), whose last columns are the
    biases; `power` (K,)."""

    centre: np.ndarray
    unit: np.ndarray
    first: np.ndarray
    last: np.ndarray
    power: np.ndarray

    def of(self, answers):
        """The errors' sizes (N, K), up to a factor, for the members' answers (M, N, K)."""
        if not self.power.any():
            return np.ones(answers.shape[1:])
        return np.exp(self.power * self.logarithm(answers))

    def logarithm(self, answers):
        """The logarithm (N, K) of the errors' sizes, before the power."""
        inputs = _inputs(answers, self.centre, self.unit)
        x = inputs @ self.first[:, :-1].T + self.first[:, -1]
        return (x / (1 + np.exp(-x))) @ self.last[:, :-1].T + self.last[:, -1]


def same_for_all(parameters: int) -> Widths:
    """One width for all answers."""
    two, one = 2 * parameters, parameters
    return Widths(np.zeros(two), np.ones(two), np.zeros((1, two + 1)), np.zeros((one, 2)), np.zeros(one))


def learn_widths(answers, errors) -> Widths:
    """Widths by the absolute errors (N, K) of answers (M, N, K), of which the last fifth says when to stop, and the power."""
    count = len(errors) * 4 // 5
    if count < FEWEST:
        return same_for_all(errors.shape[1])
    raw = _raw(answers[:, :count])
    centre, unit = raw.mean(axis=0), np.maximum(raw.std(axis=0), 1e-6)
    size = np.maximum(np.sqrt((errors[:count] ** 2).mean(axis=0)), 1e-9)
    first, last = _trained(_tensor(_inputs(answers, centre, unit)), _tensor(errors / size), count)
    full = Widths(centre, unit, first, last, np.ones(errors.shape[1]))
    return replace(full, power=_power(errors[count:], full.logarithm(answers[:, count:])))


def _raw(answers):
    middle = np.clip(answers.mean(axis=0), -1, 1)
    return np.concatenate([middle, np.log(answers.std(axis=0) + SMALLEST)], axis=1)


def _inputs(answers, centre, unit):
    return np.clip((_raw(answers) - centre) / unit, -FARTHEST, FARTHEST)


def _tensor(values):
    return torch.from_numpy(np.asarray(values, np.float32))


def _trained(inputs, errors, count):
    """The layers of the network that has learned from the first `count` sets and is the best on the others."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(SEED)
        first, last = nn.Linear(inputs.shape[1], HIDDEN), nn.Linear(HIDDEN, errors.shape[1])
        network = nn.Sequential(first, nn.SiLU(), nn.Dropout(DROPPED), last)
        for start in (last.weight, last.bias):
            nn.init.zeros_(start)
        optimizer = torch.optim.AdamW(network.parameters(), RATE, weight_decay=DECAY)
        best, kept = float("inf"), None
        for step in range(STEPS):
            if step % STEPS_A_CHECK == 0:
                loss = _surprise(network.eval(), inputs[count:], errors[count:])
                network.train()
                if loss < best:
                    best, kept = loss, [_with_bias(layer) for layer in (first, last)]
            rows = torch.randint(count, (BATCH,))
            optimizer.zero_grad()
            _loss(network(inputs[rows]), errors[rows]).backward()
            optimizer.step()
    return kept


def _loss(logarithm, errors):
    """-log of the Gaussian likelihood, but for a constant."""
    return (0.5 * errors**2 * torch.exp(-2 * logarithm) + logarithm).mean()


@torch.no_grad()
def _surprise(network, inputs, errors) -> float:
    return float(_loss(network(inputs), errors))


def _with_bias(layer):
    return torch.cat([layer.weight, layer.bias[:, None]], dim=1).detach().double().numpy()


def _power(errors, logarithm):
    """The power (K,) with which intervals that hold so many of the errors (n, K) are the narrowest on average."""
    sizes = np.exp(np.multiply.outer(np.array(POWERS), logarithm))  # (C, n, K)
    widths = np.quantile(errors / sizes, JUDGED_BY, axis=1) * sizes.mean(axis=1)
    return np.array(POWERS)[np.argmin(widths, axis=0)]
