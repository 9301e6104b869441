"""The mechanisms of a cell as the lane engine sees them: groups of instances, each with what it does in a step."""

from dataclasses import dataclass, field, replace
from pathlib import Path

from nrn_mlfit.cells import CellModel
from nrn_mlfit.simulator.door import hoc, shipped_mods
from nrn_mlfit.simulator.lanes import cable as cables
from nrn_mlfit.simulator.lanes import modfile
from nrn_mlfit.simulator.lanes.cable import Cable, Site
from nrn_mlfit.simulator.lanes.expressions import Expression, add, call, compare, multiply, number, rebuilt, select
from nrn_mlfit.simulator.lanes.modfile import Mod
from nrn_mlfit.simulator.lanes.outside import Outside
from nrn_mlfit.simulator.lanes.walk import Table, Walked, walk
from nrn_mlfit.simulator.mechanisms import names_in
from nrn_mlfit.simulator.session import Injector

MADE_BY_US = ("v", "t", "dt", "celsius", "diam", "area")  # the simulation's own variables, by their names in MOD files
GAS_CONSTANT, FARADAY = 8.31446261815324, 96485.33212331001  # SI 2019, as NEURON has them
NEVER_REACHED = 1e6  # mV: NEURON's Nernst potential where a concentration is 0


@dataclass(frozen=True)
class Group:
    """Instances of one mechanism that are treated alike. `driven`: the variable that the stimulus is played into."""

    name: str
    mod: Mod
    sites: list[Site] = field(repr=False)
    initial: Walked = field(repr=False)
    current: dict[str, Expression] = field(repr=False)
    state: dict[str, Expression] = field(repr=False)
    tables: dict[str, Table] = field(repr=False)
    instances: int  # of the mechanism, in all groups
    driven: str = ""

    def array(self, variable: str) -> str:
        """The array that holds a variable: an ion's own, the temperature's, or MECHANISM.VARIABLE, which no two of them share."""
        shared = variable in self.mod.ion_variables or variable == "celsius"
        return variable if shared else f"{self.name}.{variable}"

    @property
    def written(self) -> set[str]:
        """The variables that a step leaves changed."""
        return set(self.current) | set(self.state)

    def with_values(self, known: dict[Expression, Expression]) -> "Group":
        """The same group with something put in for symbols."""
        memory = dict(known)
        current, state = ({n: rebuilt(e, memory) for n, e in part.items()} for part in (self.current, self.state))
        return replace(self, current=current, state=state)


def read_groups(model: CellModel, cable: Cable, injector: Injector) -> list[Group]:
    """The groups of a live cell, in the order in which NEURON calls them.

    Raises Outside where a mechanism is not known, or where something acts on the cell that is none.
    """
    held = cables.mechanisms(cable)
    cables.refuse_networks(held)
    paths = _paths(model)
    groups = []
    for name, sites in held.items():
        if name not in paths:
            raise Outside(f"{name}: there is no MOD file of it")
        mod = modfile.read(paths[name])
        driven = [site for site in sites if site.owner == injector.process]
        others = [site for site in sites if site not in driven]
        groups += [_group(name, mod, others, len(sites), "")] if others else []
        groups += [_group(f"{name}.driven", mod, driven, len(sites), injector.variable)] if driven else []
    for group in groups:
        if own := group.written & set(MADE_BY_US):
            raise Outside(f"{group.mod.name}: sets {', '.join(sorted(own))}")
    _refuse_two_writers(groups)
    writers = [g for g in groups if any(ion.writes_concentration for ion in g.mod.ions)]
    return writers + [g for g in groups if g not in writers]


def _paths(model) -> dict[str, Path]:
    """Where the MOD file of each mechanism is; the model's own before those built into NEURON."""
    files = [*sorted(shipped_mods().glob("*.mod")), *model.mod_files()]
    return {name: path for path in files for name in names_in(path)}


def _group(name, mod, sites, instances, driven) -> Group:
    tables = bool(getattr(hoc(), f"usetable_{mod.name}", 1))
    initial, current, state = (walk(mod, phase, tables) for phase in ("initial", "current", "state"))
    return Group(
        name,
        mod,
        sites,
        initial,
        current.values,
        state.values,
        {**initial.tables, **current.tables, **state.tables},
        instances,
        driven,
    )


def _refuse_two_writers(groups):
    """One concentration has one mechanism at a node."""
    seen: dict[tuple[str, int], str] = {}
    for group in groups:
        for ion in group.mod.ions:
            for variable in ion.writes:
                if variable == ion.current:
                    continue
                for site in group.sites:
                    other = seen.setdefault((variable, site.node), group.name)
                    if other != group.name:
                        raise Outside(f"{other} and {group.name} both write {variable}")


def nernst(inside: Expression, outside: Expression, charge: float, celsius: Expression) -> Expression:
    """The reversal potential in mV of an ion of some charge, as NEURON's nrn_nernst has it."""
    scale = number(1000.0 * GAS_CONSTANT) * add(celsius, 273.15) / number(FARADAY) / number(charge)
    usual = multiply(scale, call("log", outside / inside))
    empty = compare("<=", inside, 0.0)
    return select(empty, NEVER_REACHED, select(compare("<=", outside, 0.0), -NEVER_REACHED, usual))
