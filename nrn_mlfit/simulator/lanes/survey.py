"""What a cell is made of in numbers: read from NEURON at t = 0, for a few draws to see what hangs on the parameters, then
for every set that is simulated."""

import contextlib
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from nrn_mlfit.simulator.door import hoc
from nrn_mlfit.simulator.lanes.cable import NO_MEMBRANE, Cable, couplings
from nrn_mlfit.simulator.lanes.expressions import symbols
from nrn_mlfit.simulator.lanes.groups import MADE_BY_US, Group
from nrn_mlfit.simulator.lanes.outside import AnotherCell, Outside
from nrn_mlfit.simulator.session import Session, advance
from nrn_mlfit.simulator.structure import Structure
from nrn_mlfit.stimuli import Stimulus

DRAWS = 12  # that tell what hangs on the parameters
SEED = 20190501  # of these draws; any will do
CHANGED = "parameters change the segments, mechanisms or point processes of the cell"


@dataclass(frozen=True)
class Candidate:
    """A variable that a step may need: the references to its entries, or a function that reads them."""

    name: str
    count: int
    references: list[Any] = field(repr=False, default_factory=list)
    read: Any = field(repr=False, default=None)


@dataclass(frozen=True)
class Survey:
    """Readings (draws, entries) at t = 0, and where each candidate lies in them."""

    values: Any = field(repr=False)
    where: dict[str, slice]

    def of(self, name: str):
        """The readings of a candidate (draws, count)."""
        return self.values[:, self.where[name]]

    def is_fixed(self, name: str) -> bool:
        """Whether it is the same in all draws."""
        return bool((self.of(name) == self.of(name)[:1]).all())

    def constant(self, name: str) -> float | None:
        """The one value of all entries in all draws, if there is one."""
        held = self.of(name)
        return float(held.flat[0]) if held.size and (held == held.flat[0]).all() else None


class Reader:
    """Sets parameters in NEURON and reads the candidates at t = 0."""

    def __init__(self, session: Session, candidates: list[Candidate]):
        self._session, self._structure = session, Structure(session.cell)
        self._functions = [c.read for c in candidates if c.read]
        ordered = [c for c in candidates if not c.read] + [c for c in candidates if c.read]
        ends = np.cumsum([0] + [c.count for c in ordered])
        self.where = {c.name: slice(int(a), int(b)) for c, a, b in zip(ordered, ends, ends[1:], strict=False)}
        references = [r for c in candidates for r in c.references]
        self._pointers = hoc().PtrVector(max(len(references), 1))
        for k, reference in enumerate(references):
            self._pointers.pset(k, reference)
        self._gathered = hoc().Vector(max(len(references), 1))
        self._count = len(references)

    def read(self, phys_par, stimulus: Stimulus, stop: int, steps: int = 0):
        """The readings (entries,) of a set phys_par (K,) at t = 0 under a stimulus, or after some steps of NEURON's.

        What HOC raises comes through; AnotherCell is raised where the set makes one, even if it fails after that.
        """
        try:
            return self._read(phys_par, stimulus, stop, steps)
        except RuntimeError:
            if self._structure.is_another():
                raise AnotherCell(CHANGED) from None
            raise

    def _read(self, phys_par, stimulus, stop, steps):
        self._session.set(phys_par)
        with self._session.begun(stimulus, stop):
            if self._structure.has_changed():
                raise AnotherCell(CHANGED)
            if steps:
                advance(steps)
            self._pointers.gather(self._gathered)
            rest = [value for read in self._functions for value in read()]
        return np.concatenate([self._gathered.as_numpy()[: self._count], rest])

    def survey(self) -> Survey:
        """Readings of a few draws over the parameters' ranges."""
        space, protocol = self._session.model.space, self._session.model.protocol
        readings = []
        sets = space.to_phys(space.draw(SEED, 0, DRAWS)), *protocol.draw(SEED, 0, DRAWS)
        for row, index, factor in zip(*sets, strict=True):
            with contextlib.suppress(RuntimeError):  # HOC refuses some parameters; that is these sets' affair
                readings.append(self.read(row, protocol.of(index, factor).stimuli[0], protocol.stop))
        if not readings:
            raise Outside(f"HOC refuses {DRAWS} draws of the parameters")
        return Survey(np.array(readings), self.where)


def candidates(cable: Cable, wanted: list[tuple[Group, set[str]]], ions: dict[str, list[int]], gain) -> list[Candidate]:
    """All that a step of some groups may need, hidden variables apart (those that NEURON does not show); with each group
    come the variables that others want of it. `gain` gives what the stimulus is multiplied by, as a list of one."""
    sections = list(dict.fromkeys(place.sec for place in cable.places))
    held = [
        Candidate("v", len(cable), [p._ref_v for p in cable.places]),
        Candidate("cm", sum(cable.has_membrane), [p._ref_cm for p, m in _with_membrane(cable) if m]),
        Candidate("diam", sum(cable.has_membrane), [p._ref_diam for p, m in _with_membrane(cable) if m]),
        Candidate("L", len(sections), read=lambda: [section.L for section in sections]),
        Candidate("Ra", len(sections), read=lambda: [section.Ra for section in sections]),
        Candidate("area", len(cable), read=lambda: [p.area() if m else NO_MEMBRANE for p, m in _with_membrane(cable)]),
        Candidate("to_parent", len(cable), read=lambda: couplings(cable)[0]),
        Candidate("from_parent", len(cable), read=lambda: couplings(cable)[1]),
        Candidate("celsius", 1, read=lambda: [hoc().celsius]),
        Candidate("gain", 1, read=gain),
    ]
    for ion, nodes in ions.items():
        for variable in (f"e{ion}", f"{ion}i", f"{ion}o"):
            held.append(Candidate(variable, len(nodes), [getattr(cable.places[n], f"_ref_{variable}") for n in nodes]))
    for group, asked in wanted:
        held += [c for name in sorted(inputs(group) | asked) if (c := _candidate(group, name))]
    return held


def inputs(group: Group) -> set[str]:
    """The variables that a group reads, at the start or in a step."""
    columns = [e for table in group.tables.values() for e in (*table.columns.values(), table.low, table.high)]
    own = {table.argument for table in group.tables.values()}
    read = symbols(*group.current.values(), *group.state.values(), *columns) | group.initial.inputs
    return read - own


def _candidate(group, name) -> Candidate | None:
    mod = group.mod
    if name == "diam":
        return Candidate(group.array("diam"), len(group.sites), [_segment(site)._ref_diam for site in group.sites])
    if name in MADE_BY_US or name == group.driven or name in mod.ion_variables:
        return None
    if name in mod.ranges or name in mod.states:
        shown = name if mod.is_point else f"{name}_{mod.name}"
        return Candidate(group.array(name), len(group.sites), [getattr(s.owner, f"_ref_{shown}") for s in group.sites])
    if name in mod.global_variables:
        return Candidate(group.array(name), 1, read=lambda: [getattr(hoc(), f"{name}_{mod.name}")])
    return None


def _segment(site):
    return site.owner.get_segment() if hasattr(site.owner, "get_segment") else site.owner


def _with_membrane(cable):
    return zip(cable.places, cable.has_membrane, strict=True)
