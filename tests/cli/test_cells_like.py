"""nrn-mlfit cells new --like: from a reconstruction to a cell that shows, and one sentence for what is none."""

from pathlib import Path

import pytest

from nrn_mlfit import cells

EXAMPLE = Path(__file__).parents[2] / "examples" / "03_reconstruction" / "pyramid.swc"


def test_a_cell_is_made_told_and_shown(command, tmp_path):
    done = command("cells", "new", "--like", "mainen", "--morphology", EXAMPLE, "-o", "my_cell", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    assert "basal dendrites: 90 sections, 3276 um, membrane 7286 um2" in done.stdout
    assert "198 segments; input resistance " in done.stdout
    assert "nrn-mlfit simulate my_cell -n 100 -o runs/my_cell" in done.stdout
    model = cells.load(tmp_path / "my_cell")
    assert model.name == "my_cell" and model.space == cells.load("mainen").space
    shown = command("cells", "show", "my_cell", "-o", "my_cell.png", cwd=tmp_path)
    assert shown.returncode == 0 and (tmp_path / "my_cell.png").stat().st_size > 20_000


REFUSED = {
    "no such file": (
        "none.swc",
        "mainen",
        "mine",
        "{source}: no such file; name the file of a reconstruction (.swc, .asc or .hoc)",
    ),
    "no soma": (
        "soma.swc",
        "mainen_slice",
        "mine",
        "{source}: has no soma, a point of type 1; add one to the file, or take another reconstruction",
    ),
    "a point cell": (
        EXAMPLE,
        "izhikevich",
        "mine",
        "izhikevich: takes no reconstruction: its template has no place for one, and its `files` names none (.swc, .asc); a cell "
        "that does is mainen",
    ),
    "another shape": (
        EXAMPLE,
        "ball_two_sticks",
        "mine",
        "ball_two_sticks: takes no reconstruction: its template has no place for one, and its `files` names none (.swc, .asc); a "
        "cell that does is mainen",
    ),
    "no name": (
        EXAMPLE,
        "mainen",
        "my cell",
        "{output}: 'my cell' becomes the cell's name; make it of letters, digits, _, - and ., as in my_cell",
    ),
}


@pytest.mark.parametrize("case", REFUSED)
def test_what_cannot_be_made_is_a_sentence_and_leaves_nothing(case, command, tmp_path):
    name, cell, output, told = REFUSED[case]
    (tmp_path / "soma.swc").write_text("1 3 0 0 0 1 -1\n2 3 50 0 0 1 1\n")
    source, before = tmp_path / name, sorted(tmp_path.iterdir())
    done = command("cells", "new", "--like", cell, "--morphology", source, "-o", tmp_path / output)
    assert done.returncode == 2
    assert done.stderr == f"nrn-mlfit: {told.format(source=source, output=tmp_path / output)}\n"
    assert sorted(tmp_path.iterdir()) == before
