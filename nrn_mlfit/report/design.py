"""What each candidate of a comparison lets one learn: a heat map, candidates by parameters."""

import textwrap
from collections.abc import Sequence
from pathlib import Path

import matplotlib
import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from nrn_mlfit.design import Finding
from nrn_mlfit.information import NOISE
from nrn_mlfit.report.style import BLACK, GREY, number, save, style

COLOURS = "YlGnBu"
DARK = 0.55  # R2 from which on a number is written in white
FADED = 0.6  # how much white lies over what is an order rather than numbers
CELL, NAME, ROW = 0.62, 0.075, 0.34  # inches of a column, of a letter of a candidate's name, of a row
FACTS = 3.7  # inches for what stands beside the map
NARROWEST = 7.5
LETTER = 0.068  # inches of one of the caption's
CAPTION = (
    "R2 that a parameter can be learned with: median over points of the parameter space, by Fisher information from "
    "differences over {step:g} of a unit parameter, with noise of sd {noise:g} in log10 units per 0.5 ms. 0: no better than "
    "the middle of the range; 1: exact. A local estimate, and an optimistic one where distant points give the same trace. "
    "Unlike: points at which another step gives another R2. Pale: most are, or few points count: an order rather than "
    "numbers."
)


def design_picture(findings: Sequence[Finding], path: Path, title: str, step: float):
    """Draw what the candidates of one cell let one learn into `path` (.png, .pdf or .svg); by differences over `step`."""
    r2 = np.array([[*f.information.median, f.information.mean] for f in findings])
    left, wide = 0.25 + NAME * max(len(f.name) for f in findings), CELL * (r2.shape[1] + 0.3)
    width = max(NARROWEST, left + wide + FACTS)
    told = textwrap.wrap(CAPTION.format(noise=NOISE, step=step), int((width - 0.3) / LETTER))
    head, names = 0.4, 0.15 + 0.05 * max(len(name) for name in [*findings[0].information.names, "mean"])
    tall, foot = ROW * len(findings), 0.15 + 0.16 * len(told)
    height = head + names + tall + foot
    with style():
        figure = Figure(figsize=(width, height))
        figure.text(0.15 / width, 1 - 0.12 / height, title, fontsize=14, weight="bold", va="top", color=BLACK)
        figure.text(0.15 / width, 0.08 / height, "\n".join(told), color=GREY, va="bottom", linespacing=1.25)
        axes = figure.add_axes((left / width, foot / height, wide / width, tall / height))
        _map(axes, r2, [DARK if f.information.is_reliable else np.inf for f in findings])
        _label(axes, findings)
        save(figure, path)


def _map(axes: Axes, r2, dark):
    """A square a value; the mean stands apart from the parameters. In a row numbers above its `dark` are white."""
    rows, columns = r2.shape
    edges = np.concatenate([np.arange(columns), [columns - 0.7, columns + 0.3]])
    colours = matplotlib.colormaps[COLOURS].with_extremes(bad="white")
    for part, at in ((r2[:, :-1], edges[:columns]), (r2[:, -1:], edges[-2:])):
        axes.pcolormesh(at, np.arange(rows + 1), part, cmap=colours, vmin=0, vmax=1, edgecolors="white", linewidth=1.5)
    for row, column in np.ndindex(r2.shape):
        _write(axes, row, (column if column < columns - 1 else columns - 0.7) + 0.5, r2[row, column], dark[row])
    axes.set(xlim=(0, columns + 0.3), ylim=(rows, 0))


def _fade(axes: Axes, row, columns):
    axes.barh(row + 0.5, columns + 0.3, height=1, color="white", alpha=FADED, zorder=2)


def _write(axes, row, x, value, dark):
    text, colour = (f"{value:.2f}", "white" if value > dark else BLACK) if np.isfinite(value) else ("-", GREY)
    axes.text(x, row + 0.5, text, ha="center", va="center_baseline", color=colour, zorder=3)


def _label(axes: Axes, findings):
    """Parameters above, candidates on the left, what else is known of them on the right."""
    names = findings[0].information.names
    places = [*(k + 0.5 for k in range(len(names))), len(names) + 0.8]
    axes.set_xticks(places, [*names, "mean"], rotation=35, ha="left", rotation_mode="anchor", color=BLACK)
    axes.set_yticks(np.arange(len(findings)) + 0.5, [f.name for f in findings], color=BLACK)
    axes.tick_params(length=0, top=False, labeltop=True, labelbottom=False, pad=3)
    for spine in axes.spines.values():
        spine.set_visible(False)
    for row, finding in enumerate(findings):
        if not finding.information.is_reliable:
            _fade(axes, row, len(names) + 1)
        axes.text(len(names) + 1.45, row + 0.5, _facts(finding), va="center_baseline", color=GREY, fontsize=8)


def _facts(finding) -> str:
    told = finding.information
    trace = f"{number(finding.typical_spikes)} spikes, {100 * finding.silent:.0f}% silent, {finding.lowest:.0f} mV"
    return f"{trace}; {len(told.r2)}/{len(told.jumps)} points, {told.unlike_in_words} unlike"
