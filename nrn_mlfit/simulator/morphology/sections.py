"""A reconstruction as NEURON builds it, told section by section; for a process of its own, since HOC files build at top level."""

import contextlib
from pathlib import Path

from nrn_mlfit.simulator.door import hoc, load_file


def of_swc(path: str) -> list[dict]:
    """The sections that NEURON's Import3d makes of an SWC file."""
    return _imported(_reader("Import3d_SWC_read"), path)


def of_asc(path: str) -> list[dict]:
    """The sections that NEURON's Import3d makes of a Neurolucida ASC file."""
    return _imported(_reader("Import3d_Neurolucida3"), path)


def of_hoc(path: str) -> list[dict]:
    """The sections that are there once a HOC file is loaded."""
    load_file(Path(path))
    return _told()


def _reader(name):
    """NEURON's reader of that name, which asks nobody anything."""
    hoc().load_file("import3d.hoc")
    reader = getattr(hoc(), name)()
    reader.quiet = 1
    return reader


def _imported(reader, path) -> list[dict]:
    with contextlib.chdir(Path(path).parent):  # NEURON takes ASCII paths only
        reader.input(Path(path).name)
    hoc().Import3d_GUI(reader, False).instantiate(None)
    if not (told := _told()):
        raise RuntimeError("Import3d finds no branch in it")  # it has printed why
    return told


def _told() -> list[dict]:
    sections = list(hoc().allsec())
    number = {section: k for k, section in enumerate(sections)}
    return [_section(section, number) for section in sections]


def _section(section, number) -> dict:
    """As JSON: name, number of the parent (-1 for none), where on it, 3-d points from the end that hangs there.

    `at` counts from the parent's own end that hangs on something, as the points do.
    """
    above = section.parentseg()
    points = _points(section)
    turned = section.orientation() == 1
    at = above.x if above else 0.0
    if above and above.sec.orientation() == 1:
        at = 1 - at
    parent = number[above.sec] if above else -1
    return {
        "name": section.name(),
        "parent": parent,
        "at": at,
        "points": points[::-1] if turned else points,
        "drawn": section.n3d() > 1,
    }


def _points(section) -> list[list[float]]:
    """The 3-d points; of a section without any a straight line as long, with the diameters of its segments."""
    s = section
    if s.n3d() > 1:
        return [[s.x3d(i), s.y3d(i), s.z3d(i), s.diam3d(i)] for i in range(s.n3d())]
    diameters = [seg.diam for seg in s]
    inner = [[seg.x * s.L, 0.0, 0.0, seg.diam] for seg in s]
    return [[0.0, 0.0, 0.0, diameters[0]], *inner, [s.L, 0.0, 0.0, diameters[-1]]]
