"""The same bytes from any number of ranks, and a job that ends when a rank cannot go on."""

import os
import subprocess
import sys

import pytest


@pytest.fixture(scope="module")
def simulate(mpirun, hashes):
    """Simulate 40 sets (or so many) on some ranks, 0 for no MPI; the hashes of what was written."""

    def run(ranks, folder, samples=40):
        words = ["-m", "nrn_mlfit", "simulate", "izhikevich", "-n", samples, "--sets-a-shard", 5, "-o", folder]
        done = mpirun(ranks, *words)
        assert done.returncode == 0, done.stderr
        return hashes(folder)

    return run


@pytest.fixture(scope="module")
def serial(simulate, tmp_path_factory):
    """The hashes of a run without MPI."""
    return simulate(0, tmp_path_factory.mktemp("serial") / "run")


@pytest.mark.parametrize("ranks", [1, 2, 4])
def test_any_number_of_ranks_writes_the_same_bytes(ranks, simulate, serial, tmp_path):
    assert simulate(ranks, tmp_path / "run") == serial


def test_starting_the_ranks_ourselves_writes_the_same_bytes(command, serial, hashes, tmp_path):
    done = command("simulate", "izhikevich", "-n", 40, "--sets-a-shard", 5, "-j", 2, "-o", tmp_path / "run")
    assert done.returncode == 0, done.stderr
    assert hashes(tmp_path / "run") == serial


def test_an_extended_run_keeps_what_it_had(simulate, serial, tmp_path):
    half = simulate(2, tmp_path / "run", samples=18)  # its last shard is not full
    whole = simulate(2, tmp_path / "run", samples=40)
    assert whole == serial
    assert {name: half[name] for name in half if name != "shard-0000000015.h5"}.items() <= whole.items()


def test_a_lost_shard_is_made_again_with_the_same_bytes(simulate, serial, tmp_path):
    simulate(0, tmp_path / "run")
    (tmp_path / "run" / "shard-0000000010.h5").unlink()
    os.truncate(tmp_path / "run" / "shard-0000000020.h5", 5000)
    assert simulate(2, tmp_path / "run") == serial


def test_every_rank_does_some_of_the_work(mpirun, tmp_path):
    script = tmp_path / "work.py"
    script.write_text(
        "import time\nfrom nrn_mlfit import workers\n"
        "team, seen = workers.connect(), {}\n"
        "team.map(lambda n, serve: time.sleep(0.05) or n, range(20), lambda rank, n: seen.setdefault(rank, []).append(n))\n"
        "if team.rank == 0:\n"
        "    print(sorted(seen), sorted(n for ns in seen.values() for n in ns) == list(range(20)))\n"
    )
    assert mpirun(2, script).stdout.split("\n")[0] == "[0, 1] True"


@pytest.mark.parametrize("bad", [0, 1])
def test_a_rank_that_fails_ends_the_job_and_is_named(mpirun, bad, tmp_path):
    script = tmp_path / "fail.py"
    script.write_text(
        "import sys\nfrom nrn_mlfit import workers\nimport nrn_mlfit.cli, nrn_mlfit.__main__ as main\n"
        "def act(*a, **k):\n"
        "    team = workers.connect()\n"
        f"    team.rank == {bad} and 1 / 0\n"
        "    team.once(lambda: None)\n"
        "nrn_mlfit.cli.cli.main = act\n"
        "main.main([])\n"
    )
    done = mpirun(2, script, timeout=30)
    assert done.returncode != 0
    assert f"rank {bad} ends the job: an error we did not foresee (ZeroDivisionError: " in done.stderr


def test_a_refusal_is_said_once_and_ends_every_rank(mpirun, tmp_path):
    (tmp_path / "thesis.tex").write_text("x")
    done = mpirun(2, "-m", "nrn_mlfit", "simulate", "izhikevich", "-n", 5, "-o", tmp_path, timeout=30)
    assert done.returncode == 2
    assert done.stderr.count("holds something else") == 1


@pytest.mark.parametrize(
    "words",
    [
        ["predict", ".", "-e", ".", "-o", "x"],
        ["fit", "a.npz", "-e", ".", "-o", "x"],
        ["resimulate", "."],
        ["report", "."],
    ],
)
def test_what_is_one_process_is_refused_under_mpirun(mpirun, words):
    done = mpirun(2, "-m", "nrn_mlfit", *words, timeout=30)
    assert done.returncode == 2
    assert done.stderr.count(f"`nrn-mlfit {words[0]}` is one process; start it without mpirun") == 1


def test_a_training_on_what_is_no_run_is_refused_once(mpirun, tmp_path):
    done = mpirun(2, "-m", "nrn_mlfit", "train", tmp_path, "-o", tmp_path / "x", timeout=60)
    assert done.returncode == 2
    assert done.stderr.count("holds no run (no run.json)") == 1


def test_a_usage_error_ends_every_rank(mpirun):
    done = mpirun(2, "-m", "nrn_mlfit", "simulate", "izhikevich", "-n", "many", timeout=30)
    assert done.returncode == 2
    assert done.stderr.count("Error: ") == 1


def test_ranks_on_machines_of_two_kinds_are_refused(mpirun, tmp_path):
    script = tmp_path / "kinds.py"
    script.write_text(
        "import os, sys\nfrom nrn_mlfit import machine, __main__ as main\n"
        "machine.instruction_set = lambda: f'abacus-{os.environ[\"PMI_RANK\"]}'\n"
        "main.main(sys.argv[1:])\n"
    )
    done = mpirun(2, script, "simulate", "izhikevich", "-n", 5, "-o", tmp_path / "run", timeout=30)
    assert done.returncode == 2
    assert "has instruction_set abacus-1, rank 0 has abacus-0; give all ranks one command" in done.stderr
    assert not (tmp_path / "run").exists()


def test_ranks_with_different_seeds_are_refused(mpiexec, tmp_path):
    word = [sys.executable, "-m", "nrn_mlfit", "simulate", "izhikevich", "-n", "60", "-o", tmp_path / "run", "--seed"]
    line = [mpiexec, "-n", "1", *word, "1", ":", "-n", "1", *word, "2"]
    done = subprocess.run(line, capture_output=True, text=True, timeout=30)
    assert done.returncode == 2
    assert "has seed 2, rank 0 has 1; give all ranks one command and one installation" in done.stderr
    assert not (tmp_path / "run").exists()
