"""Fixtures: NEURON with the shipped channels, a small simulated run, and a command line that runs in a process of its own."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

os.environ.setdefault("MPLBACKEND", "Agg")
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
def izhikevich_run(command, tmp_path_factory):
    """A folder with 60 simulated Izhikevich cells in 3 shards."""
    folder = tmp_path_factory.mktemp("runs") / "izh"
    done = command("simulate", "izhikevich", "-n", 60, "--sets-a-shard", 20, "-o", folder)
    assert done.returncode == 0, done.stderr
    return folder
