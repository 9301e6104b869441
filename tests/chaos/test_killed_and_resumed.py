"""kill -9 of a random process of a job at a random time, then the same command again: as if nothing had happened."""

import contextlib
import os
import random
import signal
import subprocess
import sys
import time

import numpy as np
import pytest

from nrn_mlfit import shards

SETS, SETS_A_SHARD = 80, 5
WORDS = ["-m", "nrn_mlfit", "simulate", "izhikevich", "-n", SETS, "--sets-a-shard", SETS_A_SHARD, "-o"]


@pytest.fixture(scope="module")
def unbroken(mpirun, hashes, tmp_path_factory):
    folder = tmp_path_factory.mktemp("unbroken") / "run"
    began = time.monotonic()
    assert mpirun(2, *WORDS, folder).returncode == 0
    return hashes(folder), time.monotonic() - began


def test_a_random_kill_loses_nothing(mpiexec, mpirun, hashes, unbroken, pythons_of, tmp_path, rounds):
    chance = random.Random(5)
    wanted, seconds = unbroken
    broken = 0
    for round in range(rounds(30, 3)):
        folder = tmp_path / str(round)
        job = subprocess.Popen(
            [mpiexec, "-n", "2", sys.executable, *map(str, WORDS), folder],
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        time.sleep(chance.uniform(0.3, seconds))
        if victims := pythons_of(job):
            with contextlib.suppress(ProcessLookupError):
                os.kill(chance.choice(victims), signal.SIGKILL)
        broken += job.wait(30) != 0 or bool(victims)
        done = mpirun(2, *WORDS, folder)
        assert done.returncode == 0, done.stderr
        assert hashes(folder) == wanted, f"round {round}"  # the same files, bytes and names: nothing temporary is left
    assert broken >= rounds(15, 1)  # the kills did hit


def test_no_set_is_missing_or_twice_after_a_kill(mpirun, tmp_path):
    job = subprocess.Popen([sys.executable, *map(str, WORDS), tmp_path / "run"], stdout=subprocess.DEVNULL)
    while len(list(tmp_path.glob("run/shard-*.h5"))) < 3:
        time.sleep(0.02)
        assert job.poll() is None
    job.kill()
    job.wait()
    (tmp_path / "run" / ".shard-0000000020.h5.99999.tmp").write_bytes(b"half")
    assert mpirun(0, *WORDS, tmp_path / "run").returncode == 0
    run = shards.open_run(tmp_path / "run")
    numbers = [first + k for first, count in run.spans for k in range(count)]
    assert numbers == list(range(SETS))
    assert not list(run.folder.glob(".*"))


def test_a_worker_that_is_killed_is_no_status(tmp_path, pythons_of):
    """Out of memory or by hand, the cell is not to blame: the set is simulated again in a new worker."""
    many = [*WORDS[:5], 10 * SETS, *WORDS[6:], tmp_path / "run"]
    job = subprocess.Popen([sys.executable, *map(str, many)], stdout=subprocess.DEVNULL)
    while len(list(tmp_path.glob("run/shard-*.h5"))) < 3:
        time.sleep(0.02)
        assert job.poll() is None
    os.kill(pythons_of(job)[-1], signal.SIGKILL)
    assert job.wait(60) == 0
    run = shards.open_run(tmp_path / "run")
    assert all((run.status(path) == shards.Status.OK).all() for path in run.shards)
    assert np.sum([count for _, count in run.spans]) == 10 * SETS


def test_two_runs_in_one_folder_one_wins(tmp_path, mpirun):
    long = [*WORDS[:5], 100 * SETS, *WORDS[6:], tmp_path / "run"]
    job = subprocess.Popen([sys.executable, *map(str, long)], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    while not list(tmp_path.glob("run/shard-*.h5")):
        time.sleep(0.02)
        assert job.poll() is None
    second = mpirun(0, *WORDS, tmp_path / "run")
    assert second.returncode == 2
    assert second.stderr.startswith(f"nrn-mlfit: {tmp_path}/run: process {job.pid} on ")
    assert second.stderr.endswith(" is writing there; wait for it, or choose another folder with -o\n")
    job.terminate()
    assert job.wait(60) == 143
    assert mpirun(0, *WORDS, tmp_path / "run").returncode == 0  # now it is free


def test_a_sigterm_that_python_swallows_ends_the_command_all_the_same(tmp_path):
    """An exception raised in a destructor is printed and forgotten; a signal may come just then."""
    script = tmp_path / "deaf.py"
    script.write_text(
        "import os, signal, sys, time\nfrom nrn_mlfit import __main__ as main, cli\n"
        "class Deaf:\n    def __del__(self):\n        os.kill(os.getpid(), signal.SIGTERM)\n        time.sleep(0.1)\n"
        "def act(*_, **__):\n    Deaf()\n    print('goes on', flush=True)\n    time.sleep(60)\n"
        "cli.cli.main = act\nmain.SECONDS_TO_CLOSE = 1\nmain.main([])\n"
    )
    done = subprocess.run([sys.executable, script], capture_output=True, text=True, timeout=30)
    assert done.stdout == "goes on\n"
    assert done.returncode == 143
    assert "nrn-mlfit: stopped by SIGTERM; of a simulation the finished shards are kept" in done.stderr
