"""examples/02_cluster: the batch scripts as plain bash, with a srun of ours on the PATH."""

import os
import shlex
import subprocess
import sys
from pathlib import Path

import pytest

from nrn_mlfit import shards

FOLDER = Path(__file__).parents[2] / "examples" / "02_cluster"
SCRIPTS = ("one_job.sbatch", "array.sbatch")
SRUN = '#!/bin/bash\nwhile [[ "$1" == -* ]]; do shift; done\n'


@pytest.fixture
def submit(tmp_path):
    """Run a batch script where its runs go; `launcher` is what srun puts before the command, as words of bash."""
    programs = tmp_path / "bin"
    programs.mkdir()

    def program(name, text):
        (programs / name).write_text(text)
        (programs / name).chmod(0o755)

    def run(script, launcher="", srun=None, **variables):
        program("nrn-mlfit", f'#!/bin/bash\nexec {shlex.quote(sys.executable)} -m nrn_mlfit "$@"\n')
        program("srun", srun or f'{SRUN}exec {launcher} "$@"\n')
        program("scontrol", f'#!/bin/bash\necho "$@" > {shlex.quote(str(tmp_path / "scontrol.txt"))}\n')
        inherited = {name: value for name, value in os.environ.items() if not name.startswith("SLURM_")}
        env = inherited | {"PATH": f"{programs}:{os.environ['PATH']}", "NRN_MLFIT_CACHE": str(tmp_path / "cache")}
        env |= {"CELL": "izhikevich", "SLURM_JOB_ID": "77", **{name: str(value) for name, value in variables.items()}}
        words = ["bash", str(FOLDER / script)]
        return subprocess.run(words, env=env, cwd=tmp_path, capture_output=True, text=True, timeout=120)

    return run


@pytest.fixture
def cache(tmp_path):
    """Mechanisms come from the usual cache, so that a test does not compile them again."""
    from nrn_mlfit.cells import shipped_folder
    from nrn_mlfit.simulator.mechanisms import build, cache_folder

    build(shipped_folder("mod"))
    (tmp_path / "cache").symlink_to(cache_folder())


def numbers(folder):
    """The sets that a run holds, all of them good."""
    run = shards.open_run(folder)
    assert all((shards.read(path).ok).all() for path in run.shards)
    return [first + k for first, count in run.spans for k in range(count)]


@pytest.mark.parametrize("script", SCRIPTS)
def test_bash_reads_the_script(script):
    assert subprocess.run(["bash", "-n", FOLDER / script], capture_output=True).stderr == b""


def test_one_job_on_two_ranks_goes_on_where_it_stopped(submit, cache, mpiexec, tmp_path):
    two = f"{shlex.quote(mpiexec)} -n 2"
    done = submit("one_job.sbatch", two, SETS=12, SETS_A_SHARD=3)
    assert done.returncode == 0, done.stderr
    assert numbers(tmp_path / "runs" / "big") == list(range(12))
    (tmp_path / "runs" / "big" / shards.name_of(3)).unlink()
    again = submit("one_job.sbatch", two, SETS=12, SETS_A_SHARD=3)
    assert again.stdout.splitlines()[-4].endswith("(9 more were there already)"), again.stdout
    assert numbers(tmp_path / "runs" / "big") == list(range(12))


def test_the_tasks_of_an_array_make_the_run_that_was_never_split(submit, cache, command, hashes, tmp_path):
    for task in range(3):
        done = submit("array.sbatch", SETS=4, SETS_A_SHARD=2, SLURM_ARRAY_TASK_ID=task)
        assert done.returncode == 0, done.stderr
        assert numbers(tmp_path / "runs" / f"part-{task}") == list(range(4 * task, 4 * task + 4))
    parts = sorted((tmp_path / "runs").glob("part-*"))
    merged = command("shards", "merge", *parts, "-o", tmp_path / "whole")
    assert merged.returncode == 0, merged.stderr
    assert submit("one_job.sbatch", SETS=12, SETS_A_SHARD=2, RUN=tmp_path / "one").returncode == 0
    assert hashes(tmp_path / "whole") == hashes(tmp_path / "one")


def test_parts_that_would_not_fit_together_are_refused(submit, tmp_path):
    done = submit("array.sbatch", SETS=5, SETS_A_SHARD=2, SLURM_ARRAY_TASK_ID=1)
    assert done.returncode == 2
    assert "no multiple of SETS_A_SHARD=2" in done.stderr
    assert not (tmp_path / "runs").exists()


@pytest.mark.parametrize("script", SCRIPTS)
@pytest.mark.parametrize("code, requeued", [(143, True), (2, False), (0, False)])
def test_only_what_sigterm_stopped_goes_back_into_the_queue(script, code, requeued, submit, tmp_path):
    done = submit(script, srun=f"#!/bin/bash\nexit {code}\n", SLURM_ARRAY_TASK_ID=0)
    assert done.returncode == code
    told = tmp_path / "scontrol.txt"
    assert (told.read_text() if told.exists() else "") == ("requeue 77\n" if requeued else "")


def test_a_command_stopped_by_sigterm_has_the_exit_code_that_the_scripts_wait_for(submit, cache, tmp_path):
    """srun passes SIGTERM on to the ranks, as here `timeout` does, and then ends as they did."""
    done = submit("one_job.sbatch", "timeout --preserve-status -s TERM 25", SETS=100000, SETS_A_SHARD=1)
    assert done.returncode == 143, done.stderr
    assert (tmp_path / "scontrol.txt").read_text() == "requeue 77\n"
    assert numbers(tmp_path / "runs" / "big")
