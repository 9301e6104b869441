"""Which ensembles serve a recording, and the plan for one where none does."""

import json
import os
import re
import shutil
import time
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from safetensors.numpy import save as bytes_from

from nrn_mlfit import banks, cells, machine, recordings, serving, workers
from nrn_mlfit.errors import CellError, EnsembleError
from nrn_mlfit.learn import outline, shipped
from nrn_mlfit.recordings import Recording
from nrn_mlfit.shards import manifest
from nrn_mlfit.stimuli import reset_chirp


@pytest.fixture(autouse=True)
def empty_cache(tmp_path, monkeypatch):
    monkeypatch.setenv("NRN_MLFIT_CACHE", str(tmp_path / "cache"))
    return tmp_path / "cache"


def chirped(scale, reset=0.21, noise=0.0):
    stimulus = reset_chirp(scale, reset)
    current = stimulus.current + noise * np.random.default_rng(1).normal(size=stimulus.current.size)
    return Recording(np.full(current.size, -70.0), current, stimulus.dt, "cell7")


def names(*those, **more):
    return [one.name for one in serving.find(*those, **more)]


def test_the_stimulus_decides_and_its_strength():
    """mainen: 0.8 nA, resets of 0.21 of it (hoc/mainen.yaml); the other cells have deeper resets, or are not in nA."""
    assert names(chirped(0.8)) == ["mainen"]
    assert names(chirped(0.8, noise=0.01)) == ["mainen"]
    assert names(chirped(0.5)) == []  # too weak
    assert names(chirped(0.8, reset=0.9)) == []
    assert names(replace(chirped(0.8), currents=None)) == []
    assert names(chirped(0.5), chirped(0.8)) == ["mainen"]  # of several the first that any knows


def made(cache, name, cell, cell_hash="", age=0):
    """What `fit --train` leaves in the cache: the shipped ensemble `mainen` as one of another cell."""
    folder = cache / "ensembles" / name
    shutil.copytree(shipped.find("mainen"), folder)
    held = json.loads((folder / "ensemble.json").read_text())
    held["record"] |= {"cell": cell, "cell_hash": cell_hash}
    (folder / "ensemble.json").write_text(json.dumps(held))
    then = time.time() - age
    os.utime(folder / "ensemble.json", (then, then))
    return folder


def test_the_cell_decides_which_is_taken_and_then_who_made_it(empty_cache):
    made(empty_cache, "own", "my_cell")
    made(empty_cache, "own-before", "my_cell", age=99)
    made(empty_cache, "point", "izhikevich_slice")
    made(empty_cache, "again", "mainen")
    assert names(chirped(0.8)) == ["again", "mainen", "point", "own", "own-before"]
    made(empty_cache, "wide", "mainen_wide", age=999)
    assert names(chirped(0.8)) == ["wide", "again", "mainen", "point", "own", "own-before"]


def test_a_damaged_one_is_none(empty_cache):
    folder = made(empty_cache, "mainen-0123456789ab", "mainen")
    (folder / "stimulus.safetensors").write_bytes(b"damaged")
    assert names(chirped(0.8)) == ["mainen"]


def test_a_cell_that_is_asked_for_is_the_only_one(empty_cache):
    made(empty_cache, "point", "izhikevich_slice")
    assert names(chirped(0.8), cell="mainen") == ["mainen"]
    assert names(chirped(0.8), cell="izhikevich_slice") == ["point"]
    assert names(chirped(0.8), cell="ball_two_sticks") == []
    with pytest.raises(CellError, match="pyramid"):
        serving.find(chirped(0.8), cell="pyramid")


def under(recording, folder):
    """Gives a folder of the cache the stimulus of a recording, as `simulate --stimulus` takes it: the protocol."""
    recording.save(folder / "cell7.npz")
    protocol = banks.from_files([folder / "cell7.npz"])
    arrays = {"currents": protocol.currents, "start": np.array(protocol.start)}
    (folder / "stimulus.safetensors").write_bytes(bytes_from(arrays))
    held = json.loads((folder / "ensemble.json").read_text())
    held |= {"protocol": protocol.specs, "dt": protocol.dt, "start": protocol.start}
    (folder / "ensemble.json").write_text(json.dumps(held))
    return protocol


def own_cell(tmp_path):
    """A cell file of a user's, with `current_gain`, which its settings have under a recorded stimulus only."""
    for path in Path(cells.find("izhikevich")).parent.glob("izhikevich*"):
        shutil.copy(path, tmp_path)
    shutil.copytree(cells.find("izhikevich").parent / "templates", tmp_path / "templates")
    shutil.copytree(cells.shipped_folder("mod"), tmp_path / "mod")
    file = tmp_path / "izhikevich.yaml"
    text = file.read_text().replace("name: izhikevich", "name: mine").replace("mod: ../mod", "mod: mod")
    file.write_text(text)
    return file


def changed(file):
    """Another low end of its first parameter."""
    low, text = cells.load(file).space.parameters[0].low, file.read_text()
    assert f"{low:g}" in text
    file.write_text(text.replace(f"{low:g}", f"{0.9 * low:g}", 1))


@pytest.fixture
def kept(empty_cache, tmp_path):
    """A user's cell file, and the folder of an ensemble that --train made of it: its hash is that of the run's manifest."""
    file = own_cell(tmp_path)
    folder = made(empty_cache, "kept", "mine")
    model = replace(cells.load(file), protocol=under(chirped(0.8), folder))
    held = json.loads((folder / "ensemble.json").read_text())
    held["record"] |= {"cell_hash": manifest.describe(model, 1, 1, "neuron")["cell_hash"]}
    (folder / "ensemble.json").write_text(json.dumps(held))
    return file, folder


def test_a_cell_file_asks_for_ensembles_of_the_cell_as_it_is_now(kept):
    """By the name in it, an ensemble that was trained before the file was changed is found, too."""
    file, _ = kept
    assert names(chirped(0.8), cell=str(file)) == names(chirped(0.8), cell="mine") == ["kept"]
    changed(file)
    assert names(chirped(0.8), cell=str(file)) == [] and names(chirped(0.8), cell="mine") == ["kept"]


def test_an_ensemble_that_is_named_is_of_the_cell_file_as_it_is_now(kept):
    file, folder = kept
    about = outline.read(folder)
    for cell in (None, "mine", str(file)):
        serving.check_cell(folder, about, cell)
    with pytest.raises(EnsembleError, match="is an ensemble of mine, not of mainen; leave out --cell, or name another"):
        serving.check_cell(folder, about, "mainen")
    changed(file)
    serving.check_cell(folder, about, "mine")
    with pytest.raises(EnsembleError, match=f"is an ensemble of mine, not as it is in {file} now; leave out --cell"):
        serving.check_cell(folder, about, str(file))


def test_cells_with_channels_come_before_point_processes():
    held = [one.name for one in serving.known()]
    assert held[0] == "mainen_steps"
    points = [name for name in held if "izhikevich" in name]
    assert held[-len(points) :] == points


def ramp(path):
    """A recording with noise whose stimulus no ensemble knows."""
    current = np.concatenate([np.zeros(2500), np.linspace(0, 1, 2500)])
    Recording(-70 + np.random.default_rng(1).normal(0, 0.1, 5000), current, 0.1).save(path)
    return path


def test_the_plan_names_commands_that_make_an_ensemble_and_their_time(tmp_path, empty_cache, monkeypatch):
    """The two commands, and an estimate that is more than the training alone takes."""
    monkeypatch.setattr(machine, "cores", lambda: 3)
    monkeypatch.setattr(workers, "can_share", lambda: True)
    path = ramp(tmp_path / "my ramp.npz")
    plan = serving.plan(path, recordings.read(path), "izhikevich_slice")
    first, second = plan.lines
    assert re.fullmatch(rf"nrn-mlfit simulate izhikevich_slice --stimulus '{path}' -n 50000 -j 3 -o \S+-traces", first)
    assert second.startswith(f"nrn-mlfit train {plan.ensemble}-traces --noise '{path}' --offset 1 ")
    assert (
        second.endswith(f"--minutes 30 -j 3 -o {plan.ensemble}") and plan.ensemble.parent == empty_cache / "ensembles"
    )
    assert plan.seconds > 60 * serving.MINUTES
    assert int(plan.time.split()[0]) % 5 == 0 and 60 * int(plan.time.split()[0]) >= plan.seconds


@pytest.mark.skipif(not hasattr(os, "sched_setaffinity"), reason="no processors can be chosen here")
def test_a_plan_takes_the_processors_that_this_process_may_use():
    """taskset, a batch system: fewer than the machine has."""
    held = os.sched_getaffinity(0)
    try:
        os.sched_setaffinity(0, [min(held)])
        assert machine.cores() == 1
    finally:
        os.sched_setaffinity(0, held)
    assert machine.cores() == len(held)


@pytest.mark.parametrize("lacking", ["mpiexec", "mpi4py"])
def test_without_mpi_a_plan_shares_no_work(tmp_path, monkeypatch, lacking):
    """Its commands, with -j, would end at once."""
    monkeypatch.setattr(machine, "cores", lambda: 3)
    if lacking == "mpiexec":
        monkeypatch.setattr(workers, "mpiexec", lambda: None)
    else:
        monkeypatch.setattr(workers, "find_spec", lambda name: None)
    path = ramp(tmp_path / "ramp.npz")
    plan = serving.plan(path, recordings.read(path), "izhikevich_slice")
    assert not any("-j" in words for words in plan.commands)
