"""A cell on one page: sections, stimulus, the trace raw and as the network gets it, what each parameter does."""

from pathlib import Path

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from nrn_mlfit.cells import CellModel
from nrn_mlfit.places import place
from nrn_mlfit.report import geometry
from nrn_mlfit.report.style import (
    BLACK,
    BLUE,
    GREEN,
    GREY,
    ORANGE,
    VERMILION,
    WINDOW,
    check_format,
    legend_above,
    number,
    save,
    split,
    style,
    times,
)
from nrn_mlfit.simulator import Session
from nrn_mlfit.simulator.session import build_cell

PUBLISHED_FLOOR = -80.0  # mV, of log10(V + 81); see learn/scaling.py, which is not imported as it loads torch
LEVELS = {"low": (-1.0, "#7AD151"), "middle": (0.0, "#25848E"), "high": (1.0, "#46085C")}  # of viridis
PROBES = (BLACK, BLUE, ORANGE, GREEN)
COLUMNS = 2
TALL, FLAT = 1.7, 1.25  # inches of a row of parameter panels: few rows may be taller


def cell_picture(model: CellModel, path: Path):
    """Simulate the cell in this process and draw it into `path` (.png, .pdf or .svg).

    Under the first stimulus of its protocol: the sections, the trace with all parameters at the middle of their
    ranges, raw and curated, and for each parameter the trace at the low, middle and high end of its range.
    """
    check_format(path)
    session = Session(model)
    middle = _run(session, np.zeros(len(model.space)))
    rows = -(-len(model.space) // COLUMNS)
    height = rows * (TALL if rows <= 3 else FLAT)
    with style():
        figure = Figure(figsize=(8.27, 5.4 + height), layout="constrained")
        figure.suptitle(f"{model.name}: {len(model.space)} parameters", fontsize=14, weight="bold", ha="left", x=0.012)
        top, bottom = split(figure, 2, 1, height_ratios=[5.0, height])
        _whole_cell(top, session, middle)
        _parameters(bottom, session, middle, rows)
        save(figure, path)


def floor_of(volts) -> float:
    """The floor in mV of log10(V - floor + 1): the published -80, or the lowest of `volts` (any shape) if lower."""
    return float(np.floor(np.nanmin(volts, initial=PUBLISHED_FLOOR)))


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
    left, right = split(figure, 1, 2, width_ratios=[0.5 if _is_point(model) else 1, 1.75])
    _geometry(left.subplots(), session)
    stimulus, raw, seen = right.subplots(3, 1, height_ratios=[1, 1.5, 1.1], sharex=True)
    time = times(protocol.stop, protocol.dt)
    stimulus.plot(time, protocol.stimuli[0].current[: protocol.stop], color=GREY)
    floor = floor_of(middle[:, protocol.start :])
    for k, (name, trace) in enumerate(zip(model.probes, middle, strict=True)):
        raw.plot(time, trace, color=PROBES[k % len(PROBES)], label=name)
        seen.plot(time[protocol.start :], np.log10(trace[protocol.start :] - floor + 1), color=PROBES[k % len(PROBES)])
    for axes in (stimulus, raw, seen):
        axes.axvspan(protocol.t0, protocol.stop * protocol.dt, color=WINDOW, zorder=0, linewidth=0)
        axes.margins(x=0)
    _name(stimulus, raw, seen, model)
    seen.set_title(f"as the network gets it: log10(V + {1 - floor:.0f}), V in mV", loc="left")


def _name(stimulus: Axes, raw: Axes, seen: Axes, model: CellModel):
    shown = model.protocol.stimuli[0]
    unit = f" ({model.current_unit})" if model.current_unit else ""
    several = f", 1 of {len(model.protocol.stimuli)}" if len(model.protocol.stimuli) > 1 else ""
    stimulus.set(ylabel=f"stimulus{unit}")
    stimulus.set_title(f"{shown.name}, scale {shown.scale:g}{several}; shaded: what the network sees", loc="left")
    raw.set(ylabel="voltage (mV)")
    raw.set_title("all parameters at the middle of their ranges", loc="left")
    if len(model.probes) > 1:
        legend_above(raw)
    seen.set(ylabel="curated trace", xlabel="time (ms)")


def _is_point(model) -> bool:
    return not any(place(site).kind == "site" for site in model.probes.values())


def _geometry(axes: Axes, session: Session):
    """The sections; a point process that carries its own voltage has no shape to show."""
    if _is_point(session.model):
        axes.axis("off")
        told = f"a point cell:\n{session.model.template}\nhas no geometry"
        axes.text(0.5, 0.5, told, ha="center", va="center", color=GREY, fontsize=11)
        return
    geometry.draw(axes, geometry.pieces(session.cell, _traced(session)))
    axes.set_title("lengths to scale, widths not", loc="left", color=GREY)
    axes.legend(loc="upper center", bbox_to_anchor=(0.5, 0.0), handlelength=1.2)


def _traced(session):
    """A second cell, with the 3-d points of its reconstruction, where the template has a procedure traced_points() for them."""
    if not hasattr(session.cell, "traced_points"):
        return None
    other = build_cell(session.model)
    other.traced_points()
    return other


def _parameters(figure, session, middle, rows):
    """One panel a parameter, the others at the middle of their ranges; first probe, the network's window."""
    panels = figure.subplots(rows, COLUMNS, sharex=True, sharey=True, squeeze=False)
    for k, axes in enumerate(panels.ravel()):
        if k < len(session.model.space):
            _sweep(axes, session, middle, k)
            _name_parameter(axes, session.model.space.parameters[k])
        else:
            axes.axis("off")
    _name_panels(figure, panels)


def _sweep(axes, session, middle, chosen):
    """The traces at the three levels of parameter number `chosen`."""
    protocol, direction = session.model.protocol, np.eye(len(session.model.space))[chosen]
    time = times(protocol.length, protocol.dt, protocol.t0)
    for level, (unit, colour) in LEVELS.items():
        trace = (middle if unit == 0 else _run(session, unit * direction))[0, protocol.start :]
        if np.isfinite(trace).all():
            axes.plot(time, trace, color=colour, linewidth=0.8)
        else:
            axes.text(0.99, 0.8, f"NEURON stops at the {level}", ha="right", color=VERMILION, transform=axes.transAxes)


def _name_parameter(axes, parameter):
    axes.margins(x=0)
    axes.yaxis.set_major_locator(MaxNLocator(4, steps=[1, 2, 5, 10]))
    ends = f"{number(parameter.low)} to {number(parameter.high)} {parameter.unit}".rstrip()
    axes.set_title(f"{parameter.name}   {ends}", loc="left")


def _name_panels(figure, panels):
    for axes in panels[:, 0]:
        axes.set_ylabel("mV")
    for axes in panels[-1]:
        axes.set_xlabel("time (ms)")
    lines = [panels[0, 0].plot([], [], color=colour, linewidth=2)[0] for _, colour in LEVELS.values()]
    labels = ["low end of its range", "middle", "high end; all others at the middle of theirs"]
    figure.legend(lines, labels, loc="outside upper left", ncols=3)
