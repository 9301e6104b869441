"""Shards: what is written is read back, the same content gives the same bytes, damage is noticed."""

import json

import numpy as np
import pytest

from nrn_mlfit import shards, textfile
from nrn_mlfit.errors import ShardError
from nrn_mlfit.shards import Shard, Status

MANIFEST = {
    "content_hash": "abc",
    "seed": 1,
    "dt": 0.02,
    "t0": 1.0,
    "engine": "neuron",
    "instruction_set": "x86_64-v3",
    "sets_a_shard": 10,
    "cell": {"name": "x", "parameters": [{"name": "zeta"}, {"name": "alpha"}]},
    "protocol": [{"kind": "step"}],
    "versions": {"nrn_mlfit": "0"},
}


def shard(sets=5, first=0, manifest=MANIFEST):
    random = np.random.default_rng(first)
    volts = random.uniform(-90, 60, (sets, 1, 1, 400))
    unit = random.uniform(-1, 1, (sets, 2))
    status = np.zeros(sets, np.uint8)
    counts = shards.to_counts(volts)
    counts[1], status[1] = shards.MISSING, Status.NON_FINITE
    return volts, Shard(unit * 3, unit, counts, status, np.ones((1, 500)), shards.attributes_of(manifest, first))


@pytest.fixture
def path(tmp_path):
    shards.write(tmp_path / shards.name_of(0), shard()[1])
    return tmp_path / shards.name_of(0)


def test_what_is_written_is_read_to_half_a_count(path):
    volts, wrote = shard()
    found = shards.read(path)
    assert np.array_equal(found.unit_par, wrote.unit_par) and np.array_equal(found.phys_par, wrote.phys_par)
    assert np.abs(shards.to_millivolts(found.volts)[found.ok] - volts[found.ok]).max() < 0.00501
    assert found.ok.tolist() == [True, False, True, True, True]
    assert found.parameter_names == ["zeta", "alpha"]  # in the order of the columns
    assert np.array_equal(shards.read(path, [3]).volts[0], found.volts[3])
    assert shards.rows(path) == 5


def test_the_same_content_gives_the_same_bytes(path, tmp_path):
    shards.write(tmp_path / "again.h5", shard()[1])
    assert (tmp_path / "again.h5").read_bytes() == path.read_bytes()
    assert sorted(p.name for p in tmp_path.iterdir()) == ["again.h5", path.name]


@pytest.mark.parametrize("share", [0, 0.01, 0.2, 0.6, 0.95, 0.999])
def test_a_file_cut_short_is_refused(path, share):
    whole = path.read_bytes()
    path.write_bytes(whole[: int(share * len(whole))])
    assert shards.rows(path) == 0
    with pytest.raises(ShardError, match="cut short or damaged .*; delete it and simulate again to make it anew"):
        shards.read(path)


def test_no_flipped_bit_changes_what_is_read(path):
    whole, random = path.read_bytes(), np.random.default_rng(4)
    right = shards.read(path)
    for at in random.integers(0, len(whole), 300):
        broken = bytearray(whole)
        broken[at] ^= 1 << int(random.integers(8))
        path.write_bytes(broken)
        try:
            found = shards.read(path)
        except ShardError:
            continue
        for name in ("volts", "unit_par", "phys_par", "status", "currents"):  # the flip hit a byte that nothing reads
            assert np.array_equal(getattr(found, name), getattr(right, name)), (at, name)
        assert found.attributes == right.attributes, at


def test_every_flipped_bit_in_a_text_is_noticed(path):
    whole = path.read_bytes()
    start = whole.index(b'{"name": "x"')
    for at in range(start, start + 40):
        path.write_bytes(whole[:at] + bytes([whole[at] ^ 4]) + whole[at + 1 :])
        with pytest.raises(ShardError, match="cut short or damaged"):
            shards.read(path)


def test_a_cell_of_a_thousand_parameters_is_held(tmp_path):
    many = {"name": "x", "parameters": [{"name": f"g{k}", "sets": [f"g{k}.all"] * 5} for k in range(1000)]}
    held = shard()[1]
    held.attributes["cell"] = json.dumps(many)
    shards.write(tmp_path / "a.h5", held)
    assert shards.read(tmp_path / "a.h5").parameter_names[-1] == "g999"


def run(folder, content="abc", first=0, seed=1):
    manifest = {**MANIFEST, "content_hash": content, "seed": seed}
    textfile.write_atomic(folder / "run.json", textfile.to_json(manifest))
    shards.write(folder / shards.name_of(first), shard(first=first, manifest=manifest)[1])
    return folder


def test_runs_of_one_cell_are_loaded_together_without_their_failures(tmp_path):
    traces = shards.load_runs([run(tmp_path / "a"), run(tmp_path / "b", first=7, seed=2)])
    assert traces.volts.shape == (8, 1, 1, 400) and traces.unit_par.shape == (8, 2)
    assert not (traces.volts == shards.MISSING).any()
    assert len(shards.load_runs([tmp_path / "a"], limit=3).volts) == 3


def test_runs_of_two_cells_are_not_mixed(tmp_path):
    with pytest.raises(ShardError, match="another cell or protocol than .*a; train on runs of one cell"):
        shards.load_runs([run(tmp_path / "a"), run(tmp_path / "b", "def")])


def test_a_manifest_that_describes_no_run_is_refused(tmp_path):
    run(tmp_path / "a")
    (tmp_path / "a" / "run.json").write_text("{}")
    with pytest.raises(ShardError, match=r"run\.json: describes no run; copy it anew, or simulate again into another"):
        shards.load_runs([tmp_path / "a"])


def test_the_same_sets_are_not_taken_twice(tmp_path):
    with pytest.raises(ShardError, match=r"b: set 0 of seed 1 is in .*a, too; name one of them"):
        shards.load_runs([run(tmp_path / "a"), run(tmp_path / "b")])
    assert len(shards.load_runs([tmp_path / "a", run(tmp_path / "c", first=5)]).volts) == 8  # other sets of that seed


def test_a_shard_of_another_run_or_under_another_name_is_named(tmp_path):
    one, other = run(tmp_path / "a"), run(tmp_path / "b", first=20, seed=2)
    strange = one / shards.name_of(20)
    strange.write_bytes((other / shards.name_of(20)).read_bytes())
    with pytest.raises(ShardError, match=f"{strange.name}: belongs to another run or has another name"):
        shards.load_runs([one])
    (one / shards.name_of(0)).rename(strange)
    with pytest.raises(ShardError, match="has another name than it was given"):
        shards.load_runs([one])


@pytest.mark.parametrize("bad", [np.nan, np.inf, 327.1, -400])
def test_what_a_count_cannot_hold_does_not_become_one(bad):
    with pytest.raises(ValueError, match="not finite, or beyond 327"):
        shards.to_counts([0.0, bad])
