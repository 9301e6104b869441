"""A fit on one page: recording and fitted cell, their difference, and where each value lies in its range."""

import textwrap
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from nrn_mlfit.parameters import share_of_range
from nrn_mlfit.report.style import (
    BLACK,
    BLUE,
    GREY,
    PALE,
    SKY,
    VERMILION,
    fixed,
    legend_above,
    number,
    save,
    split,
    style,
    times,
    voltage_labels,
)

WARNINGS, DISAGREEMENT = "warnings", "disagreement"
RECORDING: dict[str, Any] = {"color": BLACK, "linewidth": 1.9}  # below, and
FITTED: dict[str, Any] = {"color": SKY, "linewidth": 0.8}  # above it: where they are equal both are seen
MOST_STIMULI = 3  # side by side; more would be too narrow to read
FEWEST_ROWS = 8  # so that a few bars stand together instead of drifting apart
MOST_LETTERS = 40  # of name and value over a bar; more are written smaller
OVER_LEGEND = 18  # points that a title lies above a legend
LOW, HIGH = 0.17, 0.83  # where a range begins and ends across the panel of values


def fit_picture(
    path: Path,
    title: str,
    recorded,
    simulated,
    currents,
    dt: float,
    t0: float,
    values: list[dict],
    verdict: str,
    numbers: Mapping[str, str | Sequence[str]],
    current_unit: str = "nA",
    probes: Sequence[str] = (),
):
    """Draw a fit into `path` (.png, .pdf or .svg).

    `recorded` and `simulated` are (P, S, T) in mV (`simulated` None: not re-simulated), `currents` (S, T) in
    nA, `dt` and `t0` (the first sample's time) in ms. Each of `values` has name, value, low, high, unit, spread,
    scale, and truth or None. `numbers` maps what was measured to its text or lines, such as {"rms": "3.2 mV"}; the lines
    of "warnings" go with the verdict, those of "disagreement" below it. `current_unit` is "" for a current without one. `probes`
    names the recording sites.
    """
    recorded, currents = np.asarray(recorded, float), np.atleast_2d(currents)
    simulated = None if simulated is None else np.asarray(simulated, float)
    told, apart = _told(verdict, numbers), _wrapped(numbers.get(DISAGREEMENT, ()))
    top = 0.7 + 0.19 * (len(told) + len(apart))
    width, height = _size(recorded.shape, len(values))
    with style():
        figure = Figure(figsize=(width, top + height), layout="constrained")
        head, body = split(figure, 2, 1, height_ratios=[top, height])
        _head(head, top, title, told, apart, numbers)
        left, right = split(body, 1, 2, width_ratios=[1.75, 1])
        axes = _traces(left, recorded, simulated, currents, times(recorded.shape[-1], dt, t0))
        _label(axes, recorded.shape, simulated is not None, current_unit, probes)
        _values(right.subplots(), values)
        save(figure, path)


def _size(shape, count) -> tuple[float, float]:
    """Inches of what stands below the head: A4 across, taller for many probes or parameters."""
    return 11.7, max(6.9, 2.9 + 2.2 * shape[0], 1.0 + 0.42 * count)


def _head(head, top, title, told, apart, numbers):
    """Title, verdict, what does not agree and numbers as text from the top down; `top` is the head's height in inches."""
    warns = any("out of range" in line.lower() for line in told)
    colour, weight = (VERMILION, "bold") if warns else (BLACK, "normal")
    head.text(0.012, 1 - 0.1 / top, title, fontsize=14, weight="bold", va="top", color=BLACK)
    head.text(0.012, 1 - 0.42 / top, "\n".join(told), fontsize=10, va="top", color=colour, weight=weight)
    below = 1 - (0.42 + 0.19 * len(told)) / top
    head.text(0.012, below, "\n".join(apart), fontsize=10, va="top", color=VERMILION, weight="bold")
    rest = {name: held for name, held in numbers.items() if name not in (WARNINGS, DISAGREEMENT)}
    measured = "     ".join(line for name, held in rest.items() for line in _lines(name, held))
    head.text(0.012, 0.22 / top, measured, fontsize=9.5, va="top", color=GREY)


def _told(verdict, numbers) -> list[str]:
    """The verdict and its reasons as few lines as hold them."""
    return _wrapped([verdict, *numbers.get(WARNINGS, ())])


def _wrapped(parts) -> list[str]:
    text = "; ".join(parts)
    return textwrap.wrap(textwrap.shorten(text, 500, placeholder=" ..."), 125)


def _lines(name, held) -> list[str]:
    return [f"{name} {held}"] if isinstance(held, str) else list(held)


def _traces(figure, recorded, simulated, currents, time):
    """A column a stimulus: from the top an overlay a probe, the first probe's difference, the current."""
    probes, stimuli = recorded.shape[0], min(recorded.shape[1], MOST_STIMULI)
    rows = [3.0] * probes + ([1.4] if simulated is not None else []) + [1.1]
    axes = figure.subplots(len(rows), stimuli, sharex=True, sharey="row", height_ratios=rows, squeeze=False)
    for s in range(stimuli):
        for p in range(probes):
            _overlay(axes[p, s], time, recorded[p, s], None if simulated is None else simulated[p, s])
        if simulated is not None:
            _difference(axes[-2, s], time, simulated[0, s] - recorded[0, s])
        axes[-1, s].plot(time, currents[s], color=GREY)
        axes[-1, s].set_xlabel("time (ms)")
        axes[-1, s].margins(x=0.01)
    legend_above(axes[0, stimuli - 1])
    return axes


def _overlay(axes: Axes, time, recorded, simulated):
    axes.plot(time, recorded, **RECORDING, label="recording")
    if simulated is not None:
        axes.plot(time, simulated, **FITTED, label="fitted cell in NEURON")


def _difference(axes: Axes, time, difference):
    axes.axhline(0, color=PALE, linewidth=0.8)
    axes.plot(time, difference, color=BLUE, linewidth=0.7)


def _label(axes, shape, has_difference, current_unit, probes):
    labels, stimuli = voltage_labels(shape[0], probes), shape[1]
    for p, label in enumerate(labels):
        axes[p, 0].set_ylabel(label)
    if has_difference:
        axes[-2, 0].set_ylabel("difference (mV)" if len(labels) == 1 else f"difference,\n{labels[0]}")
    axes[-1, 0].set_ylabel(f"stimulus ({current_unit})" if current_unit else "stimulus")
    if stimuli > 1:
        for s in range(axes.shape[1]):
            axes[0, s].set_title(f"stimulus {s + 1} of {stimuli}", loc="left", pad=OVER_LEGEND)


def _values(axes: Axes, values):
    """A bar a parameter: range in grey, fitted value with its intervals in blue, truth as a black mark."""
    axes.set(xlim=(0, 1), ylim=(max(len(values), FEWEST_ROWS) - 0.4, -0.75))
    axes.axis("off")
    for row, value in enumerate(values):
        _bar(axes, row, value)
    _legend(axes, any(v.get("truth") is not None for v in values))


def _bar(axes: Axes, row, held):
    axes.plot([LOW, HIGH], [row, row], color=PALE, linewidth=7, solid_capstyle="butt", zorder=1)
    axes.plot(_ends(held, "90"), [row, row], color=SKY, linewidth=7, solid_capstyle="butt", zorder=2)
    axes.plot(_ends(held, "68"), [row, row], color=BLUE, linewidth=2.5, solid_capstyle="butt", zorder=3)
    axes.plot(_place(held, held["value"]), row, "o", color=BLUE, markersize=6, zorder=4)
    if held.get("truth") is not None:
        axes.plot(_place(held, held["truth"]), row, "|", color=BLACK, markersize=15, markeredgewidth=1.8, zorder=5)
    axes.text(LOW - 0.02, row, number(held["low"]), ha="right", va="center", fontsize=7.5, color=GREY)
    axes.text(HIGH + 0.02, row, number(held["high"]), ha="left", va="center", fontsize=7.5, color=GREY)
    axes.text(LOW, row - 0.27, held["name"], ha="left", va="bottom", fontsize=9, weight="bold", color=BLACK)
    words = _words(held)
    size = 8.5 * min(1.0, MOST_LETTERS / (len(held["name"]) + len(words)))
    axes.text(HIGH, row - 0.27, words, ha="right", va="bottom", fontsize=size, color=BLACK)


def _ends(held, level):
    """The two ends of an interval, inside the range."""
    return [np.clip(_place(held, held[f"{side}{level}"]), LOW, HIGH) for side in ("lo", "hi")]


def _place(held, value) -> float:
    """Where a value lies across the panel; beyond the range only as far as the panel goes."""
    fraction = share_of_range(value, held["low"], held["high"], held.get("scale", "linear"))
    return float(np.clip(LOW + fraction * (HIGH - LOW), 0.02, 0.98))


def _words(held) -> str:
    """Value and 68 % interval with as many decimals as the second digit of half its width needs."""
    value, low, high = (fixed(held[key], held["hi68"] - held["lo68"]) for key in ("value", "lo68", "hi68"))
    between = f"({low} to {high}) " if 0 < held["hi68"] - held["lo68"] < np.inf else ""
    return f"{value} {between}{held['unit']}".rstrip()


def _legend(axes: Axes, has_truth):
    axes.plot([], [], "o-", color=BLUE, linewidth=2, label="fitted, 68% interval")
    axes.plot([], [], color=SKY, linewidth=7, solid_capstyle="butt", label="90% interval")
    if has_truth:
        axes.plot([], [], "|", color=BLACK, markersize=11, markeredgewidth=1.8, linestyle="none", label="true value")
    axes.plot([], [], color=PALE, linewidth=7, solid_capstyle="butt", label="range")
    axes.legend(
        loc="lower center",
        bbox_to_anchor=(0.5, 1.0),
        ncols=2,
        borderaxespad=0.1,
        handlelength=1.4,
        columnspacing=1,
    )
