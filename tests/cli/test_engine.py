"""nrn-mlfit simulate --engine: what a run says of its engine, the same bytes from any ranks, and the check at its start."""

import json
import os
import re

import numpy as np
import pytest

from nrn_mlfit import cells, shards, stimuli
from nrn_mlfit.simulator.lanes.compiling import compiler

WORDS = ("-n", 10, "--sets-a-shard", 5)


@pytest.fixture(scope="module")
def short(tmp_path_factory):
    """A copy of mainen with a stimulus of 15 ms."""
    folder = tmp_path_factory.mktemp("short")
    cells.bundle(cells.load("mainen").under(stimuli.step(0.5, delay=2, duration=10, total=15)), folder)
    return folder


@pytest.fixture(scope="module")
def lanes_run(command, tmp_path_factory):
    """A run of 10 Izhikevich cells by the lane engine."""
    folder = tmp_path_factory.mktemp("lanes") / "run"
    done = command("simulate", "izhikevich", *WORDS, "--engine", "lanes", "-o", folder)
    assert done.returncode == 0 and done.stdout.startswith("engine: lanes-double\n"), done.stderr
    return folder


def manifest(folder):
    return json.loads((folder / "run.json").read_text())


def volts(folder):
    return np.concatenate([shards.read(path).volts for path in shards.open_run(folder).shards]).astype(int)


# ---- What a run says ----


def test_a_run_of_lanes_names_engine_precision_and_compiler(command, lanes_run, tmp_path):
    about = manifest(lanes_run)
    assert (about["engine"], about["versions"]["g++"]) == ("lanes-double", compiler())
    done = command(
        "simulate", "izhikevich", *WORDS, "--engine", "lanes", "--precision", "mixed", "-o", tmp_path / "run"
    )
    assert done.stdout.startswith("engine: lanes-mixed\n")
    assert manifest(tmp_path / "run")["engine"] == "lanes-mixed"


def test_a_run_of_neuron_names_no_compiler_and_has_the_same_voltages(command, lanes_run, tmp_path):
    done = command("simulate", "izhikevich", *WORDS, "--engine", "neuron", "-o", tmp_path / "run")
    assert done.stdout.startswith("engine: neuron\n")
    about = manifest(tmp_path / "run")
    assert about["engine"] == "neuron" and "g++" not in about["versions"]
    apart = np.abs(volts(tmp_path / "run") - volts(lanes_run))
    assert apart.max() <= 1 and (apart == 0).mean() > 0.999  # in counts: a voltage on the edge may round either way


def test_auto_is_lanes_where_the_cell_allows_it(command, lanes_run, hashes, tmp_path):
    done = command("simulate", "izhikevich", *WORDS, "--engine", "auto", "-o", tmp_path / "run")
    assert done.returncode == 0 and hashes(tmp_path / "run") == hashes(lanes_run)


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (("--engine", "neuron"), "engine lanes-double there, neuron here"),
        (("--engine", "lanes", "--precision", "mixed"), "engine lanes-double there, lanes-mixed here"),
    ],
)
def test_a_run_is_not_extended_by_another_engine(command, lanes_run, hashes, words, told):
    before = hashes(lanes_run)
    done = command("simulate", "izhikevich", "-n", 20, "--sets-a-shard", 5, *words, "-o", lanes_run)
    assert done.returncode == 2
    on = "add --engine lanes --precision double to go on with it, or choose another folder with -o"
    assert done.stderr == f"nrn-mlfit: {lanes_run}: holds another run: {told}; {on}\n"
    assert hashes(lanes_run) == before


# ---- Cells outside of what lanes know ----


@pytest.fixture(scope="module")
def outside(tmp_path_factory):
    """A cell with a mechanism that lanes refuse, without MOD files."""
    folder = tmp_path_factory.mktemp("outside")
    (folder / "cell.hoc").write_text(
        "begintemplate InABath\npublic soma, all\ncreate soma\nobjref all\n"
        "proc init() { all = new SectionList()  soma { insert pas  insert extracellular  all.append() } }\n"
        "endtemplate InABath\n"
    )
    (folder / "cell.yaml").write_text(
        "name: bath\nhoc: cell.hoc\ntemplate: InABath\nstimulus: {kind: step, scale: 0.01, total: 5}\n"
        "parameters: {g_pas.all: {low: 1.0e-4, high: 1.0e-3}}\n"
    )
    return folder


def test_lanes_for_a_cell_outside_says_why_and_leaves_nothing(command, outside, tmp_path):
    done = command("simulate", outside, "-n", 4, "--engine", "lanes", "-o", tmp_path / "run")
    assert (done.returncode, done.stderr) == (
        2,
        "nrn-mlfit: bath: not for the lane engine: extracellular is inserted; simulate with --engine neuron\n",
    )
    assert list(tmp_path.iterdir()) == []


def test_auto_takes_neuron_for_it_and_says_why(command, outside, tmp_path):
    done = command("simulate", outside, "-n", 4, "-o", tmp_path / "run")
    assert done.returncode == 0
    assert done.stdout.startswith("engine: neuron, as lanes cannot be used (extracellular is inserted)\n")
    assert manifest(tmp_path / "run")["engine"] == "neuron"
    mixed = command("simulate", outside, "-n", 4, "--precision", "mixed", "-o", tmp_path / "mixed").stdout
    assert mixed.startswith(done.stdout.split(")")[0] + "; in double precision)\n")


@pytest.mark.parametrize(("option", "value"), [("--engine", "fast"), ("--precision", "single")])
def test_what_is_no_engine_or_precision_is_refused(command, tmp_path, option, value):
    done = command("simulate", "izhikevich", "-n", 4, option, value, "-o", tmp_path / "run")
    assert done.returncode == 2 and f"'{value}' is not one of" in done.stderr
    assert list(tmp_path.iterdir()) == []


# ---- The same bytes ----


@pytest.fixture(scope="module")
def simulate(mpirun, hashes, short):
    """Simulate some of 20 sets of the short cell in mixed precision; the hashes of what was written."""

    def run(ranks, folder, samples=20):
        words = ["-n", samples, "--sets-a-shard", 7, "--engine", "lanes", "--precision", "mixed", "-o", folder]
        done = mpirun(ranks, "-m", "nrn_mlfit", "simulate", short, *words)
        assert done.returncode == 0, done.stderr
        return hashes(folder)

    return run


@pytest.fixture(scope="module")
def serial(simulate, tmp_path_factory):
    return simulate(0, tmp_path_factory.mktemp("serial") / "run")


@pytest.mark.parametrize("ranks", [1, 2, 4])
def test_any_number_of_ranks_writes_the_same_bytes(simulate, serial, tmp_path, ranks):
    assert simulate(ranks, tmp_path / "run") == serial


def test_a_run_that_was_broken_off_and_partly_lost_has_the_same_bytes(simulate, serial, tmp_path):
    """Its second shard begins with 3 sets, gets 4 more, and so its vectors hold other neighbours."""
    folder = tmp_path / "run"
    part = simulate(0, folder, samples=10)
    assert part != serial
    simulate(2, folder)
    (folder / shards.name_of(0)).unlink()
    os.truncate(folder / shards.name_of(14), 3000)
    assert simulate(1, folder) == serial


# ---- The check at the start ----

SPOILER = """\
import sys
from importlib.machinery import PathFinder, SourceFileLoader

class Spoiled(SourceFileLoader):
    def get_code(self, name):
        source = self.get_source(name)
        assert source.count({old!r}) == 1, "the program is not written as this test thinks"
        return compile(source.replace({old!r}, {new!r}), self.path, "exec")

class Finder:
    @staticmethod
    def find_spec(name, path, target=None):
        if name == "nrn_mlfit.simulator.lanes.source":
            spec = PathFinder.find_spec(name, path)
            spec.loader = Spoiled(name, spec.origin)
            return spec

sys.meta_path.insert(0, Finder)
"""
ADVANCE, MATRIX = "advance(cells, t, {at_end});", "matrix(cells, t, {in_middle});"
NUDGED = {  # the stimulus is another one in the step that ends at 6.44 ms, and nowhere else
    "izhikevich": (ADVANCE, "advance(cells, t, {at_end} + (k == 321) * 1e-2);"),
    "short": (MATRIX, "matrix(cells, t, {in_middle} + (k == 321) * 1e-3);"),
}


@pytest.fixture
def spoiled(tmp_path):
    """A function: the environment in which every Python of ours makes another program than it should.

    The engine lives in a process that the command starts, so what is wrong with it must come with the environment.
    """

    def environment(old, new):
        folder = tmp_path / "spoiler"
        folder.mkdir()
        (folder / "sitecustomize.py").write_text(SPOILER.format(old=old, new=new))
        paths = [str(folder), *filter(None, [os.environ.get("PYTHONPATH")])]
        return {"PYTHONPATH": os.pathsep.join(paths)}

    return environment


@pytest.mark.parametrize(
    ("cell", "variable", "ranks"),
    [("izhikevich", "V of soma(0.5)", 0), ("short", " of soma(", 0), ("izhikevich", "V of soma(0.5)", 2)],
)
def test_a_wrong_program_stops_the_run_and_says_where_and_when_it_went_wrong(
    mpirun, spoiled, short, tmp_path, cell, variable, ranks
):
    env = {**os.environ, **spoiled(*NUDGED[cell])}
    words = ["simulate", short if cell == "short" else cell, *WORDS, "-o", tmp_path / "run"]
    done = mpirun(ranks, "-m", "nrn_mlfit", *words, env=env)
    assert done.returncode == 2, done.stderr
    name = cells.load(short).name if cell == "short" else cell
    told = re.search(
        rf"^nrn-mlfit: {name}: in set \d engine lanes-double differs from plain NEURON: .*; (.* of .*) is (\S+) instead of "
        r"(\S+) at 6\.44 ms\. Simulate with --engine neuron, and please report it$",
        done.stderr,
        re.MULTILINE,
    )
    assert told and variable in told[1], done.stderr
    assert 0 < abs(float(told[2]) - float(told[3])) < 0.1
    picture = tmp_path / "run-difference.png"
    assert f"picture: {picture}\n" in done.stdout
    assert picture.read_bytes()[:8] == b"\x89PNG\r\n\x1a\n" and picture.stat().st_size > 10_000
    assert not list(tmp_path.glob("run/shard-*"))


def test_after_a_wrong_program_neuron_simulates_into_the_same_folder(command, spoiled, tmp_path):
    """As the sentence says."""
    words = ("simulate", "izhikevich", *WORDS, "-o", tmp_path / "run")
    assert command(*words, env=spoiled(*NUDGED["izhikevich"])).returncode == 2
    done = command(*words, "--engine", "neuron")
    assert done.returncode == 0, done.stderr


def test_a_spoiler_that_changes_nothing_is_no_reason_to_stop(command, spoiled, lanes_run, tmp_path):
    """So it is the change that stops the runs above, not that something was put in."""
    done = command(
        "simulate", "izhikevich", *WORDS, "-o", tmp_path / "run", env=spoiled(ADVANCE, ADVANCE.replace(";", " ;"))
    )
    assert done.returncode == 0, done.stderr
    assert np.array_equal(volts(tmp_path / "run"), volts(lanes_run))
    assert manifest(tmp_path / "run")["versions"]["program"] != manifest(lanes_run)["versions"]["program"]


def test_only_the_first_sets_are_checked_and_an_error_below_the_bounds_passes(command, spoiled, tmp_path):
    env = spoiled(ADVANCE, "advance(cells, t, {at_end} * (1 + 1e-15));")
    assert command("simulate", "izhikevich", *WORDS, "-o", tmp_path / "run", env=env).returncode == 0
