"""A plan and its source, for people to read."""

import re
from collections.abc import Iterator
from dataclasses import dataclass

from nrn_mlfit.cells import CellModel
from nrn_mlfit.simulator.lanes.expressions import Expression, parts_of
from nrn_mlfit.simulator.lanes.plan import Plan, make_plan
from nrn_mlfit.simulator.lanes.source import generate
from nrn_mlfit.simulator.session import Session

LONGEST = 160  # characters of an expression on a screen
MOST_PARTS = 60  # that an expression may have: written out, what is shared would be there again and again
MOST_LINES = 60  # of a plan on a screen
KINDS = {
    "gathered": "read from NEURON for every lane",
    "made": "computed for every lane at the start",
    "scratch": "set anew in every step",
    "fixed": "numbers in the source",
}


@dataclass(frozen=True)
class Description:
    """What an engine makes of a cell: the lines of its plan with whole formulas, and its C++."""

    plan: list[str]
    source: str

    @property
    def brief(self) -> Iterator[str]:
        """The plan for a screen: `…` ends what is cut."""
        yield from map(_cut, self.plan[:MOST_LINES])
        if len(self.plan) > MOST_LINES:
            yield f"  … and {len(self.plan) - MOST_LINES} lines more"


def describe(model: CellModel) -> Description:
    """The plan of a cell's engine and its source; raises Outside where there is none."""
    plan = make_plan(Session(model))
    return Description(list(_lines(model, plan)), generate(plan, model.protocol.is_bank))


def _lines(model, plan) -> Iterator[str]:
    yield f"{model.name}: {_cable(plan)}, steps of {plan.dt:g} ms"
    for kind, meaning in KINDS.items():
        held = [f"{a.name}[{a.count}]" for a in plan.arrays.values() if a.kind == kind]
        if held:
            yield f"  {meaning}: {', '.join(held)}"
    for reversal in plan.reversals:
        yield f"  {reversal.name} in every step: {_whole(reversal.value)}"
    for task in plan.tasks:
        driven = f", its {task.group.driven} is the stimulus" if task.group.driven else ""
        yield f"  {task.group.mod.name} at {len(task.group.sites)} places{driven}"
        for phase, values in (
            ("start", task.start),
            ("current", task.currents),
            ("current", task.current),
            ("step", task.state),
        ):
            for name, value in values.items():
                yield f"    {phase:8}{name} = {_whole(value)}"


def _cable(plan: Plan) -> str:
    if not plan.has_cable:
        return "no cable, since no probe depends on it"
    return f"{len(plan.cable)} nodes, {sum(plan.cable.has_membrane)} of them with a membrane"


def _whole(expression) -> str:
    count = len(parts_of(expression))
    return text(expression) if count <= MOST_PARTS else f"an expression of {count} parts; see the source"


def _cut(line) -> str:
    """A line of the plan that fits a screen, cut where a word or a factor ends."""
    if len(line) <= LONGEST:
        return line
    return f"{re.sub(r'[ *][^ *]*$', '', line[:LONGEST])} …"


def text(e: Expression) -> str:
    """The expression as one reads it."""
    if e.kind in ("number", "symbol"):
        return f"{e.value:g}" if e.kind == "number" else str(e.value)
    if e.kind == "sum":
        told = " ".join(f"{'-' if c < 0 else '+'} {f'{abs(c):g}*' if abs(c) != 1 else ''}{text(t)}" for c, t in e.parts)
        constant = float(e.value)
        last = f" {'-' if constant < 0 else '+'} {abs(constant):g}" if constant else ""
        return f"({told.removeprefix('+ ')}{last})"
    if e.kind == "product":
        return "*".join(text(b) if n == 1 else f"{text(b)}^{n}" for b, n in e.parts)
    if e.kind in ("comparison", "logic") and len(e.parts) == 2:
        return f"{text(e.parts[0])} {e.value} {text(e.parts[1])}"
    return f"{e.value or e.kind}({', '.join(text(part) for part in e.parts)})"
