"""A run's folder: one writer at a time, another run refused by what differs, and what is still to make."""

import json
import subprocess
import sys
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from nrn_mlfit import cells, machine, shards, textfile
from nrn_mlfit.errors import ShardError
from nrn_mlfit.shards import Status, claim, manifest
from nrn_mlfit.shards.claim import Piece

MODEL = cells.load("izhikevich")
ABOUT = manifest.describe(MODEL, seed=1, sets_a_shard=10, engine="neuron")


def write(folder, first, statuses, retried=False):
    """A shard of the run ABOUT with these statuses and no traces to speak of."""
    status = np.array(statuses, np.uint8)
    par = np.zeros((len(status), 4))
    counts = np.full((len(status), 1, 1, 3), shards.MISSING)
    attributes = shards.attributes_of(ABOUT, first, retried)
    held = shards.Shard(par, par, counts, status, MODEL.protocol.currents, attributes)
    shards.write(folder / shards.name_of(first), held)


# --- the lock

HOLD = """
import pathlib, sys, time
from nrn_mlfit.shards import claim
with claim.held(pathlib.Path(sys.argv[1])):
    print("held", flush=True)
    time.sleep(60)
"""


@pytest.fixture
def holder(tmp_path):
    """Another process that holds tmp_path / "run"."""
    process = subprocess.Popen([sys.executable, "-c", HOLD, tmp_path / "run"], stdout=subprocess.PIPE, text=True)
    assert process.stdout.readline() == "held\n"
    yield process
    process.kill()
    process.wait()


def test_a_folder_that_is_held_is_refused_and_the_holder_named(holder, tmp_path):
    wanted = f"run: process {holder.pid} on .* is writing there; wait for it, or choose"
    with pytest.raises(ShardError, match=wanted), claim.held(tmp_path / "run"):
        pass
    assert json.loads((tmp_path / "run" / ".lock").read_text())["pid"] == holder.pid  # its lock is not touched


def test_the_lock_of_a_dead_process_is_none(holder, tmp_path):
    holder.kill()
    holder.wait()
    assert (tmp_path / "run" / ".lock").exists()
    with claim.held(tmp_path / "run"):
        assert json.loads((tmp_path / "run" / ".lock").read_text())["pid"] != holder.pid
    assert not list((tmp_path / "run").iterdir())


def test_one_of_many_who_come_at_once_has_the_folder(tmp_path):
    """Each holds it for a moment and counts itself in and out: there are never two."""
    code = (
        "import sys, time, pathlib\nfrom nrn_mlfit.shards import claim\nfrom nrn_mlfit.errors import ShardError\n"
        "folder, inside = pathlib.Path(sys.argv[1]), pathlib.Path(sys.argv[2])\n"
        "for k in range(150):\n"
        "    try:\n"
        "        with claim.held(folder):\n"
        "            inside.mkdir()\n            time.sleep(0.001)\n            inside.rmdir()\n"
        "    except ShardError:\n        time.sleep(0.0005)\n"
    )
    line = [sys.executable, "-c", code, tmp_path / "run", tmp_path / "inside"]
    crowd = [subprocess.Popen(line, stderr=subprocess.PIPE, text=True) for _ in range(4)]
    problems = [process.communicate(timeout=60)[1] for process in crowd]
    assert problems == [""] * 4  # mkdir of what another made would have raised


# --- another run


@pytest.mark.parametrize(
    ("there", "said"),
    [
        ({"seed": 2}, "seed 2 there, 1 here"),
        ({"engine": "lanes"}, "engine lanes there, neuron here"),
        ({"sets_a_shard": 5}, "sets_a_shard 5 there, 10 here"),
        ({"cell": {**ABOUT["cell"], "celsius": 35.0}, "cell_hash": "x"}, "cell.celsius 35.0 there, 37.0 here"),
        ({"files": {**ABOUT["files"], "mod/izhikevich.mod": "x"}, "cell_hash": "x"}, "mod/izhikevich.mod changed"),
        ({"protocol_hash": "x"}, "protocol_hash changed"),
        ({"protocol": [{**ABOUT["protocol"][0], "scale": 3}]}, "protocol.0.scale 3 there, 15 here"),
        ({"versions": {**ABOUT["versions"], "neuron": "8.2"}}, f"versions.neuron 8.2 there, {ABOUT['versions']['neuron']} here"),
        ({"instruction_set": "abacus"}, "instruction_set abacus there"),
    ],
)  # fmt: skip
def test_another_run_is_refused_by_what_differs(tmp_path, there, said):
    textfile.write_atomic(tmp_path / "run.json", textfile.to_json({**ABOUT, **there}))
    with pytest.raises(ShardError) as refused:
        claim.check_free(tmp_path, ABOUT)
    assert f"{tmp_path}: holds another run: {said}" in str(refused.value)
    if "instruction_set" in there:
        assert "on another instruction set the last bits differ; go on on a machine like the first" in str(
            refused.value
        )


@pytest.mark.parametrize(
    ("there", "options"),
    [
        ({"seed": 2}, "--seed 2"),
        (
            {"engine": "lanes-double", "versions": {**ABOUT["versions"], "g++": "g++ 1", "program": "x"}},
            "--engine lanes --precision double",
        ),
        ({"engine": "lanes-mixed", "sets_a_shard": 5}, "--engine lanes --precision mixed --sets-a-shard 5"),
        ({"engine": "lanes-mixed", "versions": {**ABOUT["versions"], "neuron": "8.2"}}, ""),
        ({"seed": 2, "dt": 0.5}, ""),
    ],
)
def test_where_options_make_the_difference_they_are_named(tmp_path, there, options):
    textfile.write_atomic(tmp_path / "run.json", textfile.to_json({**ABOUT, **there}))
    with pytest.raises(ShardError) as refused:
        claim.check_free(tmp_path, ABOUT)
    on = f"add {options} to go on with it, or " if options else ""
    assert str(refused.value).endswith(f"; {on}choose another folder with -o")


def test_many_differences_are_not_all_told(tmp_path):
    other = {**ABOUT, **dict.fromkeys(["dt", "t0", "start", "stop", "seed", "engine", "sets_a_shard"], 99)}
    textfile.write_atomic(tmp_path / "run.json", textfile.to_json(other))
    with pytest.raises(ShardError, match=r"holds another run: dt 99 there, .* and 2 more; choose another folder"):
        claim.check_free(tmp_path, ABOUT)


def test_of_another_cell_only_the_name_is_told(tmp_path):
    other = manifest.describe(cells.load("mainen"), 7, 20, "neuron")
    textfile.write_atomic(tmp_path / "run.json", textfile.to_json(other))
    with pytest.raises(
        ShardError, match=r"holds another run: cell mainen there, izhikevich here; choose another folder"
    ):
        claim.check_free(tmp_path, ABOUT)


def test_the_bytes_of_a_mod_file_are_in_the_manifest(tmp_path):
    cells.bundle(MODEL, tmp_path)
    path = next((tmp_path / "mod").glob("*.mod"))
    path.write_text(path.read_text() + "\n")
    changed = manifest.describe(cells.load(tmp_path), 1, 10, "neuron")
    different = [key for key in ABOUT if ABOUT[key] != changed[key]]
    assert different == ["content_hash", "cell_hash", "files"]


def test_what_one_killed_at_its_very_start_leaves_is_no_other_run(tmp_path):
    for name in (".lock", ".run.json.4711.tmp"):
        (tmp_path / name).write_text("")
    assert claim.check_free(tmp_path, ABOUT) is False


def test_where_something_else_lies_nothing_is_written(tmp_path):
    (tmp_path / "thesis.tex").write_text("x")
    with pytest.raises(ShardError, match="holds something else; choose an empty or new folder"):
        claim.check_free(tmp_path, ABOUT)


# --- what is to make


@given(first=st.integers(0, 50), samples=st.integers(1, 50), size=st.integers(1, 12))
def test_the_layout_covers_each_set_once_with_borders_at_multiples(first, samples, size):
    layout = claim.layout(first, samples, size)
    assert [k for low, count in layout for k in range(low, low + count)] == list(range(first, first + samples))
    assert all(low % size == 0 for low, _ in layout[1:])
    assert all(0 < count <= size for _, count in layout)


def prepare(folder, first=0, samples=30):
    claim.begin(MODEL, folder, ABOUT, alone=True)
    return claim.missing(folder, ABOUT, first, samples)


def test_what_is_there_is_not_made_again(tmp_path):
    assert prepare(tmp_path) == [Piece(0, 10, 10), Piece(10, 10, 10), Piece(20, 10, 10)]
    write(tmp_path, 0, [Status.OK] * 10)
    write(tmp_path, 10, [Status.OK] * 4 + [Status.CRASHED])  # of a run of 15 sets
    (tmp_path / shards.name_of(20)).write_bytes(b"torn")
    assert prepare(tmp_path) == [Piece(10, 10, 5), Piece(20, 10, 10)]


def test_time_outs_are_tried_once_more(tmp_path):
    write(tmp_path, 0, [Status.OK] * 8 + [Status.TIMEOUT] * 2)
    write(tmp_path, 10, [Status.OK] * 8 + [Status.TIMEOUT] * 2, retried=True)
    assert prepare(tmp_path, samples=20) == [Piece(0, 10, 2, again=True)]


def test_what_a_killed_process_left_is_removed(tmp_path):
    (tmp_path / "cell" / "mod").mkdir(parents=True)
    for name in (".shard-0000000000.h5.77.tmp", "cell/mod/.kv.mod.77.tmp"):
        (tmp_path / name).write_bytes(b"half")
    prepare(tmp_path)
    assert not list(tmp_path.rglob(".*"))


@pytest.mark.parametrize(("first", "samples"), [(5, 10), (5, 3), (9, 1)])
def test_a_set_does_not_come_to_lie_in_two_shards(tmp_path, first, samples):
    write(tmp_path, 0, [Status.OK] * 10)
    with pytest.raises(ShardError, match="holds the sets 0 to 9, some of which are asked for in other shards"):
        prepare(tmp_path, first, samples)


def test_a_part_beside_another_is_welcome(tmp_path):
    write(tmp_path, 0, [Status.OK] * 10)
    assert prepare(tmp_path, 10, 15) == [Piece(10, 10, 10), Piece(20, 5, 5)]


def test_a_shard_of_another_run_is_named(tmp_path):
    write(tmp_path, 10, [Status.OK] * 10)
    (tmp_path / shards.name_of(10)).rename(tmp_path / shards.name_of(0))
    with pytest.raises(ShardError, match=f"{shards.name_of(0)}: belongs to another run or has another name"):
        prepare(tmp_path)


# --- the machine


@pytest.mark.parametrize(
    ("flags", "level"),
    [
        ("fpu sse sse2", "v1"),
        ("cx16 popcnt sse4_1 sse4_2 ssse3", "v2"),
        ("cx16 popcnt sse4_1 sse4_2 ssse3 avx avx2 bmi1 bmi2 f16c fma movbe", "v3"),
        ("avx512f avx512bw avx512cd avx512dq avx512vl", "v1"),  # what lies below is needed, too
        ("cx16 popcnt sse4_1 sse4_2 ssse3 avx avx2 bmi1 bmi2 f16c fma movbe avx512f avx512bw avx512cd avx512dq avx512vl", "v4"),
    ],
)  # fmt: skip
def test_the_instruction_set_is_the_level_of_the_psabi(flags, level):
    assert machine.level(set(flags.split())) == level


def test_a_cell_s_temperature_is_in_the_manifest():
    warm = manifest.describe(replace(MODEL, celsius=20.0), 1, 10, "neuron")
    assert warm["cell_hash"] != ABOUT["cell_hash"]
