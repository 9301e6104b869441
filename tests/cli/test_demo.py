"""The demo's way, with little of everything: from nothing to fits that opened in NEURON."""

import importlib.util
from pathlib import Path

import numpy as np
import pytest

DEMO = Path(__file__).parents[2] / "examples" / "01_demo" / "demo.py"


@pytest.fixture(scope="module")
def demo():
    spec = importlib.util.spec_from_file_location("demo", DEMO)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.mark.parametrize(("cell", "budget"), [("izhikevich", (200, 0.1)), ("mainen", ())])
def test_one_cell_goes_the_whole_way(demo, cell, budget, tmp_path, monkeypatch, capfd):
    """By an ensemble of its own, or by the one that comes with the package."""
    pytest.importorskip("mpi4py", reason="the demo simulates under MPI")
    monkeypatch.chdir(tmp_path)
    demo.demonstrate(demo.Part(cell, *budget), Path(cell))
    shown = capfd.readouterr().out
    assert f"{cell}: true and fitted values of cells the networks never saw" in shown
    for row in range(demo.FITTED):
        folder = tmp_path / cell / "fits" / str(row)
        assert {"fit.json", "fit.hoc", "fit.png", "comparison.json", "mod"} <= {p.name for p in folder.iterdir()}
        assert f"cell {row}: " in shown


def test_a_real_sweep_goes_the_whole_way_to_an_honest_verdict(demo, tmp_path, monkeypatch, capfd, recordings_folder):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(demo, "REAL", demo.Part("mainen", 16, 0.05))
    demo.real_recording(Path("recording"))
    assert "verdict: " in capfd.readouterr().out
    with np.load("recording/sweep.npz") as piece:
        assert piece["volts"].shape[-1] <= 9000 and piece["volts"].shape[-1] * piece["dt"] <= 300


def test_without_a_recording_it_says_how(demo, tmp_path, monkeypatch, capsys):
    monkeypatch.delenv("NRN_MLFIT_RECORDINGS", raising=False)
    demo.real_recording(tmp_path)
    assert "README, 'Fit your own recording'" in capsys.readouterr().out and not list(tmp_path.iterdir())
