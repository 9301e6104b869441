"""The drift picture: spikes, and each parameter with its intervals in its range, against time."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from textwrap import wrap

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator, NullFormatter

from nrn_mlfit.fit import Value
from nrn_mlfit.report.style import BLACK, BLUE, GREY, SKY, VERMILION, number, save, style

FEWEST_IN_A_COLUMN = 4  # more panels go side by side
LETTERS = 12  # of the title, an inch
TIME = "time (min)"  # the axis; others count
MOST_WHOLE = 12  # sweeps; more are drawn thinner


def drift_picture(
    path: Path,
    title: str,
    times: Sequence[float] | np.ndarray,
    axis: str,
    values: Sequence[Sequence[Value]],
    outside: Sequence[bool] | np.ndarray,
    spikes: Sequence[tuple[int, int]],
    said: Mapping[str, str],
):
    """Draw N sweeps into `path` (.png, .pdf or .svg) at `times` (N,), which the `axis` names.

    `values` are the K parameters of each, drawn where the ensemble's answer is, `outside` (N,) which are out of range, `spikes`
    those of recording and fitted cell, `said` what is told beside a parameter's name.
    """
    parameters = list(zip(*values, strict=True))
    columns = min(3, -(-len(parameters) // FEWEST_IN_A_COLUMN))
    rows = -(-len(parameters) // columns)
    with style():
        width = 3.5 + 3.5 * columns
        figure = Figure(figsize=(width, 1.8 + 1.5 * (rows + 1)), layout="constrained")
        lines = [part for line in title.splitlines() for part in wrap(line, int(LETTERS * width))]
        figure.suptitle("\n".join(lines), x=0.01, ha="left", fontsize=10, color=BLACK)
        grid = figure.add_gridspec(rows + 1, columns)
        top = figure.add_subplot(grid[0, :])
        _spikes(top, times, spikes)
        for k, held in enumerate(parameters):
            axes = figure.add_subplot(grid[1 + k // columns, k % columns], sharex=top)
            _parameter(axes, times, held, np.asarray(outside), said.get(held[0].name, ""))
            lowest = k + columns >= len(parameters)
            axes.tick_params(labelbottom=lowest)
            axes.set_xlabel(axis if lowest else "")
        if axis != TIME:
            top.xaxis.set_major_locator(MaxNLocator(integer=True))
        figure.legend(loc="outside lower center", ncols=5, handlelength=1.4)
        save(figure, path)


def _spikes(axes: Axes, times, spikes):
    recorded, simulated = zip(*spikes, strict=True)
    axes.plot(times, recorded, "o-", color=BLACK, markersize=4, label="recording")
    axes.plot(times, simulated, "x", color=BLUE, markersize=6, label="fitted cell")
    axes.set_ylabel("spikes")
    axes.set_ylim(bottom=min(0, *axes.get_ylim()))
    axes.plot([], [], "o-", color=BLUE, linewidth=2.5, markersize=5, label="fitted, 68% interval")
    axes.plot([], [], color=SKY, linewidth=7, solid_capstyle="butt", label="90% interval")
    axes.plot([], [], "o", color=VERMILION, fillstyle="none", markersize=5, label="sweep out of range")


def _parameter(axes: Axes, times, held, outside, said):
    """One parameter in all sweeps; its range is the axis."""
    first = held[0]
    ends = {name: np.array([getattr(value, name) for value in held]) for name in ("lo90", "hi90", "lo68", "hi68")}
    middle = np.array([value.of_ensemble for value in held])
    thick = min(1.0, MOST_WHOLE / len(held))
    axes.vlines(times, ends["lo90"], ends["hi90"], color=SKY, linewidth=7 * thick)
    for which, color, kind in ((~outside, BLUE, "full"), (outside, VERMILION, "none")):
        if not np.any(which):  # an empty line on a log axis has no extent if not clipped, and no layout is found
            continue
        at = np.asarray(times)[which]
        axes.vlines(at, ends["lo68"][which], ends["hi68"][which], color=color, linewidth=2.5 * thick)
        axes.plot(at, middle[which], "o", color=color, fillstyle=kind, markersize=5 * thick, clip_on=False)
    axes.set_yscale(first.scale)
    axes.set_ylim(first.low, first.high)
    if first.scale == "log":
        ticks = [first.low, np.sqrt(first.low * first.high), first.high]
        axes.set_yticks(ticks, [number(tick) for tick in ticks])
        axes.yaxis.set_minor_formatter(NullFormatter())
    axes.set_title(first.name, loc="left", weight="bold", color=BLACK)
    axes.set_title(said, loc="right", color=GREY, fontsize=8)
    if first.unit:
        axes.set_ylabel(first.unit)
