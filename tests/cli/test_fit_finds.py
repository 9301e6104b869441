"""`fit` without -e: an ensemble is found, or made, or it is said how."""

import json
import re
import subprocess
import sys
from types import SimpleNamespace

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
    assert done.output.startswith("ensemble: mainen, of mainen (comes with nrn_mlfit)\n")
    assert "\nfitted: 130 to 310 ms of the recording\n" in done.output
    assert "OUT OF RANGE" in done.output
    fit = json.loads((tmp_path / "fit" / "fit.json").read_text())
    assert fit["provenance"]["cell"] == "mainen" and fit["recording"]["cut_ms"] == pytest.approx([130, 310])


def steps(path):
    """500 ms at 0.1 nA, which mainen_steps and izhikevich_steps know."""
    current = np.repeat([0.0, 0.1, 0.0], [4000, 10000, 4000])
    return saved(path, current, 0.05, -70 + np.random.default_rng(1).normal(0, 0.1, current.size))


def test_the_others_are_told_as_they_are_typed_and_cell_chooses_among_them(tmp_path):
    path = steps(tmp_path / "steps.npz")
    done = run("fit", path, "-o", tmp_path / "fit")
    assert done.output.splitlines()[:2] == [
        "ensemble: mainen_steps, of mainen_wide (comes with nrn_mlfit)",
        "  as well: -e izhikevich_steps, of izhikevich_slice (comes with nrn_mlfit)",
    ]
    done = run("fit", path, "-o", tmp_path / "point", "--cell", "izhikevich_slice")
    assert done.output.startswith("ensemble: izhikevich_steps, of izhikevich_slice (comes with nrn_mlfit)\nparameter")
    done = run("fit", path, "-o", tmp_path / "typed", "-e", "izhikevich_steps")
    assert "DOES NOT AGREE" in done.output  # the point cell spikes
    assert "a search from here may find a cell that does: the same with --refine 2000 and another -o\n" in done.output
    made = [json.loads((tmp_path / name / "fit.json").read_text()) for name in ("point", "typed")]
    assert made[0]["values"] == made[1]["values"] and made[0]["provenance"]["cell"] == "izhikevich_slice"


def test_where_only_other_cells_know_it_they_are_told(tmp_path):
    path = steps(tmp_path / "steps.npz")
    done = run("fit", path, "-o", tmp_path / "fit", "--cell", "izhikevich", "--window", 0, 900)
    assert done.output.splitlines() == [
        "  known to: -e mainen_steps, of mainen_wide (comes with nrn_mlfit)",
        "  known to: -e izhikevich_steps, of izhikevich_slice (comes with nrn_mlfit)",
    ]
    assert str(done.exception).startswith(
        "steps.npz: no ensemble of izhikevich here knows its stimulus; name one with -e"
    )
    done = run("fit", path, "-o", tmp_path / "fit", "--cell", "izhikevich", "-e", "mainen_steps")
    assert str(done.exception) == (
        "-e mainen_steps: is an ensemble of mainen_wide, not of izhikevich; leave out --cell, or name another with -e"
    )


@pytest.mark.parametrize(
    ("words", "part"),
    [
        (["gone.abf"], "gone.abf: no such file"),
        (["notes.txt"], "notes.txt: "),
        (["steps.npz", "--sweep", "3"], "there is no sweep 3"),
        (["steps.npz", "--sweep", "0,3", "-e", "mainen"], "there is no sweep 3"),
        (["silent.npz"], "holds no current, so no ensemble can be looked for"),
        (["silent.npz", "-e", "mainen"], "holds no current; say with --stimulus"),
        (
            ["steps.npz", "-e", "mainan"],
            "mainan: holds no ensemble (no ensemble.json); those that come with nrn_mlfit are",
        ),
        (["steps.npz", "-e", "mainen"], "its current is not the ensemble's stimulus"),
        (["steps.npz", "-e", "mainen", "--sweep", "all"], "no sweep of it can be fitted"),
        (["steps.npz", "--cell", "mainan"], "mainan"),
        (["steps.npz", "--cell", "mainen", "--window", "0", "900"], "no ensemble of mainen here knows its stimulus"),
    ],
)
def test_what_is_refused_does_not_wait_for_pytorch(tmp_path, words, part):
    """Its import takes seconds."""
    steps(tmp_path / "steps.npz")
    np.savez(tmp_path / "silent.npz", volts=np.full(9000, -70.0), dt=0.02)
    (tmp_path / "notes.txt").write_text("the cell was fine\n")
    code = (
        "import sys\nfrom nrn_mlfit.__main__ import _run\ncode = _run(sys.argv[1:])\n"
        "assert 'torch' not in sys.modules\nsys.exit(code)"
    )
    line = [sys.executable, "-c", code, "fit", *words, "-o", "fit"]
    done = subprocess.run(line, capture_output=True, text=True, cwd=tmp_path)
    assert done.returncode == 2 and part in done.stderr, done.stderr
    assert not (tmp_path / "fit").exists()


def ramp(path):
    noise = np.random.default_rng(1).normal(0, 0.1, 5000)
    return saved(path, np.concatenate([np.zeros(2500), np.linspace(0, 0.1, 2500)]), 0.1, -70 + noise)


def test_without_one_it_is_said_how_one_is_made_and_how_long_that_takes(tmp_path):
    done = run("fit", ramp(tmp_path / "ramp.npz"), "-o", tmp_path / "fit", "--cell", "izhikevich_slice")
    lines = done.output.splitlines()
    assert lines[-2].startswith(f"  nrn-mlfit simulate izhikevich_slice --stimulus {tmp_path / 'ramp.npz'} -n 50000")
    assert lines[-1].startswith(f"  nrn-mlfit train {tmp_path / 'made' / 'izhikevich_slice-'}")
    assert re.fullmatch(
        r"ramp.npz: no ensemble of izhikevich_slice here knows its stimulus; the commands above make one in about \d+ min on "
        "this machine, and --train runs them; or name an ensemble with -e",
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
    assert (
        f"ensemble: {made.name}, of izhikevich_slice (made here)\n" in done.output
        and (tmp_path / "fit" / "fit.json").is_file()
    )
    assert json.loads((made / "ensemble.json").read_text())["record"]["training"]["augmentation"][
        "noise"
    ] == pytest.approx(0.1, rel=0.3)
    again = run("fit", path, "-o", tmp_path / "again")
    assert again.output.startswith(f"ensemble: {made.name}, of izhikevich_slice (made here)\n")


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


def test_the_help_tells_of_ensembles_of_other_packages_and_when_they_are_chosen():
    told = " ".join(run("fit", "--help").output.split())
    assert "the name of one that comes with nrn_mlfit (mainen) or with another package" in told
    assert "point cells last, then your own and those of other packages" in told
    assert "the latest made here by --train, then that which comes with nrn_mlfit or another package, by name" in told


@pytest.mark.parametrize(
    ("first", "second"),
    [
        (("mine", True, "morris_lecar"), ("morris_lecar", False, "morris_lecar")),
        (("izhikevich", False, "izhikevich"), ("a_name", False, "morris_lecar")),
        (("a_name", False, "mainen"), ("mainen", False, "mainen")),
        (("mainen_wide", False, "mainen_wide"), ("mine", True, "mainen")),
    ],
)
def test_the_order_is_that_of_the_help(first, second, tmp_path):
    known = []
    for name, made, cell in (second, first):
        (tmp_path / name).mkdir()
        (tmp_path / name / "ensemble.json").write_text("{}")
        known.append(
            serving.Known(tmp_path / name, SimpleNamespace(cell=cell), made, name, "" if made else "a_package")
        )
    assert [one.name for one in sorted(known, key=serving._rank)] == [first[0], second[0]]
