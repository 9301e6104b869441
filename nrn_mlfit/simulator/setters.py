"""What puts the value of a parameter into a live cell, or into the conditions of its runs."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import partial
from typing import Any

from nrn_mlfit.errors import CellError
from nrn_mlfit.formulas import DISTANCE, Formula, is_formula
from nrn_mlfit.parameters import Parameter, plain_unit
from nrn_mlfit.places import SECTION_VARIABLES, place
from nrn_mlfit.simulator.door import hoc


@dataclass(frozen=True)
class Target:
    """Where an entry of `sets` leads: the `owners` (segments, sections or a point process) of a variable."""

    owners: list
    variable: str

    def wanted(self, value: float) -> list[float]:
        """What each of the owners gets (owners,)."""
        return [value] * len(self.owners)

    def __call__(self, value: float):
        _put(self, self.wanted(value))


@dataclass(frozen=True)
class Factor:
    """A variable of some `owners` that is set to so many times what it was when the cell was built, `built` (owners,)."""

    owners: list
    variable: str
    built: list[float]

    def wanted(self, value: float) -> list[float]:
        """What each of the owners gets (owners,)."""
        return [value * before for before in self.built]

    def __call__(self, value: float):
        _put(self, self.wanted(value))


class Distances:
    """How far some segments are from an origin, in um along the dendrite, as NEURON tells it.

    They are asked for anew only when a section has got another length.
    """

    def __init__(self, origin, segments: list):
        self._origin, self._segments = origin, segments
        self._sections, self._lengths = list(origin.sec.wholetree()), list[float]()
        self._found = list[float]()

    def __call__(self) -> list[float]:
        lengths = [section.L for section in self._sections]
        if lengths != self._lengths:
            self._found = [hoc().distance(self._origin, segment) for segment in self._segments]
            self._lengths = lengths
        return self._found


@dataclass(frozen=True)
class FormulaTarget:
    """The `owners` of a variable that is set to a formula; `distances` where that hangs on them."""

    owners: list
    variable: str
    formula: Formula
    distances: Distances | None = field(default=None, repr=False)

    def wanted(self, values: Mapping[str, float]) -> list[float]:
        """What each of the owners gets (owners,) by the values of all parameters, by name; raises FormulaError for what is no
        finite number."""
        if self.distances is None:
            return [self.formula.value(values)] * len(self.owners)
        known, wanted = dict(values), []
        for distance in self.distances():
            known[DISTANCE] = distance
            wanted.append(self.formula.value(known))
        return wanted

    def __call__(self, values: Mapping[str, float]):
        _put(self, self.wanted(values))


def _put(target: Target | Factor | FormulaTarget, wanted: list[float]):
    for owner, value in zip(target.owners, wanted, strict=True):
        setattr(owner, target.variable, value)


def formula_target(cell, name: str, formula: Formula, origin: Callable[[], Any]) -> FormulaTarget:
    """What sets a formula of the parameter `name`; `origin()` is the segment that distances are counted from."""
    owners, variable = _owners_of(cell, name, place(formula.target))
    if not formula.by_distance:
        return FormulaTarget(owners, variable, formula)
    distances = Distances(start := origin(), owners)
    for segment, distance in zip(owners, distances(), strict=True):
        if distance > UNCONNECTED:
            raise CellError(
                f'parameter {name}: "{formula}": {segment.sec} has no distance from {start}, as they are not connected; connect '
                "them in the template, or name another origin"
            )
    return FormulaTarget(owners, variable, formula, distances)


UNCONNECTED = 1e15  # um; NEURON's word for no way between two segments is 1e20


def setter_of(cell, parameter: Parameter, conditions: dict[str, float]) -> Callable[[float], None]:
    """What puts a value where the parameter says, formulas apart; a condition of the run goes into `conditions`."""
    targets = targets_of(cell, parameter, conditions).values()

    def put(value):
        for target in targets:
            target(value)

    return put


def targets_of(cell, parameter: Parameter, conditions: dict[str, float]) -> dict[str, Callable[[float], None]]:
    """What sets each entry of a parameter that has no formula, by the entry."""
    return {text: _target(cell, parameter, text, conditions) for text in parameter.sets if not is_formula(text)}


def _target(cell, parameter, text, conditions) -> Callable[[float], None]:
    spot = place(text)
    if spot.kind == "condition":
        _check_unit(parameter, spot.name)
        return partial(conditions.__setitem__, spot.name)
    if spot.kind == "procedure":
        return _member(cell, parameter.name, spot.name)
    owners, variable = _owners_of(cell, parameter.name, spot)
    if spot.kind == "factor":
        return Factor(owners, variable, [getattr(owner, variable) for owner in owners])
    process = owners[0].hname().partition("[")[0] + "." if spot.kind == "point" else ""
    _check_unit(parameter, process + variable)
    return Target(owners, variable)


def _owners_of(cell, name, spot) -> tuple[list, str]:
    """The owners of the variable that a place means, and the variable."""
    where = _member(cell, name, spot.where)
    if spot.kind != "point" and not _is_section_list(where):
        raise CellError(
            f"parameter {name}: {spot.where} is no SectionList; let the template append its sections to a "
            f"public one, and write {spot.name}.NAME_OF_THE_LIST"
        )
    owners = _owners(where, spot.name)
    if not owners:
        raise CellError(
            f"parameter {name}: nothing in {spot.where} has {spot.name}; insert its mechanism, and write "
            "VARIABLE_SUFFIX (gbar_na) as NEURON does"
        )
    if _is_section_list(where):
        _check_points(name, where, spot.name)
    return owners, spot.name


def _check_points(name, sections, variable):
    """Refuse the shape of sections with 3-d points: NEURON writes it into these, in single precision and segment by segment, and
    reads something else out of them."""
    drawn = next((section.name() for section in sections if section.n3d()), None)
    if drawn and variable in ("L", "diam"):
        raise CellError(
            f"parameter {name}: {drawn} has 3-d points, of which NEURON makes L and diam anew; scale the points in a procedure "
            "of the template"
        )


def _owners(where, variable) -> list:
    """The sections or segments of a SectionList, or the point process itself, that have the variable."""
    if not _is_section_list(where):
        return [where] if hasattr(where, variable) else []
    if variable in SECTION_VARIABLES:
        return list(where)
    return [seg for sec in where for seg in sec if hasattr(seg, variable)]


def _is_section_list(where) -> bool:
    return hasattr(where, "allroots")


def _member(cell, parameter, name):
    found = getattr(cell, name, None)
    if found is None:
        raise CellError(f"parameter {parameter}: the template has no public {name}; add it to `public`")
    return found


def _check_unit(parameter, variable):
    """The unit of the cell file must be the one that NEURON has for a variable (CLASS.VARIABLE), where it has one."""
    declared = "" if variable == "current_gain" else hoc().units(variable)
    if declared and parameter.unit and plain_unit(declared) != plain_unit(parameter.unit):
        raise CellError(
            f"parameter {parameter.name}: unit is {parameter.unit}, but NEURON has {variable.split('.')[-1]} in {declared}"
        )
