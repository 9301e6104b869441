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
