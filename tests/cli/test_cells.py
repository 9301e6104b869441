"""`nrn-mlfit cells`: what is listed, what is shown, what is drawn."""

import shutil

import pytest
from click.testing import CliRunner

from nrn_mlfit import cells
from nrn_mlfit.cli import cli
from nrn_mlfit.errors import MlfitError


def run(*words):
    done = CliRunner().invoke(cli, ["cells", *map(str, words)])
    if isinstance(done.exception, MlfitError):
        raise done.exception
    assert done.exit_code == 0, done.output
    return done.output.splitlines()


@pytest.fixture
def own_cell(tmp_path):
    """A cell file of a user's own: a copy of the shipped point cell."""
    folder = tmp_path / "my cell"
    cells.bundle(cells.load("izhikevich"), folder)
    return folder / "izhikevich.yaml"


def test_every_known_cell_is_listed():
    lines = run()
    assert [line.split()[0] for line in lines[1:-2]] == list(cells.available())
    assert lines[-2].startswith("ensembles of nrn_mlfit (-e NAME): ball_two_sticks, izhikevich, ")
    assert lines[0].split() == ["cell", "parameters", "stimulus", "from"]
    assert lines[3].split()[:5] == ["izhikevich", "4", "reset_chirp,", "scale", "15"]


def test_a_broken_cell_does_not_hide_the_others(monkeypatch, tmp_path):
    (tmp_path / "bad.yaml").write_text("name: bad\n")
    known = cells.available()
    monkeypatch.setattr(cells, "available", lambda: {"bad": tmp_path / "bad.yaml", **known})
    lines = run()
    assert "cannot be used: " in lines[1] and "hoc, template" in lines[1]
    assert lines[2].startswith("mainen")


def test_show_has_each_parameter_with_its_range_and_what_it_sets():
    lines = run("show", "mainen")
    assert "  window       110 to 290 ms, 9000 samples of 0.02 ms" in lines
    assert "  probe        soma: soma(0.5)" in lines
    assert lines[-1].split() == ["rm", "15", "60", "kOhm", "cm2", "linear", "set_rm()"]
    shown = [line.split()[0] for line in lines[-len(cells.load("mainen").space) :]]
    assert shown == cells.load("mainen").space.names


def test_show_tells_the_gain_that_counts():
    """A drawn gain has no value of its own: the one of the cell file is used by no set."""
    drawn, told = run("show", "izhikevich_slice"), run("show", "izhikevich")
    assert "  gain         1 nA of a stimulus is, of I@cell, what the parameter current_gain says" in drawn
    assert not any("is 100 of" in line for line in drawn)
    assert "  gain         1 nA of a stimulus file is 100 of I@cell" in told
    assert not any(line.startswith("  gain") for line in run("show", "mainen"))


def test_show_takes_the_path_of_a_cell_file(own_cell):
    assert run("show", own_cell)[0] == f"izhikevich: template IzhikevichCell of {own_cell.parent / 'izhikevich.hoc'}"


def test_show_has_formulas_in_full_and_says_whom_they_are_of(own_cell):
    text = own_cell.read_text()
    assert text.count("- a@cell\n") == 1
    own_cell.write_text(text.replace("- a@cell\n", '- "a@cell = a*exp(-b)"\n'))
    lines = run("show", own_cell)
    assert "  formula      a@cell = a*exp(-b)" in lines and not any(line.startswith("  distance") for line in lines)
    sets = {line.split()[0]: line.split("linear  ")[1] for line in lines[-4:]}
    assert (sets["a"], sets["b"]) == ("a@cell (formula)", "b@cell, a@cell (formula)")


def test_the_picture_is_a_png_and_nothing_else_is_left(tmp_path, h):
    out = tmp_path / "izh.png"
    assert run("show", "izhikevich", "-o", out)[-1] == f"picture: {out}"
    assert out.read_bytes().startswith(b"\x89PNG")
    assert list(tmp_path.iterdir()) == [out]


def test_an_unknown_cell_names_those_there_are():
    with pytest.raises(MlfitError) as error:
        run("show", "pyramid")
    assert str(error.value) == (
        "no cell is called 'pyramid'; there are mainen, ball_two_sticks, izhikevich, mainen_slice, mainen_wide, "
        "izhikevich_slice, or give the path of a cell file"
    )


def test_an_unknown_picture_format_is_refused_before_anything_is_simulated(tmp_path):
    with pytest.raises(MlfitError) as error:
        run("show", "izhikevich", "-o", tmp_path / "a.gif")
    assert str(error.value) == f"{tmp_path / 'a.gif'}: a picture's name ends in .png, .pdf, .svg; choose one of them"
    assert not list(tmp_path.iterdir())


def test_a_folder_that_cannot_be_written_is_said_in_one_sentence(tmp_path, h):
    shutil.copy(cells.find("izhikevich"), tmp_path / "file")
    with pytest.raises(MlfitError, match=r"cannot be written \(.*\); choose another folder or free some space$"):
        run("show", "izhikevich", "-o", tmp_path / "file" / "a.png")


def test_a_plan_fits_a_screen_and_the_folder_has_all_of_it(tmp_path, h):
    out = tmp_path / "plan"
    shown = run("show", "mainen", "--engine", "lanes")
    assert len(shown) < 80 and max(map(len, shown)) < 170
    assert "-o FOLDER" in shown[-1] and any(line.endswith(" …") for line in shown)
    run("show", "mainen", "--engine", "lanes", "-o", out)
    assert sorted(path.name for path in out.iterdir()) == ["plan.txt", "source.cpp"]
    plan = (out / "plan.txt").read_text()
    assert "…" not in plan and all(line.removesuffix(" …") in plan for line in shown[-20:-1])
    assert (out / "source.cpp").read_text().startswith('#include "kernel.h"')


def test_what_takes_a_while_is_said_on_stderr(h):
    done = CliRunner().invoke(cli, ["cells", "show", "izhikevich", "--engine", "lanes"])
    assert "making the plan of izhikevich" in done.stderr and "making the plan" not in done.stdout


def test_a_plan_is_not_written_into_a_picture(tmp_path):
    done = CliRunner().invoke(cli, ["cells", "show", "izhikevich", "--engine", "lanes", "-o", str(tmp_path / "a.png")])
    assert done.exit_code == 2 and "with --engine -o is a folder for plan.txt and source.cpp" in done.stderr


def test_a_long_plan_is_cut_and_says_by_how_much():
    from nrn_mlfit.simulator.lanes.describe import LONGEST, MOST_LINES, Description

    shown = list(Description(["word " * 100, "x" * LONGEST, *["line"] * 98], "").brief)
    assert len(shown) == MOST_LINES + 1 and shown[-1] == f"  … and {100 - MOST_LINES} lines more"
    assert shown[0].endswith("word …") and len(shown[0]) <= LONGEST + 2 and shown[1] == "x" * LONGEST
