"""How good an ensemble is, as pictures: predicted against true, residuals against each other."""

from pathlib import Path

import numpy as np
from matplotlib.figure import Figure

from nrn_mlfit.evaluate import Evaluation
from nrn_mlfit.report.style import BLACK, BLUE, GREY, save, style

ACROSS = 5  # panels a row
SHOWN = 4000  # traces
PANEL = 2.1  # inches


def truth_picture(found: Evaluation, path: Path, title: str):
    """A panel a parameter: predicted against true value, in % of the range, with R2; draw into `path` (.png, .pdf or .svg)."""
    count = len(found.names)
    rows = -(-count // ACROSS)
    with style():
        figure = Figure(figsize=(PANEL * min(count, ACROSS) + 0.4, PANEL * rows + 0.7), layout="constrained")
        figure.suptitle(title, x=0.01, ha="left", fontsize=13, weight="bold", color=BLACK)
        axes = figure.subplots(rows, min(count, ACROSS), squeeze=False, sharex=True, sharey=True)
        for k, panel in enumerate(axes.flat):
            if k >= count:
                panel.axis("off")
                continue
            panel.plot([0, 100], [0, 100], color=GREY, lw=0.8)
            x, y = (50 * (held[:SHOWN, k] + 1) for held in (found.truth, found.middle))
            panel.plot(x, y, ".", color=BLUE, ms=1.5, alpha=0.4, rasterized=True)
            panel.set_title(f"{found.names[k]}   R2 {found.r2[k]:.2f}", loc="left")
            panel.set(xlim=(0, 100), ylim=(0, 100), aspect="equal")
        figure.supxlabel("true value, % of the range", color=BLACK, fontsize=9)
        figure.supylabel("predicted, % of the range", color=BLACK, fontsize=9)
        save(figure, path)


def error_picture(found: Evaluation, path: Path, title: str):
    """A panel a parameter: a histogram of the errors, in % of the range, and their rms by the true value; draw into `path`."""
    centres, by_truth = found.by_truth()
    with style():
        figure, panels = _panels(len(found.names), title, rows_each=2)
        for k, name in enumerate(found.names):
            above, below = panels[k]
            errors = 50 * found.residuals[:, k]
            above.hist(errors, bins=np.linspace(-60, 60, 61), density=True, color=BLUE)
            above.axvline(0, color=GREY, lw=0.8)
            above.set_title(f"{name}   rms {found.rms_percent[k]:.1f} %", loc="left")
            above.set(xlim=(-60, 60), yticks=[], xlabel="error, % of the range")
            below.axhline(100 / np.sqrt(12), color=GREY, lw=0.8, ls="--")
            below.plot(50 * (centres + 1), 50 * by_truth[:, k], color=BLUE, marker="o", ms=3)
            below.set(xlim=(0, 100), ylim=(0, 60), xlabel="true value, % of the range")
        panels[0][1].set_ylabel("rms error, %\n(dashed: guessing)", color=BLACK)
        save(figure, path)


def _panels(count, title, rows_each):
    """A figure, and for each of `count` parameters its column of `rows_each` panels."""
    across = min(count, ACROSS)
    blocks = -(-count // ACROSS)
    figure = Figure(figsize=(PANEL * across + 0.6, 1.7 * rows_each * blocks + 0.7), layout="constrained")
    figure.suptitle(title, x=0.01, ha="left", fontsize=13, weight="bold", color=BLACK)
    axes = figure.subplots(rows_each * blocks, across, squeeze=False)
    held = [axes[rows_each * (k // across) : rows_each * (k // across + 1), k % across] for k in range(blocks * across)]
    for column in held[count:]:
        for panel in column:
            panel.axis("off")
    return figure, held[:count]


def distribution_picture(found: Evaluation, path: Path, title: str):
    """A corner of panels: how often each value is predicted (the truth is even), and each pair of values; draw into `path`.

    Where predictions crowd, the networks answer the middle of what they cannot tell apart.
    """
    names, values = found.names, 50 * (found.members.mean(axis=0) + 1)
    edges = np.linspace(-10, 110, 41)
    with style():
        size = 0.95 * len(names) + 1.2
        figure = Figure(figsize=(size, size), layout="constrained")
        figure.suptitle(title, x=0.01, ha="left", fontsize=13, weight="bold", color=BLACK)
        axes = figure.subplots(len(names), len(names), squeeze=False, sharex=True)
        for (i, j), panel in np.ndenumerate(axes):
            panel.set(xlim=(-10, 110), xticks=[0, 100], yticks=[])
            if j > i:
                panel.axis("off")
            elif j == i:
                panel.hist(values[:, i], bins=edges, density=True, color=BLUE)
                panel.plot([0, 0, 100, 100], [0, 0.01, 0.01, 0], color=BLACK, lw=0.8)
            else:
                panel.hist2d(values[:, j], values[:, i], bins=(edges, edges), cmap="Blues")
            if j == 0:
                panel.set_ylabel(names[i], rotation=0, ha="right", va="center", color=BLACK)
            if i == len(names) - 1:
                panel.set_xlabel(names[j], color=BLACK)
        figure.supxlabel("predicted value, % of the range; black line: the true values", color=GREY, fontsize=9)
        save(figure, path)


def correlation_picture(found: Evaluation, path: Path, title: str):
    """The correlation of the residuals, a square a pair of parameters; draw into `path`."""
    held, names = found.correlation, found.names
    size = 0.5 * len(names) + 1.8
    with style():
        figure = Figure(figsize=(size, size), layout="constrained")
        axes = figure.subplots()
        axes.imshow(held, cmap="RdBu_r", vmin=-1, vmax=1)
        for i, j in np.ndindex(held.shape):
            colour = "white" if abs(held[i, j]) > 0.6 else BLACK
            axes.text(j, i, f"{held[i, j]:.2f}".replace("0.", "."), ha="center", va="center", color=colour, fontsize=7)
        axes.set_xticks(range(len(names)), names, rotation=40, ha="left", rotation_mode="anchor")
        axes.set_yticks(range(len(names)), names)
        axes.tick_params(length=0, top=False, labeltop=True, labelbottom=False)
        axes.set_title(title, loc="left", color=BLACK, weight="bold")
        for spine in axes.spines.values():
            spine.set_visible(False)
        axes.set_xlabel("far from 0: an error in one is made up for by the other", color=GREY)
        save(figure, path)
