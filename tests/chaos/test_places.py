"""Where clusters put people: read-only homes and installations, names with spaces and umlauts, few open files."""

import os
import shlex
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

import nrn_mlfit
from nrn_mlfit import cells, shards

WORDS = ["simulate", "ball_two_sticks", "-n", "4", "-o"]
READ_ONLY = """\
for d in "$RO1" "$RO2" "$RO3"; do mount --bind "$d" "$d" && mount -o remount,ro,bind "$d" || exit 77; done
exec "$@"
"""


@pytest.mark.parametrize("ranks", [0, 2])
def test_a_home_and_an_installation_that_are_read_only(mpiexec, tmp_path, ranks):
    home = tmp_path / "home"
    home.mkdir()
    places = {"RO1": home, "RO2": Path(nrn_mlfit.__file__).parents[1], "RO3": Path(sys.prefix)}
    env = {k: v for k, v in os.environ.items() if k not in ("NRN_MLFIT_CACHE", "XDG_CACHE_HOME")}
    env |= {"HOME": str(home), "TMPDIR": str(tmp_path)} | {k: str(v) for k, v in places.items()}
    launcher = [mpiexec, "-n", str(ranks)] if ranks else []
    line = ["unshare", "-m", "sh", "-c", READ_ONLY, "sh", *launcher, sys.executable, "-m", "nrn_mlfit", *WORDS]
    done = subprocess.run([*line, str(tmp_path / "run")], capture_output=True, text=True, env=env, timeout=120)
    if done.returncode in (1, 77) and not (tmp_path / "run").exists() and "nrn-mlfit" not in done.stderr:
        pytest.skip("making a folder read-only needs root here")
    assert done.returncode == 0, done.stderr
    assert shards.open_run(tmp_path / "run").spans == [(0, 4)]
    assert not list(home.iterdir())


def test_names_with_spaces_and_umlauts(mpirun, tmp_path):
    place = tmp_path / "Über Zellen (neu)"
    cells.bundle(cells.load("ball_two_sticks"), place / "meine Zelle")
    shutil.copy(next((place / "meine Zelle").glob("*.yaml")), place / "meine Zelle" / "zelle ä.yaml")
    next((place / "meine Zelle").glob("ball*.yaml")).unlink()
    env = {**os.environ, "NRN_MLFIT_CACHE": str(place / "Zwischenspeicher ß")}
    words = ["-m", "nrn_mlfit", "simulate", place / "meine Zelle" / "zelle ä.yaml", "-n", 4, "--sets-a-shard", 2]
    done = mpirun(2, *words, "-o", place / "Läufe", env=env, cwd=place, timeout=120)
    assert done.returncode == 0, done.stderr
    assert shards.open_run(place / "Läufe").spans == [(0, 2), (2, 2)]


@pytest.mark.parametrize("ranks", [0, 2])
def test_few_open_files(mpiexec, tmp_path, ranks):
    launcher = [mpiexec, "-n", str(ranks)] if ranks else []
    line = shlex.join([*launcher, sys.executable, "-m", "nrn_mlfit", *WORDS, str(tmp_path / "run")])
    done = subprocess.run(["sh", "-c", f"ulimit -n 64; exec {line}"], capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stderr
    assert shards.open_run(tmp_path / "run").spans == [(0, 4)]
