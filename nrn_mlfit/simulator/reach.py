"""What each parameter of a cell reaches: everything that the cell holds is read before and after it is changed, and beside
what it should be set to."""

from collections import defaultdict
from dataclasses import dataclass, replace

import numpy as np

from nrn_mlfit.cells import CellModel
from nrn_mlfit.errors import CellError
from nrn_mlfit.formulas import is_formula
from nrn_mlfit.places import Place, place
from nrn_mlfit.simulator.door import hoc
from nrn_mlfit.simulator.inventory import Readout, name_in, readout
from nrn_mlfit.simulator.session import Session, build_cell, segment
from nrn_mlfit.simulator.setters import Factor, FormulaTarget, Target, formula_target, setter_of, targets_of
from nrn_mlfit.simulator.structure import sections_of

SAME = 1e-12  # relative: a value that was put back may differ by rounding
SHOWN = 3  # places that are named
Places = frozenset[tuple[str, str]]  # (variable, section or point process)
Wish = tuple[Place, Target | Factor | FormulaTarget]  # where, and what sets it


@dataclass(frozen=True)
class Reach:
    """What a parameter does to the cell: `changed` are the places whose values follow it, `wanted` those that its entries name
    (a formula may be the same there whatever the parameter is), `missed` those of them where something else is read than is set.
    `free` says that one of them is a procedure (which may reach what it likes), `conditions` are those of the run that it sets.
    `problem` is why it cannot be set at all."""

    parameter: str
    wanted: Places = frozenset()
    changed: Places = frozenset()
    missed: Places = frozenset()
    conditions: tuple[str, ...] = ()
    free: bool = False
    problem: str = ""

    @property
    def besides(self) -> Places:
        """What else changes."""
        return frozenset() if self.free else self.changed - self.wanted

    @property
    def is_sound(self) -> bool:
        reaches = bool(self.changed or self.conditions)
        return reaches and not (self.problem or self.missed or self.besides)

    @property
    def told(self) -> str:
        """What it reaches, in words."""
        return ", ".join([*self.conditions, *([in_words(self.changed)] if self.changed else [])]) or "nothing"


@dataclass(frozen=True)
class Built:
    """A cell that was built and set: its sections and segments, what each parameter reaches, and `left_over`: what does not
    come back when all parameters are as they were. `strangers`: sections that the HOC file makes besides."""

    sections: int
    segments: int
    reaches: tuple[Reach, ...]
    left_over: Places = frozenset()
    strangers: int = 0


def in_words(places: Places) -> str:
    """`gbar_na in 3 sections (soma, dend[0], dend[1])`, variable by variable."""
    where = defaultdict(list)
    for variable, owner in sorted(places):
        where[variable].append(owner)
    return ", ".join(f"{variable} in {_counted(owners)}" for variable, owners in where.items())


def examine(model: CellModel) -> Built:
    """Build a cell in this process and set each parameter to the ends of its range, the others in the middle.

    Raises CellError where it does not build, or a probe or the stimulus has no place in it.
    """
    cell = build_cell(model)
    reaches = [_placed(cell, model, parameter) for parameter in model.parameters]
    sections = sections_of(cell)
    strangers = sum(1 for section in hoc().allsec() if section not in sections)
    counts = len(sections), sum(section.nseg for section in sections)
    if any(reach.problem for reach in reaches):
        return Built(*counts, tuple(reaches), strangers=strangers)
    session = Session(model)
    wishes = {p.name: _wishes(session.cell, model, p) for p in model.parameters}  # before a factor finds another size
    middle = model.space.to_phys(np.zeros((1, len(model.space))))[0]
    first = _read(session, middle)
    drawn = [reach for reach in reaches if reach.parameter in model.space.names]
    found = [_tried(session, reach, wishes[reach.parameter], middle, first) for reach in drawn]
    return Built(*counts, tuple(found), _different(first, _read(session, middle)), strangers)


def _placed(cell, model, parameter) -> Reach:
    """What a parameter and the formulas that it is in name in a live cell, or why it cannot be set."""
    wanted, conditions, free = set(), [], False
    try:
        setter_of(cell, parameter, {})
        own = [text for text in parameter.sets if not is_formula(text)]
        for name, formula in model.formulas:
            if name == parameter.name:
                formula_target(cell, name, formula, lambda: segment(cell, place(model.origin)))
            own += [formula.target] if parameter.name in formula.names else []
        for spot in map(place, own):
            free = free or spot.kind == "procedure"
            conditions += [spot.name] if spot.kind == "condition" else []
            if spot.kind in ("range", "factor", "point"):
                wanted |= _named(cell, spot)
    except CellError as error:
        return Reach(parameter.name, problem=str(error))
    return Reach(parameter.name, frozenset(wanted), conditions=tuple(conditions), free=free)


def _named(cell, spot) -> set[tuple[str, str]]:
    if spot.kind == "point":
        return {(spot.name, spot.where)}
    there = {where for variable, where in readout(cell) if variable == spot.name}
    return {(spot.name, name) for section in getattr(cell, spot.where) if (name := name_in(cell, section)) in there}


def _wishes(cell, model, parameter) -> list[Wish]:
    """What sets the places of a parameter, in order: by itself, then the formulas that it is in."""
    targets = targets_of(cell, parameter, {}).items()
    wishes: list[Wish] = [(place(text), one) for text, one in targets if isinstance(one, Target | Factor)]
    for name, formula in model.formulas:
        if parameter.name in formula.names:
            target = formula_target(cell, name, formula, lambda: segment(cell, place(model.origin)))
            wishes.append((place(formula.target), target))
    return wishes


def _tried(session, reach, wishes, middle, first) -> Reach:
    """What differs from the reading `first` at either end of a parameter, and what is not as it is wished for there."""
    k = session.model.space.names.index(reach.parameter)
    parameter, changed, missed = session.model.space.parameters[k], Places(), Places()
    for end in (parameter.low, parameter.high):
        row = middle.copy()
        row[k] = end
        read = _read(session, row)
        changed |= _different(first, read)
        wished = _wished(session, wishes, parameter.name, row)
        missed |= {at for at in reach.wanted if not _same(read.get(at), wished.get(at))}
    return replace(reach, changed=changed, missed=missed)


def _wished(session, wishes, name, row) -> Readout:
    """What a parameter sets its places to, the last of several entries for one place, now that the cell is set to a row."""
    model = session.model
    wished: Readout = {}
    values = {**dict(zip(model.space.names, map(float, row), strict=True)), **model.held}
    for spot, target in wishes:
        wanted = target.wanted(values if isinstance(target, FormulaTarget) else values[name])
        there = defaultdict(list)
        for owner, value in zip(target.owners, wanted, strict=True):
            at = spot.where if spot.kind == "point" else name_in(session.cell, getattr(owner, "sec", owner))
            there[target.variable, at].append(value)
        wished |= {key: tuple(held) for key, held in there.items()}
    return wished


def _read(session, row) -> Readout:
    try:
        session.set(row)
    except RuntimeError as error:  # what NEURON raises for an error in HOC
        values = ", ".join(f"{n} {v:.4g}" for n, v in zip(session.model.space.names, row, strict=True))
        raise CellError(
            f"{session.model.name}: HOC stops when the parameters are set to {values} ({error}); see which of its procedures "
            "cannot take them"
        ) from None
    return readout(session.cell)


def _different(one: Readout, other: Readout) -> Places:
    """Where two readings differ; of a section with other segments only that."""
    apart = {key for key in one.keys() | other.keys() if not _same(one.get(key), other.get(key))}
    resized = {where for variable, where in apart if variable == "nseg"}
    return frozenset((v, where) for v, where in apart if v == "nseg" or where not in resized)


def _same(one, other) -> bool:
    if one is None or other is None or len(one) != len(other):
        return False
    return bool(np.allclose(one, other, rtol=SAME, atol=0, equal_nan=True))


def _counted(owners) -> str:
    named = ", ".join(owners[:SHOWN]) + ", ..." * (len(owners) > SHOWN)
    return named if len(owners) == 1 else f"{len(owners)} sections ({named})"
