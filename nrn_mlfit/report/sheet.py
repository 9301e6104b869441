"""All sweeps of a recording on one sheet: voltage above, current below, a colour a sweep."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from matplotlib import colormaps
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from nrn_mlfit.report.style import GREY, ORANGE, PURPLE, SKY, VERMILION, save, style, times

MOST_SWEEPS = 50  # on one sheet
ROWS = 6  # of panels below each other; more sweeps make more columns
MOST_POINTS = 4000  # across a panel; of more samples the extremes are drawn
COLOURS = "viridis"  # its yellow end is too pale for a line on white
OTHERS = (ORANGE, SKY, PURPLE)  # probes but the first, which has the sweep's colour
LAST_TICK = 0.2  # inches for half of it, right of the last column
DARKEST, PALEST = 0.0, 0.85


def sheet_picture(path: Path, title: str, sweeps: Sequence[dict]):
    """Draw sweeps into `path` (.png, .pdf or .svg), each a pair of panels.

    Each of `sweeps` has number, volts (T,) mV, or (P, T) of several probes, currents (T,) pA or None, dt ms, caption, and fails
    (why it is not good enough to fit; empty if it is). Scales are shared, so that sweeps can be compared by eye.
    """
    shown = list(sweeps[:MOST_SWEEPS])
    columns = max(1, -(-len(shown) // ROWS))
    rows = -(-len(shown) // columns)
    with style():
        size = max(8.27, 4.4 * columns), 1.3 + 1.95 * rows
        figure = Figure(figsize=size)
        figure.set_layout_engine("constrained", rect=(0, 0, 1 - LAST_TICK / size[0], 1))
        left_out = len(sweeps) - len(shown)
        more = f"   (the first {len(shown)}; {left_out} more)" if left_out else ""
        figure.suptitle(title + more, x=0.01, ha="left", fontsize=12, weight="bold")
        ratios = [2.6, 1.0] * rows
        panels = figure.subplots(2 * rows, columns, squeeze=False, height_ratios=ratios)
        colours = _colours(len(shown))
        for k, sweep in enumerate(shown):
            _sweep(panels[2 * (k % rows)][k // rows], panels[2 * (k % rows) + 1][k // rows], sweep, colours[k])
        for k in range(len(shown), rows * columns):
            panels[2 * (k % rows)][k // rows].axis("off")
            panels[2 * (k % rows) + 1][k // rows].axis("off")
        _share(panels, rows, columns, shown)
        _label_times(figure, panels, rows, columns, len(shown))
        save(figure, path)


def _colours(count):
    return colormaps[COLOURS](np.linspace(DARKEST, PALEST, max(2, count)))


def _sweep(above: Axes, below: Axes, sweep, colour):
    fails = sweep["fails"]
    for k, probe in enumerate(np.atleast_2d(sweep["volts"])):
        time, volts = _thinned(probe, sweep["dt"])
        above.plot(
            time, volts, color=colour if k == 0 else OTHERS[(k - 1) % len(OTHERS)], linewidth=0.7, zorder=2 - 0.01 * k
        )
    above.set_title(
        f"sweep {sweep['number']}   {sweep['caption']}{'   FAILS' if fails else ''}",
        loc="left",
        fontsize=8,
        color=VERMILION if fails else GREY,
    )
    above.tick_params(labelbottom=False)
    if sweep["currents"] is None:
        below.text(0.5, 0.5, "no current", transform=below.transAxes, ha="center", va="center", color=GREY)
    else:
        time, current = _thinned(sweep["currents"], sweep["dt"])
        below.plot(time, current, color=colour, linewidth=0.9)
    for axes in (above, below):
        axes.set_xlim(0, np.shape(sweep["volts"])[-1] * sweep["dt"])


def _thinned(values, dt):
    """Times and values to draw: of many samples the least and the greatest of each piece, so that no spike is lost."""
    width = values.size // (MOST_POINTS // 2)
    if width < 2:
        return times(values.size, dt), values
    count = values.size // width
    pieces = values[: count * width].reshape(count, width)
    at = np.sort(np.stack([pieces.argmin(axis=1), pieces.argmax(axis=1)], axis=1), axis=1)
    index = (at + width * np.arange(count)[:, None]).ravel()
    return index * dt, values[index]


def _share(panels, rows, columns, shown):
    """One scale for all voltages and one for all currents; labels at the left only."""
    volts = [(s["volts"].min(), s["volts"].max()) for s in shown]
    currents = [(s["currents"].min(), s["currents"].max()) for s in shown if s["currents"] is not None]
    for line, limits, label in ((0, _limits(volts), "mV"), (1, _limits(currents), "pA")):
        for row in range(rows):
            for column in range(columns):
                axes = panels[2 * row + line][column]
                if limits:
                    axes.set_ylim(*limits)
                if column == 0:
                    axes.set_ylabel(label)
                elif axes.axison:
                    axes.tick_params(labelleft=False)


def _label_times(figure, panels, rows, columns, count):
    """Times below each column. A short one has its times in the empty place below it, so they come after the layout, which
    would make room for them in all columns."""
    lowest = [panels[2 * min(rows, count - column * rows) - 1][column] for column in range(columns)]
    for axes in panels[1::2].flat:
        axes.tick_params(labelbottom=axes in panels[-1])
    for axes in panels[-1]:
        axes.set_xlabel("time (ms)")
    figure.draw_without_rendering()
    figure.set_layout_engine("none")
    for axes in lowest:
        axes.tick_params(labelbottom=True)
        axes.set_xlabel("time (ms)")


def _limits(ranges):
    if not ranges:
        return None
    low, high = min(r[0] for r in ranges), max(r[1] for r in ranges)
    margin = 0.06 * (high - low) or 1.0
    return low - margin, high + margin
