"""A disk that fills: one clean message, nothing half-written, and with space again the same bytes."""

import os
import subprocess

import numpy as np
import pytest

WORDS = ["-m", "nrn_mlfit", "simulate", "izhikevich", "-n", 40, "--sets-a-shard", 5, "-o"]


@pytest.fixture(scope="module")
def wanted(mpirun, hashes, tmp_path_factory):
    """The hashes and the size in bytes of the run on a disk with space."""
    folder = tmp_path_factory.mktemp("disk") / "run"
    assert mpirun(0, *WORDS, folder).returncode == 0
    return hashes(folder), sum(path.stat().st_size for path in folder.rglob("*"))


@pytest.fixture
def disk(tmp_path):
    """A function: mount a disk of so many bytes, or give the mounted one another size."""

    def mount(size):
        how = "remount," if os.path.ismount(tmp_path) else ""
        line = ["mount", "-t", "tmpfs", "-o", f"{how}size={int(size)}", "tmpfs", str(tmp_path)]
        if subprocess.run(line, capture_output=True).returncode:
            pytest.skip("mounting a small disk needs root here")
        return tmp_path

    yield mount
    subprocess.run(["umount", "-l", str(tmp_path)], capture_output=True)


@pytest.mark.parametrize(
    ("share", "ranks"),
    [
        *(
            pytest.param(share, 2 * (k % 2), marks=pytest.mark.chaos)
            for k, share in enumerate(np.linspace(0.005, 0.95, 10))
        ),
        (0.4, 0),
        (0.4, 2),
    ],
)
def test_a_full_disk(mpirun, hashes, wanted, disk, share, ranks):
    folder = disk(share * wanted[1]) / "run"
    full = mpirun(ranks, *WORDS, folder)
    assert full.returncode == 2
    said = [line for line in full.stderr.splitlines() if line.startswith("nrn-mlfit: ")]
    assert len(said) == 1
    assert said[0].startswith(("nrn-mlfit: rank ", f"nrn-mlfit: {folder}"))
    assert said[0].endswith(": cannot be written (No space left on device); choose another folder or free some space")
    there = {name: digest for name, digest in hashes(folder).items() if name != ".lock"} if folder.exists() else {}
    assert there.items() <= wanted[0].items()
    disk(4 * wanted[1] + 2**20)
    done = mpirun(2, *WORDS, folder)
    assert done.returncode == 0, done.stderr
    assert hashes(folder) == wanted[0]
