"""Places in a cell, as cell files name them: what a parameter sets, where a probe records, where a stimulus goes in."""

import re
from dataclasses import dataclass

from nrn_mlfit.errors import CellError

CONDITIONS = ("celsius", "v_init", "current_gain")  # of a whole run, not of a part of the cell
SECTION_VARIABLES = ("L", "Ra")  # one value a section; all others have one a segment
PLACES = {
    "condition": re.compile(rf"({'|'.join(CONDITIONS)})()"),
    "range": re.compile(r"([A-Za-z_]\w*)\.([A-Za-z_]\w*)"),  # gbar_na.somatic: in every section of a SectionList
    "factor": re.compile(r"([A-Za-z_]\w*)\.([A-Za-z_]\w*)\*"),  # L.all*: as many times what the template has built
    "point": re.compile(r"([A-Za-z_]\w*)@([A-Za-z_]\w*)"),  # V@cell: a variable of a point process
    "procedure": re.compile(r"([A-Za-z_]\w*)\(()\)"),  # set_rm(): a procedure of the template
    "site": re.compile(r"([A-Za-z_]\w*(?:\[\d+\])?)\((\d+\.?\d*|\.\d+)\)"),  # soma(0.5), dend[3](1)
}
TARGETS = tuple(kind for kind in PLACES if kind != "site")  # what a parameter may set
SITES = ("site", "point")  # where a probe records and a stimulus goes in


@dataclass(frozen=True)
class Place:
    """A place in a cell: (kind, name, where) is (range, gbar_na, somatic), (factor, L, all), (point, V, cell),
    (procedure, set_rm, ""), (condition, celsius, "") or (site, soma, 0.5)."""

    kind: str
    name: str
    where: str


def place(text: str) -> Place:
    """The place that a word of a cell file means; raises CellError for none."""
    for kind, form in PLACES.items():
        if match := form.fullmatch(text):
            return Place(kind, match[1], match[2])
    raise CellError(f"{text!r} names no place in a cell, as gbar_na.somatic, V@cell, set_rm() or soma(0.5) do")


def is_target(text: str) -> bool:
    """Whether a parameter can set it."""
    return any(PLACES[kind].fullmatch(text) for kind in TARGETS)


def is_site(text: str) -> bool:
    """Whether a probe can be there, and a stimulus go in."""
    site, point = (PLACES[kind].fullmatch(text) for kind in SITES)
    return bool(point or site and 0 <= float(site[2]) <= 1)
