"""kill -9 of a random process of a training at a random time, then the same command again: the same weights."""

import os
import random
import signal
import subprocess
import sys
import time

import pytest
import torch

from nrn_mlfit.learn import Ensemble

OFTEN = """
import sys
from nrn_mlfit.learn import checkpoint
checkpoint.SECONDS_BETWEEN = 0
from nrn_mlfit.__main__ import main
main(sys.argv[1:])
"""
DESIGN = """
conv_filter: [4]
conv_kernel: 5
conv_repeat: 1
pool_len: 100
fc_dims: [8]
drop_frac: 0.1
average: 0.9
"""


def sizes(folder):
    """What has been written last of each member."""
    return {path.name: path.stat().st_mtime_ns for path in folder.glob("member-*.pt")}


def weights(folder):
    return [value for member in Ensemble.load(folder).members for value in member.state_dict().values()]


@pytest.mark.parametrize("ranks", [pytest.param(1, marks=pytest.mark.chaos), 2])
def test_a_training_killed_again_and_again_is_the_unbroken_one(
    izhikevich_run, mpiexec, mpirun, pythons_of, tmp_path, rounds, ranks
):
    chance = random.Random(ranks)
    (tmp_path / "d.yaml").write_text(DESIGN)
    words = ["-c", OFTEN, "train", izhikevich_run, "--design", tmp_path / "d.yaml", "--folds", 2, "--epochs", 80, "-o"]
    whole = mpirun(ranks, *words, tmp_path / "whole")
    assert whole.returncode == 0, whole.stderr
    broken = 0
    for _ in range(rounds(10, 1)):
        launcher = [mpiexec, "-n", str(ranks)]
        line = [*launcher, sys.executable, *map(str, words), tmp_path / "broken"]
        job = subprocess.Popen(line, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        kept = sizes(tmp_path / ".broken-training")
        while job.poll() is None and sizes(tmp_path / ".broken-training") == kept:  # until it has gone on
            time.sleep(0.01)
        time.sleep(chance.uniform(0, 0.3))
        for pid in chance.sample(found := pythons_of(job), min(1, len(found))):
            os.kill(pid, signal.SIGKILL)
        broken += job.wait(60) != 0
        if (tmp_path / "broken").exists():  # it was done before we came
            break
    else:
        done = mpirun(ranks, *words, tmp_path / "broken")
        assert done.returncode == 0, done.stderr
    assert broken
    assert all(
        torch.equal(a, b) for a, b in zip(weights(tmp_path / "whole"), weights(tmp_path / "broken"), strict=True)
    )
    assert sorted(p.name for p in tmp_path.iterdir()) == ["broken", "d.yaml", "whole"]
