"""The stimuli, one under the other, with what the network sees of each."""

from collections.abc import Sequence
from pathlib import Path

from matplotlib.axes import Axes
from matplotlib.figure import Figure

from nrn_mlfit.report.style import BLUE, WINDOW, save, style, times
from nrn_mlfit.stimuli import Stimulus


def stimulus_picture(stimuli: Sequence[Stimulus], path: Path):
    """Draw stimuli, each over its own time in ms, into `path` (.png, .pdf or .svg); currents in nA."""
    with style():
        figure = Figure(figsize=(8.27, 0.8 + 1.7 * len(stimuli)), layout="constrained")
        panels = figure.subplots(len(stimuli), 1, squeeze=False)[:, 0]
        for axes, stimulus in zip(panels, stimuli, strict=True):
            _draw(axes, stimulus)
        panels[-1].set_xlabel("time (ms); shaded: what the network sees")
        save(figure, path)


def _draw(axes: Axes, stimulus: Stimulus):
    axes.plot(times(stimulus.current.size, stimulus.dt), stimulus.current, color=BLUE)
    axes.axvspan(stimulus.start * stimulus.dt, stimulus.stop * stimulus.dt, color=WINDOW, zorder=0, linewidth=0)
    axes.margins(x=0)
    axes.set_ylabel("current (nA)")
    settings = ", ".join(f"{key}: {value}" for key, value in stimulus.spec.items() if key != "kind")
    axes.set_title(f"{stimulus.name}   {settings}", loc="left")
