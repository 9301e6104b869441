"""Two engines' traces on top of each other, and their difference below."""

from pathlib import Path

import numpy as np
from matplotlib.figure import Figure
from matplotlib.ticker import LogLocator

from nrn_mlfit.report.style import BLACK, GREY, SKY, legend_above, save, style, times

SMALLEST = 1e-13  # mV: below the last digit of a voltage


def engines_picture(path: Path, title: str, truth, other, dt: float, t0: float, names: tuple[str, str]):
    """Draw traces `truth` and `other`, (n, T) in mV, samples `dt` ms apart from `t0` ms on; `names` are the engines'."""
    truth, other = np.atleast_2d(truth), np.atleast_2d(other)
    at = times(truth.shape[-1], dt, t0)
    with style():
        figure = Figure(figsize=(11.7, 0.6 + 2.8 * len(truth)), layout="constrained")
        figure.suptitle(title, x=0.01, ha="left", fontsize=11, weight="bold")
        axes = figure.subplots(2 * len(truth), 1, sharex=True, squeeze=False, height_ratios=[2, 1] * len(truth))[:, 0]
        for above, below, one, two in zip(axes[::2], axes[1::2], truth, other, strict=True):
            above.plot(at, one, color=SKY, lw=3, label=names[0])
            above.plot(at, two, color=BLACK, lw=0.8, label=names[1])
            above.set_ylabel("mV")
            apart = np.abs(two - one)
            below.semilogy(at, np.maximum(apart, SMALLEST), color=GREY)
            below.yaxis.set_major_locator(LogLocator(numticks=4))
            below.yaxis.set_major_formatter(lambda value, _: f"{value:.0e}")
            below.set_ylabel("|diff.| (mV)")
            below.set_title(f"largest difference {apart.max():.1e} mV", loc="right", fontsize=8, color=GREY, pad=2)
        legend_above(axes[0])
        axes[-1].set_xlabel("ms")
        save(figure, path)
