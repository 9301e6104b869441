"""The cells around a fitted one: their traces thin, the recording over them, the current below."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import matplotlib
import numpy as np
from matplotlib.figure import Figure

from nrn_mlfit.around import Around
from nrn_mlfit.report.html import Html
from nrn_mlfit.report.panels import COLUMNS, NARROW, PAGE, WIDE, inline, thinned
from nrn_mlfit.report.style import BLACK, GREY, SKY, legend_above, save, style, times, voltage_labels

MOST_STIMULI = 3  # side by side in a file
MOST_DRAWN = 40  # cells
COARSE = 60  # columns an inch in the page, of which each cell takes its share: a file has all
CELL: dict[str, Any] = {"color": SKY, "linewidth": 0.5, "alpha": 0.75}
RECORDING: dict[str, Any] = {"color": BLACK, "linewidth": 1.1}


def around_picture(
    path: Path,
    title: str,
    cells: Around,
    recorded,
    currents,
    dt: float,
    current_unit: str = "nA",
    probes: Sequence[str] = (),
):
    """Draw the cells around a fit into `path` (.png, .pdf or .svg), the recording (P, S, T) in mV at the `probes` of these names,
    and its currents (S, T)."""
    stimuli = min(len(currents), MOST_STIMULI)
    with style():
        figure = _figure(cells, recorded, currents, dt, current_unit, range(stimuli), (11.7, None), probes)
        figure.suptitle(f"{title}\n{cells.title}", x=0.01, ha="left", fontsize=11, color=BLACK)
        legend_above(figure.axes[stimuli - 1])
        save(figure, path)


def around_panel(
    cells: Around, recorded, currents, dt: float, current_unit: str, label: str, probes: Sequence[str] = ()
) -> Html:
    """The same, of the first stimulus, for a page: for wide and narrow screens."""
    drawn = []
    for width, kind in ((WIDE, "wide"), (NARROW, "narrow")):
        with matplotlib.rc_context(PAGE):
            figure = _figure(cells, recorded, currents, dt, current_unit, range(1), (width, COARSE), probes)
            drawn.append(inline(figure, f"around-{kind}", label, kind))
    return Html("".join(drawn))


def _figure(cells, recorded, currents, dt, unit, stimuli, size, probes) -> Figure:
    """A column a stimulus, a row a probe; `size` is the width in inches, and into how many columns an inch cells are thinned."""
    (width, coarse), count, time = size, len(recorded), times(np.shape(recorded)[-1], dt)
    tall = (2.3 if width == NARROW else 3.6) if count == 1 else 2.2
    figure = Figure(figsize=(width, tall * count + 1.6), layout="constrained")
    rows = [tall] * count + [1.0]
    axes = figure.subplots(len(rows), len(stimuli), sharex=True, sharey="row", squeeze=False, height_ratios=rows)
    for s in stimuli:
        for p in range(count):
            for k, volts in enumerate(cells.volts[:MOST_DRAWN]):
                shown = thinned(time, volts[p, s], int(width * coarse)) if coarse else (time, volts[p, s])
                axes[p, s].plot(*shown, **CELL, label="" if k else "cells around the fit")
            axes[p, s].plot(*thinned(time, recorded[p, s], int(width * COLUMNS)), **RECORDING, label="recording")
        axes[-1, s].plot(*thinned(time, currents[s], int(width * COLUMNS)), color=GREY)
        axes[-1, s].set_xlabel("time (ms)")
        axes[-1, s].margins(x=0.01)
    for p, label in enumerate(voltage_labels(count, probes)):
        axes[p, 0].set_ylabel(label)
    axes[-1, 0].set_ylabel(f"current ({unit})" if unit else "current")
    figure.align_ylabels()
    return figure
