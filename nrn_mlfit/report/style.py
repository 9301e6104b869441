"""What all pictures share: colours that colour-blind readers can tell apart, sober axes, complete files."""

import io
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import matplotlib
import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure, SubFigure

from nrn_mlfit import textfile
from nrn_mlfit.errors import MlfitError

FORMATS = (".png", ".pdf", ".svg")
# Okabe & Ito, "Color universal design" (2008).
BLACK, BLUE, ORANGE, GREEN, SKY, PURPLE = "#222222", "#0072B2", "#E69F00", "#009E73", "#56B4E9", "#CC79A7"
VERMILION = "#D55E00"  # kept for warnings
GREY, PALE = "#6B6B6B", "#DADADA"
WINDOW = "#FFF3CF"  # what the network sees
STYLE: dict[Any, object] = {
    "font.size": 8.5,
    "axes.titlesize": 9,
    "axes.labelsize": 8.5,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "xtick.labelsize": 8,
    "ytick.labelsize": 8,
    "legend.fontsize": 8,
    "legend.frameon": False,
    "lines.linewidth": 0.9,
    "lines.solid_joinstyle": "round",
    "figure.facecolor": "white",
    "savefig.facecolor": "white",
    "text.parse_math": False,  # a $ in a file name is no formula
    "svg.hashsalt": "nrn_mlfit",
}


def check_format(path: Path):
    """Refuse a file name that says no picture format, before anything is computed for it."""
    if Path(path).suffix.lower() not in FORMATS:
        raise MlfitError(f"{path}: a picture's name ends in {', '.join(FORMATS)}; choose one of them")


def style():
    """A `with` in which figures look like ours; matplotlib's own settings come back afterwards."""
    return matplotlib.rc_context(STYLE)


def save(figure: Figure, path: Path):
    """Write the figure at once and whole; the same figure gives the same bytes."""
    check_format(path)
    held, kind = io.BytesIO(), Path(path).suffix.lower()[1:]
    undated = {"png": None, "pdf": {"CreationDate": None}, "svg": {"Date": None}}[kind]
    figure.savefig(held, format=kind, dpi=150, metadata=undated)
    textfile.write_atomic(Path(path), held.getvalue())


def split(figure, rows: int, columns: int, **ratios) -> list[SubFigure]:
    """The parts of a figure, row by row."""
    parts = figure.subfigures(rows, columns, squeeze=False, **ratios)
    return [part for row in parts for part in row]


def times(count: int, dt: float, t0: float = 0.0):
    """The times (count,) in ms of samples `dt` ms apart, the first at t0."""
    return t0 + dt * np.arange(count)


def legend_above(axes: Axes, columns: int = 4):
    """The legend in a line over the axes' right end, where no trace runs."""
    axes.legend(loc="lower right", bbox_to_anchor=(1, 1), ncols=columns, borderaxespad=0.1, handlelength=1.4)


def voltage_labels(count: int, names: Sequence[str] = ()) -> list[str]:
    """What stands at the axes of the voltages of `count` probes: their names where they are told, else their numbers."""
    if count == 1:
        return ["voltage (mV)"]
    return [f"{name} (mV)" for name in names or [f"probe {p + 1}" for p in range(count)]]


def number(value: float) -> str:
    """A number as short as 3 digits allow: 0.0123, 15000, 2.5e-05."""
    text = f"{value:.3g}"
    return f"{value:.0f}" if "e+" in text and abs(value) < 1e7 else text


def fixed(value: float, width: float) -> str:
    """A number with as many decimals as the second digit of half an interval's width needs."""
    if not 0 < width < np.inf:
        return number(value)
    return f"{value:.{max(0, 1 - int(np.floor(np.log10(width / 2))))}f}"
