"""Reconstructions: what NEURON makes of a file is what its geometry says, whatever the kind of file."""

from pathlib import Path

import numpy as np
import pytest
from trees import AXON, SOMA, pyramid

from nrn_mlfit.errors import MorphologyError
from nrn_mlfit.simulator import morphology

ASC = """\
; V3 text file
("CellBody" (Color Red) (CellBody)
  (  10.0   0.0  0.0  0.5)
  (   7.0   7.0  0.0  0.5)
  (   0.0  10.0  0.0  0.5)
  (  -7.0   7.0  0.0  0.5)
  ( -10.0   0.0  0.0  0.5)
  (  -7.0  -7.0  0.0  0.5)
  (   0.0 -10.0  0.0  0.5)
  (   7.0  -7.0  0.0  0.5)
)
( (Color Yellow) (Dendrite)
  (  10.0  0.0 0.0 2.0)
  (  60.0  0.0 0.0 2.0)
  (
    ( 60 50 0 1.0)
    ( 60 80 0 1.0)
    Normal
  |
    ( 60 -50 0 1.0)
    Normal
  )
)
( (Color Blue) (Apical)
  (  0.0  10.0 0.0 3.0)
  (  0.0  200.0 0.0 2.0)
  Normal
)
( (Color Green) (Axon)
  (  0.0  -10.0 0.0 3.0)
  (  0.0  -200.0 0.0 2.0)
  Normal
)
"""
HOC = """\
create soma, dend[2], apical_trunk, axon, tuft, side
soma { pt3dadd(0, 0, 0, 20) pt3dadd(20, 0, 0, 20) }
dend[0] { pt3dadd(0, 0, 0, 2) pt3dadd(-30, 40, 0, 2) }
dend[1] { pt3dadd(0, 100, 0, 1) pt3dadd(-30, 40, 0, 2) }
apical_trunk { pt3dadd(20, 0, 0, 4) pt3dadd(220, 0, 0, 4) }
tuft { L = 80 diam = 1.5 }
connect dend[0](0), soma(0)
connect dend[1](1), dend[0](1)
connect apical_trunk(0), soma(1)
connect tuft(0), apical_trunk(0.25)
connect axon(0), soma(0.5)
connect side(0), axon(1)
"""


@pytest.fixture
def read(tmp_path):
    def read(name, text):
        path = tmp_path / name
        path.write_text(text)
        return morphology.read(path)

    return read


def dendritic_frusta(tree):
    """(length, area) of the cones between the dendrites' points; what lies between soma and first point is the soma's."""
    rows = {row[0]: row for row in tree.rows}
    length = area = 0.0
    for row in tree.rows:
        above = rows.get(row[6])
        if row[1] in (SOMA, AXON) or above[1] == SOMA:
            continue
        step = np.linalg.norm(np.subtract(row[2:5], above[2:5]))
        length += step
        area += np.pi * (row[5] + above[5]) * np.hypot(step, row[5] - above[5])
    return length, area


@pytest.mark.parametrize("soma", [1, 3])
@pytest.mark.parametrize("seed", [1, 2, 3])
def test_an_swc_file_has_the_length_and_the_membrane_of_its_cones(read, seed, soma):
    tree = pyramid(seed, soma=soma)
    found = read("cell.swc", tree.text())
    dendrites = [b for b in found.branches if b.kind != "soma"]
    length, area = dendritic_frusta(tree)
    assert len(dendrites) > 100
    assert sum(b.length for b in dendrites) == pytest.approx(length, rel=1e-6)
    assert sum(b.area for b in dendrites) == pytest.approx(area, rel=1e-6)
    assert found.soma.area == pytest.approx(
        4 * np.pi * 8**2, rel=1e-6
    )  # of a sphere; so the one and the three points mean


def test_a_soma_drawn_as_a_line_is_its_cones_and_dendrites_stay_where_they_were(read):
    soma = "1 1 0 0 0 5 -1\n2 1 5 0 0 10 1\n3 1 10 0 0 10 2\n4 1 20 0 0 4 3\n"
    found = read("cell.swc", soma + "5 3 20 0 0 1 4\n6 3 60 0 0 1 5\n7 4 5 12 0 1 2\n8 4 5 60 0 1 7\n")
    cones = [(5, 10, 5), (10, 10, 5), (10, 4, 10)]
    assert found.soma.length == pytest.approx(20)
    assert found.soma.area == pytest.approx(sum(np.pi * (a + b) * np.hypot(h, a - b) for a, b, h in cones), rel=1e-6)
    assert [(b.kind, b.at, round(b.length, 5)) for b in found.branches[1:]] == [("basal", 1, 40), ("apical", 0.5, 48)]


def test_parents_come_first_and_every_branch_begins_where_it_hangs(read):
    found = read("cell.swc", pyramid(5).text())
    for number, branch in enumerate(found.branches[1:], 1):
        above = found.branches[branch.parent]
        assert branch.parent < number and branch.at in (0.5, 1)
        if above.kind != "soma":
            assert np.array_equal(branch.points[0, :3], above.points[-1, :3])


def test_the_axon_is_left_out_and_told(read):
    found = read("cell.swc", pyramid(5).text())
    (note,) = found.notes
    assert note.startswith("axon of the reconstruction: 7 sections, ") and note.endswith(" um, left out")
    assert {b.kind for b in found.branches} == {"soma", "basal", "apical"}


def test_a_contour_of_an_asc_file_is_a_soma_as_round(read):
    found = read("cell.asc", ASC)
    assert found.soma.area == pytest.approx(4 * np.pi * 9.75**2, rel=0.1)  # the contour is an octagon of 9.9 to 10 um
    basal, apical = found.of("basal"), found.of("apical")
    assert [round(b.length, 6) for b in basal] == [50, 80, 50] and [round(b.length, 6) for b in apical] == [190]
    assert basal[0].area == pytest.approx(np.pi * 2 * 50, rel=1e-6)  # the fourth column is a diameter
    assert [b.parent for b in found.branches[1:]] == [0, 1, 1, 0]
    assert found.notes == ("axon of the reconstruction: 1 sections, 190 um, left out",)


def test_a_hoc_file_gives_the_sections_that_it_creates(read):
    found = read("cell.hoc", HOC)
    told = [(b.kind, b.parent, b.at, round(b.length, 5)) for b in found.branches]
    assert told == [
        ("soma", -1, 0, 20),
        ("basal", 0, 0, 50),
        ("basal", 1, 1, round(np.hypot(30, 60), 5)),
        ("apical", 0, 1, 200),
        ("basal", 3, 0.25, 80),
    ]
    assert found.branches[2].points[:, 3].tolist() == [
        2,
        1,
    ]  # from where it hangs, though it was drawn from the other end
    assert found.branches[4].area == pytest.approx(np.pi * 1.5 * 80)
    assert found.notes == (
        "axon of the reconstruction: 2 sections, 200 um, left out",
        "left out with the axon they hang on: side",
        "taken for basal dendrites: tuft",
        "without 3-d points, drawn as straight lines: tuft",
    )


def as_hoc(found):
    """A HOC file with the branches of a Morphology."""
    names = [
        "soma" if b.kind == "soma" else f"{ {'basal': 'dend', 'apical': 'apic'}[b.kind] }{k}"
        for k, b in enumerate(found.branches)
    ]
    lines = [f"create {', '.join(names)}"]
    for name, branch in zip(names, found.branches, strict=True):
        points = " ".join(f"pt3dadd({x!r}, {y!r}, {z!r}, {d!r})" for x, y, z, d in branch.points.tolist())
        lines.append(f"{name} {{ {points} }}")
        if branch.parent >= 0:
            lines.append(f"connect {name}(0), {names[branch.parent]}({branch.at})")
    return "\n".join(lines) + "\n"


def test_the_same_cell_as_swc_and_as_hoc_is_the_same(read):
    one = read("cell.swc", pyramid(9, forks=1).text())
    other = read("cell.hoc", as_hoc(one))
    for a, b in zip(one.branches, other.branches, strict=True):
        assert (a.kind, a.parent, a.at) == (b.kind, b.parent, b.at) and np.array_equal(a.points, b.points)


BAD = {
    "cell.obj": ("v 0 0 0", "a reconstruction is read from a file that ends in .swc, .asc, .hoc; name one"),
    "cut.asc": (ASC[:420], "ends with 2 brackets open; the file is cut off: get it anew"),
    "more.asc": (ASC + ")\n", "closes a bracket that is not open; get the file anew"),
    "words.asc": ("hello", "is no Neurolucida ASC file, which begins with a bracket; name another file"),
    "empty.asc": ("", "is no Neurolucida ASC file, which begins with a bracket; name another file"),
    "soma.asc": (
        "\n".join(["( (Dendrite)", *ASC.splitlines()[13:]]),
        "has no soma, a contour marked (CellBody); add one to the file, or take another reconstruction",
    ),
    "letters.asc": (
        ASC.replace("60 80 0", "60 abc 0"),
        "NEURON cannot read it (parse error, line 17); open it in NEURON to see more",
    ),
    "thin.asc": (
        ASC.replace("0.0  200.0 0.0 2.0", "0.0  200.0 0.0 0.0"),
        "apic[0] has a diameter that is not above 0; correct it there",
    ),
    "words.hoc": (
        "hello world\n",
        "NEURON cannot read it (syntax error, line 1 of words.hoc); open it in NEURON to see more",
    ),
    "empty.hoc": ("", "creates no section at top level; name a HOC file that does, or export the cell as SWC"),
    "soma.hoc": (
        HOC.replace("soma", "stem"),
        "has no soma, a section called soma; add one to the file, or take another reconstruction",
    ),
    "two.hoc": (
        HOC + "create soma2\n",
        "has 2 pieces of soma, soma and soma2 among them; make them one",
    ),
    "loose.hoc": (
        HOC.replace("connect tuft(0), apical_trunk(0.25)\n", ""),
        "tuft is not connected to the soma; connect it, or leave it out of the file",
    ),
    "below.hoc": (
        "create soma, dend\nconnect soma(0), dend(1)\n",
        "the soma hangs on dend; connect dend to the soma instead",
    ),
    "point.hoc": (
        HOC.replace("pt3dadd(-30, 40, 0, 2) }\ndend[1]", "pt3dadd(0, 0, 0, 2) }\ndend[1]"),
        "dend[0] has no length; leave it out of the file",
    ),
    "alone.hoc": ("create soma\n", "has a soma and no dendrites; take a reconstruction that has some"),
}


@pytest.mark.parametrize("name", BAD)
def test_what_is_no_cell_is_told_in_a_sentence(name, read, tmp_path):
    text, told = BAD[name]
    with pytest.raises(MorphologyError) as error:
        read(name, text)
    where, _, said = str(error.value).partition(": ")
    assert said == told and where.split(",")[0] == str(tmp_path / name)


def test_a_file_that_is_not_there(tmp_path):
    path = tmp_path / "cell.swc"
    with pytest.raises(MorphologyError) as error:
        morphology.read(path)
    assert str(error.value) == f"{path}: no such file; name the file of a reconstruction (.swc, .asc or .hoc)"


def test_a_file_that_is_too_large(read, monkeypatch):
    monkeypatch.setattr(morphology.reading, "MAX_BYTES", 2_000_000)
    with pytest.raises(MorphologyError, match=r"cell\.swc: larger than 2 MB; that is no reconstruction of one cell"):
        read("cell.swc", "#" * 2_000_001)


def test_too_many_points(read, monkeypatch):
    monkeypatch.setattr(morphology.reading, "MAX_POINTS", 50)
    with pytest.raises(MorphologyError, match="points; at most 50 can be simulated: thin them out"):
        read("cell.swc", pyramid(1).text())


def test_a_hoc_file_without_end_is_given_up(read, monkeypatch):
    monkeypatch.setattr(morphology.reading, "SECONDS", 3.0)
    with pytest.raises(MorphologyError) as error:
        read("loop.hoc", "create soma\nwhile (1) {}\n")
    assert str(error.value).endswith(": NEURON cannot read it (no answer in 3 s); open it in NEURON to see more")


def test_the_example_is_what_its_generator_draws():
    path = Path(__file__).parents[2] / "examples" / "03_reconstruction" / "pyramid.swc"
    assert path.read_text() == pyramid(7).text()
