"""What a group of instances has to do in a step, reduced to what somebody needs, with numbers put in where there are some."""

from dataclasses import dataclass, field

from nrn_mlfit.simulator.lanes.expressions import Expression, is_number, number, rebuilt, symbol, symbols
from nrn_mlfit.simulator.lanes.groups import Group
from nrn_mlfit.simulator.lanes.hoist import hoist
from nrn_mlfit.simulator.lanes.outside import Outside
from nrn_mlfit.simulator.lanes.survey import Survey, inputs

Known = dict[Expression, Expression]


@dataclass(frozen=True)
class Task:
    """What one group does. `start`, `state`: variables and their expressions; `current`: the same for what the matrix
    phase leaves behind, apart from the membrane currents in `currents`; `states`: the variables that steps change."""

    group: Group
    start: dict[str, Expression] = field(repr=False)
    currents: dict[str, Expression] = field(repr=False)
    current: dict[str, Expression] = field(repr=False)
    state: dict[str, Expression] = field(repr=False)
    states: frozenset[str] = frozenset()

    @property
    def reads(self) -> set[str]:
        """The symbols in there, those apart that the start makes."""
        parts = (self.start, self.currents, self.current, self.state)
        return symbols(*(e for part in parts for e in part.values())) - set(self.start)


def constants(group: Group, survey: Survey, changing: set[str], dt: float) -> Known:
    """The symbols of a group that are the same number in all instances and all draws; `changing`: those of ions that
    steps change."""
    known = {symbol("dt"): number(dt)}
    for name in {*inputs(group), "celsius"} - group.written - changing - {group.driven}:
        array = group.array(name)
        if array in survey.where and (value := survey.constant(array)) is not None:
            known[symbol(name)] = number(value)
    return known


def make_task(group: Group, known: Known, survey: Survey, changing: set[str], wanted: set[str]) -> Task:
    """The task of a group. `changing`: ion variables that steps change, `wanted`: variables that others ask for."""
    start = _hidden(group, known, survey)
    for name in [n for n, e in start.items() if is_number(e) and n not in group.written]:
        known[symbol(name)] = start.pop(name)
    group = group.with_values(known)
    currents = {name: e for name, e in group.current.items() if name in group.mod.currents}
    states = _kept(group, currents, wanted)
    _refuse_counting(group, states, currents)
    parts = [{n: e for n, e in part.items() if n in states} for part in (group.current, group.state)]
    moving = {"t", "v", group.driven} | states | changing
    made: dict[str, Expression] = {}
    lifted = []
    # A name in a MOD file begins with a letter.
    for prefix, part in zip(("0current", "0left", "0step"), (currents, *parts), strict=True):
        values, new = hoist(part, moving, prefix)
        lifted.append(values)
        made |= new
    needed = symbols(*(e for part in (*lifted, made) for e in part.values())) | states
    start = {n: e for n, e in {**start, **made}.items() if n in needed}
    return Task(group, start, lifted[0], lifted[1], lifted[2], frozenset(states))


def _kept(group, currents, wanted) -> set[str]:
    """The variables that a step must leave behind: what others want, and what the group itself reads again."""
    kept = wanted & group.written
    while True:
        values = [e for part in (group.current, group.state) for name, e in part.items() if name in kept]
        more = symbols(*currents.values(), *values) & group.written | kept
        if more == kept:
            return kept
        kept = more


def _refuse_counting(group, states, currents):
    """A current is computed twice a step, at v + 0.001 and at v: what counts there counts twice, and what BREAKPOINT
    reads before it sets it is that of the first time."""
    left = states & set(group.current) - set(group.mod.currents)
    again = sorted(left & symbols(*currents.values(), *(group.current[name] for name in left)))
    if again:
        raise Outside(f"{group.mod.name}: BREAKPOINT makes {again[0]} out of what it was, twice a step")


def _hidden(group, known, survey) -> dict[str, Expression]:
    """What NEURON does not show of a group, as INITIAL sets it."""
    shown = {"t", "v", "area", "diam", "celsius", group.driven, *group.mod.ion_variables}
    read = symbols(*group.with_values(known).current.values(), *group.with_values(known).state.values())
    columns = [e for t in group.tables.values() for e in t.columns.values()]
    own = {t.argument for t in group.tables.values()}
    read |= symbols(*columns) - own - {str(s.value) for s in known}
    held = {}
    for name in sorted(read - shown):
        if group.array(name) in survey.where:
            continue
        if name not in group.initial.values:
            raise Outside(f"{group.mod.name}: {name} is read before INITIAL or a step sets it")
        if again := sorted(symbols(group.initial.values[name]) & set(group.initial.values)):
            raise Outside(f"{group.mod.name}: INITIAL makes {name} out of what {again[0]} was before it")
        held[name] = rebuilt(group.initial.values[name], dict(known))
        constant = is_number(held[name]) and name not in group.written
        if name in group.mod.file_locals and group.instances > 1 and not constant:
            raise Outside(f"{group.mod.name}: LOCAL {name}, which all instances share, is no constant")
    return held
