"""The parameters that a cell file may begin with: which quantities of a template, in which SectionLists, in which ranges."""

import re
from collections.abc import Callable, Iterable
from dataclasses import dataclass

from nrn_mlfit.errors import CellError
from nrn_mlfit.parameters import Parameter, plain_unit
from nrn_mlfit.simulator.inventory import Inventory, OwnVoltage, Quantity

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
MOST_TRIED = 10_000  # ways to share out the sections: more would take seconds, and the cheaper ones come first


@dataclass(frozen=True)
class Proposed:
    """A parameter with what its line in the cell file says about it."""

    parameter: Parameter
    remark: str


@dataclass(frozen=True)
class Proposal:
    """What is drawn, what might be (with a range ready to use), and what else there is, in words; `left_out` are quantities in
    sections that no list holds which goes with the others, as `gbar_na in dend[2]`. `own`: the point process that is the cell,
    in sections without a membrane of theirs."""

    drawn: tuple[Proposed, ...]
    spare: tuple[Proposed, ...]
    others: tuple[str, ...]
    left_out: tuple[str, ...] = ()
    own: OwnVoltage | None = None


def propose(found: Inventory) -> Proposal:
    """Conductances for each region, leak and capacitance for the whole cell, or the numbers of a point process that is the cell.

    Raises CellError where there is nothing.
    """
    if found.own and is_bare(found):
        return _of_own_voltage(found, found.own)
    drawn: list[Proposed] = []
    spare: list[Proposed] = []
    others: list[str] = []
    left_out: list[str] = []
    for quantity in sorted(found.quantities, key=_rank):
        kind = kind_of(quantity)
        if kind == "other":
            others += _listed(quantity, found)
        else:
            parts = cover(found, quantity, by_region=kind == "conductance")
            target = drawn if kind in ("conductance", "leak", "capacitance") else spare
            target += [_proposed(quantity, kind, *part) for part in parts]
            if target is drawn and (out := uncovered(found, quantity, [name for name, _ in parts])):
                left_out.append(f"{quantity.variable} in {', '.join(out)}")
    points = [_of_point(point) for point in found.points if point.value]
    (spare if has_channels(found) else drawn).extend(points)
    if not drawn:
        raise CellError(
            f"template {found.template}: has no section with a membrane to fit; insert its channels in init(), and append "
            "its sections to a public SectionList"
        )
    return Proposal(tuple(drawn), tuple(spare), tuple(others), tuple(left_out))


def has_channels(found: Inventory) -> bool:
    """Whether a section has a conductance beside its leak."""
    return any(kind_of(quantity) == "conductance" for quantity in found.quantities)


def is_bare(found: Inventory) -> bool:
    """Whether no section has a conductance: then they only carry point processes."""
    return not any(kind_of(quantity) in ("conductance", "leak") for quantity in found.quantities)


def _of_own_voltage(found, own) -> Proposal:
    """The numbers of the process but for its current and the voltage that it starts with."""
    given = {f"{name}@{own.process}" for name in (own.voltage, f"{own.voltage}0", own.current)}
    points = [point for point in found.points if point.value and point.name not in given]
    mine = [_of_point(point) for point in points if point.name.endswith(f"@{own.process}")]
    if not mine:
        raise CellError(
            f"template {found.template}: no number of the point process {own.process} differs from 0, so that there is nothing "
            "to fit; set its values in init()"
        )
    others = [_of_point(point) for point in points if not point.name.endswith(f"@{own.process}")]
    return Proposal(tuple(mine), tuple(others), (), own=own)


def kind_of(quantity: Quantity) -> str:
    """conductance, leak, capacitance, reversal, resistivity or other (constants of gating, sizes, what is 0 everywhere)."""
    name, unit = quantity.variable, plain_unit(quantity.unit)
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


def cover(found: Inventory, quantity: Quantity, by_region: bool) -> list[tuple[str, tuple[float, float]]]:
    """SectionLists that share out the sections which have a quantity, each with its (low, high) there.

    No section is in two of them, and none that has something of the quantity is left out if that can be. Of the ways to do so:
    one value in each list where there is one, then as few lists as can be. `by_region`: rather no list that has the site of
    the recording together with others, as soma and dendrites are known each for itself.
    """
    lists = {name: frozenset(quantity.values) & frozenset(sections) for name, sections in found.lists.items()}
    chosen = _shared_out(lists, _needed(quantity), lambda name: _cost(found, quantity, by_region, name, lists[name]))
    return sorted((name, quantity.among(lists[name]) or (0.0, 0.0)) for name in chosen)


def uncovered(found: Inventory, quantity: Quantity, chosen: Iterable[str]) -> list[str]:
    """The sections that have something of a quantity and are in none of the chosen SectionLists."""
    held = _needed(quantity).difference(*(found.lists[name] for name in chosen))
    return [name for name in found.sections if name in held]


def _needed(quantity) -> frozenset[str]:
    """The sections with something to set: of a voltage 0 is a value as any other, of the rest it is nothing."""
    return frozenset(name for name, (_, high) in quantity.values.items() if high > 0 or quantity.unit == "mV")


def _cost(found, quantity, by_region, name, sections) -> tuple:
    """What speaks against a list, what is worst first; costs of lists add up."""
    mixes_site = by_region and found.site in sections and len(sections) > 1
    mixed = 0 if _is_one(quantity.among(sections)) else len(sections)
    return mixes_site, mixed, 1, len(found.lists[name]), (name == "all") == by_region


def _shared_out(lists: dict[str, frozenset], needed: frozenset, cost: Callable[[str], tuple]) -> list[str]:
    """The names of disjoint lists that hold all that is needed at the least cost; where there are none, the largest ones."""
    costs = {name: cost(name) for name, held in lists.items() if held & needed}
    names = sorted(costs, key=lambda name: (costs[name], name))
    needed &= frozenset().union(*(lists[name] for name in names))
    best: list[tuple[tuple, list[str]]] = []
    left = MOST_TRIED

    def go_on(chosen, held, so_far):
        nonlocal left
        left -= 1
        if left < 0 or best and so_far >= best[0][0]:
            return
        open_ones = needed - held
        if not open_ones:
            best[:] = [(so_far, chosen)]
            return
        fitting = [name for name in names if not lists[name] & held]
        each = {section: [name for name in fitting if section in lists[name]] for section in open_ones}
        for name in min(each.values(), key=lambda some: (len(some), some)):
            go_on([*chosen, name], held | lists[name], tuple(map(sum, zip(so_far, costs[name], strict=True))))

    go_on([], frozenset(), (0,) * 5)
    return best[0][1] if best else _largest(names, lists, needed)


def _largest(names, lists, needed) -> list[str]:
    chosen: list[str] = []
    for name in sorted(names, key=lambda name: -len(lists[name] & needed)):
        if not any(lists[name] & lists[other] for other in chosen):
            chosen.append(name)
    return chosen


def in_words(values: tuple[float, float]) -> str:
    """A value, or from where to where it goes."""
    return f"{values[0]:.6g}" if _is_one(values) else f"{values[0]:.6g} to {values[1]:.6g}"


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
    is_potential = plain_unit(point.unit) == "mv" and point.value <= -2 * SHIFT_MV  # others in mV are steps
    kind = "reversal" if is_potential else ""
    parameter = _ranged(point.name, point.value, point.unit, kind, (point.name,))
    return Proposed(parameter, _told(point.unit, f"{point.value:.6g}"))


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
