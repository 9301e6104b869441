"""SWC files: any order and numbering give the same tree, and what is no tree around a soma is refused with its line."""

import random
import time

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from trees import pyramid

from nrn_mlfit.errors import MorphologyError
from nrn_mlfit.simulator.morphology import swc

GOOD = """\
# a soma of one point, a basal dendrite that forks, an apical one
1 1 0 0 0 10 -1
2 3 10 0 0 1 1
3 3 60 0 0 1 2
4 3 60 50 0 .5 3
5 3 60 -50 0 .5 3
6 4 0 10 0 2 1
7 4 0 110 0 2 6
"""


def read(folder, text):
    path = folder / "cell.swc"
    path.write_text(text)
    return swc.read(path)


def shape(points):
    """What a tree is, whatever its points are called: each point with its parent's place."""
    known = {p.number: p for p in points}
    where = {number: (p.x, p.y, p.z) for number, p in known.items()}
    return sorted((p.kind, where[p.number], p.radius, where.get(p.parent, ())) for p in points)


@settings(max_examples=40, deadline=None)
@given(seed=st.integers(0, 10**6), order=st.randoms(use_true_random=False))
def test_order_and_numbers_of_the_lines_do_not_matter(seed, order, tmp_path_factory):
    folder, rows = tmp_path_factory.mktemp("swc"), pyramid(seed, basals=2, forks=1, obliques=1).rows
    names = order.sample(range(10 * len(rows)), len(rows))
    new = {-1: -1} | {row[0]: name for row, name in zip(rows, names, strict=True)}
    shuffled = [(new[row[0]], *row[1:6], new[row[6]]) for row in rows]
    order.shuffle(shuffled)
    points, notes = read(folder, "\n".join(" ".join(map(str, row)) for row in shuffled))
    plain, _ = read(folder, "\n".join(" ".join(map(str, row)) for row in rows))
    assert shape(points) == shape(plain) and len(points) == len(rows) and notes == []
    seen = {-1}
    for point in points:
        assert point.parent in seen
        seen.add(point.number)


@settings(max_examples=20, deadline=None)
@given(seed=st.integers(0, 10**6))
def test_the_text_of_a_tree_is_the_tree(seed, tmp_path_factory):
    folder = tmp_path_factory.mktemp("swc")
    points, _ = read(folder, pyramid(seed, basals=2, forks=1).text())
    again, _ = read(folder, swc.text(points))
    assert shape(again) == shape(points)


def test_other_types_are_those_of_what_they_hang_on(tmp_path):
    changed = GOOD.replace("2 3 10", "2 0 10").replace("3 3 60", "3 5 60").replace("7 4 0", "7 6 0")
    points, notes = read(tmp_path, changed)
    assert {p.number: p.kind for p in points} == {1: 1, 2: 3, 3: 3, 4: 3, 5: 3, 6: 4, 7: 4}
    assert notes == [
        "type 0 (1 points), 5 (1 points), 6 (1 points): taken for what they hang on, at the soma for basal dendrite"
    ]


def test_a_point_may_be_there_twice(tmp_path):
    points, _ = read(tmp_path, GOOD + "8 4 0 110 0 2 7\n9 4 0 150 0 2 8\n")
    assert len(points) == 9


def test_a_byte_order_mark_is_no_part_of_a_number(tmp_path):
    (tmp_path / "cell.swc").write_bytes(GOOD.partition("\n")[2].encode("utf-8-sig"))
    points, _ = swc.read(tmp_path / "cell.swc")
    assert len(points) == 7


def test_a_cycle_behind_many_points_is_found_at_once(tmp_path):
    chain = "".join(f"{k} 3 {k} 0 0 1 {k - 1}\n" for k in range(2, 8000))
    began = time.monotonic()
    with pytest.raises(MorphologyError) as error:
        read(tmp_path, f"1 1 0 0 0 10 -1\n{chain}8000 3 0 9 0 1 8001\n8001 3 0 8 0 1 8000\n")
    assert ", line 8000: is its own ancestor; " in str(error.value) and time.monotonic() - began < 5


BAD = {
    "nothing": ("", "holds no point; an SWC file has `number type x y z radius parent` a line"),
    "words": (
        "1 1 0 0 0 ten -1\n",
        ", line 1: '1 1 0 0 0 ten -1' is not seven numbers; an SWC file has `number type x y z radius parent` a line",
    ),
    "cut": (
        GOOD[:-9],
        ", line 8: has 4 of the 7 columns number, type, x, y, z, radius and parent; the file may be cut off: get it anew",
    ),
    "half a number": (
        GOOD.replace("3 3 60 0", "3.5 3 60 0"),
        ", line 4: '3.5 3 60 0 0 1 2' is not seven numbers; an SWC file has `number type x y z radius parent` a line",
    ),
    "radius": (
        GOOD.replace("5 3 60 -50 0 .5", "5 3 60 -50 0 0"),
        ", line 6: x, y and z must be numbers and the radius above 0, got 60 -50 0 0; correct it there",
    ),
    "commas": (
        GOOD.replace("5 3 60 -50 0 .5 3", "5,3,60,-50,0,.5,3"),
        ", line 6: has commas or semicolons; the columns of an SWC file are separated by blanks: put blanks there",
    ),
    "decimal commas": (
        GOOD.replace("5 3 60 -50 0 .5 3", "5 3 60 -50 0 0,5 3"),
        ", line 6: has commas or semicolons; the columns of an SWC file are separated by blanks: put blanks there",
    ),
    "root at 0": (
        GOOD.replace("1 1 0 0 0 10 -1", "1 1 0 0 0 10 0"),
        ", line 2: its parent is 0, a number no point has; that of a root is -1",
    ),
    "nan": (
        GOOD.replace("5 3 60 -50 0 .5", "5 3 60 nan 0 1"),
        ", line 6: x, y and z must be numbers and the radius above 0, got 60 nan 0 1; correct it there",
    ),
    "twice": (GOOD + "7 4 0 120 0 2 6\n", ", line 9: the number 7: line 8 has it already; give it another"),
    "parent": (
        GOOD.replace("7 4 0 110 0 2 6", "7 4 0 110 0 2 66"),
        ", line 8: its parent 66 is in no line; the file may be cut off: get it anew",
    ),
    "trees": (
        GOOD.replace("6 4 0 10 0 2 1", "6 4 0 10 0 2 -1"),
        ": has 2 trees, which begin in lines 2, 7; a cell is one: join them, or leave the others out",
    ),
    "cycle": (
        GOOD.replace("6 4 0 10 0 2 1", "6 4 0 10 0 2 7"),
        ", line 7: is its own ancestor; the way along the parents must end at -1",
    ),
    "only a cycle": (
        "1 1 0 0 0 10 2\n2 1 5 0 0 10 1\n",
        ", line 1: is its own ancestor; the way along the parents must end at -1",
    ),
    "no soma": (
        GOOD.replace("1 1 0", "1 3 0"),
        ": has no soma, a point of type 1; add one to the file, or take another reconstruction",
    ),
    "soma at the end": (
        GOOD.replace("1 1 0", "1 3 0").replace("5 3 60", "5 1 60"),
        ", line 2: the tree begins with type 3; let it begin with the soma, type 1",
    ),
    "two somas": (
        GOOD.replace("5 3 60", "5 1 60"),
        ", line 6: a second soma, away from the first one; a cell has one: correct the type there",
    ),
    "soma that branches": (
        GOOD + "8 1 0 0 9 5 1\n9 1 0 0 -9 5 1\n10 1 9 0 -9 5 1\n",
        ", line 2: the soma branches; draw it as one point, as three as NeuroMorpho does, or as one line",
    ),
    "soma at one place": (
        GOOD + "8 1 0 0 0 10 1\n9 1 0 0 0 10 1\n",
        ", line 9: all 3 points of the soma lie at one place; leave the first one alone there, which is a sphere of its radius",
    ),
    "no length": (
        GOOD.replace("4 3 60 50 0", "4 3 60 0 0"),
        ", line 5: the branch that begins here has no length; leave its points out",
    ),
}


@pytest.mark.parametrize("case", BAD)
def test_what_is_no_tree_around_a_soma_is_told_with_its_line(case, tmp_path):
    text, told = BAD[case]
    with pytest.raises(MorphologyError) as error:
        read(tmp_path, text)
    assert str(error.value) == f"{tmp_path / 'cell.swc'}" + (told if told[0] in ",:" else f": {told}")


@settings(max_examples=200, deadline=None)
@given(cut=st.integers(0, 3000), junk=st.binary(max_size=30), seed=st.integers(0, 50))
def test_a_damaged_file_is_a_tree_or_a_sentence(cut, junk, seed, tmp_path_factory):
    path = tmp_path_factory.mktemp("swc") / "cell.swc"
    whole = pyramid(seed, basals=1, forks=1, obliques=1).text().encode()
    at = random.Random(seed).randrange(len(whole))
    path.write_bytes((whole[:at] + junk + whole[at:])[:cut])
    try:
        points, _ = swc.read(path)
    except MorphologyError as error:
        assert str(error).startswith(str(path)) and "\n" not in str(error)
    else:
        assert points[0].kind == swc.SOMA and all(p.radius > 0 for p in points)
