"""Layers that the networks share."""

import torch
import torch.nn.functional as F
from torch import nn


class Conv(nn.Conv1d):
    """A Conv1d over (N, C, 1, T) in channels-last memory: the same numbers, on CPUs 2 to 3 times as fast as (N, C, T)."""

    def forward(self, x):
        # .to(), not .contiguous(): for one channel the latter keeps strides that do not say channels-last.
        weight = self.weight.unsqueeze(2).to(memory_format=torch.channels_last)
        return F.conv2d(x, weight, self.bias, (1, self.stride[0]), (0, int(self.padding[0])))


def with_derivative(x):
    """Traces (N, C, T) with the differences of their samples below them, (N, 2 C, T), made as large as the traces are."""
    return torch.cat([x, DERIVATIVE_SCALE * F.pad(x[..., 1:] - x[..., :-1], (1, 0))], 1)


DERIVATIVE_SCALE = 10.0
