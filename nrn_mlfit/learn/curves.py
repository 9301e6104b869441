"""Learning curves as a picture: training and validation loss of each network by epoch."""

import io
from pathlib import Path
from typing import TYPE_CHECKING, Any

import matplotlib
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.ticker import LogLocator, NullFormatter, ScalarFormatter

from nrn_mlfit import textfile

if TYPE_CHECKING:
    from nrn_mlfit.learn.ensemble import Ensemble

# Okabe & Ito, "Color universal design" (2008), and line styles, so that members differ without colours too.
COLOURS = ("#0072B2", "#E69F00", "#009E73", "#CC79A7", "#56B4E9", "#D55E00", "#222222")
GREY = "#6B6B6B"
STYLE: Any = {"font.size": 10, "axes.spines.top": False, "axes.spines.right": False, "legend.frameon": False}


def draw(ensemble: "Ensemble", path: Path):
    """Write the learning curves of `ensemble` to `path` (.png, .pdf or .svg)."""
    with matplotlib.rc_context(STYLE):
        figure = Figure(figsize=(7, 4.4), layout="constrained")
        axes = figure.add_subplot()
        for number, history in enumerate(ensemble.record["histories"]):
            colour = COLOURS[number % len(COLOURS)]
            axes.plot(history["epochs"], history["train"], color=colour, lw=1, ls=":", marker=_dot(history))
            axes.plot(history["epochs"], history["validation"], color=colour, lw=1.6, marker=_dot(history))
        axes.axhline(ensemble.design.guessing_loss, color=GREY, lw=1.2, ls="--")
        _label(axes, ensemble)
        held = io.BytesIO()
        figure.savefig(held, format=path.suffix[1:], dpi=150)
    textfile.write_atomic(path, held.getvalue())


def _dot(history) -> str:
    return "o" if len(history["epochs"]) == 1 else ""


def _label(axes, ensemble):
    record, loss = ensemble.record, ensemble.design.loss.upper()
    axes.set_yscale("log")
    axes.yaxis.set_major_locator(LogLocator(subs=(1, 2, 5)))
    axes.yaxis.set_major_formatter(ScalarFormatter())
    axes.yaxis.set_minor_formatter(NullFormatter())
    axes.grid(axis="y", color="#E5E5E5", lw=0.6)
    axes.set_axisbelow(True)
    axes.set_xlabel("epochs (passes over the training traces)")
    axes.set_ylabel(f"{loss}, each range being [-1, 1]")
    axes.set_title(f"{record['cell']}: design {ensemble.design.name}, {record['traces']} traces", loc="left")
    axes.set_xlim(left=0)
    axes.legend(handles=_legend(len(ensemble.members)), loc="center left", bbox_to_anchor=(1, 0.5))


def _legend(members: int) -> list[Line2D]:
    guess = Line2D([], [], color=GREY, lw=1.2, ls="--", label="guessing the middle")
    train = Line2D([], [], color=GREY, lw=1, ls=":", label="training (with dropout)")
    folds = [Line2D([], [], color=COLOURS[k % len(COLOURS)], label=f"fold {k + 1}, held out") for k in range(members)]
    return [guess, train, *folds]
