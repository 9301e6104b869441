"""The average of a network's weights over the last steps, which is better than any of them.

A running mean whose memory grows with the steps until it is that of `decay`: w <- d w + (1 - d) w_step with
d = min(decay, (1 + n) / (10 + n)) (Polyak & Juditsky, SIAM J. Control Optim. 30:838, 1992; the rise as in TensorFlow's
ExponentialMovingAverage, so that the first, bad weights are soon forgotten).
"""

import torch
from torch import nn

RISE = 10


class Average:
    """The running mean of a network's weights; with a decay of 0 the weights themselves."""

    def __init__(self, network: nn.Module, decay: float):
        self._decay, self._steps = decay, 0
        self._held = {name: value.detach().clone() for name, value in network.state_dict().items()} if decay else {}

    @torch.no_grad()
    def take(self, network: nn.Module):
        """One more step is done."""
        if not self._decay:
            return
        self._steps += 1
        decay = min(self._decay, (1 + self._steps) / (RISE + self._steps))
        for name, value in network.state_dict().items():
            if value.is_floating_point():
                self._held[name].lerp_(value, 1 - decay)
            else:
                self._held[name].copy_(value)

    def weights(self, network: nn.Module) -> dict[str, torch.Tensor]:
        """The weights to be used: the mean's, or the network's own where none is taken."""
        return self._held if self._decay else network.state_dict()

    def state(self) -> dict:
        return {"steps": self._steps, "held": self._held}

    def load(self, state: dict):
        self._steps = state["steps"]
        self._held = {name: value.to(self._held[name].device) for name, value in state["held"].items()}
