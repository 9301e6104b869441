"""A plan and its source, for people to read."""

from collections.abc import Iterator

from nrn_mlfit.cells import CellModel
from nrn_mlfit.simulator.lanes.expressions import Expression, parts_of
from nrn_mlfit.simulator.lanes.plan import Plan, make_plan
from nrn_mlfit.simulator.lanes.source import generate
from nrn_mlfit.simulator.session import Session

LONGEST = 160  # characters of an expression that are shown,
MOST_PARTS = 60  # and of how many parts it may be
KINDS = {
    "gathered": "read from NEURON for every lane",
    "made": "computed for every lane at the start",
    "scratch": "set anew in every step",
    "fixed": "numbers in the source",
}


def describe(model: CellModel) -> Iterator[str]:
    """The plan of a cell's engine, line by line, and then its C++; raises Outside where there is none."""
    plan = make_plan(Session(model))
    yield f"{model.name}: {_cable(plan)}, steps of {plan.dt:g} ms"
    for kind, meaning in KINDS.items():
        held = [f"{a.name}[{a.count}]" for a in plan.arrays.values() if a.kind == kind]
        if held:
            yield f"  {meaning}: {', '.join(held)}"
    for reversal in plan.reversals:
        yield f"  {reversal.name} in every step: {_short(reversal.value)}"
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
                yield f"    {phase:8}{name} = {_short(value)}"
    yield ""
    yield from generate(plan).splitlines()


def _cable(plan: Plan) -> str:
    if not plan.has_cable:
        return "no cable, since no probe depends on it"
    return f"{len(plan.cable)} nodes, {sum(plan.cable.has_membrane)} of them with a membrane"


def _short(expression) -> str:
    count = len(parts_of(expression))
    if count > MOST_PARTS:  # written out, what is shared would be there again and again
        return f"an expression of {count} parts; see the source"
    told = text(expression)
    return told if len(told) <= LONGEST else f"{told[:LONGEST].rpartition(' ')[0]} ... (all of it: see the source)"


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
