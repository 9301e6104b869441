"""benchmarks/learning.py: a race of candidates and baselines on a small run."""

import argparse
import importlib
import itertools
import json
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace

import pytest

SCRIPT = Path(__file__).parents[2] / "benchmarks" / "learning.py"


def race(*words):
    done = subprocess.run([sys.executable, SCRIPT, *map(str, words)], capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stderr[-2000:]
    return done.stdout


def test_a_race_is_run_once(tmp_path, decay_run):
    """The same command trains nothing a second time, and prints the same table."""
    run, output = decay_run(3000), tmp_path / "race.jsonl"
    words = [run, "--test", run, "--minutes", 0.03, "--seeds", 1, "-o", output]
    words += ["--candidates", "range's middle", "features beside", "ConvNeXt"]
    told = race(*words)
    held = [json.loads(line) for line in output.read_text().splitlines()]
    assert [row["name"] for row in held] == words[-3:]
    assert held[0]["choosing"] == pytest.approx(1 / 3, abs=0.03)
    for row in held[1:]:
        seconds = [s for _, s, _ in row["curve"]]
        assert seconds == sorted(seconds) and 0 < seconds[-1] <= row["seconds"]
        assert row["choosing"] < 0.2 and len(row["judging"]) == 2
    assert race(*words).splitlines() == [line for line in told.splitlines() if line.startswith("|")]
    assert not list(tmp_path.glob(".race*"))


@pytest.mark.parametrize("name", ["features beside", "ConvNeXt"])
def test_what_came_of_a_candidate_is_the_lowest_point_of_its_curve(name, tmp_path, decay_run, monkeypatch):
    """Both in float32, on the same sets: no more than rounding is between them. Its clock counts looks, so that it ends after
    the same steps on any machine."""
    monkeypatch.syspath_prepend(str(SCRIPT.parent))
    learning, looks = importlib.import_module("learning"), itertools.count()
    monkeypatch.setattr(learning, "pick_precision", lambda *_: "f32")
    monkeypatch.setattr(learning, "CHOOSING", 100)
    monkeypatch.setattr(learning, "time", SimpleNamespace(process_time=lambda: next(looks)))
    run = decay_run(300)
    asked = argparse.Namespace(run=run, test=run, limit=None, minutes=1, output=tmp_path / "race.jsonl")
    row = learning.trained(asked, name, 1)
    losses = [loss for *_, loss in row["curve"]]
    assert len(losses) > 1 and row["choosing"] == pytest.approx(min(losses), rel=1e-5)
