"""benchmarks/own_cells.py changes a proposal as its story says, and adds up what it finds."""

import importlib
import json
from pathlib import Path

import pytest


@pytest.fixture
def own_cells(monkeypatch):
    monkeypatch.syspath_prepend(str(Path(__file__).parents[2] / "benchmarks"))
    return importlib.import_module("own_cells")


def test_a_story_edits_the_proposal_once_however_often_it_is_told(own_cells, tmp_path):
    path = tmp_path / "a.yaml"
    path.write_text("dt: 0.025\nscale: 10.24, reset: 0.4\n")
    for _ in range(2):
        own_cells.edit(path, own_cells.STORIES["squid_markov"].edits)
        assert path.read_text() == "dt: 0.01\nscale: 20, reset: 0.2\n"
    with pytest.raises(SystemExit, match="has no inject: to change"):
        own_cells.edit(path, own_cells.STORIES["pyramid"].edits)


def test_the_figures_of_a_story_are_those_of_its_files(own_cells, tmp_path):
    (tmp_path / "evaluation").mkdir()
    (tmp_path / "evaluation" / "evaluation.json").write_text('{"parameters": {"g": {"r2": 0.5}}}')
    (tmp_path / "fits").mkdir()
    fits = "verdict,rms_mV,coincidence,disagreement\nin range,1.0,0.9,\nin range,3.0,0.1,few spikes\n"
    (tmp_path / "fits" / "fits.csv").write_text(fits)
    seconds = dict.fromkeys(("cells new", "cells check", "simulate", "train"), 2.0)
    (tmp_path / "steps.json").write_text(json.dumps(seconds))
    found = own_cells.figures(tmp_path)
    assert (found["agree"], found["fits"], found["in_range"], found["rms"]) == (1, 2, 2, 2.0)
    row = list(own_cells.markdown([found]))[-1]
    assert row.endswith("| 2 s | 2 s | 2 s | 2 s | g 0.50 | 1 of 2 | 2.00 mV, 0.50 |")
