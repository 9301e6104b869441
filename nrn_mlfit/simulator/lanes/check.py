"""The lane engine held against NEURON: the same sets through both, and where and in what they first differ."""

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from nrn_mlfit.simulator.agreement import Bounds, Difference, examine


@dataclass(frozen=True)
class Disagreement:
    """A set in which an engine is not NEURON: the traces (P, S, T) mV of both, how far apart, and where that began."""

    number: int
    phys_par: Any = field(repr=False)
    truth: Any = field(repr=False)
    other: Any = field(repr=False)
    difference: Difference
    began: str


@dataclass(frozen=True)
class Checked:
    """What came of sets in both engines: how many gave a trace in NEURON, the first one that is not the same, and how many
    could not be checked: they end the worker, or make another cell, which NEURON simulates anyway."""

    compared: int
    disagreement: Disagreement | None = None
    failed: int = 0


def compare_with_neuron(engine, neuron, rows, bounds: Bounds) -> Checked:
    """Sets, as rows of CellModel.rows, in the lane engine and in NEURON, up to the first in which they differ by more than
    `bounds`, and than NEURON differs from itself where a last digit is changed."""
    others, statuses = engine.run(rows)
    compared = 0
    for number, row in enumerate(rows):
        truth, status = neuron.run(row[None])
        if status[0] == statuses[number] != 0:
            continue
        phys_par, protocol = engine.set_of(row)
        found = examine(engine.session.changed(protocol=protocol), phys_par, truth[0], others[number], bounds)
        compared += int(status[0] == 0)
        if found.verdict == "differs" or status[0] != statuses[number]:
            began = _beginning(engine, row, bounds)
            return Checked(compared, Disagreement(number, phys_par, truth[0], others[number], found, began))
    return Checked(compared)


def _beginning(engine, row, bounds) -> str:
    """The first step after which a variable differs, found by halving, and which variable at which place."""
    low, high = 0, engine.steps
    if not (last := _worst(engine, row, high, bounds)):
        return "no variable differs at the end of the window"
    while high - low > 1:
        middle = (low + high) // 2
        found = _worst(engine, row, middle, bounds)
        low, high, last = (low, middle, found) if found else (middle, high, last)
    name, here, there = last
    time = high * engine.model.step
    return f"{name} is {here:.10g} instead of {there:.10g} at {time:g} ms"


def _worst(engine, row, steps, bounds) -> tuple[str, float, float] | None:
    """(variable and place, here, in NEURON) of what differs most after some steps; None if nothing does."""
    here, there = engine.state_after(row, steps), engine.neuron_after(row, steps)
    scale = np.maximum(np.maximum(np.abs(here), np.abs(there)), 1e-6)
    apart = np.abs(here - there) / scale
    apart = np.where(np.isnan(apart), np.inf, apart)
    if not apart.size or apart.max() <= bounds.first_sign:
        return None
    worst = int(apart.argmax())
    return list(_names(engine.plan))[worst], float(here[worst]), float(there[worst])


def _names(plan) -> Iterator[str]:
    """What each gathered entry is called: a variable, and the place it is at."""
    groups = {task.group.array(n): task.group for task in plan.tasks for n in task.reads | task.states}
    for array in plan.gathered:
        if array.name in plan.nodes:
            nodes = plan.nodes[array.name]
        elif array.name in groups:
            nodes = [site.node for site in groups[array.name].sites]
        else:
            nodes = [n for n, inside in enumerate(plan.cable.has_membrane) if inside or array.name != "cm"]
        yield from (f"{array.name} of {plan.cable.names[n]}" for n in nodes[: array.count])
