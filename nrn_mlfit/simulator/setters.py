"""What puts the value of a parameter into a live cell, or into the conditions of its runs."""

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

from nrn_mlfit.errors import CellError
from nrn_mlfit.parameters import Parameter
from nrn_mlfit.places import SECTION_VARIABLES, place
from nrn_mlfit.simulator.door import hoc


@dataclass(frozen=True)
class Target:
    """Where an entry of `sets` leads: the `owners` (segments, sections or a point process) of a variable."""

    owners: list
    variable: str

    def __call__(self, value: float):
        for owner in self.owners:
            setattr(owner, self.variable, value)


@dataclass(frozen=True)
class Factor:
    """A variable of some `owners` that is set to so many times what it was when the cell was built, `built` (owners,)."""

    owners: list
    variable: str
    built: list[float]

    def __call__(self, value: float):
        for owner, before in zip(self.owners, self.built, strict=True):
            setattr(owner, self.variable, value * before)


def setter_of(cell, parameter: Parameter, conditions: dict[str, float]) -> Callable[[float], None]:
    """What puts a value where the parameter says; a condition of the run goes into `conditions`."""
    targets = [_target(cell, parameter, text, conditions) for text in parameter.sets]

    def put(value):
        for target in targets:
            target(value)

    return put


def _target(cell, parameter, text, conditions) -> Callable[[float], None]:
    spot = place(text)
    if spot.kind == "condition":
        _check_unit(parameter, spot.name)
        return partial(conditions.__setitem__, spot.name)
    if spot.kind == "procedure":
        return _member(cell, parameter, spot.name)
    where = _member(cell, parameter, spot.where)
    if spot.kind != "point" and not _is_section_list(where):
        raise CellError(
            f"parameter {parameter.name}: {spot.where} is no SectionList; let the template append its sections to a "
            f"public one, and write {spot.name}.NAME_OF_THE_LIST"
        )
    owners = _owners(where, spot.name)
    if not owners:
        raise CellError(
            f"parameter {parameter.name}: nothing in {spot.where} has {spot.name}; insert its mechanism, and write "
            "VARIABLE_SUFFIX (gbar_na) as NEURON does"
        )
    if spot.kind == "factor":
        return _factor(parameter, where, owners, spot.name)
    process = owners[0].hname().partition("[")[0] + "." if spot.kind == "point" else ""
    _check_unit(parameter, process + spot.name)
    return Target(owners, spot.name)


def _factor(parameter, sections, owners, variable) -> Factor:
    drawn = next((section.name() for section in sections if section.n3d()), None)
    if drawn and variable in ("L", "diam"):
        raise CellError(
            f"parameter {parameter.name}: {drawn} has 3-d points, of which NEURON makes L and diam anew; scale the points in a "
            "procedure of the template"
        )
    return Factor(owners, variable, [getattr(owner, variable) for owner in owners])


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
        raise CellError(f"parameter {parameter.name}: the template has no public {name}; add it to `public`")
    return found


def _check_unit(parameter, variable):
    """The unit of the cell file must be the one that NEURON has for a variable (CLASS.VARIABLE), where it has one."""
    declared = "" if variable == "current_gain" else hoc().units(variable)
    if declared and parameter.unit and _plain(declared) != _plain(parameter.unit):
        raise CellError(
            f"parameter {parameter.name}: unit is {parameter.unit}, but NEURON has {variable.split('.')[-1]} in {declared}"
        )


def _plain(unit: str) -> str:
    plain = unit.replace("µ", "u").lower()
    for mark in " ^*-()":
        plain = plain.replace(mark, "")
    return plain.removeprefix("1") if plain.startswith("1/") else plain
