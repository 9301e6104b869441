"""The parameters that a cell file may begin with: which quantities of a template, in which SectionLists, in which ranges."""

import re
from collections.abc import Iterable
from dataclasses import dataclass

from nrn_mlfit.errors import CellError
from nrn_mlfit.parameters import Parameter
from nrn_mlfit.simulator.inventory import Inventory, Quantity

# Maximal conductances of one type of neuron differ two- to fourfold between animals (Schulz, Goaillard & Marder, Nature
# Neuroscience 9:356, 2006): half to twice the template's value is a fourfold range.
FACTOR = 2.0
# Input resistances differ more, with the membrane that was drawn or cut off: a sixteenfold range.
LEAK_FACTOR = 4.0
DECADE = 10.0  # a range over more than this is drawn in its logarithm, or nearly all draws would lie in its last decade
SHIFT_MV = 10.0  # of a reversal potential to either side
CONDUCTANCES = {"s/cm2", "mho/cm2", "ms/cm2", "mmho/cm2", "us/cm2", "umho/cm2", "ns/cm2", "ps/um2", "s/m2", "cm/s"}
BY_NAME = re.compile(r"g\w*bar\w*|p\w*bar\w*|g(max|_max)\w*")  # a conductance, where the MOD file says no unit
LEAK = re.compile(r"g_pas|gl(eak)?_\w+|gl?k?leak\w*|g_leak\w*", re.IGNORECASE)
REVERSAL = re.compile(r"e\w+")
TOLERANCE = 1e-9  # relative: values that differ by less are the same


@dataclass(frozen=True)
class Proposed:
    """A parameter with what its line in the cell file says about it."""

    parameter: Parameter
    remark: str


@dataclass(frozen=True)
class Proposal:
    """What is drawn, what might be (with a range ready to use), and what else there is, in words."""

    drawn: tuple[Proposed, ...]
    spare: tuple[Proposed, ...]
    others: tuple[str, ...]


def propose(found: Inventory) -> Proposal:
    """Conductances for each region, leak and capacitance for the whole cell; raises CellError where there is nothing."""
    drawn: list[Proposed] = []
    spare: list[Proposed] = []
    others: list[str] = []
    for quantity in sorted(found.quantities, key=_rank):
        kind = kind_of(quantity)
        if kind == "other":
            others += _listed(quantity, found)
        else:
            parts = cover(found, quantity, by_region=kind == "conductance")
            target = drawn if kind in ("conductance", "leak", "capacitance") else spare
            target += [_proposed(quantity, kind, *part) for part in parts]
    points = [_of_point(point) for point in found.points if point.value]
    has_channels = any(kind_of(quantity) == "conductance" for quantity in found.quantities)
    (spare if has_channels else drawn).extend(points)
    if not drawn:
        raise CellError(
            f"template {found.template}: has no section with a membrane to fit; insert its channels in init(), and append "
            "its sections to a public SectionList"
        )
    return Proposal(tuple(drawn), tuple(spare), tuple(others))


def kind_of(quantity: Quantity) -> str:
    """conductance, leak, capacitance, reversal, resistivity or other (constants of gating, sizes, what is 0 everywhere)."""
    name, unit = quantity.variable, plain(quantity.unit)
    if name == "cm":
        return "capacitance"
    if name == "Ra":
        return "resistivity"
    if unit == "mv" and REVERSAL.fullmatch(name):
        return "reversal"
    is_one = unit in CONDUCTANCES or not unit and bool(BY_NAME.fullmatch(name))
    if not is_one or all(low <= 0 for low, _ in quantity.values.values()):
        return "other"
    return "leak" if LEAK.fullmatch(name) else "conductance"


def plain(unit: str) -> str:
    """A unit without the marks that its writers put in differently."""
    return re.sub(r"[ ^*()]", "", unit.replace("µ", "u").lower())


def cover(found: Inventory, quantity: Quantity, by_region: bool) -> list[tuple[str, tuple[float, float]]]:
    """SectionLists that share out the sections which have a quantity, each with its (low, high) there.

    As few as can be with one value each; then those where it differs from section to section. `by_region`: none that has
    the site of the recording together with others, as soma and dendrites are known each for itself.
    """
    lists = {name: frozenset(quantity.values) & frozenset(sections) for name, sections in found.lists.items()}
    lists = {name: sections for name, sections in lists.items() if sections}
    if by_region:
        alone = {n: s for n, s in lists.items() if len(s) == 1 or found.site not in s}
        lists = alone if _union(alone) == _union(lists) else lists
    ties = {name: (len(found.lists[name]), (name == "all") == by_region, name) for name in lists}
    coarse = sorted(lists, key=lambda name: (-len(lists[name]), ties[name]))
    fine = sorted(lists, key=lambda name: (len(lists[name]), ties[name]))
    chosen: dict[str, frozenset] = {}
    for name in (*(n for n in coarse if _is_one(quantity.among(lists[n]))), *fine):
        if not lists[name] & _union(chosen):
            chosen[name] = lists[name]
    values = {name: quantity.among(sections) or (0.0, 0.0) for name, sections in chosen.items()}
    return sorted((name, value) for name, value in values.items() if value[1] > 0 or quantity.unit == "mV")


def in_words(values: tuple[float, float]) -> str:
    """A value, or from where to where it goes."""
    return f"{values[0]:.6g}" if _is_one(values) else f"{values[0]:.6g} to {values[1]:.6g}"


def _union(lists: dict[str, frozenset]) -> frozenset:
    return frozenset().union(*lists.values())


def _is_one(values) -> bool:
    return values is not None and abs(values[1] - values[0]) <= TOLERANCE * abs(values[1])


def _rank(quantity) -> tuple[int, str]:
    order = ("conductance", "leak", "capacitance", "reversal", "resistivity", "other")
    return order.index(kind_of(quantity)), quantity.variable


def _proposed(quantity, kind, name, values) -> Proposed:
    """One value is drawn as it is; where there are several the list is drawn as a factor, which keeps their proportions."""
    target, unit = f"{quantity.variable}.{name}", quantity.unit
    told = _told(unit, in_words(values))
    if not _is_one(values):
        parameter = _ranged(f"{quantity.variable}_{name}", 1.0, "", kind, (f"{target}*",))
        return Proposed(parameter, f"factor; {told}")
    return Proposed(_ranged(target, values[0], unit, kind, (target,)), told)


def _of_point(point) -> Proposed:
    return Proposed(
        _ranged(point.name, point.value, point.unit, "", (point.name,)), _told(point.unit, f"{point.value:.6g}")
    )


def _told(unit, value) -> str:
    return f"{unit}, now {value}".removeprefix(", ")


def _ranged(name, value, unit, kind, targets) -> Parameter:
    if kind == "reversal":
        return Parameter(name, _short(value - SHIFT_MV), _short(value + SHIFT_MV), unit, "linear", targets)
    factor = LEAK_FACTOR if kind == "leak" else FACTOR
    scale = "log" if factor**2 > DECADE else "linear"
    low, high = sorted((value / factor, value * factor))
    return Parameter(name, _short(low), _short(high), unit, scale, targets)


def _short(value: float) -> float:
    return float(f"{value:.6g}")


def _listed(quantity: Quantity, found: Inventory) -> Iterable[str]:
    if quantity.mechanism:
        values = quantity.among(found.sections) or (0.0, 0.0)
        yield f"{quantity.variable} {in_words(values)} {quantity.unit}".rstrip()
