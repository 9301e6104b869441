"""A residual body for traces: a strided stem, then stages of two convolutions with a shortcut, each at half the samples.

He et al., "Deep residual learning for image recognition" (CVPR 2016), in one dimension, with the shortcut of the later
"bag of tricks" (He et al., CVPR 2019, figure 2c): an average over the samples that a stride passes by, then a 1 x 1
convolution.
"""

import torch
import torch.nn.functional as F
from torch import nn

from nrn_mlfit.learn.layers import Conv

GAIN = 0.5  # of a branch at the start: a sum of many equal branches would grow from stage to stage


class Block(nn.Module):
    """Two convolutions beside a shortcut; the first one takes every `stride`-th sample."""

    def __init__(self, n_in: int, n_out: int, kernel: int, stride: int, slope: float, norm: str):
        super().__init__()
        self.stride, self.slope = stride, slope
        self.first = Conv(n_in, n_out, kernel, stride, kernel // 2)
        self.second = Conv(n_out, n_out, kernel, 1, kernel // 2)
        self.first_norm, self.second_norm = _norm(norm, n_out), _norm(norm, n_out)
        self.shortcut = Conv(n_in, n_out, 1) if (stride, n_in) != (1, n_out) else nn.Identity()
        self.gain = nn.Parameter(torch.tensor(GAIN))

    def forward(self, x):
        y = F.leaky_relu(self.first_norm(self.first(x)), self.slope)
        y = self.second_norm(self.second(y))
        if self.stride > 1:
            x = F.avg_pool2d(x, (1, self.stride), ceil_mode=True)
        return F.leaky_relu(self.gain * y + self.shortcut(x)[..., : y.shape[-1]], self.slope)


def residual_body(design, channels: int, slope: float) -> nn.Sequential:
    """The stem, the stages and the neck of a residual design, for traces of `channels` rows."""
    kernel, stride = design.stem
    widths = design.conv_filter
    stem = Conv(channels, widths[0], kernel, stride, kernel // 2)
    layers: list[nn.Module] = [stem, _norm(design.norm, widths[0]), nn.LeakyReLU(slope)]
    for n_in, n_out in zip(widths, widths[1:], strict=False):
        layers.append(Block(n_in, n_out, design.conv_kernel, design.pool_len, slope, design.norm))
        layers += [
            Block(n_out, n_out, design.conv_kernel, 1, slope, design.norm) for _ in range(design.conv_repeat - 1)
        ]
    if design.neck:
        layers += [Conv(widths[-1], design.neck, 1), nn.LeakyReLU(slope)]
    return nn.Sequential(*layers)


def _norm(kind: str, channels: int) -> nn.Module:
    return nn.BatchNorm2d(channels) if kind == "batch" else nn.Identity()


def residual_length(design, length: int) -> int:
    """The samples that `length` samples come down to."""
    strides = [design.stem[1], *[design.pool_len] * (len(design.conv_filter) - 1)]
    for stride in strides:
        length = (length - 1) // stride + 1
    return length
