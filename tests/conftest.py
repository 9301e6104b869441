"""Fixtures: NEURON with the shipped channels, a small simulated run, and a command line that runs in a process of its own."""

import hashlib
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

os.environ.setdefault("MPLBACKEND", "Agg")
if "PYTEST_XDIST_WORKER" in os.environ:  # others test beside us: a core each
    os.environ.setdefault("OMP_NUM_THREADS", "1")
TOP = Path(__file__).parents[1]


@pytest.fixture(scope="session")
def h():
    """NEURON's h with the shipped mechanisms loaded."""
    from nrn_mlfit.simulator.door import hoc
    from nrn_mlfit.simulator.mechanisms import load_mechanisms

    load_mechanisms()
    return hoc()


@pytest.fixture(scope="session")
def recordings_folder():
    """The folder of real recordings, from NRN_MLFIT_RECORDINGS; skips where there is none."""
    folder = os.environ.get("NRN_MLFIT_RECORDINGS")
    if not folder or not Path(folder).is_dir():
        pytest.skip("no real recordings here: NRN_MLFIT_RECORDINGS names no folder")
    return Path(folder)


@pytest.fixture(scope="session")
def command():
    """Run `nrn-mlfit ARGS` in a process of its own: command("cells") -> CompletedProcess."""

    def run(*args, env=None, cwd=None, timeout=120):
        words = [sys.executable, "-m", "nrn_mlfit", *map(str, args)]
        env = {**os.environ, **(env or {})}
        return subprocess.run(words, capture_output=True, text=True, env=env, cwd=cwd, timeout=timeout)

    return run


@pytest.fixture(scope="session")
def mpiexec():
    """The path of mpiexec; skips where MPI is not installed."""
    pytest.importorskip("mpi4py", reason="no mpi4py here; it comes with nrn_mlfit[mpi]")
    beside = Path(sys.executable).with_name("mpiexec")
    found = str(beside) if beside.exists() else shutil.which("mpiexec")
    return found or pytest.skip("no mpiexec here; it comes with nrn_mlfit[mpi]")


@pytest.fixture(scope="session")
def mpirun(mpiexec):
    """Run Python with arguments on some ranks (0: without MPI): mpirun(2, "-m", "nrn_mlfit", ...) -> CompletedProcess."""

    def run(ranks, *words, timeout=60, **options):
        launcher = [mpiexec, "-n", str(ranks)] if ranks else []
        line = [*launcher, sys.executable, *map(str, words)]
        return subprocess.run(line, capture_output=True, text=True, timeout=timeout, **options)

    return run


@pytest.fixture(scope="session")
def hashes():
    """A function: the sha256 of every file in a folder, by its name in there."""

    def of(folder):
        files = sorted(p for p in Path(folder).rglob("*") if p.is_file())
        return {str(p.relative_to(folder)): hashlib.sha256(p.read_bytes()).hexdigest() for p in files}

    return of


@pytest.fixture(scope="session")
def izhikevich_run(command, tmp_path_factory):
    """A folder with 60 simulated Izhikevich cells in 3 shards."""
    folder = tmp_path_factory.mktemp("runs") / "izh"
    done = command("simulate", "izhikevich", "-n", 60, "--sets-a-shard", 20, "-o", folder)
    assert done.returncode == 0, done.stderr
    return folder
