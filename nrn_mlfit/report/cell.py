"""A cell on one page: its sections, its stimulus, its trace raw and as the network sees it, and what each parameter does."""

from pathlib import Path

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from nrn_mlfit.cells import CellModel, place
from nrn_mlfit.report import geometry
from nrn_mlfit.report.style import BLACK, BLUE, GREEN, GREY, ORANGE, WINDOW
from nrn_mlfit.report.style import check_format, legend_above, number, save, style, times
from nrn_mlfit.simulator import Session

PUBLISHED_FLOOR = -80.0  # mV, of log10(V + 81); see learn/scaling.py, which is not imported as it loads torch
LEVELS = {"low": (-1.0, "#7AD151"), "middle": (0.0, "#25848E"), "high": (1.0, "#46085C")}  # three steps of viridis
PROBES = (BLACK, BLUE, ORANGE, GREEN)
COLUMNS = 2


def cell_picture(model: CellModel, path: Path):
    """Simulate the cell in this process and draw it into `path` (.png, .pdf or .svg).

    Under the first stimulus of its protocol: the sections, the trace with all parameters at the middle of their
    ranges, raw and curated, and for each parameter the trace at the low, middle and high end of its range.
    """
    check_format(path)
    session = Session(model)
    middle = _run(session, np.zeros(len(model.space)))
    rows = -(-len(model.space) // COLUMNS)
    with style():
        figure = Figure(figsize=(8.27, 5.4 + 1.25 * rows), layout="constrained")
        figure.suptitle(f"{model.name}: {len(model.space)} parameters", fontsize=14, weight="bold", ha="left", x=0.012)
        top, bottom = figure.subfigures(2, 1, height_ratios=[5.0, 1.25 * rows])
        _whole_cell(top, session, middle)
        _parameters(bottom, session, middle, rows)
        save(figure, path)


def curated(volts):
    """A trace (..., T) in mV as the network gets it: log10(V - floor + 1), the floor -80 mV or the lowest value."""
    floor = min(PUBLISHED_FLOOR, float(np.nanmin(volts, initial=PUBLISHED_FLOOR)))
    return np.log10(volts - floor + 1)


def _run(session: Session, unit_par):
    """Traces (P, n) in mV from t = 0 on of one set unit_par (K,); NaN where NEURON stopped."""
    protocol = session.model.protocol
    try:
        session.set(session.model.space.to_phys(unit_par[None])[0])
        return session.run(protocol.stimuli[0])
    except RuntimeError:  # what NEURON raises for an error in HOC
        return np.full((len(session.model.probes), protocol.stop), np.nan)


def _whole_cell(figure, session, middle):
    model, protocol = session.model, session.model.protocol
    left, right = figure.subfigures(1, 2, width_ratios=[1, 1.75])
    _geometry(left.subplots(), session)
    stimulus, raw, seen = right.subplots(3, 1, height_ratios=[1, 1.5, 1.1], sharex=True)
    time = times(protocol.stop, protocol.dt)
    stimulus.plot(time, protocol.stimuli[0].current[: protocol.stop], color=GREY)
    for k, (name, trace) in enumerate(zip(model.probes, middle, strict=True)):
        raw.plot(time, trace, color=PROBES[k % len(PROBES)], label=name)
        seen.plot(time[protocol.start :], curated(trace[protocol.start :]), color=PROBES[k % len(PROBES)])
    for axes in (stimulus, raw, seen):
        axes.axvspan(protocol.t0, protocol.stop * protocol.dt, color=WINDOW, zorder=0, linewidth=0)
        axes.margins(x=0)
    _name(stimulus, raw, seen, model)


def _name(stimulus: Axes, raw: Axes, seen: Axes, model: CellModel):
    shown = model.protocol.stimuli[0]
    unit = " (nA)" if place(model.inject).kind == "site" else ""
    several = f", 1 of {len(model.protocol.stimuli)}" if len(model.protocol.stimuli) > 1 else ""
    stimulus.set(ylabel=f"stimulus{unit}")
    stimulus.set_title(f"{shown.name}, scale {shown.scale:g}{several}; shaded: what the network sees", loc="left")
    raw.set(ylabel="voltage (mV)")
    raw.set_title("all parameters at the middle of their ranges", loc="left")
    if len(model.probes) > 1:
        legend_above(raw)
    seen.set(ylabel="curated", xlabel="time (ms)")
    seen.set_title("curated: log10(V - floor + 1)", loc="left")


def _geometry(axes: Axes, session: Session):
    """The sections; a point process that carries its own voltage has no shape to show."""
    model = session.model
    if not any(place(site).kind == "site" for site in model.probes.values()):
        axes.axis("off")
        axes.text(0.5, 0.5, f"a point cell:\n{model.template}\nhas no geometry", ha="center", va="center", color=GREY, fontsize=11)
        return
    geometry.draw(axes, geometry.pieces(session.cell))
    axes.set_title("lengths to scale, widths not", loc="left", color=GREY)
    axes.legend(loc="upper center", bbox_to_anchor=(0.5, 0.0), handlelength=1.2)


def _parameters(figure, session, middle, rows):
    """One panel a parameter, the others at the middle of their ranges; first probe, the network's window."""
    model, protocol = session.model, session.model.protocol
    panels = figure.subplots(rows, COLUMNS, sharex=True, sharey=True, squeeze=False)
    time = times(protocol.length, protocol.dt, protocol.t0)
    for k, axes in enumerate(panels.T.ravel() if False else panels.ravel()):
        if k >= len(model.space):
            axes.axis("off")
            continue
        for unit, colour in LEVELS.values():
            trace = middle if unit == 0 else _run(session, unit * np.eye(len(model.space))[k])
            axes.plot(time, trace[0, protocol.start :], color=colour, linewidth=0.8)
        _name_parameter(axes, model.space.parameters[k])
    _name_panels(figure, panels)


def _name_parameter(axes, parameter):
    axes.margins(x=0)
    ends = f"{number(parameter.low)} to {number(parameter.high)} {parameter.unit}".rstrip()
    axes.set_title(f"{parameter.name}   {ends}", loc="left")


def _name_panels(figure, panels):
    for axes in panels[:, 0]:
        axes.set_ylabel("mV")
    for axes in panels[-1]:
        axes.set_xlabel("time (ms)")
    lines = [panels[0, 0].plot([], [], color=colour, linewidth=2)[0] for _, colour in LEVELS.values()]
    labels = [f"{level} end of the range" if level != "middle" else "middle" for level in LEVELS]
    figure.legend(lines, labels, loc="outside upper left", ncols=3)
