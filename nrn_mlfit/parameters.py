"""Parameters of a cell: ranges, units, and draws that depend on (seed, index) alone."""

import re
from dataclasses import dataclass

import numpy as np

from nrn_mlfit.errors import ParameterError

SCALES = ("linear", "log")
ITSELF = ("",)  # what `sets` is where nothing is said: the parameter's name
NAME = re.compile(r"[A-Za-z_][\w.@]*(\(\))?")


@dataclass(frozen=True)
class Parameter:
    """One number of a cell that may vary.

    `sets` names what it sets in the cell: `gbar_na.somatic` (a range variable in every section of a public
    SectionList), `L.all*` (as a factor), `a@cell` (a variable of a public point process), `set_rm()` (a public procedure of
    the template) or a condition of the run such as `celsius`. `g_pas.all = 1/rm` sets it to a formula (`formulas`), of this
    and other parameters; without any entry it only has a part in formulas.
    """

    name: str
    low: float
    high: float
    unit: str = ""
    scale: str = "linear"
    sets: tuple[str, ...] = ITSELF

    def __post_init__(self):
        shown = f"[{self.low:g}, {self.high:g}] {self.unit}".strip()
        if not NAME.fullmatch(self.name):
            raise ParameterError(
                f"{self.name!r}: a parameter's name is letters, digits, _ and dots, as in gbar_na.somatic"
            )
        if self.scale not in SCALES:
            raise ParameterError(f"{self.name}: scale is {self.scale!r}; write one of {', '.join(SCALES)}")
        if not np.isfinite([self.low, self.high]).all() or self.low >= self.high:
            raise ParameterError(f"{self.name}: the range {shown} is empty or upside down; write low < high")
        if self.scale == "log" and self.low <= 0:
            raise ParameterError(f"{self.name}: a log range needs 0 < low < high, got {shown}")
        if self.sets == ITSELF:
            object.__setattr__(self, "sets", (self.name,))


@dataclass(frozen=True)
class Fixed:
    """A parameter that is known: held at `value`, in its own unit. `at` is its place among all those of its cell."""

    parameter: Parameter
    value: float
    at: int

    def __post_init__(self):
        p = self.parameter
        if not p.low <= self.value <= p.high:
            unit = f" {p.unit}" if p.unit else ""
            raise ParameterError(
                f"{p.name}: cannot be fixed at {self.value:g}{unit}, as its range is {p.low:g} to {p.high:g}{unit}; take a "
                "value inside, or give it another range in a cell file of your own"
            )


@dataclass(frozen=True)
class ParameterSpace:
    """The K parameters of a cell, in order, with the maps between physical values and unit_par in [-1, 1]."""

    parameters: tuple[Parameter, ...]

    def __post_init__(self):
        names = self.names
        if not names:
            raise ParameterError("a cell needs at least one parameter; add one under `parameters:`")
        twice = sorted({name for name in names if names.count(name) > 1})
        if twice:
            raise ParameterError(f"{', '.join(twice)}: given twice; a parameter's name must be its own")

    def __len__(self) -> int:
        return len(self.parameters)

    @property
    def names(self) -> list[str]:
        return [p.name for p in self.parameters]

    @property
    def units(self) -> list[str]:
        return [p.unit for p in self.parameters]

    def to_phys(self, unit_par):
        """Map unit_par (N, K) in [-1, 1] to phys_par (N, K), each column in its parameter's unit."""
        fraction = (np.asarray(unit_par, float) + 1) / 2
        low, high, log = self._ends()
        value = low + fraction * (high - low)
        return np.where(log, np.exp(np.where(log, value, 0.0)), value)

    def to_unit(self, phys_par):
        """Map phys_par (N, K) to unit_par (N, K); the inverse of `to_phys`."""
        low, high, log = self._ends()
        phys = np.asarray(phys_par, float)
        value = np.where(log, np.log(np.where(log, np.maximum(phys, 1e-300), 1.0)), phys)
        return 2 * (value - low) / (high - low) - 1

    def draw(self, seed: int, first: int, count: int):
        """unit_par (count, K), uniform in [-1, 1), of the sets first .. first+count-1.

        Row i depends on (seed, first + i) only: each set has its own counter-based stream (Philox; Salmon et al.,
        SC11), so any rank, order or resume draws the same.
        """
        rows = [_uniform(seed, first + i, len(self)) for i in range(count)]
        return np.array(rows).reshape(count, len(self))

    def _ends(self):
        log = np.array([p.scale == "log" for p in self.parameters])
        ends = np.array([[p.low, p.high] for p in self.parameters], float)
        ends[log] = np.log(ends[log])
        return ends[:, 0], ends[:, 1], log


def share_of_range(value: float, low: float, high: float, scale: str = "linear") -> float:
    """Where a value lies in a range: 0 at its low end, 1 at its high end, beyond them outside."""
    if scale == "log":
        value, low, high = (float(np.log(max(x, 1e-300))) for x in (value, low, high))
    return (value - low) / (high - low)


def plain_unit(unit: str) -> str:
    """A unit without the marks that its writers put in differently: mho/cm^2 and mho/cm2, (1/ms) and /ms."""
    plain = re.sub(r"[ ^*()-]", "", unit.replace("µ", "u").lower())
    return plain.removeprefix("1") if plain.startswith("1/") else plain


def _uniform(seed: int, index: int, count: int):
    stream = np.random.Philox(key=seed, counter=[0, 0, index, 0])
    return np.random.Generator(stream).uniform(-1, 1, count)
