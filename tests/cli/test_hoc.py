"""`nrn-mlfit hoc`: the folder opens in plain NEURON, and is the same cell."""

import subprocess
import sys
from pathlib import Path

import pytest
from click.testing import CliRunner

from nrn_mlfit import cells
from nrn_mlfit.cli import cli
from nrn_mlfit.errors import MlfitError


def run(*words):
    done = CliRunner().invoke(cli, ["hoc", *map(str, words)])
    if isinstance(done.exception, MlfitError):
        raise done.exception
    assert done.exit_code == 0, done.output
    return done.output.splitlines()


def neuron(program, *words, cwd):
    command = [str(Path(sys.executable).with_name(program)), *words]
    done = subprocess.run(command, cwd=cwd, capture_output=True, text=True, stdin=subprocess.DEVNULL, timeout=300)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def test_the_folder_opens_in_plain_neuron(tmp_path):
    run("ball_two_sticks", "-o", tmp_path / "ball")
    neuron("nrnivmodl", "mod", cwd=tmp_path / "ball")
    said = neuron(
        "nrniv",
        "-nogui",
        "ball_two_sticks.hoc",
        "-c",
        "run()",
        "-c",
        "print apc.n",
        "-c",
        "quit()",
        cwd=tmp_path / "ball",
    )
    assert float(said.split()[-1]) >= 1  # 0.2 nA make it spike


@pytest.mark.parametrize("name", cells.SHIPPED)
def test_the_folder_is_the_same_cell(name, tmp_path):
    run(name, "-o", tmp_path / "copy")
    assert cells.load(tmp_path / "copy").digest() == cells.load(name).digest()
    assert str(tmp_path) in str(cells.load(tmp_path / "copy").mod)


def test_what_to_type_next_is_said(tmp_path):
    folder = tmp_path / "izh"
    assert run("izhikevich", "-o", folder) == [
        f"{folder}: template, MOD files, cell file and a script of izhikevich; to open it in NEURON type",
        f"  cd {folder} && nrnivmodl mod && nrngui izhikevich.hoc",
        "without a screen: nrniv in place of nrngui; as a cell of your own, for example",
        f"  nrn-mlfit simulate {folder / 'izhikevich.yaml'} -n 2000 -o runs/izhikevich",
    ]
    script = (folder / "izhikevich.hoc").read_text()
    assert "In this folder type" in script and "nrngui izhikevich.hoc" in script


def test_a_folder_that_holds_something_is_refused_and_stays_as_it_is(tmp_path):
    (tmp_path / "mine").write_text("x")
    with pytest.raises(MlfitError) as error:
        run("mainen", "-o", tmp_path)
    assert str(error.value) == f"{tmp_path}: already there; name a new folder with -o"
    assert error.value.exit_code == 2
    assert [path.name for path in tmp_path.iterdir()] == ["mine"]


def test_an_unknown_name_is_refused_and_leaves_nothing(tmp_path):
    with pytest.raises(MlfitError) as error:
        run("pyramid", "-o", tmp_path / "p")
    assert str(error.value) == "no shipped cell is called 'pyramid'; there are " + ", ".join(cells.SHIPPED)
    assert not list(tmp_path.iterdir())


def test_an_empty_folder_is_filled(tmp_path):
    run("izhikevich", "-o", tmp_path)
    assert sorted(p.name for p in tmp_path.iterdir()) == ["izhikevich.hoc", "izhikevich.yaml", "mod", "templates"]
