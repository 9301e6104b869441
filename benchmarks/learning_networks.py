"""Candidates of learning.py that are not in the package: other bodies, other inputs, another loss, other curations."""

from dataclasses import dataclass, field
from functools import partial

import numpy as np
import torch
import torch.nn.functional as F
from features import features_of, spike_columns
from torch import nn

from nrn_mlfit.learn.layers import Conv
from nrn_mlfit.learn.networks import SLOPE, TraceCNN, load_design, make_design
from nrn_mlfit.learn.scaling import PUBLISHED_FLOOR, TraceScaler, fit_scaler

BETA = 0.5
SPIKES = 16  # of a trace, whose times and shapes are inputs; half of mainen's traces have more than 14
GAIN = 0.5  # of a branch at the start, as in residual.py
EXPANSION = 4
LARGEST_SIDE = 5.0  # standard deviations, of a side input


@dataclass(frozen=True)
class Candidate:
    """A shipped design, what is changed in it, what makes its network, and the scaler in place of the fitted one.

    `make(counts, scaler, dt)` of a sample of traces is what Task.make should be.
    """

    base: str = "residual"
    change: dict = field(default_factory=dict)
    make: object = None
    scaler: TraceScaler | None = None

    def design(self, name):
        return make_design({**load_design(self.base).to_json(), "name": name, **self.change})

    def of(self, counts, dt):
        """(scaler, what makes the network), given some training traces (n, P*S, T) of int16 counts."""
        scaler = self.scaler or fit_scaler(counts)
        return scaler, self.make(scaler.from_counts(counts), scaler, dt) if self.make else TraceCNN


# ---- Inputs beside the trace ----


class Sides:
    """Hand-made features of curated traces, standardised by those of a sample; 0, the mean, for what is not there."""

    def __init__(self, x, scaler, dt, columns=None):
        self._floor, self._dt, self._columns = scaler.floor, dt, columns
        held = np.ma.masked_invalid(np.concatenate([self._features(part) for part in x.split(256)]))
        self._mean, self._sd = held.mean(axis=0).filled(0), held.std(axis=0).filled(1).clip(1e-6)

    def _features(self, x):
        """(N, P*S F) of curated traces (N, P*S, T), not standardised."""
        volts = torch.pow(10.0, x).add_(self._floor - 1).numpy()
        rows = [features_of(volts[:, k], self._dt, SPIKES) for k in range(volts.shape[1])]
        return np.concatenate([row if self._columns is None else row[:, self._columns] for row in rows], axis=1)

    def __call__(self, x):
        held = np.nan_to_num((self._features(x) - self._mean) / self._sd).clip(-LARGEST_SIDE, LARGEST_SIDE)
        return torch.from_numpy(held.astype(np.float32))

    def __len__(self):
        return len(self._mean)


class Beside(TraceCNN):
    """A network whose dense layers see `sides` of the trace, too."""

    def __init__(self, design, channels, length, outputs, sides):
        super().__init__(design, channels, length, outputs)
        self._sides = sides
        self.head[0] = nn.Linear(self.flat_size + len(sides), design.fc_dims[0])
        nn.init.kaiming_normal_(self.head[0].weight, a=SLOPE, nonlinearity="leaky_relu")
        nn.init.zeros_(self.head[0].bias)

    def flat(self, x):
        return torch.cat([super().flat(x), self._sides(x)], 1)


def beside(x, scaler, dt, columns=None):
    return partial(Beside, sides=Sides(x, scaler, dt, columns))


# ---- Another loss ----


class WithVariance(TraceCNN):
    """Answers means and, while it learns, variances: (N, 2 K) in place of (N, K)."""

    def __init__(self, design, channels, length, outputs):
        super().__init__(design, channels, length, 2 * outputs)

    def answer(self, hidden):
        mean, variance = super().answer(hidden).chunk(2, 1)
        return torch.cat([mean, F.softplus(variance) + 1e-6], 1) if self.training else mean

    def loss(self, answer, targets):
        """beta-NLL; of means alone, by which weights are chosen, the mean square error."""
        return beta_nll(*answer.chunk(2, 1), targets) if self.training else super().loss(answer, targets)


def beta_nll(mean, variance, targets, beta=BETA):
    """Seitzer et al., "On the pitfalls of heteroscedastic uncertainty estimation" (ICLR 2022), eq. 5, without its constant."""
    nll = 0.5 * ((targets - mean).square() / variance + variance.log())
    return (variance.detach() ** beta * nll).mean()


# ---- Another body ----


class DepthConv(Conv):
    """A convolution of each channel by itself."""

    def __init__(self, channels, kernel):
        nn.Conv1d.__init__(self, channels, channels, kernel, padding=kernel // 2, groups=channels)

    def forward(self, x):
        return F.conv2d(x, self.weight.unsqueeze(2), self.bias, padding=(0, self.padding[0]), groups=self.groups)


class ChannelNorm(nn.LayerNorm):
    """Layer normalisation of (N, C, 1, T) over its channels, which lie side by side in channels-last memory."""

    def forward(self, x):
        return super().forward(x.permute(0, 2, 3, 1)).permute(0, 3, 1, 2)


class NextBlock(nn.Module):
    """Depthwise convolution, normalisation, expansion, GELU and contraction beside a shortcut: Liu et al., "A ConvNet for
    the 2020s" (CVPR 2022), figure 4, in one dimension."""

    def __init__(self, channels, kernel):
        super().__init__()
        wide = EXPANSION * channels
        self.branch = nn.Sequential(
            DepthConv(channels, kernel),
            ChannelNorm(channels),
            Conv(channels, wide, 1),
            nn.GELU(),
            Conv(wide, channels, 1),
        )
        self.gain = nn.Parameter(torch.full((channels, 1, 1), GAIN))

    def forward(self, x):
        return x + self.gain * self.branch(x)


class NextCNN(TraceCNN):
    """The stem, the stages and the neck of a residual design, made of ConvNeXt's blocks."""

    def __init__(self, design, channels, length, outputs):
        super().__init__(design, channels, length, outputs)
        kernel, stride = design.stem
        widths, rows = design.conv_filter, 2 * channels if design.derivative else channels
        layers = [Conv(rows, widths[0], kernel, stride, kernel // 2), ChannelNorm(widths[0])]
        for n_in, n_out in zip(widths, widths[1:], strict=False):
            layers += [ChannelNorm(n_in), Conv(n_in, n_out, 3, design.pool_len, 1)]
            layers += [NextBlock(n_out, design.conv_kernel) for _ in range(design.conv_repeat)]
        layers += [ChannelNorm(widths[-1]), Conv(widths[-1], design.neck, 1), nn.GELU()]
        self.body = nn.Sequential(*layers)

    def hidden_weights(self):
        """As for others, but a kernel of one channel is no matrix between channels."""
        alone = {id(layer.weight) for layer in self.modules() if isinstance(layer, DepthConv)}
        return [weight for weight in super().hidden_weights() if id(weight) not in alone]


# ---- Another curation ----


class Millivolts(TraceScaler):
    """No logarithm."""

    def from_millivolts(self, volts):
        return volts.float()


def plain(network):
    return lambda x, scaler, dt: network


def changed(**change):
    return Candidate(change=change)


CANDIDATES = {
    "golden203, batch 16": Candidate("golden203"),
    "golden203, batch 64": Candidate("golden203", {"batch_size": 64}),
    "residual": Candidate(),
    "features beside": Candidate(make=beside),
    "spike times beside": Candidate(make=partial(beside, columns=spike_columns(SPIKES))),
    "beta-NLL": Candidate(make=plain(WithVariance)),
    "ConvNeXt": Candidate(change={"conv_kernel": 7}, make=plain(NextCNN)),
    "ConvNeXt, two blocks a stage": Candidate(change={"conv_kernel": 7, "conv_repeat": 2}, make=plain(NextCNN)),
    "floor -80 mV": Candidate(scaler=TraceScaler(PUBLISHED_FLOOR)),
    "linear mV": Candidate(scaler=Millivolts()),
    "AdamW": changed(optimizer="adamw", batch_size=64),
    "no normalisation": changed(norm="none"),
    "no derivative": changed(derivative=False),
    "1.2 tanh": changed(last_activation="tanh"),
    "batch 64": changed(batch_size=64),
    "batch 256": changed(batch_size=256),
    "rate 0.01": changed(learning_rate=0.01),
    "rate 0.04": changed(learning_rate=0.04),
    "stem 15/5": changed(stem=[15, 5]),
    "stem 41/20": changed(stem=[41, 20], conv_filter=[64, 64, 96, 128, 160]),
    "64 channels first": changed(conv_filter=[64, 64, 96, 128, 160]),
    "32 to 160 channels": changed(conv_filter=[32, 48, 64, 96, 128, 160]),
    "32 to 256 channels": changed(conv_filter=[32, 64, 96, 128, 192, 256]),
    "16 to 96 channels": changed(conv_filter=[16, 24, 32, 48, 64, 96]),
    "two blocks a stage": changed(conv_repeat=2),
    "kernel 3": changed(conv_kernel=3),
    "kernel 7": changed(conv_kernel=7),
    "neck 64, head 512": changed(neck=64, fc_dims=[512]),
}
