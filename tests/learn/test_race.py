"""benchmarks/learning.py: a race of candidates and baselines on a small run."""

import json
import subprocess
import sys
from pathlib import Path

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
        # The curve is in bf16, what came of it in float32; after two seconds of training that is some per cent.
        assert min(loss for *_, loss in row["curve"]) == pytest.approx(row["choosing"], rel=0.2)
        assert row["choosing"] < 0.2 and len(row["judging"]) == 2
    assert race(*words).splitlines() == [line for line in told.splitlines() if line.startswith("|")]
    assert not list(tmp_path.glob(".race*"))
