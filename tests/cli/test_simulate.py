"""nrn-mlfit simulate: shards hold the draws of their seed, run as they say, and a summary that adds up."""

import json
import re
import subprocess
import sys

import h5py
import numpy as np
import pytest

from nrn_mlfit import cells, shards
from nrn_mlfit.simulator import Session
from nrn_mlfit.spikes import spike_counts

IZHIKEVICH = cells.load("izhikevich")


@pytest.fixture(scope="module")
def held(izhikevich_run):
    return [shards.read(path) for path in shards.open_run(izhikevich_run).shards]


def test_sets_are_the_draws_of_their_seed_in_order(held):
    wanted = IZHIKEVICH.space.draw(seed=1, first=0, count=60)
    assert np.array_equal(np.concatenate([shard.unit_par for shard in held]), wanted)
    assert np.array_equal(np.concatenate([shard.phys_par for shard in held]), IZHIKEVICH.space.to_phys(wanted))
    assert [shard.attributes["first"] for shard in held] == [0, 20, 40]


def test_traces_are_those_of_the_live_cell_rounded_to_a_count(held):
    session, protocol = Session(IZHIKEVICH), IZHIKEVICH.protocol
    for shard, row in ((held[0], 0), (held[1], 7), (held[2], 19)):
        session.set(shard.phys_par[row])
        volts = session.run(protocol.stimuli[0])[:, protocol.start :]
        assert np.abs(shard.volts[row, :, 0] * shards.MV_PER_COUNT - volts).max() <= 0.5001 * shards.MV_PER_COUNT


def test_a_shard_says_all_that_the_format_promises(izhikevich_run):
    with h5py.File(izhikevich_run / shards.name_of(20)) as file:
        shapes = {name: file[name].shape for name in file}
        assert (float(file.attrs["dt"]), float(file.attrs["t0"]), float(file.attrs["scale"])) == (0.02, 110, 0.01)
        assert [p["name"] for p in json.loads(file.attrs["cell"])["parameters"]] == ["a", "b", "c", "d"]
        assert np.array_equal(file["stims"], IZHIKEVICH.protocol.windows)
    assert shapes == {
        "phys_par": (20, 4),
        "unit_par": (20, 4),
        "volts": (20, 1, 1, 9000),
        "status": (20,),
        "stims": (1, 9000),
        "currents": (1, 14500),
    }


def test_the_copy_of_the_cell_in_a_run_is_the_cell(izhikevich_run):
    assert cells.load(shards.open_run(izhikevich_run).cell_folder).digest() == IZHIKEVICH.digest()


def test_the_summary_counts_what_was_done(command, tmp_path):
    words = ("simulate", "izhikevich", "--sets-a-shard", 4, "-o", tmp_path / "run")
    first = command(*words, "-n", 6)
    assert re.match(
        r"engine: lanes-double\n6 sets compared with plain NEURON: the same\n"
        r"6 sets in \d+ s, [\d.]+/s\nfailed: none\nspikes a trace: median ",
        first.stdout,
    )
    assert re.search(r"silent: 0\.0%\nvoltage: -\d\d\.\d to \d\d\.\d mV\n$", first.stdout)
    more = command(*words, "-n", 10)
    assert re.match(
        r"engine: lanes-double\n8 sets .* the same\n4 sets in \d+ s, [\d.]+/s \(6 more were there already\)\n",
        more.stdout,
    )
    assert command(*words, "-n", 10).stdout == "nothing left to simulate: all 10 sets are there\n"
    assert len(shards.load_runs([tmp_path / "run"]).volts) == 10


def test_failed_sets_are_counted_by_cause_and_left_out(command, tmp_path):
    (tmp_path / "cell.hoc").write_text(
        "begintemplate SometimesFails\npublic soma, all, level\ncreate soma\nobjref all\n"
        "proc init() { all = new SectionList()  soma { insert pas  all.append() } }\n"
        'proc level() { if ($1 > 0) { execerror("too much", "") } }\nendtemplate SometimesFails\n'
    )
    (tmp_path / "cell.yaml").write_text(
        "name: fails\nhoc: cell.hoc\ntemplate: SometimesFails\nstimulus: {kind: step, scale: 0.01, total: 5}\n"
        'parameters:\n  x: {low: -1, high: 1, sets: ["level()"]}\n'
    )
    done = command("simulate", tmp_path / "cell.yaml", "-n", 20, "-o", tmp_path / "run")
    (shard,) = (shards.read(path) for path in shards.open_run(tmp_path / "run").shards)
    fails = shard.phys_par[:, 0] > 0
    assert 0 < fails.sum() < 20
    assert shard.status.tolist() == [4 if bad else 0 for bad in fails]
    assert (shard.volts[fails] == shards.MISSING).all() and (shard.volts[~fails] != shards.MISSING).all()
    assert f"failed: {fails.sum()} hoc_error\n" in done.stdout
    assert len(shards.load_runs([tmp_path / "run"]).volts) == 20 - fails.sum()


def test_a_recorded_current_takes_the_place_of_the_stimulus(command, tmp_path):
    current = np.concatenate([np.zeros(100), np.full(400, 0.1)])  # nA, of which the cell feels 100 times as much
    np.savez(tmp_path / "piece.npz", current=current, dt=0.1)
    done = command("simulate", "izhikevich", "-n", 2, "--stimulus", tmp_path / "piece.npz", "-o", tmp_path / "run")
    assert done.returncode == 0, done.stderr
    (shard,) = (shards.read(path) for path in shards.open_run(tmp_path / "run").shards)
    assert np.array_equal(shard.currents[0, -500:], current)
    assert shard.volts.shape == (2, 1, 1, 500)
    assert (spike_counts(shards.to_millivolts(shard.volts)) > 0).all()


def test_a_seed_beyond_its_range_is_refused(command, tmp_path):
    done = command("simulate", "izhikevich", "-n", 2, "--seed", 2**63, "-o", tmp_path / "run")
    assert (done.returncode, done.stderr) == (2, "nrn-mlfit: seed 9223372036854775808: must lie in 0 .. 2^63 - 1\n")
    assert not (tmp_path / "run").exists()
    assert command("simulate", "izhikevich", "-n", 2, "--seed", 2**63 - 1, "-o", tmp_path / "run").returncode == 0


@pytest.mark.parametrize("limit", ["inf", "nan", "1e300"])
def test_a_time_limit_that_is_none_is_refused(command, tmp_path, limit):
    done = command("simulate", "izhikevich", "-n", 2, "--timeout", limit, "-o", tmp_path / "run")
    assert done.returncode == 2
    assert done.stderr.startswith(
        f"nrn-mlfit: a time limit of {float(limit):g} s: must lie above 0 and be at most 1e+06; "
    )
    assert not (tmp_path / "run").exists()


def test_a_missing_cell_file_is_no_unknown_name(command, tmp_path):
    done = command("simulate", tmp_path / "mine.yaml", "-n", 2, "-o", tmp_path / "run")
    assert done.stderr.startswith(
        f"nrn-mlfit: {tmp_path}/mine.yaml: no such file; give the path of a cell file, or one of"
    )


def test_a_reader_that_has_seen_enough_is_no_error(izhikevich_run):
    """As `nrn-mlfit shards failed RUN | head -1`: the pipe is closed while we write."""
    line = f"{sys.executable} -m nrn_mlfit shards info {' '.join([str(izhikevich_run)] * 400)} | head -1"
    done = subprocess.run(["sh", "-c", line], capture_output=True, text=True)
    assert done.stdout == f"{izhikevich_run}\n"
    assert done.stderr == ""


# ---- Known values ----


def test_a_known_value_is_no_longer_drawn_and_goes_with_the_run(command, tmp_path):
    words = ("--fix", "b=0.25", "--fix", "current_gain=120")
    done = command("simulate", "izhikevich_slice", *words, "-n", 3, "-o", tmp_path / "run")
    assert done.returncode == 0, done.stderr
    run = shards.open_run(tmp_path / "run")
    (shard,) = (shards.read(path) for path in run.shards)
    assert shard.parameter_names == ["a", "c", "d"]
    assert {name: held["value"] for name, held in run.manifest["cell"]["fixed"].items()} == {
        "b": 0.25,
        "current_gain": 120,
    }
    held = cells.fixed(cells.load("izhikevich_slice"), {"b": 0.25, "current_gain": 120})
    copy = cells.load(tmp_path / "run" / "cell")
    assert run.manifest["cell_hash"] == held.digest() == copy.digest() != cells.load("izhikevich_slice").digest()
    session = Session(copy)
    session.set(shard.phys_par[1])
    assert (session.cell.cell.b, session.cell.cell.a) == (0.25, shard.phys_par[1, 0])


@pytest.mark.parametrize(
    ("words", "text"),
    [
        (["e=1"], "nrn-mlfit: izhikevich has no parameter 'e' to fix; it has a, b, c, d\n"),
        (
            ["c=-40"],
            "nrn-mlfit: c: cannot be fixed at -40 mV, as its range is -80 to -50 mV; take a value inside, or give it another "
            "range in a cell file of your own\n",
        ),
        (
            ["a=0.02", "b=0.2", "c=-65", "d=2"],
            "nrn-mlfit: izhikevich: all 4 of its parameters are fixed, so there is nothing left to draw; leave one of them out\n",
        ),
        (["a"], "Error: --fix a: write NAME=VALUE with a number, as in --fix celsius=34\n"),
        (["a=nan"], "Error: --fix a=nan: write NAME=VALUE with a number, as in --fix celsius=34\n"),
        (["a=0.02", "a=0.03"], "Error: --fix a: given twice; say once at which value it is held\n"),
    ],
)
def test_what_cannot_be_fixed_is_refused_in_a_sentence_and_nothing_is_written(command, tmp_path, words, text):
    fixes = [word for value in words for word in ("--fix", value)]
    done = command("simulate", "izhikevich", *fixes, "-n", 2, "-o", tmp_path / "run")
    assert done.returncode == 2 and done.stderr.endswith(text), done.stderr
    assert not (tmp_path / "run").exists()
