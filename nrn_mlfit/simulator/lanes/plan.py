"""The plan of a cell: what is stored for every lane, what is a number in the source, what a step does with it."""

from dataclasses import dataclass, field
from typing import Any

import numpy as np

from nrn_mlfit.places import place
from nrn_mlfit.simulator.door import hoc
from nrn_mlfit.simulator.lanes import cable as cables
from nrn_mlfit.simulator.lanes.cable import Cable
from nrn_mlfit.simulator.lanes.expressions import Expression, number, symbol, symbols
from nrn_mlfit.simulator.lanes.groups import nernst, read_groups
from nrn_mlfit.simulator.lanes.outside import AnotherCell, Outside
from nrn_mlfit.simulator.lanes.survey import DRAWS, Reader, candidates
from nrn_mlfit.simulator.lanes.tables import Filled, fill
from nrn_mlfit.simulator.lanes.tasks import Task, constants, make_task
from nrn_mlfit.simulator.session import Session, segment

OF_THE_CABLE = ("v", "cm", "to_parent", "from_parent")


@dataclass(frozen=True)
class Array:
    """A variable with one entry an instance. Kinds: `gathered` (read from NEURON for every lane), `fixed` (numbers in the
    source), `made` (computed for every lane at the start), `scratch` (set by every step before it is read)."""

    name: str
    count: int
    kind: str
    values: tuple[float, ...] = field(repr=False, default=())


@dataclass(frozen=True)
class Reversal:
    """A reversal potential that follows the concentrations, in some entries of its array."""

    name: str
    entries: list[int]
    value: Expression = field(repr=False)


@dataclass(frozen=True)
class Plan:
    """All that the source of a cell's engine is made of. `nodes`: where the entries of an ion variable's array are."""

    cable: Cable = field(repr=False)
    arrays: dict[str, Array]
    tasks: list[Task] = field(repr=False)
    reversals: list[Reversal]
    tables: dict[str, Filled] = field(repr=False)
    nodes: dict[str, list[int]] = field(repr=False)
    probes: list[tuple[str, int]]
    dt: float
    reader: Reader = field(repr=False)
    expected: Any = field(repr=False)

    @property
    def has_cable(self) -> bool:
        return "cm" in self.arrays

    @property
    def gathered(self) -> list[Array]:
        return [a for a in self.arrays.values() if a.kind == "gathered"]

    def where(self, task: Task, name: str) -> tuple[str, list[int]]:
        """(array, entries): where the instances of a task find a variable."""
        sites = [site.node for site in task.group.sites]
        if name in ("v", "area"):
            return name, sites
        array = task.group.array(name)
        if array in self.nodes:
            return array, [self.nodes[array].index(node) for node in sites]
        return array, [0] * len(sites) if self.arrays[array].count == 1 else list(range(len(sites)))

    def rows(self):
        """The entries of a reading that go to the lanes, array after array."""
        slices = [self.reader.where[a.name] for a in self.gathered]
        return np.concatenate([np.arange(s.start, s.stop) for s in slices]) if slices else np.zeros(0, int)

    def check(self, readings):
        """Raises AnotherCell where readings (n, entries) are not as the plan took them to be for all sets.

        `expected` (entries,) is NaN where sets may differ.
        """
        fixed = ~np.isnan(self.expected)
        wrong = np.argwhere(readings[:, fixed] != self.expected[fixed])
        if len(wrong):
            row, entry = wrong[0][0], int(np.flatnonzero(fixed)[wrong[0][1]])
            name = next(n for n, s in self.reader.where.items() if s.start <= entry < s.stop)
            raise AnotherCell(
                f"{name} was {self.expected[entry]:g} in {DRAWS} draws and is {readings[row, entry]:g} in this set"
            )


def make_plan(session: Session) -> Plan:
    """The plan of a live cell; raises Outside where the lane engine must leave it to plain NEURON."""
    return _Planner(session).plan()


class _Planner:
    """The steps to a plan, in their order."""

    def __init__(self, session: Session):
        self._session, self._model = session, session.model
        protocol = self._model.protocol
        with session.begun(protocol.stimuli[0], protocol.stop):
            self._cable = cables.read_cable(session.cell)
        if self._cable.parents.count(-1) > 1:
            raise Outside("the cell is in several pieces")
        self._groups = read_groups(self._model, self._cable, session.injector)
        used = {ion.name for group in self._groups for ion in group.mod.ions}
        self._ions = {ion: nodes for ion, nodes in cables.ions(self._cable).items() if ion in used}
        wanted = [(group, self._wanted(group)) for group in self._groups]
        self._candidates = candidates(self._cable, wanted, self._ions, lambda: [session.gain(protocol.stimuli[0])])
        self._survey = Reader(session, self._candidates).survey()
        self._written = {w for group in self._groups for ion in group.mod.ions for w in ion.writes}
        self._reversals = [r for ion in self._ions if (r := self._reversal(ion))]

    def plan(self) -> Plan:
        changing = self._written | {r.name for r in self._reversals}
        tasks, tables = [], dict[str, Filled]()
        for group in self._groups:
            known = constants(group, self._survey, changing, self._model.step)
            tables |= {t.name: fill(t, known) for t in group.tables.values()}
            tasks.append(make_task(group, known, self._survey, changing, self._wanted(group)))
        probes = [self._probe(site) for site in self._model.probes.values()]
        probed = [t for t in tasks if any(t.group.array(s) == array for s in t.states for array, _ in probes)]
        if all(array != "v" for array, _ in probes) and not any(_meets_cable(t) for t in probed):
            return self._put_together(probed, [], tables, probes, {})
        base = {name: self._stored(name) for name in OF_THE_CABLE}
        return self._put_together(tasks, self._reversals, tables, probes, base)

    def _wanted(self, group) -> set[str]:
        """The variables of a group that something outside of it asks for: probes and concentrations."""
        asked = {name for ion in group.mod.ions for name in ion.writes if name != ion.current}
        for spot in map(place, self._model.probes.values()):
            if spot.kind == "point" and any(s.owner == getattr(self._session.cell, spot.where) for s in group.sites):
                asked.add(spot.name)
        return asked

    def _probe(self, text) -> tuple[str, int]:
        """(array, entry) of a recording site."""
        spot = place(text)
        if spot.kind == "site":
            return "v", self._cable.node(segment(self._session.cell, spot))
        process = getattr(self._session.cell, spot.where)
        for group in self._groups:
            for k, site in enumerate(group.sites):
                if site.owner == process and spot.name in group.written:
                    return group.array(spot.name), k
        raise Outside(f"probe {text}: no step changes it")

    def _reversal(self, ion) -> Reversal | None:
        follows = [cables.follows_concentration(self._cable, ion, node) for node in self._ions[ion]]
        if not any(follows) or not {f"{ion}i", f"{ion}o"} & self._written:
            return None
        charge = hoc().ion_charge(f"{ion}_ion")
        entries = [k for k, does in enumerate(follows) if does]
        celsius = self._survey.constant("celsius")
        warmth = symbol("celsius") if celsius is None else number(celsius)
        return Reversal(f"e{ion}", entries, nernst(symbol(f"{ion}i"), symbol(f"{ion}o"), charge, warmth))

    def _stored(self, name) -> Array:
        """A candidate as an array: numbers in the source if neither parameters nor steps touch it."""
        held = self._survey.of(name)
        if name == "v" or name in self._written or any(name == r.name for r in self._reversals):
            return Array(name, held.shape[1], "gathered")
        kind = "fixed" if self._survey.is_fixed(name) else "gathered"
        return Array(name, held.shape[1], kind, tuple(held[0].tolist()) if kind == "fixed" else ())

    def _put_together(self, tasks, reversals, tables, probes, arrays) -> Plan:
        currents = {f"i{ion}" for ion in self._ions}
        nodes = {
            name: held for ion, held in self._ions.items() for name in (f"i{ion}", f"e{ion}", f"{ion}i", f"{ion}o")
        }
        for reversal in reversals:
            arrays |= {n: self._stored(n) for n in sorted(symbols(reversal.value) | {reversal.name})}
        for task in tasks:
            for name in sorted((task.reads | task.states) - {"t", "v", task.group.driven} - set(task.start)):
                array = "area" if name == "area" else task.group.array(name)
                in_cable = array in currents
                arrays[array] = (
                    Array(array, len(nodes[array]), "scratch") if in_cable else self._variable(task, name, array)
                )
            if task.group.mod.is_point and task.currents:
                arrays["area"] = self._stored("area")
            if task.group.driven and not self._survey.is_fixed("gain"):
                arrays["gain"] = self._stored("gain")
            arrays |= {
                task.group.array(n): Array(task.group.array(n), len(task.group.sites), "made") for n in task.start
            }
        reader, expected = self._reader(arrays)
        return Plan(self._cable, arrays, tasks, reversals, tables, nodes, probes, self._model.step, reader, expected)

    def _variable(self, task, name, array) -> Array:
        if name not in task.states:
            return self._stored(array)
        if name in task.group.mod.global_variables:
            raise Outside(f"{task.group.mod.name}: a step changes the GLOBAL {name} and reads it again")
        return Array(array, self._survey.of(array).shape[1], "gathered")

    def _reader(self, arrays) -> tuple[Reader, Any]:
        """The reader for sets to simulate, and what its readings must be."""
        gathered = {a.name for a in arrays.values() if a.kind == "gathered"}
        geometry = {"area", "to_parent", "from_parent"} - gathered  # slow to read; L, Ra and diam tell if they change
        reader = Reader(self._session, [c for c in self._candidates if c.name not in geometry])
        expected = np.full(sum(s.stop - s.start for s in reader.where.values()), np.nan)
        for name, slot in reader.where.items():
            if name not in gathered and self._survey.is_fixed(name):
                expected[slot] = self._survey.of(name)[0]
        return reader, expected


def _meets_cable(task: Task) -> bool:
    return bool(task.currents) or bool(task.reads & {"v", *task.group.mod.ion_variables})
