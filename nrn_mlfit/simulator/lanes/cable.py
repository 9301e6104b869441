"""The cell as NEURON built it: nodes and their parents, which mechanism sits where, in which order they act."""

import sys
from dataclasses import dataclass, field
from typing import Any

from nrn_mlfit.simulator.door import hoc
from nrn_mlfit.simulator.lanes.outside import Outside
from nrn_mlfit.simulator.structure import sections_of

NO_MEMBRANE = 100.0  # um2, the area that NEURON gives a node without one, so that its currents are in nA
ADVANCES_REVERSAL = 64  # the bit of ion_style that has a reversal potential follow the concentrations


@dataclass(frozen=True)
class Cable:
    """The nodes in NEURON's order, parents before children; lists have one entry a node.

    `places` are segments (x of 0 or 1 at a section's end), `has_membrane` tells segments from ends, which have no
    membrane, `parents` is -1 at a root.
    """

    places: list[Any] = field(repr=False)
    names: list[str]
    parents: list[int]
    has_membrane: list[bool]

    def __len__(self) -> int:
        return len(self.places)

    def node(self, segment) -> int:
        """The node that a segment, or a section's end, lies in."""
        return self._numbers[segment.node_index()]

    @property
    def _numbers(self) -> dict[int, int]:
        return {place.node_index(): k for k, place in enumerate(self.places)}


@dataclass(frozen=True)
class Site:
    """One instance of a mechanism: its node, and the segment or the point process that holds its variables."""

    node: int
    owner: Any = field(repr=False)


def read_cable(cell) -> Cable:
    """The trees of sections that a live cell is made of."""
    found: dict[int, tuple] = {}
    for section in sections_of(cell):
        chain = list(section.allseg())
        if section.orientation():
            chain.reverse()
        if section.parentseg() is None:
            found[chain[0].node_index()] = (chain[0], -1, False)
        for before, place in zip(chain, chain[1:], strict=False):
            inside = place is not chain[-1]
            found[place.node_index()] = (place, before.node_index(), inside)
    order = sorted(found)
    new = {-1: -1} | {old: k for k, old in enumerate(order)}
    places, parents, membranes = zip(*(found[old] for old in order), strict=True)
    names = [f"{place.sec.name().split('.')[-1]}({place.x:.4g})" for place in places]
    return Cable(list(places), names, [new[p] for p in parents], list(membranes))


def mechanisms(cable: Cable) -> dict[str, list[Site]]:
    """The sites of every mechanism but ions, mechanisms in the order in which NEURON calls them.

    That is the order of their loading; those that write a concentration act first (nrn_writes_conc in NEURON's
    init.cpp), which is for the caller to know.
    """
    held: dict[str, list[Site]] = {}
    for node, (place, membrane) in enumerate(zip(cable.places, cable.has_membrane, strict=True)):
        for mechanism in place if membrane else ():
            if not mechanism.is_ion():
                held.setdefault(mechanism.name(), []).append(Site(node, place))
        for process in place.point_processes():
            site = Site(node, process)
            name = process.hname().partition("[")[0]
            if all(process != other.owner for other in held.get(name, ())):
                held.setdefault(name, []).append(site)
    types = _types()
    return {name: held[name] for name in sorted(held, key=lambda name: types[name])}


def ions(cable: Cable) -> dict[str, list[int]]:
    """The nodes that hold each ion, by its name without `_ion`."""
    held: dict[str, list[int]] = {}
    for node, (place, membrane) in enumerate(zip(cable.places, cable.has_membrane, strict=True)):
        for mechanism in place if membrane else ():
            if mechanism.is_ion():
                held.setdefault(mechanism.name().removesuffix("_ion"), []).append(node)
    return held


def follows_concentration(cable: Cable, ion: str, node: int) -> bool:
    """Whether NEURON computes the reversal potential of an ion anew in every step."""
    style = int(hoc().ion_style(f"{ion}_ion", sec=cable.places[node].sec))
    return bool(style & ADVANCES_REVERSAL)


def couplings(cable: Cable):
    """(to_parent (nodes,), from_parent (nodes,)): what NEURON's matrix has off its diagonal, A and B, in mS/cm2, negative."""
    matrix = hoc().fmatrix
    pairs = [
        (matrix(p.x, 1, sec=p.sec), matrix(p.x, 3, sec=p.sec)) if parent >= 0 else (0.0, 0.0)
        for p, parent in zip(cable.places, cable.parents, strict=True)
    ]
    return [a for a, _ in pairs], [b for _, b in pairs]


def refuse_networks(mechanism_names):
    """Raises Outside for what acts on a cell beside its own mechanisms."""
    h = hoc()
    for kind, word in (
        ("NetCon", "a NetCon (networks and synapses)"),
        ("LinearMechanism", "a LinearMechanism"),
        ("FInitializeHandler", "an FInitializeHandler"),
    ):
        if len(h.List(kind)) > (_idle_handlers() if kind == "FInitializeHandler" else 0):
            raise Outside(f"there is {word}")
    if "extracellular" in mechanism_names:
        raise Outside("extracellular is inserted")


def _idle_handlers() -> int:
    """NEURON's rxd module makes a handler when it is imported, which any psection() does; it does nothing until there is
    a species, and then there are more of them."""
    return int(hasattr(sys.modules.get("neuron.rxd.rxd"), "_fih_transfer_ecs"))


def _types() -> dict[str, int]:
    """NEURON's number of every mechanism, which rises with the order of loading."""
    h, found = hoc(), {}
    for points in (0, 1):
        kinds = h.MechanismType(points)
        for k in range(int(kinds.count())):
            kinds.select(k)
            name = h.ref("")
            kinds.selected(name)
            found[name[0]] = int(kinds.internal_type())
    return found
