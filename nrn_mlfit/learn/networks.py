"""The 1-D convolutional networks that map curated traces to unit parameters, and the hyper-parameter files they come from.

Plain designs: blocks of `conv_repeat` x (convolution, LeakyReLU) and one max-pooling, then `fc_dims` of (dense, LeakyReLU,
dropout), then one output a parameter through 1.2 tanh or as it is. Convolutions are unpadded, pooling drops the remainder,
nothing is normalised. Source: "Characterization of neuron physiology by regression of its time-dependent response with CNN"
(Balewski et al., NERSC/LBL, 2019). Residual designs, those with a `stem`, have another body: residual.py.
"""

from dataclasses import asdict, dataclass, fields
from pathlib import Path

import torch
from torch import nn

from nrn_mlfit import textfile
from nrn_mlfit.errors import DesignError
from nrn_mlfit.learn.layers import Conv, with_derivative
from nrn_mlfit.learn.residual import residual_body, residual_length

FOLDER = Path(__file__).parent / "designs"
# The published networks were built with Keras, whose LeakyReLU had a slope of 0.3 then (PyTorch's default is 0.01).
SLOPE = 0.3
TANH_SCALE = 1.2  # targets fill [-1, 1]; a plain tanh could only reach its ends with infinite weights
LOSSES = {"mse": nn.functional.mse_loss, "mae": nn.functional.l1_loss}
CHOICES = {
    "last_activation": ("tanh", "linear"),
    "loss": tuple(LOSSES),
    "optimizer": ("adam", "adamw", "nadam", "adadelta", "muon"),
    "norm": ("none", "batch"),
}
# The talk gives none. Keras's 0.001 learns slowly: after 13,000 traces in batches of 32 (Izhikevich cell, model1) it was at
# three times the loss of 0.003; at 0.005 design 335 hardly learns. Adadelta's is Zeiler's own (arXiv 1212.5701),
# Muon's was chosen in docs/learning.md.
LEARNING_RATES = {"adam": 0.003, "adamw": 0.002, "nadam": 0.002, "adadelta": 1.0, "muon": 0.02}


@dataclass(frozen=True)
class Design:
    """The hyper-parameters of a network and of its training; a Design that exists can be built for long enough traces."""

    name: str
    conv_filter: tuple[int, ...]
    conv_kernel: int
    conv_repeat: int
    pool_len: int
    fc_dims: tuple[int, ...]
    last_activation: str = "tanh"
    drop_frac: float = 0.02
    loss: str = "mse"
    optimizer: str = "adam"
    batch_size: int = 32
    learning_rate: float | None = None  # None: the optimizer's own of LEARNING_RATES
    reduce_lr: float = 0.3
    weight_decay: float = 0.0
    average: float = 0.0  # decay of the weights' running mean, 0 for none
    stem: tuple[int, ...] = ()  # (kernel, stride) of a residual network's first convolution; without one it is plain
    neck: int = 0  # channels that a residual network ends in, 0 for as many as it has
    norm: str = "none"  # of a residual network: batch for batch normalisation after its convolutions
    derivative: bool = False  # the differences between samples as channels of their own

    def __post_init__(self):
        for key in ("conv_filter", "fc_dims"):
            object.__setattr__(self, key, self._sizes(key))
        object.__setattr__(self, "stem", self._sizes("stem") if self.stem else ())
        self._check("stem", len(self.stem) in (0, 2), "[kernel, stride]")
        self._check("neck", self.neck == 0 or _is_size(self.neck), "a whole number, or 0")
        self._check("derivative", isinstance(self.derivative, bool), "true or false")
        for key in ("conv_kernel", "conv_repeat", "pool_len", "batch_size"):
            self._check(key, _is_size(getattr(self, key)), "a whole number above 0")
        for key, known in CHOICES.items():
            self._check(key, getattr(self, key) in known, f"one of {', '.join(known)}")
        for key, low, high in (
            ("drop_frac", 0, 0.9),
            ("rate", 1e-7, 10),
            ("reduce_lr", 0.01, 0.99),
            ("weight_decay", 0, 1),
            ("average", 0, 0.99999),
        ):
            named = "learning_rate" if key == "rate" else key
            self._check(named, _is_number(getattr(self, key), low, high), f"a number in {low:g}..{high:g}")

    @property
    def rate(self) -> float:
        """The learning rate to start with."""
        return LEARNING_RATES[self.optimizer] if self.learning_rate is None else self.learning_rate

    @property
    def guessing_loss(self) -> float:
        """The loss of the answer 0 to targets uniform in [-1, 1]: 1/3 by mse, 1/2 by mae."""
        return 1 / 3 if self.loss == "mse" else 1 / 2

    def _sizes(self, key) -> tuple[int, ...]:
        value = getattr(self, key)
        good = isinstance(value, list | tuple) and len(value) > 0 and all(map(_is_size, value))
        self._check(key, good, "a list of whole numbers above 0")
        return tuple(value)

    def _check(self, key, good, wanted):
        if not good:
            raise DesignError(f"design {self.name}: {key} is {getattr(self, key)!r}; write {wanted}")

    def pooled_length(self, length: int) -> int:
        """The samples that `length` samples come down to; raises DesignError if nothing is left."""
        if self.stem:
            return residual_length(self, length)
        left = length
        for _ in self.conv_filter:
            left = (left - self.conv_repeat * (self.conv_kernel - 1)) // self.pool_len
            if left < 1:
                raise DesignError(
                    f"design {self.name}: traces of {length} samples shrink to nothing in its {len(self.conv_filter)} blocks; "
                    "use longer traces, or a design with fewer blocks or a smaller pool_len"
                )
        return left

    def to_json(self) -> dict:
        """The design as JSON-ready values; the inverse of `make_design`."""
        return {key: list(value) if isinstance(value, tuple) else value for key, value in asdict(self).items()}


def _is_size(value) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and 0 < value <= 1_000_000


def _is_number(value, low, high) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and low <= value <= high


def shipped_designs() -> list[str]:
    """The names of the designs that come with the package."""
    return sorted(path.stem for path in FOLDER.glob("*.yaml"))


def load_design(name: str | Path) -> Design:
    """A design by its shipped name, or from the path of a hyper-parameter file; raises DesignError."""
    path = FOLDER / f"{name}.yaml" if str(name) in shipped_designs() else Path(name)
    if not path.is_file():
        raise DesignError(
            f"no design is called {str(name)!r}; there are {', '.join(shipped_designs())}, or give a file"
        )
    held = textfile.read_yaml(path, DesignError)
    if not isinstance(held, dict):
        raise DesignError(f"{path}: a design is a mapping, such as `conv_kernel: 5`")
    return make_design({"name": path.stem, **held})


def make_design(held: dict) -> Design:
    """A design from the keys of a hyper-parameter file."""
    name, known = held.get("name"), [field.name for field in fields(Design)]
    unknown, missing = sorted(set(held) - set(known)), [key for key in known[:6] if key not in held]
    if unknown:
        raise DesignError(f"design {name}: unknown key {', '.join(unknown)}; a design takes {', '.join(known)}")
    if missing:
        raise DesignError(f"design {name}: {', '.join(missing)} missing; a design needs {', '.join(known[1:6])}")
    return Design(**held)


class TraceCNN(nn.Module):
    """A `design` for traces of `channels` (P x S) rows of `length` samples, with `outputs` (K) parameters."""

    def __init__(self, design: Design, channels: int, length: int, outputs: int):
        super().__init__()
        self.design, self.channels, self.length, self.outputs = design, channels, length, outputs
        self.flat_size = design.pooled_length(length) * (design.neck or design.conv_filter[-1])
        rows = 2 * channels if design.derivative else channels
        self.body = residual_body(design, rows, SLOPE) if design.stem else self._plain_body(rows)
        self.head = nn.Sequential(*self._dense_layers())
        self.centre: torch.Tensor
        self.spread: torch.Tensor
        self.register_buffer("centre", torch.zeros(()))
        self.register_buffer("spread", torch.ones(()))
        self.apply(_initialise)
        # Start from the middle of every range, whatever the trace: the loss of guessing, 1/3, and tanh far from its ends.
        nn.init.normal_(self.last.weight, std=0.1 / self.last.in_features**0.5)

    def _plain_body(self, rows) -> nn.Sequential:
        widths = [rows, *self.design.conv_filter]
        blocks = [self._block(n_in, n_out) for n_in, n_out in zip(widths, widths[1:], strict=False)]
        return nn.Sequential(*(layer for block in blocks for layer in block))

    def _block(self, n_in, n_out) -> list[nn.Module]:
        layers: list[nn.Module] = []
        for k in range(self.design.conv_repeat):
            layers += [Conv(n_out if k else n_in, n_out, self.design.conv_kernel), nn.LeakyReLU(SLOPE)]
        # LeakyReLU rises everywhere, so it and the maximum may change places: fewer samples to rectify, the same result.
        layers.insert(-1, nn.MaxPool2d((1, self.design.pool_len)))
        return layers

    def _dense_layers(self) -> list[nn.Module]:
        layers: list[nn.Module] = []
        widths = [self.flat_size, *self.design.fc_dims]
        for n_in, n_out in zip(widths, widths[1:], strict=False):
            layers += [nn.Linear(n_in, n_out), nn.LeakyReLU(SLOPE), nn.Dropout(self.design.drop_frac)]
        return [*layers, nn.Linear(widths[-1], self.outputs)]

    @property
    def last(self) -> nn.Linear:
        """The output layer."""
        layer = self.head[-1]
        assert isinstance(layer, nn.Linear)
        return layer

    def hidden_weights(self) -> list[torch.Tensor]:
        """The weights of all layers but the first and the last one."""
        layers = [m for m in self.modules() if isinstance(m, nn.Conv1d | nn.Linear)]
        return [layer.weight for layer in layers[1:] if layer is not self.last]

    @property
    def parameter_count(self) -> int:
        """How many numbers are trained."""
        return sum(p.numel() for p in self.parameters())

    def forward(self, x):
        """Map curated traces (N, P*S, T) to unit parameters (N, K)."""
        return self.answer(self.hidden(x))

    def hidden(self, x):
        """The last hidden layer (N, D) for curated traces (N, P*S, T)."""
        return self.head[:-1](self.flat(x))

    def flat(self, x):
        """What the dense layers are given (N, F) for curated traces (N, P*S, T)."""
        x = (x - self.centre) / self.spread
        x = with_derivative(x) if self.design.derivative else x
        x = x.unsqueeze(2).contiguous(memory_format=torch.channels_last)
        return self.body(x).flatten(1)

    def answer(self, hidden):
        """Unit parameters (N, K) from the last hidden layer (N, D)."""
        x = self.last(hidden).float()
        return TANH_SCALE * torch.tanh(x) if self.design.last_activation == "tanh" else x

    def loss(self, answer, targets):
        """What an answer to training traces costs, beside their unit parameters (N, K)."""
        return LOSSES[self.design.loss](answer, targets)


def network_of(design: Design, channels: int, length: int, outputs: int) -> TraceCNN:
    """A TraceCNN that waits for its weights; the random numbers of others are left alone."""
    with torch.random.fork_rng(devices=[]):
        return TraceCNN(design, channels, length, outputs)


def _initialise(layer):
    """Weights that keep the variance through LeakyReLU (He et al., ICCV 2015, eq. 15), biases 0."""
    if isinstance(layer, nn.Conv1d | nn.Linear) and layer.bias is not None:
        nn.init.kaiming_normal_(layer.weight, a=SLOPE, nonlinearity="leaky_relu")
        nn.init.zeros_(layer.bias)


@torch.no_grad()
def settle(network: TraceCNN, x):
    """Start `network` from the batch `x` (N, P*S, T): its inputs, and every layer's outputs, get mean 0 and variance 1.

    Deep narrow networks without normalisation otherwise often start dead (all outputs alike) and stay at the loss of
    guessing. The data-dependent start is that of Mishkin & Matas, "All you need is a good init", ICLR 2016. Two fixed
    numbers centre the input: what the first convolution can express stays the same, and bf16 rounds to less of a mV.
    """
    network.centre.copy_(x.mean())
    network.spread.copy_(x.std().clamp_min(1e-3))
    layers = [m for m in network.modules() if isinstance(m, nn.Conv1d | nn.Linear) and m is not network.last]
    hooks = [layer.register_forward_hook(_standardise) for layer in layers]
    network(x)
    for hook in hooks:
        hook.remove()


def _standardise(layer, _inputs, output):
    """Change the layer so that this output would have had mean 0 and variance 1, and hand that on to the next layer."""
    others = [axis for axis in range(output.ndim) if axis != 1]
    shape = [-1 if axis == 1 else 1 for axis in range(output.ndim)]
    mean, scale = output.mean(others), 1 / output.std(others).clamp_min(1e-3)
    layer.weight.mul_(scale.view(-1, *[1] * (layer.weight.ndim - 1)))
    layer.bias.sub_(mean).mul_(scale)
    return (output - mean.view(shape)) * scale.view(shape)
