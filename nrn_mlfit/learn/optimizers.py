"""The optimizers: those of PyTorch, and Muon with AdamW.

Muon is momentum whose step is orthogonalised, so that no direction of a layer's weights learns slower than another.
Bernstein & Newhouse, "Old optimizer, new norm" (arXiv 2409.20325); Newton-Schulz iteration and its coefficients: Jordan et
al., "Muon: an optimizer for hidden layers" (2024), there also for convolutions, as matrices (out, in x kernel).
torch.optim.Muon takes matrices only.
"""

from itertools import chain

import torch

COEFFICIENTS = (3.4445, -4.7750, 2.0315)  # of X, X X^T X and (X X^T)^2 X
ITERATIONS = 5
MOMENTUM = 0.95
ADAM_SHARE = 0.15  # of the learning rate, for what is no hidden layer's matrix
PLAIN = {
    "adam": torch.optim.Adam,
    "adamw": torch.optim.AdamW,
    "nadam": torch.optim.NAdam,
    "adadelta": torch.optim.Adadelta,
}


def make_optimizer(network, rate: float, precision: str):
    """The optimizer of a network's design, at a learning rate `rate`; each group's is `rate` times its `share`."""
    design = network.design
    if design.optimizer == "muon":
        dtype = torch.bfloat16 if precision == "bf16" else torch.float32
        return MuonAndAdam(network, rate, design.weight_decay, dtype)
    decay = {"weight_decay": design.weight_decay} if design.weight_decay else {}
    return PLAIN[design.optimizer]([{"params": list(network.parameters()), "share": 1.0}], lr=rate, **decay)


class Muon(torch.optim.Optimizer):
    """Steps of one size in all directions, for weights of two or more dimensions; computed in `dtype`."""

    def __init__(self, weights: list[dict], lr: float, weight_decay: float, dtype: torch.dtype):
        super().__init__(weights, {"lr": lr, "weight_decay": weight_decay})
        self._dtype = dtype

    @torch.no_grad()
    def step(self, closure=None):
        for group in self.param_groups:
            for weight in group["params"]:
                step = orthogonal(self._direction(weight).flatten(1).to(self._dtype)).to(weight.dtype)
                wide = max(1.0, step.shape[0] / step.shape[1]) ** 0.5
                weight.mul_(1 - group["lr"] * group["weight_decay"])
                weight.add_(step.view_as(weight), alpha=-group["lr"] * wide)

    def _direction(self, weight):
        """The gradient with Nesterov's momentum."""
        state = self.state[weight]
        mean = state["mean"] = state["mean"] if state else torch.zeros_like(weight)
        mean.mul_(MOMENTUM).add_(weight.grad)
        return weight.grad + MOMENTUM * mean


def orthogonal(matrix):
    """A matrix (m, n) with the singular vectors of `matrix` and singular values near 1 (0.7 to 1.2)."""
    tall = matrix.shape[0] > matrix.shape[1]
    x = matrix.T if tall else matrix
    x = x / x.norm().clamp_min(1e-7)
    a, b, c = COEFFICIENTS
    for _ in range(ITERATIONS):
        square = x @ x.T
        x = torch.addmm(x, torch.addmm(square, square, square, beta=b, alpha=c), x, beta=a)
    return x.T if tall else x


class MuonAndAdam:
    """Muon for the matrices of hidden layers, AdamW for all else: biases, norms, the first and the last layer."""

    def __init__(self, network, lr: float, weight_decay: float, dtype: torch.dtype):
        hidden = {id(weight) for weight in network.hidden_weights()}
        matrices = [p for p in network.parameters() if id(p) in hidden]
        others = [p for p in network.parameters() if id(p) not in hidden]
        self._parts = (
            Muon([{"params": matrices, "share": 1.0}], lr, weight_decay, dtype),
            torch.optim.AdamW([{"params": others, "share": ADAM_SHARE}], ADAM_SHARE * lr, weight_decay=weight_decay),
        )

    @property
    def param_groups(self) -> list[dict]:
        return list(chain.from_iterable(part.param_groups for part in self._parts))

    def zero_grad(self):
        for part in self._parts:
            part.zero_grad()

    def step(self):
        for part in self._parts:
            part.step()

    def state_dict(self) -> list[dict]:
        return [part.state_dict() for part in self._parts]

    def load_state_dict(self, held: list[dict]):
        for part, state in zip(self._parts, held, strict=True):
            part.load_state_dict(state)
