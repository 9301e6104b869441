"""The pictures of a fit's page: SVG that stands in the page itself and takes its colours, light or dark.

Traces are thinned to what can be seen: of each column of the picture the lowest and the highest sample, so that no spike
loses its peak.
"""

import io
import re
from collections.abc import Sequence
from typing import Any

import matplotlib
import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from nrn_mlfit import spikes
from nrn_mlfit.report.html import Html, tag
from nrn_mlfit.report.style import BLACK, BLUE, GREY, PALE, SKY, STYLE, times, voltage_labels

WIDE, NARROW, SQUARE = 10.4, 3.8, 3.3  # inches, of a laptop's page, of a telephone's, of one of three panels
COLUMNS = 160  # an inch, in which a trace is thinned: 2 to a pixel of a sharp screen
MOST_POINTS = 20_000  # of a path in the phase plane
BEFORE, AFTER = 2.0, 6.0  # ms around the first spike
HEADROOM = 3.0  # mV shown above the highest onset of a spike
INKS = {BLACK: "var(--ink)", BLUE: "var(--fit)", GREY: "var(--soft)", PALE: "var(--recorded)", SKY: "var(--pale)"}
BELOW: dict[str, Any] = {"color": PALE, "linewidth": 2.0}  # the recording
ABOVE: dict[str, Any] = {"color": BLUE, "linewidth": 0.9}  # the fitted cell: where they are equal both are seen
PAGE = {
    **STYLE,
    "svg.fonttype": "none",  # text stays text
    **{f"{what}.facecolor": "none" for what in ("figure", "axes", "savefig")},
    **dict.fromkeys(
        ["text.color", "axes.labelcolor", "axes.titlecolor", "xtick.labelcolor", "ytick.labelcolor"], BLACK
    ),
    **dict.fromkeys(["axes.edgecolor", "xtick.color", "ytick.color"], GREY),
}


def overlay(
    recorded, simulated, current, dt: float, unit: str, key: str, label: str, probes: Sequence[str] = ()
) -> Html:
    """Traces (P, T) in mV of recording and fitted cell over each other, by the names of the `probes`, the current (T,) below; for
    wide and narrow screens."""
    drawn = []
    for width, kind in ((WIDE, "wide"), (NARROW, "narrow")):
        with matplotlib.rc_context(PAGE):
            figure = _overlay(recorded, simulated, current, dt, unit, width, probes)
            drawn.append(inline(figure, f"{key}-{kind}", label, kind))
    return Html("".join(drawn))


def first_spike(recorded, simulated, dt: float, label: str) -> Html:
    """The first spike of each trace (T,), laid over each other where they cross -20 mV."""
    with matplotlib.rc_context(PAGE):
        axes, done = _square("ms after crossing -20 mV", "voltage (mV)")
        for trace, look in ((recorded, BELOW), (simulated, ABOVE)):
            found = spikes.spike_times(trace, dt)
            if found.size:
                axes.plot(*spikes.around(trace, dt, found[0], BEFORE, AFTER), **look)
        if not axes.lines:
            _say(axes, "no spike in either trace")
        return done("spike", label)


def subthreshold(recorded, simulated, dt: float, label: str) -> Html:
    """Both traces (T,) below the voltage at which spikes begin."""
    top, bottom = ceiling(recorded, simulated, dt), min(np.min(recorded), np.min(simulated))
    with matplotlib.rc_context(PAGE):
        axes, done = _square("time (ms)", "voltage (mV)")
        time = times(len(recorded), dt)
        for trace, look in ((recorded, BELOW), (simulated, ABOVE)):
            axes.plot(*thinned(time, np.minimum(trace, top + 20), int(SQUARE * COLUMNS)), **look)
        axes.set_ylim(bottom - 0.05 * (top - bottom), top)
        return done("subthreshold", label)


def phase_plane(recorded, simulated, dt: float, label: str) -> Html:
    """Voltage against its slope, both traces (T,)."""
    with matplotlib.rc_context(PAGE):
        axes, done = _square("voltage (mV)", "dV/dt (mV/ms)")
        for trace, look in ((recorded, BELOW), (simulated, ABOVE)):
            axes.plot(*_path(trace, spikes.slope(trace, dt)), **{**look, "linewidth": 0.6 * look["linewidth"]})
        return done("plane", label)


def ceiling(recorded, simulated, dt: float) -> float:
    """Up to which voltage (mV) a trace counts as subthreshold: a little above the highest onset of a spike, or above all where
    there is none."""
    begins = np.concatenate([spikes.onsets(trace, dt) for trace in (recorded, simulated)])
    highest = begins.max() if begins.size else max(np.max(recorded), np.max(simulated))
    return min(float(highest), spikes.THRESHOLD_MV) + HEADROOM


def thinned(time, trace, columns: int):
    """`time` and `trace` (T,) with no more than the lowest and the highest sample of each column, in their order."""
    time, trace = np.asarray(time), np.asarray(trace)
    size = -(-len(trace) // columns)
    if size <= 2:
        return time, trace
    whole = np.pad(trace, (0, -len(trace) % size), mode="edge").reshape(-1, size)
    at = np.sort(np.stack([whole.argmin(axis=1), whole.argmax(axis=1)], axis=1), axis=1)
    kept = np.minimum((at + size * np.arange(len(whole))[:, None]).ravel(), len(trace) - 1)
    return time[kept], trace[kept]


def _overlay(recorded, simulated, current, dt, unit, width, probes) -> Figure:
    count, time = len(recorded), times(recorded.shape[-1], dt)
    labels, tall = voltage_labels(count, probes), (3.4 if width == WIDE else 2.3) if count == 1 else 2.0
    figure = Figure(figsize=(width, tall * count + 1.3), layout="constrained")
    axes = figure.subplots(count + 1, 1, sharex=True, height_ratios=[tall] * count + [1.0])
    for p, (one, other) in enumerate(zip(recorded, simulated, strict=True)):
        for trace, look in ((one, BELOW), (other, ABOVE)):
            axes[p].plot(*thinned(time, trace, int(width * COLUMNS)), **look)
        axes[p].set_ylabel(labels[p])
    axes[-1].plot(*thinned(time, current, int(width * COLUMNS)), color=GREY)
    axes[-1].set(xlabel="time (ms)", ylabel=f"current ({unit})" if unit else "current")
    axes[-1].margins(x=0.01)
    figure.align_ylabels()
    return figure


def _square(xlabel, ylabel):
    """The axes of a panel, and what makes an SVG of it."""
    figure = Figure(figsize=(SQUARE, 0.82 * SQUARE), layout="constrained")
    axes = figure.subplots()
    axes.set(xlabel=xlabel, ylabel=ylabel)
    axes.margins(x=0.02)
    return axes, lambda key, label: inline(figure, key, label)


def _say(axes: Axes, words):
    axes.text(0.5, 0.5, words, ha="center", va="center", color=GREY, transform=axes.transAxes)


def _path(x, y):
    """A path without the points that lie on the same pixel as the one before."""
    spots = [np.round(held / (np.ptp(held) or 1) * SQUARE * COLUMNS) for held in (x, y)]
    moved = np.concatenate([[True], np.any(np.diff(spots, axis=1) != 0, axis=0)])
    return np.asarray(x)[moved][:MOST_POINTS], np.asarray(y)[moved][:MOST_POINTS]


def inline(figure: Figure, key: str, label: str, kind: str = "") -> Html:
    """A figure as an element of the page: ids of its own, no address, the page's colours and letters."""
    held = io.StringIO()
    figure.savefig(held, format="svg", metadata={"Date": None})
    text = held.getvalue()
    inside = text[text.index(">", text.index("<svg")) + 1 : text.rindex("</svg>")]
    inside = re.sub(r"<metadata>.*?</metadata>|<style.*?</style>|<!--.*?-->", "", inside, flags=re.DOTALL)
    inside = re.sub(r'\bid="', f'id="{key}-', inside.replace("xlink:href", "href"))
    inside = re.sub(r"(url\(|href=\")#", rf"\1#{key}-", inside)
    inside = re.sub(r"font: ([\d.]+px)[^;\"]*", r"font-size: \1", inside)
    inside = re.sub(r"(\d\.\d\d)\d+", r"\1", inside)
    for colour, ink in INKS.items():
        inside = inside.replace(colour.lower(), ink)
    width, height = (72 * inches for inches in figure.get_size_inches())
    return tag(
        "svg",
        Html(inside),
        class_=f"plot {kind}".strip(),
        role="img",
        aria_label=label,
        viewBox=f"0 0 {width:g} {height:g}",
    )
