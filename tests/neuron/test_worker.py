"""The worker process beside a rank: it comes and goes with the rank, and says what is wrong with a cell."""

import os
import signal
import subprocess
import sys
import threading
import time
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from nrn_mlfit import cells
from nrn_mlfit.errors import CellError, MachineError
from nrn_mlfit.shards import Status
from nrn_mlfit.simulator import Session
from nrn_mlfit.simulator.keeper import CHECK, Done
from nrn_mlfit.simulator.lanes import Checked, Disagreement
from nrn_mlfit.simulator.worker import Worker

MODEL = cells.load("izhikevich")
DRAWS = MODEL.space.to_phys(MODEL.space.draw(1, 0, 5))


@pytest.fixture
def worker():
    with Worker(MODEL, "neuron") as worker:
        worker.begin()
        yield worker


def children(pid):
    return [int(p) for p in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]


def is_alive(pid):
    stat = Path(f"/proc/{pid}/stat")
    return stat.exists() and stat.read_text().rpartition(")")[2].split()[0] != "Z"


def wait_for(condition, seconds=10):
    until = time.monotonic() + seconds
    while not condition() and time.monotonic() < until:
        time.sleep(0.02)
    assert condition()


def test_its_traces_are_those_of_a_session_in_this_process(worker):
    volts, status = worker.run(DRAWS[:1])
    session = Session(MODEL)
    session.set(DRAWS[0])
    assert np.array_equal(volts[0, :, 0], session.run(MODEL.protocol.stimuli[0])[:, MODEL.protocol.start :])
    assert status == [Status.OK]


def test_it_ends_with_its_with():
    with Worker(MODEL, "neuron") as worker:
        worker.begin()
        keeper = worker._keeper.pid
        family = [keeper, *children(keeper)]
        assert len(family) == 2
    wait_for(lambda: not any(map(is_alive, family)))


def test_one_that_was_never_given_work_ends_too():
    with Worker(MODEL, "neuron") as worker:
        keeper = worker._keeper
    assert keeper.poll() == 0


def test_a_killed_worker_is_replaced_and_the_set_simulated(worker):
    wanted = worker.run(DRAWS[:1])[0].copy()
    os.kill(worker._pid, signal.SIGKILL)
    volts, status = worker.run(DRAWS[:1])
    assert (status == Status.OK).all()
    assert np.array_equal(volts, wanted)


def test_a_worker_killed_in_its_first_set_is_replaced_too():
    with Worker(cells.load("mainen"), "neuron") as worker:
        worker.begin()
        row = cells.load("mainen").space.to_phys(cells.load("mainen").space.draw(1, 0, 1))
        killer = threading.Timer(0.05, os.kill, (worker._pid, signal.SIGKILL))
        killer.start()
        first = worker._pid
        assert worker.run(row)[1] == [Status.OK]
        assert worker._pid != first


def test_answers_stay_with_their_questions_when_idle_workers_are_killed(worker):
    """The new worker may find a question in the pipe that was asked of the dead one: it must not answer it."""
    wanted = []
    for row in DRAWS:
        volts, _ = worker.run(row[None])
        wanted.append(volts.copy())
    for turn in range(3):
        for k, row in enumerate(DRAWS):
            if k == 2:
                os.kill(worker._pid, signal.SIGKILL)
                time.sleep(0.2 * turn)  # the new one is still to be forked, being built, or ready
            volts, status = worker.run(row[None])
            assert (status == Status.OK).all()
            assert np.array_equal(volts, wanted[k]), (turn, k)


def test_one_that_waits_for_ever_is_given_up(worker, monkeypatch):
    from nrn_mlfit.simulator import worker as module

    monkeypatch.setattr(module, "WALL_EXTRA", 0.3)
    monkeypatch.setattr(module, "WALL_TIMES", 0)
    os.kill(worker._pid, signal.SIGSTOP)
    assert worker.run(DRAWS[:1])[1] == [Status.TIMEOUT]
    assert worker.run(DRAWS[:1])[1] == [Status.OK]


def test_what_is_wrong_with_a_cell_arrives_as_it_is():
    bad = replace(MODEL, probes={"x": "nowhere(0.5)"})
    with Worker(bad, "neuron") as worker, pytest.raises(CellError, match="has no public section nowhere; add it to"):
        worker.begin()


def test_sets_that_end_a_check_do_not_keep_it_from_the_others(worker, monkeypatch):
    """The second set ends the worker, the third makes another cell, the fourth is not NEURON's."""
    wrong = Disagreement(0, DRAWS[3], None, None, None, "v")

    def ask(rows, serve, question):
        assert question == CHECK
        if (rows == DRAWS[1]).all(axis=1).any():
            return Status.CRASHED
        if (rows == DRAWS[2]).all(axis=1).any():
            return Done(None, 0.0, True)
        return Done(Checked(len(rows), wrong if (rows == DRAWS[3]).all(axis=1).any() else None), 0.0, False)

    monkeypatch.setattr(worker, "_ask", ask)
    assert worker.check(DRAWS[:3]) == Checked(1, failed=2)
    assert worker.check(DRAWS) == Checked(2, replace(wrong, number=3), failed=2)


def test_a_worker_that_comes_back_as_another_engine_ends_the_run(worker):
    """Its traces would differ in the last bits, and the manifest would not say so."""
    worker.run(DRAWS[:1])
    worker.made = replace(worker.made, name="lanes-double", made_with={"g++": "an older one"})
    os.kill(worker._pid, signal.SIGKILL)
    with pytest.raises(
        MachineError, match=r"built again as another engine \(neuron; it was lanes-double\); .* same command"
    ):
        worker.run(DRAWS[:1])


def test_the_limit_of_a_set_holds_for_all_that_run_together(worker):
    for lanes, sets, wanted in [(1, 1, 3), (32, 32, 96), (32, 1, 96)]:
        worker._limit, worker.made = 3.0, replace(worker.made, lanes=lanes)
        assert worker._chunk_limit(sets) == wanted


def test_it_takes_itself_for_no_rank(monkeypatch):
    monkeypatch.setenv("PMI_RANK", "3")
    monkeypatch.setenv("OMPI_COMM_WORLD_SIZE", "8")
    with Worker(MODEL, "neuron") as worker:
        held = Path(f"/proc/{worker._keeper.pid}/environ")
        wait_for(held.read_bytes)  # empty while the new program is being loaded
        environment = held.read_bytes()
    assert b"PMI_RANK" not in environment
    assert b"OMPI_COMM_WORLD_SIZE" not in environment
    assert b"PATH=" in environment


@pytest.mark.parametrize("victim", ["rank", "keeper"])
def test_no_worker_outlives_a_killed_rank_or_keeper(victim, tmp_path):
    code = (
        "import sys, time\nfrom nrn_mlfit import cells\nfrom nrn_mlfit.simulator.worker import Worker\n"
        "model = cells.load('izhikevich')\n"
        "with Worker(model, 'neuron') as worker:\n"
        "    worker.begin()\n"
        "    print(worker._keeper.pid, worker._pid, flush=True)\n"
        "    time.sleep(60)\n"
    )
    rank = subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, text=True)
    keeper, worker = map(int, rank.stdout.readline().split())
    os.kill(worker, signal.SIGSTOP)  # as deaf as in a loop of a MOD file
    os.kill(rank.pid if victim == "rank" else keeper, signal.SIGKILL)
    wait_for(lambda: not is_alive(keeper) and not is_alive(worker))
    rank.kill()
    rank.wait()


def test_it_has_no_mpi(worker):
    assert b"mpi4py" not in Path(f"/proc/{worker._pid}/maps").read_bytes()


def test_a_cell_whose_files_changed_is_not_built_again(tmp_path):
    """Its traces would land among those of the cell that the run began with."""
    cells.bundle(MODEL, tmp_path)
    with Worker(cells.load(tmp_path), "neuron") as worker:
        worker.begin()
        worker.run(DRAWS[:1])
        hoc = tmp_path / "izhikevich.hoc"
        hoc.write_text(hoc.read_text() + "// a note\n")
        os.kill(worker._pid, signal.SIGKILL)
        with pytest.raises(CellError, match="izhikevich: its files changed since the run began; put them back"):
            worker.run(DRAWS[:1])


def test_a_job_that_is_put_to_sleep_has_not_waited(monkeypatch):
    from nrn_mlfit.simulator import worker as module

    clock = iter([0.0, 0.5, 1000.0, 1000.5, 1001.5, 1002.5])
    monkeypatch.setattr(module.time, "monotonic", lambda: next(clock))
    patience = module._Patience(3)
    assert [patience.is_over() for _ in range(5)] == [False, False, False, False, True]


def test_a_limit_of_the_scheduler_on_memory_is_kept(tmp_path):
    code = (
        "import resource\nhard = 3 * 2**30\nresource.setrlimit(resource.RLIMIT_DATA, (hard, hard))\n"
        "from pathlib import Path\nfrom nrn_mlfit import cells\nfrom nrn_mlfit.simulator.worker import Worker\n"
        "with Worker(cells.load('izhikevich'), 'neuron') as worker:\n"
        "    worker.begin()\n"
        "    limits = Path(f'/proc/{worker._pid}/limits').read_text().splitlines()\n"
        "    print([line for line in limits if 'data size' in line][0].split()[3:5])\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert done.stdout.strip() == str([str(3 * 2**30)] * 2), done.stderr
