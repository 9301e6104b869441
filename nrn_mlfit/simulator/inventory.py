"""What a template builds: sections, SectionLists, point processes, and every quantity with NEURON's unit and its values."""

from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any

from nrn_mlfit.cells import CellModel
from nrn_mlfit.places import SECTION_VARIABLES, place
from nrn_mlfit.simulator.door import hoc
from nrn_mlfit.simulator.session import build_cell, segment
from nrn_mlfit.simulator.structure import point_processes, sections_of

FEW = 4  # sections that are named
ALL, PARAMETERS = 0, 1  # of MechanismStandard: the RANGE variables of all blocks, of the PARAMETER block
# What NEURON has to stimulate and to count with: nothing of a cell's own.
STIMULATING = {"IClamp", "SEClamp", "VClamp", "AlphaSynapse", "ExpSyn", "Exp2Syn", "NetStim", "APCount", "PatternStim"}
VOLTAGES = ("V", "Vm", "V_m", "vm", "v_m")  # what authors call the voltage of a point cell, and the current into it
CURRENTS = ("I", "Iext", "I_ext", "iext", "Iinj", "I_inj", "iinj", "Iapp", "I_app", "iapp")
Readout = dict[tuple[str, str], tuple[float, ...]]


@dataclass(frozen=True)
class Quantity:
    """A variable of the cell: of a `mechanism` (empty: of every section), in NEURON's `unit`, with the lowest and the highest
    value (low, high) in each section that has it."""

    variable: str
    mechanism: str
    unit: str
    values: dict[str, tuple[float, float]]

    def among(self, sections) -> tuple[float, float] | None:
        """The lowest and the highest value in those of `sections` that have it; None where none has."""
        held = [self.values[name] for name in sections if name in self.values]
        return (min(low for low, _ in held), max(high for _, high in held)) if held else None


@dataclass(frozen=True)
class PointQuantity:
    """A number of a public point process, `name` as in a@cell, with NEURON's unit and its value."""

    name: str
    unit: str
    value: float


@dataclass(frozen=True)
class OwnVoltage:
    """A public point process with a voltage and a current of its own, by its name in the template and theirs: V@cell, I@cell."""

    process: str
    voltage: str
    current: str


@dataclass(frozen=True)
class Inventory:
    """A cell as its template builds it.

    `sections` maps the name of each, as in `dend[3]`, to its number of segments, and `public` are those that a cell file can
    name; `lists` are the public SectionLists; `processes` maps the name of a public point process to its class, and `points`
    are the numbers of those that do not stimulate. `celsius`, `v_init` and `dt` are NEURON's once the cell is built.
    `strangers`: how many sections the HOC file has made besides. `loose`: sections that are not connected to the `site`.
    `own`: the first point process with a voltage of its own.
    """

    template: str
    sections: dict[str, int]
    root: str
    public: tuple[str, ...]
    lists: dict[str, tuple[str, ...]]
    processes: dict[str, str]
    quantities: tuple[Quantity, ...]
    points: tuple[PointQuantity, ...]
    celsius: float
    v_init: float
    dt: float
    strangers: int
    loose: tuple[str, ...] = ()
    own: OwnVoltage | None = None

    @property
    def segments(self) -> int:
        return sum(self.sections.values())

    @property
    def site(self) -> str:
        """The section to record from: a soma, or that all others hang on."""
        somata = [name for name in self.sections if name.split("[")[0].lower() == "soma"]
        return somata[0] if somata else self.root

    @property
    def uncovered(self) -> list[str]:
        """The sections that are in no public SectionList."""
        listed = {section for sections in self.lists.values() for section in sections}
        return [name for name in self.sections if name not in listed]

    @property
    def is_complete(self) -> bool:
        """Whether a cell file can name all that it needs to."""
        return not self.uncovered and self.site in self.public


def take(model: CellModel) -> Inventory:
    """Build the template of a cell in this process and list what there is; raises what build_cell raises."""
    cell, h = build_cell(model), hoc()
    own = sections_of(cell)
    names = {section: name_in(cell, section) for section in own}
    members = _members(cell)
    fitted = {n: found for n, found in members.items() if _is_process(found) and _class(found) not in STIMULATING}
    found = Inventory(
        template=model.template,
        sections={names[section]: section.nseg for section in own},
        root=next((names[s] for s in own if s.parentseg() is None), ""),
        public=tuple(name for name in names.values() if name.split("[")[0] in members),
        lists={
            name: tuple(names[s] for s in found if s in names)
            for name, found in members.items()
            if hasattr(found, "allroots")
        },
        processes={name: _class(found) for name, found in members.items() if _is_process(found)},
        quantities=tuple(_quantities(cell)),
        points=tuple(p for name, found in fitted.items() for p in _numbers(name, found)),
        celsius=float(h.celsius),
        v_init=float(h.v_init),
        dt=float(h.dt),
        strangers=sum(1 for section in h.allsec() if section not in names),
        own=next((each for each in map(_own_voltage, fitted, fitted.values()) if each), None),
    )
    return replace(found, loose=_loose(cell, next((s for s in own if names[s] == found.site), None)))


def loose(model: CellModel) -> tuple[str, ...]:
    """The sections of a cell that are not connected to where its first probe records; none of a probe in a point process."""
    cell, first = build_cell(model), place(next(iter(model.probes.values())))
    return _loose(cell, segment(cell, first).sec) if first.kind == "site" else ()


def in_pieces(sections: Sequence[str], site: str) -> tuple[str, str]:
    """What is wrong with sections that are not connected to the section `site`, and what to do."""
    few = ", ".join(sections[:FEW]) + f" and {len(sections) - FEW} more" * (len(sections) > FEW)
    verb, todo = ("is", "it") if len(sections) == 1 else ("are", "them")
    example = f"as in `connect {sections[0]}(0), {site}(1)`"
    return (
        f"{few} {verb} not connected to {site}",
        f"connect {todo} in the template, {example}: no current flows there now",
    )


def name_in(cell, section) -> str:
    """A section's name inside its cell, as cell files have it: soma, dend[3]."""
    return section.name().removeprefix(f"{cell.hname()}.")


def readout(cell) -> Readout:
    """All quantities of a live cell as they are now: (variable, section or point process) -> its values, one a segment.

    A public point process goes by its name in the template, another one by its class and place.
    """
    held: Readout = {}
    public = {found.hname(): name for name, found in _members(cell).items() if _is_process(found)}
    for section in sections_of(cell):
        name = name_in(cell, section)
        held |= {(v, name): (float(getattr(section, v)),) for v in ("nseg", *SECTION_VARIABLES)}
        for variable in ("diam", "cm", *_variables(section)):
            held[variable, name] = tuple(float(getattr(segment, variable)) for segment in section)
        for k, process in enumerate(point_processes(section)):
            where = public.get(process.hname(), f"{_class(process)} {k} in {name}")
            for variable in _of_mechanism(_class(process)):
                held[variable, where] = (float(getattr(process, variable)),)
    return held


def _members(cell) -> dict[str, Any]:
    """What is public in a template's object."""
    return {name: getattr(cell, name) for name in dir(cell) if not name.startswith("__")}


def _variables(section) -> Iterator[str]:
    """What the mechanisms of a section are told, and the reversal potentials of its ions."""
    for mechanism in section(0.5):
        if mechanism.name().endswith("_ion"):
            yield f"e{mechanism.name().removesuffix('_ion')}"
        else:
            yield from _of_mechanism(mechanism.name())


def _of_mechanism(name, kind=PARAMETERS) -> Iterator[str]:
    h = hoc()
    standard, word = h.MechanismStandard(name, kind), h.ref("")
    for k in range(int(standard.count())):
        if standard.name(word, k) == 1:  # not an array
            yield word[0]


def _is_process(found) -> bool:
    return hasattr(found, "get_segment")


def _own_voltage(name, process) -> OwnVoltage | None:
    held = list(_of_mechanism(_class(process), ALL))
    voltage = next((one for one in VOLTAGES if one in held), None)
    current = next((one for one in CURRENTS if one in held), None)
    return OwnVoltage(name, voltage, current) if voltage and current else None


def _numbers(name, process) -> Iterator[PointQuantity]:
    for variable in _of_mechanism(_class(process)):
        unit = hoc().units(f"{_class(process)}.{variable}")
        yield PointQuantity(f"{variable}@{name}", unit, float(getattr(process, variable)))


def _loose(cell, site) -> tuple[str, ...]:
    tree = site.wholetree() if site is not None else sections_of(cell)
    return tuple(name_in(cell, section) for section in sections_of(cell) if section not in tree)


def _class(process) -> str:
    return process.hname().partition("[")[0]


def _quantities(cell) -> Iterator[Quantity]:
    values: dict[str, dict] = defaultdict(dict)
    sections = sections_of(cell)
    names = {name_in(cell, section) for section in sections}
    for (variable, where), found in readout(cell).items():
        if where in names and variable != "nseg":
            values[variable][where] = min(found), max(found)
    mechanisms = {mechanism.name() for section in sections for mechanism in section(0.5)}
    owners = {variable: name for name in mechanisms if not name.endswith("_ion") for variable in _of_mechanism(name)}
    for variable, held in values.items():
        yield Quantity(variable, owners.get(variable, ""), hoc().units(variable), held)
