"""`shards.verify`: a run as it was written passes; whatever changed in it since is found, and its file named."""

import json
import os
import re
import shutil
from dataclasses import replace

import numpy as np
import pytest

from nrn_mlfit import cells, machine, shards, textfile
from nrn_mlfit.errors import MachineError, ShardError
from nrn_mlfit.shards import Shard, Status, manifest
from nrn_mlfit.shards.verify import verify

STEP = {"kind": "step", "scale": 10, "delay": 1, "duration": 3, "total": 5, "dt": 0.1}
BAD = {7: Status.TIMEOUT, 21: Status.HOC_ERROR}  # the sets that failed


def describe(model, **changes):
    return {**manifest.describe(model, seed=1, sets_a_shard=20, engine="neuron"), **changes}


def shard(model, about, first, count):
    """The sets first .. first+count-1 with made-up traces."""
    unit = model.space.draw(about["seed"], first, count)
    length, random = model.protocol.length, np.random.default_rng(first)
    volts = shards.to_counts(random.uniform(-90, 40, (count, len(model.probes), len(model.protocol.stimuli), length)))
    status = np.array([BAD.get(first + row, Status.OK) for row in range(count)], np.uint8)
    volts[status != Status.OK] = shards.MISSING
    attributes = shards.attributes_of(about, first)
    return Shard(model.space.to_phys(unit), unit, volts, status, model.protocol.currents, attributes)


def write_run(folder, model, about=None, firsts=(0, 20, 40), count=20):
    """A whole run in `folder`, with shards of `count` sets."""
    about = about or describe(model)
    textfile.write_atomic(folder / "run.json", textfile.to_json(about))
    cells.bundle(model, folder / "cell")
    for first in firsts:
        shards.write(folder / shards.name_of(first), shard(model, about, first, count))
    return folder


def found(folder):
    """What `verify` says of `folder`: the paths in there that have a problem, each with what is said of it."""
    (verdict,) = verify([folder])
    return {str(p.path.relative_to(folder)): p.what for p in verdict.problems}


def files(folder):
    return sorted(p for p in folder.rglob("*") if p.is_file())


def name(first):
    return shards.name_of(first)


@pytest.fixture(scope="module")
def model():
    return cells.load("izhikevich", STEP)


@pytest.fixture
def run(tmp_path, model):
    return write_run(tmp_path / "run", model)


@pytest.fixture
def from_file(tmp_path):
    """A run under a recorded current."""
    np.savez(tmp_path / "piece.npz", current=np.linspace(0, 10, 60), dt=0.1)
    return write_run(tmp_path / "run", cells.load("izhikevich", {"kind": "file", "path": str(tmp_path / "piece.npz")}))


def test_a_run_as_it_was_written_is_said_to_be(run):
    (verdict,) = verify([run])
    assert verdict.lines() == [f"{run}: 3 shards, sets 0-59, 60 sets, all as written"]


def test_a_run_under_a_recorded_current_is_too(from_file):
    assert found(from_file) == {}


@pytest.mark.parametrize(("kind", "flips"), [("run", 200), ("from_file", 50)])
def test_every_flipped_bit_is_found_and_its_file_named(kind, flips, request):
    folder, random = request.getfixturevalue(kind), np.random.default_rng(3)
    for path in random.choice(files(folder), flips):  # files, not bytes: most of those are in shards
        whole = path.read_bytes()
        at, bit = int(random.integers(len(whole))), int(random.integers(8))
        path.write_bytes(whole[:at] + bytes([whole[at] ^ 1 << bit]) + whole[at + 1 :])
        assert str(path.relative_to(folder)) in found(folder), (path, at, bit)
        path.write_bytes(whole)


def test_a_changed_sets_a_shard_is_found_even_if_the_shards_fit_it(run, model):
    textfile.write_atomic(run / "run.json", textfile.to_json(describe(model, sets_a_shard=60)))
    assert list(found(run)) == ["run.json"]


def test_a_changed_sets_a_shard_that_the_shards_do_not_fit_is_found(run, model):
    textfile.write_atomic(run / "run.json", textfile.to_json(describe(model, sets_a_shard=30)))
    assert "sets_a_shard is 30, but shard-0000000020.h5 holds sets 20 to 39" in found(run)["run.json"]


@pytest.mark.parametrize("share", [0, 0.001, 0.05, 0.2, 0.4, 0.5, 0.7, 0.9, 0.99, 0.9999])
def test_every_file_cut_short_is_found_and_named(run, share):
    for path in files(run):
        whole = path.read_bytes()
        path.write_bytes(whole[: int(share * len(whole))])
        assert str(path.relative_to(run)) in found(run), path
        path.write_bytes(whole)
    assert found(run) == {}


def test_a_byte_more_is_found(run):
    for path in files(run):
        whole = path.read_bytes()
        path.write_bytes(whole + b"\n")
        assert str(path.relative_to(run)) in found(run), path
        path.write_bytes(whole)


def test_every_file_that_is_gone_is_told(run):
    for path in files(run / "cell") + [run / "run.json"]:
        whole = path.read_bytes()
        path.unlink()
        told = found(run)
        assert told[str(path.relative_to(run))] == "missing; restore it from a copy"
        path.write_bytes(whole)


def test_swapped_shards_are_both_named(run):
    one, other = run / name(0), run / name(40)
    bytes_of_one = one.read_bytes()
    other.rename(one)
    other.write_bytes(bytes_of_one)
    told = found(run)
    assert list(told) == [name(0), name(40)]
    assert told[name(0)].startswith(f"has another name than {name(40)}, which it was given; rename it")


def test_a_shard_that_is_gone_is_missing_sets(run):
    (run / name(20)).unlink()
    assert found(run) == {".": "sets 20 to 39 are missing; give the same `nrn-mlfit simulate` command again"}


def test_sets_in_two_shards_are_found(run, model):
    shards.write(run / name(30), shard(model, describe(model), 30, 5))
    assert found(run) == {name(30): f"holds set 30, which {name(20)} holds, too; take one of them out of the folder"}


def test_a_long_shard_overlaps_all_it_reaches_over(tmp_path, model):
    about = describe(model, sets_a_shard=100)
    run = write_run(tmp_path / "run", model, about, firsts=(10, 20), count=5)
    shards.write(run / name(0), shard(model, about, 0, 40))
    assert list(found(run)) == [name(10), name(20)]


@pytest.mark.parametrize("where", ["notes.txt", "cell/notes.txt", "cell/mod/more.mod", "cell/zz.yaml", "cell/a.yaml"])
def test_a_file_that_does_not_belong_is_named(run, where):
    (run / where).write_text("x")
    told = found(run)
    assert list(told) == [where] and "does not belong to the run; take it out" in told[where]


def test_a_folder_that_does_not_belong_is_named(run):
    (run / "old").mkdir()
    assert list(found(run)) == ["old"]


@pytest.mark.parametrize("left", [".lock", f".{shards.name_of(60)}.123.tmp"])
def test_what_a_killed_process_left_is_told_as_such(run, left):
    (run / left).write_text("")
    assert found(run) == {
        left: "left by a process that was killed, or that is still writing; "
        "give the same `nrn-mlfit simulate` command again"
    }


def test_one_broken_shard_does_not_hide_the_rest(run):
    (run / name(0)).write_bytes(b"")
    (run / name(40)).write_bytes((run / name(40)).read_bytes()[:-1])
    (run / "cell" / "mod" / "na.mod").write_text("gone")
    (run / "more").write_text("")
    told = found(run)
    assert set(told) == {name(0), name(40), "cell/mod/na.mod", "more"}
    assert "not as it was written" in told[name(0)] and "delete it, then give the same" in told[name(0)]


# --- shards whose stamp is right, but not what they hold


def _nudge(values):
    values = values.copy()
    values.flat[3] = np.nextafter(values.flat[3], 9)
    return values


def _with(values, at, value):
    values = values.copy()
    values[at] = value
    return values


WRONG = {
    "unit_par is not what seed": lambda s: replace(s, unit_par=_nudge(s.unit_par)),
    "phys_par is not unit_par": lambda s: replace(s, phys_par=_nudge(s.phys_par)),
    "status 9 is none": lambda s: replace(s, status=_with(s.status, 7, 9)),
    "volts are missing where": lambda s: replace(s, volts=_with(s.volts, (3, 0, 0, 5), shards.MISSING)),
    "or there where": lambda s: replace(s, volts=_with(s.volts, (7, 0, 0, 5), 0)),
    "currents are not those": lambda s: replace(s, currents=_nudge(s.currents)),
    "volts have the shape": lambda s: replace(s, volts=s.volts[:-1]),
}
SHAPES = {  # of which nothing more can be asked: one thing is told of them
    "volts have the shape": lambda s: replace(s, volts=s.volts[:-1], unit_par=_nudge(s.unit_par)),
    "volts have the shape (20,": lambda s: replace(s, volts=s.volts[..., 0]),
    "currents have the shape": lambda s: replace(s, currents=s.currents[0]),
}


@pytest.mark.parametrize("what", SHAPES)
def test_of_a_shard_of_another_shape_nothing_more_is_asked(run, model, what):
    shards.write(run / name(0), SHAPES[what](shard(model, describe(model), 0, 20)))
    told = found(run)
    assert list(told) == [name(0)] and told[name(0)].startswith(what)
    assert re.fullmatch(
        r"\w+ have the shape [^;]*(sets, probes and stimuli|stimuli and samples); delete it.*", told[name(0)]
    )


@pytest.mark.parametrize("what", WRONG)
def test_a_shard_that_contradicts_itself_is_found(run, model, what):
    shards.write(run / name(0), WRONG[what](shard(model, describe(model), 0, 20)))
    told = found(run)
    assert list(told) == [name(0)] and what in told[name(0)]


@pytest.mark.parametrize("change", [{"seed": 2}, {"versions": {"neuron": "8"}}, {"engine": "other"}, {"t0": 5.0}])
def test_a_shard_of_another_run_is_named(run, model, change):
    shards.write(run / name(20), shard(model, describe(model, **change), 20, 20))
    told = found(run)
    assert list(told) == [name(20)] and f"another run: {next(iter(change))} is" in told[name(20)]


def test_the_last_bits_of_another_instruction_set_are_not_judged_here(tmp_path, model):
    about = describe(model, instruction_set="another")
    run = write_run(tmp_path / "run", model, about)
    held = shard(model, about, 0, 20)
    shards.write(run / name(0), replace(held, phys_par=_nudge(held.phys_par)))
    assert machine.instruction_set() != "another" and found(run) == {}


# --- the manifest


@pytest.mark.parametrize("key", ["seed", "engine", "instruction_set", "versions", "dt", "cell", "protocol", "stop"])
def test_a_manifest_that_is_not_that_of_the_shards_is_named_and_they_are_not(run, model, key):
    held = describe(model)
    new = {str: "other", int: 17, float: 0.3, dict: {}, list: []}[type(held[key])]
    textfile.write_atomic(run / "run.json", textfile.to_json({**held, key: new}))
    assert list(found(run)) == ["run.json"]


def test_a_manifest_written_otherwise_is_named(run):
    (run / "run.json").write_text(json.dumps(json.loads((run / "run.json").read_text())))
    assert list(found(run)) == ["run.json"]


@pytest.mark.parametrize(
    "text", ["", "[]", "{}", "\xff", "[" * 9999, '{"seed": 1, "content_hash": 2, "sets_a_shard": 0}']
)
def test_no_manifest_ends_in_a_traceback(run, text):
    (run / "run.json").write_text(text, encoding="latin-1")
    assert "run.json" in found(run)


def test_another_cell_in_the_folder_is_named(run):
    path = run / "cell" / "izhikevich.yaml"
    path.write_text(path.read_text().replace("celsius: 37.0", "celsius: 36.0"))
    told = found(run)
    assert list(told) == ["cell/izhikevich.yaml"]
    assert "is not the cell that was simulated: cell.celsius 37.0 there, 36.0 here" in told["cell/izhikevich.yaml"]


def test_a_disk_too_full_for_the_comparison_is_not_the_fault_of_the_run(run, monkeypatch):
    def full(*_):
        raise MachineError("full")

    monkeypatch.setattr(cells, "bundle", full)
    with pytest.raises(MachineError, match="full"):
        found(run)


# --- folders


def test_a_folder_without_a_run_is_refused_before_any_is_checked(run, tmp_path):
    (tmp_path / "empty").mkdir()
    for folder in (tmp_path / "empty", tmp_path / "nowhere"):
        with pytest.raises(ShardError, match="holds no run"):
            next(verify([run, folder]))
    shutil.copy(run / "run.json", tmp_path / "empty")
    with pytest.raises(ShardError, match="holds no finished shard yet"):
        next(verify([tmp_path / "empty"]))


def test_several_runs_have_a_verdict_each(run, tmp_path):
    other = tmp_path / "other"
    shutil.copytree(run, other)
    os.remove(other / name(20))
    assert [len(verdict.problems) for verdict in verify([run, other])] == [0, 1]
