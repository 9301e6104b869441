"""One rank fails: the job ends within 30 s, not with code 0, names the rank and the cause, and keeps what is finished."""

import os
import re
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

FAULTY = Path(__file__).with_name("faulty.py")
WORDS = ["simulate", "izhikevich", "-n", 1000, "--sets-a-shard", 4, "--engine", "neuron"]  # slow: not to end first
SECONDS = 30
CAUSES = {  # what one rank does: how standard error names it
    "exception": r"rank {rank} ends the job: an error we did not foresee (ZeroDivisionError: division by zero)",
    "problem": "rank {rank} ends the job: shard-7.h5: cannot be used",
    "sys.exit": "rank {rank} ends the job: sys.exit(0) was called",
    "SIGTERM": "rank {rank} ends the job: stopped by SIGTERM; of a simulation the finished shards are kept",
    "SIGSTOP": "rank {rank} (process {process}) has not answered for 15 s; the job ends, what is finished is kept",
}
long = pytest.mark.chaos
PLACES = [(2, 1), pytest.param(2, 0, marks=long), pytest.param(4, 0, marks=long), pytest.param(4, 3, marks=long)]


def finished(folder):
    return [path for path in folder.glob("shard-*.h5") if path.stat().st_size]


@pytest.fixture
def goes_on(mpirun, hashes, tmp_path):
    """A function: whether the run in a folder is whole after the same command, and like one never broken."""

    def check(folder):
        again = [*WORDS[:3], 40, *WORDS[4:], "-o"]
        for output in (folder, tmp_path / "unbroken"):
            done = mpirun(0, "-m", "nrn_mlfit", *again, output)
            assert done.returncode == 0, done.stderr
        wanted = hashes(tmp_path / "unbroken")
        return {name: digest for name, digest in hashes(folder).items() if name in wanted} == wanted

    return check


@pytest.mark.parametrize(("ranks", "rank"), PLACES)
@pytest.mark.parametrize("action", CAUSES)
def test_a_rank_that_fails(mpirun, tmp_path, goes_on, action, ranks, rank):
    began = time.monotonic()
    done = mpirun(ranks, FAULTY, action, rank, *WORDS, "-o", tmp_path / "run")
    assert time.monotonic() - began < SECONDS
    assert done.returncode != 0
    process = done.stdout.split(f"{rank} is process ")[1].split(",")[0].split("\n")[0]
    place = f"{process} on {done.stdout.split(': rank 0')[0].split()[-1]}"
    assert done.stderr.count("nrn-mlfit: ") == 1
    assert CAUSES[action].format(rank=rank, process=place) in done.stderr
    assert goes_on(tmp_path / "run")


@pytest.mark.parametrize(("ranks", "rank"), PLACES)
def test_a_rank_that_is_killed(mpirun, tmp_path, goes_on, ranks, rank):
    began = time.monotonic()
    done = mpirun(ranks, FAULTY, "SIGKILL", rank, *WORDS, "-o", tmp_path / "run")
    assert time.monotonic() - began < SECONDS
    assert done.returncode != 0
    said = [line for line in done.stderr.splitlines() if line.startswith("nrn-mlfit: ")]
    assert len(said) == 1  # the launcher kills the others, and they are silent
    wanted = (
        rf"nrn-mlfit: rank {rank} \(process \d+ on .*\) was killed, the first on its host; what is finished is kept, .*"
    )
    assert re.fullmatch(wanted, said[0])
    assert goes_on(tmp_path / "run")


@pytest.mark.parametrize(("ranks", "rank"), PLACES)
def test_a_rank_with_another_command_line(mpiexec, tmp_path, ranks, rank):
    good = [sys.executable, "-m", "nrn_mlfit", *map(str, WORDS), "-o", str(tmp_path / "run")]
    jobs = [["-n", "1", *good, *(["--bogus"] if r == rank else [])] for r in range(ranks)]
    words = [word for job in jobs for word in (":", *job)][1:]
    done = subprocess.run([mpiexec, *words], capture_output=True, text=True, timeout=SECONDS)
    assert done.returncode == 2
    assert "Error: No such option '--bogus'." in done.stderr
    said = ": No such option '--bogus'" if rank else ", so the job ends"
    assert f"nrn-mlfit: rank {rank} cannot take part{said}; every rank needs the same" in done.stderr
    assert not (tmp_path / "run").exists()


@pytest.mark.parametrize("ranks", [2, pytest.param(4, marks=long)])
@pytest.mark.parametrize(("number", "said"), [(signal.SIGINT, "interrupted"), (signal.SIGTERM, "stopped by SIGTERM")])
def test_ctrl_c_and_a_scheduler_s_warning(mpiexec, tmp_path, goes_on, ranks, number, said):
    line = [mpiexec, "-n", str(ranks), sys.executable, "-m", "nrn_mlfit", *map(str, WORDS), "-o", tmp_path / "run"]
    job = subprocess.Popen(line, start_new_session=True, stderr=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    while len(finished(tmp_path / "run")) < 4:
        time.sleep(0.02)
        assert job.poll() is None
    os.killpg(job.pid, number)  # as a terminal and a scheduler do: to all processes of the job
    _, errors = job.communicate(timeout=SECONDS)
    assert job.returncode == 128 + number
    assert f"ends the job: {said}; of a simulation the finished shards are kept" in errors
    assert goes_on(tmp_path / "run")
    assert not list((tmp_path / "run").glob(".*"))
