"""nrn-mlfit design: what is compared is told, on the screen and in files; bad input ends in one sentence."""

import csv
import json
import re

import pytest
from click.testing import CliRunner

from nrn_mlfit.cli import cli

FEW = ("-n", 3, "-j", 2)


@pytest.fixture(scope="module")
def done(command, tmp_path_factory):
    folder = tmp_path_factory.mktemp("design") / "izh"
    run = command("design", "izhikevich", "--stimuli", "own", "step", "--scales", 10, "-15", *FEW, "-o", folder)
    assert run.returncode == 0, run.stderr
    return run.stdout, folder


NAMES = ["own 10", "own -15", "step 10", "step -15"]


def test_each_combination_is_a_row(done):
    assert re.findall(r"^\d  (\w+ -?\d+) ", done[0], re.MULTILINE) == NAMES
    assert re.search(r"candidate, own unit +spikes +silent +lowest mV +mean R2 +log det +weakest", done[0])
    assert re.search(r"R2 +a +b +c +d\n", done[0])
    assert "jumps" in done[0] and "local" in done[0] and "optimistic" in done[0]


def test_the_files_hold_what_the_screen_says(done):
    kept = json.loads((done[1] / "design.json").read_text())
    assert (kept["cell"], kept["points"], kept["seed"], kept["steps"]) == ("izhikevich", 3, 1, [0.002, 0.01])
    assert [c["name"] for c in kept["candidates"]] == NAMES
    with open(done[1] / "design.csv", newline="") as file:
        rows = list(csv.DictReader(file))
    for row, candidate in zip(rows, kept["candidates"], strict=True):
        assert list(candidate["parameters"]) == ["a", "b", "c", "d"]
        r2 = candidate["parameters"]["b"]["r2"]
        assert row["r2_b"] == ("" if r2 is None else str(r2))
        assert f"{candidate['lowest_mv']:.1f}" in done[0]
    assert (done[1] / "design.png").read_bytes().startswith(b"\x89PNG")
    assert len(list(done[1].iterdir())) == 3


def test_without_a_stimulus_it_is_the_cells_own(command):
    run = command("design", "izhikevich", "-n", 1)
    assert run.returncode == 0, run.stderr
    assert re.search(r"^1  own 15 ", run.stdout, re.MULTILINE)


def test_a_compared_file(command, tmp_path):
    (tmp_path / "two.yaml").write_text("stimulus: [{kind: step, scale: 10, total: 100}, {kind: ramp, total: 100}]")
    run = command(
        "design", "izhikevich", "--stimuli", "two.yaml", "-n", 1, "-o", "d", "--pictures", "svg", cwd=tmp_path
    )
    assert run.returncode == 0, run.stderr
    assert re.search(r"^1  two.yaml 10 ", run.stdout, re.MULTILINE)
    assert (tmp_path / "d" / "design.svg").read_bytes().startswith(b"<?xml")


@pytest.mark.parametrize(
    "words, said",
    [
        (
            ["--stimuli", "own", "chirp"],
            "no stimulus is called 'chirp'; there are own, reset_chirp, step, ramp, noise, or",
        ),
        (["--stimuli", "missing.csv"], "missing.csv: no such file"),
        (["--scales", "1", "0"], "a scale of 0: must be a number other than 0"),
        (["--scales", "much"], "'much' is not a valid float"),
        (["--geometry", "soma_size"], "geometry 'soma_size': write KEY=VALUE with a number, such as soma_diameter=20"),
        (["--geometry", "own", "soma_size=3", "-n", "1"], "has no public soma_size to set under geometry"),
        (["--probe", "soma(3)"], "probe 'soma(3)': write SECTION(x) with x in 0..1"),
        (["--probe", "dend(0.5)", "-n", "1"], "dend"),
        (["--points", "0"], "0 is not in the range"),
        (["--steps", "0.002", "0"], "0.0 is not in the range"),
        (["--steps", "0.002"], "--steps 0.002 -o: takes two numbers, the half width that counts and one to check it"),
        (["--probe", "nope"], "or the name of a probe of the cell: V"),
        (["--stimuli"], "Option '--stimuli' requires an argument"),
        (["--stimuli", "--scales", "1"], "Option '--stimuli' requires an argument"),
    ],
)
def test_bad_input_ends_in_one_sentence(command, tmp_path, words, said):
    run = command("design", "izhikevich", *words, "-o", tmp_path / "out", cwd=tmp_path)
    assert run.returncode == 2, (run.returncode, run.stdout, run.stderr)
    assert said in run.stderr and "Traceback" not in run.stderr
    assert not (tmp_path / "out").exists()


def test_help_needs_no_cell(command):
    assert command("design", "--stimuli", "own", "-h").stdout.startswith("Usage:")


def test_an_unknown_cell_and_a_folder_that_is_taken(command, tmp_path):
    assert "no cell is called 'purkinje'" in command("design", "purkinje").stderr
    (tmp_path / "file").write_text("x")
    run = command("design", "izhikevich", "-o", tmp_path / "file")
    assert run.returncode == 2 and "already there and not empty" in run.stderr


@pytest.mark.parametrize(
    "words, option",
    [
        (["--stimuli", "own", "izhikevich"], "--stimuli"),
        (["-n", "2", "--stimuli", "own", "izhikevich"], "--stimuli"),
        (["--scales", "1", "izhikevich"], "--scales"),
    ],
)
def test_the_cell_comes_before_what_would_swallow_it(command, words, option):
    run = command("design", *words)
    assert run.returncode == 2 and f"CELL comes before {option}, which takes all words after it" in run.stderr


def test_a_cell_that_is_not_swallowed_may_come_later(command):
    run = command("design", "--stimuli", "own", "-n", "1", "purkinje")
    assert "no cell is called 'purkinje'" in run.stderr


def test_the_engine_the_unit_and_what_is_not_to_be_relied_on_are_told(done):
    assert re.search(r"^engine: \w+", done[0], re.MULTILINE)
    assert "an order rather than numbers, as few points count or most are unlike: 1, 2, 3, 4" in done[0]
    assert re.search(r"the highest mean R2: .*; not to be relied on", done[0])


def test_a_probe_that_is_no_section_is_told_of(command):
    run = command("design", "mainen", "--probe", "axon(0.5)", "-n", 1)
    assert (run.returncode, run.stderr) == (
        2,
        "nrn-mlfit: Mainen[0]: axon is no section; name one, as in soma(0.5) or dend[3](1)\n",
    )


def test_words_after_an_option_end_at_the_next_one():
    from nrn_mlfit.cli.design import _repeated

    words = ["izh", "--stimuli", "a", "b", "-n", "3", "--scales", "-0.1", "2", "-o", "x"]
    wanted = ["izh", "--stimuli=a", "--stimuli=b", "-n", "3", "--scales=-0.1", "--scales=2", "-o", "x"]
    assert list(_repeated(words)) == wanted
    assert list(_repeated(["-o", "x", "--stimuli=a"])) == ["-o", "x", "--stimuli=a"]


def test_help_says_that_the_bound_is_local():
    shown = CliRunner().invoke(cli, ["design", "-h"]).output
    assert "local" in shown and "optimistic" in shown and "--stimuli own step noise" in shown
