"""Which ensembles serve a recording, and the plan for one where none does."""

import os
import re
from dataclasses import replace

import numpy as np
import pytest

from nrn_mlfit import machine, recordings, serving, workers
from nrn_mlfit.recordings import Recording
from nrn_mlfit.stimuli import reset_chirp


@pytest.fixture(autouse=True)
def empty_cache(tmp_path, monkeypatch):
    monkeypatch.setenv("NRN_MLFIT_CACHE", str(tmp_path / "cache"))
    return tmp_path / "cache"


def chirped(scale, reset=0.21, noise=0.0):
    stimulus = reset_chirp(scale, reset)
    current = stimulus.current + noise * np.random.default_rng(1).normal(size=stimulus.current.size)
    return Recording(np.full(current.size, -70.0), current, stimulus.dt, "cell7")


def test_the_stimulus_decides_and_its_strength():
    """mainen: 0.8 nA, resets of 0.21 of it (hoc/mainen.yaml); the other cells have deeper resets, or are not in nA."""
    assert serving.find(chirped(0.8)) == ["mainen"]
    assert serving.find(chirped(0.8, noise=0.01)) == ["mainen"]
    assert serving.find(chirped(0.5)) == []  # too weak
    assert serving.find(chirped(0.8, reset=0.9)) == []
    assert serving.find(replace(chirped(0.8), currents=None)) == []


def test_one_made_for_the_recording_comes_first(empty_cache):
    """What `fit --train` leaves in the cache; here a copy of the shipped one."""
    import shutil

    from nrn_mlfit.learn import shipped

    shutil.copytree(shipped.find("mainen"), empty_cache / "ensembles" / "mainen-0123456789ab")
    assert serving.find(chirped(0.8)) == ["mainen-0123456789ab", "mainen"]
    (empty_cache / "ensembles" / "mainen-0123456789ab" / "stimulus.safetensors").write_bytes(b"damaged")
    assert serving.find(chirped(0.8)) == ["mainen"]


def test_cells_with_channels_come_before_point_processes():
    names = list(serving.known())
    points = [name for name in names if "izhikevich" in name]
    assert names[-len(points) :] == points


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
