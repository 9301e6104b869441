"""`fit` without -e: an ensemble is found, or made, or it is said how."""

import json
import re

import numpy as np
import pytest
from click.testing import CliRunner

from nrn_mlfit import serving, stimuli
from nrn_mlfit.cli import cli
from nrn_mlfit.recordings import Recording


@pytest.fixture(autouse=True)
def ensembles_of_our_own(tmp_path, monkeypatch):
    """Nothing was made here yet; what is compiled may be taken from where it is."""
    monkeypatch.setattr(serving, "made_folder", lambda: tmp_path / "made")


def saved(path, current, dt, volts=-70.0):
    Recording(np.zeros(current.size) + volts, current, dt).save(path)
    return path


def run(*words):
    return CliRunner().invoke(cli, [str(word) for word in words])


def test_one_that_knows_the_stimulus_is_found_and_named(tmp_path):
    """A whole sweep with mainen's stimulus in it (0.8 nA, resets of 0.21 of it)."""
    stimulus = stimuli.reset_chirp(0.8, 0.21)
    whole = np.concatenate([np.zeros(1000), stimulus.current])
    done = run("fit", saved(tmp_path / "chirp.npz", whole, 0.02), "-o", tmp_path / "fit")
    assert done.exit_code == 0, done.output
    assert done.output.startswith("ensemble: mainen\n") and "OUT OF RANGE" in done.output
    fit = json.loads((tmp_path / "fit" / "fit.json").read_text())
    assert fit["provenance"]["cell"] == "mainen" and fit["recording"]["cut_ms"] == pytest.approx([130, 310])


def ramp(path):
    noise = np.random.default_rng(1).normal(0, 0.1, 5000)
    return saved(path, np.concatenate([np.zeros(2500), np.linspace(0, 0.1, 2500)]), 0.1, -70 + noise)


def test_without_one_it_is_said_how_one_is_made_and_how_long_that_takes(tmp_path):
    done = run("fit", ramp(tmp_path / "ramp.npz"), "-o", tmp_path / "fit", "--cell", "izhikevich_slice")
    lines = done.output.splitlines()
    assert lines[-2].startswith(f"  nrn-mlfit simulate izhikevich_slice --stimulus {tmp_path / 'ramp.npz'} -n 50000")
    assert lines[-1].startswith(f"  nrn-mlfit train {tmp_path / 'made' / 'izhikevich_slice-'}")
    assert re.fullmatch(
        r"ramp.npz: no ensemble here knows its stimulus; the commands above make one in about \d+ min on this machine, and "
        "--train runs them; or name an ensemble with -e",
        str(done.exception),
    )
    assert not (tmp_path / "fit").exists() and not (tmp_path / "made").exists()


def test_train_makes_one_and_the_next_fit_finds_it(tmp_path, monkeypatch):
    for name, value in {"TRACES": 300, "MINUTES": 0.1, "FOLDS": 2}.items():
        monkeypatch.setattr(serving, name, value)
    path = ramp(tmp_path / "ramp.npz")
    done = run("fit", path, "-o", tmp_path / "fit", "--cell", "izhikevich_slice", "--train")
    assert done.exit_code == 0, done.output
    (made,) = (path.parent for path in (tmp_path / "made").glob("*/ensemble.json"))
    assert f"ensemble: {made.name}\n" in done.output and (tmp_path / "fit" / "fit.json").is_file()
    assert json.loads((made / "ensemble.json").read_text())["record"]["training"]["augmentation"][
        "noise"
    ] == pytest.approx(0.1, rel=0.3)
    again = run("fit", path, "-o", tmp_path / "again")
    assert again.output.startswith(f"ensemble: {made.name}\n")


@pytest.mark.parametrize(
    ("held", "words", "sentence"),
    [
        (
            {"volts": np.full(3000, -70.0), "dt": 0.1},
            [],
            "a.npz: holds no current, so no ensemble can be looked for; give it with --stim-from, or name one with -e",
        ),
        (
            {"volts": np.full(3000, -70.0), "current": np.linspace(0, 0.1, 3000), "dt": 0.1},
            ["--current-scale", 2],
            "a.npz: no ensemble here knows its stimulus; name one with -e, or save the piece to be fitted (nrn-mlfit recording "
            "... -o piece.npz) and fit that, to have one made",
        ),
    ],
)
def test_where_none_can_be_made(tmp_path, held, words, sentence):
    np.savez(tmp_path / "a.npz", **held)
    done = run("fit", tmp_path / "a.npz", "-o", tmp_path / "fit", *words)
    assert str(done.exception) == sentence
    assert not (tmp_path / "fit").exists()
