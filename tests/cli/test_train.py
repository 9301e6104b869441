"""`nrn-mlfit train`, from simulated shards to a folder that loads; and what it says when it cannot."""

import json
import os
import re
import socket

import numpy as np
import pytest

ONE_THREAD = {"OMP_NUM_THREADS": "1"}


@pytest.fixture(scope="module")
def design(tmp_path_factory):
    """A small network's hyper-parameter file."""
    path = tmp_path_factory.mktemp("designs") / "small.yaml"
    path.write_text("conv_filter: [4, 6]\nconv_kernel: 5\nconv_repeat: 1\npool_len: 16\nfc_dims: [12]\n")
    return path


@pytest.fixture(scope="module")
def trained(command, izhikevich_run, design, tmp_path_factory):
    """What the command printed, and the ensemble it wrote."""
    folder = tmp_path_factory.mktemp("ensembles") / "izh"
    words = ["train", izhikevich_run, "-o", folder, "--design", design, "--folds", 2, "--epochs", 2, "--device", "cpu"]
    done = command(*words, env=ONE_THREAD)
    assert done.returncode == 0, done.stderr
    return done.stdout, folder


def test_it_trains_and_says_what_came_of_it(trained):
    printed, folder = trained
    assert printed.startswith("2 networks of design small, 27 traces each, batches of 8, cpu, ")
    assert "network 2/2 done: best validation loss" in printed
    assert "held-out rms error in % of the range (guessing the middle: 28.9)" in printed
    assert printed.rstrip().endswith(f"what it is: {folder / 'MODEL_CARD.md'}")


def test_the_ensemble_belongs_to_the_run(trained, izhikevich_run):
    from nrn_mlfit import shards
    from nrn_mlfit.learn import Ensemble

    ensemble, run = Ensemble.load(trained[1]), shards.open_run(izhikevich_run)
    assert ensemble.space.names == ["a", "b", "c", "d"]
    assert ensemble.record["content_hash"] == run.manifest["content_hash"]
    assert ensemble.protocol.digest() == run.manifest["protocol_hash"]
    rows = shards.read(run.shards[0])
    answers = ensemble.predict(shards.to_millivolts(rows.volts[rows.ok]))
    assert answers.shape == (2, rows.ok.sum(), 4)
    held = json.loads((trained[1] / "ensemble.json").read_text())
    assert held["record"]["training"]["epochs"] == 2 and held["record"]["traces"] == 60


def refused(command, *words) -> str:
    done = command("train", *words, env=ONE_THREAD)
    assert done.returncode == 2 and "Traceback" not in done.stderr
    return done.stderr


def test_a_folder_in_use_is_refused_before_any_work(command, trained, izhikevich_run):
    folder = trained[1]
    assert refused(command, izhikevich_run, "-o", folder) == (
        f"nrn-mlfit: {folder}: already there and not empty; name a new folder with -o\n"
    )


def test_two_trainings_of_one_ensemble_are_refused(command, izhikevich_run, design, tmp_path):
    from nrn_mlfit.shards import claim

    with claim.held(tmp_path / ".new-training"):
        said = refused(command, izhikevich_run, "--design", design, "-o", tmp_path / "new")
    assert said == (
        f"nrn-mlfit: {tmp_path / '.new-training'}: process {os.getpid()} on {socket.gethostname()} is writing there; wait "
        "for it, or choose another folder with -o\n"
    )
    assert not (tmp_path / "new").exists()


def test_what_is_no_run_is_refused(command, tmp_path):
    assert refused(command, tmp_path, "-o", tmp_path / "e") == (
        f"nrn-mlfit: {tmp_path}: holds no run (no run.json); make one with `nrn-mlfit simulate CELL -n SETS -o {tmp_path}`\n"
    )
    assert not os.path.exists(tmp_path / "e")


def test_an_unknown_design_is_refused(command, izhikevich_run, tmp_path):
    assert refused(command, izhikevich_run, "-o", tmp_path / "e", "--design", "model7") == (
        "nrn-mlfit: no design is called 'model7'; there are 335, 410, 693, golden203, model1, residual, or give a file\n"
    )


def test_too_few_traces_leave_nothing_behind(command, izhikevich_run, tmp_path):
    assert refused(command, izhikevich_run, "-o", tmp_path / "e", "--limit", 8) == (
        "nrn-mlfit: 8 traces are too few for 5 folds, at least 25 are needed; simulate more, or use a smaller --folds\n"
    )
    assert list(tmp_path.iterdir()) == []


def test_help_has_an_example(command):
    done = command("train", "-h")
    assert done.returncode == 0 and "nrn-mlfit train runs/mainen -o ensembles/mainen --minutes 30" in done.stdout


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["--noise", "loud"], "--noise loud: is neither a number of mV nor a recording's file"),
        (["--noise", "-1"], "noise -1 mV: choose one from 0 to 20 mV"),
        (["--gain", "90"], "gain 90 %: choose one from 0 to 50 %"),
        (["--lowpass", "25"], "lowpass 25 kHz: the traces hold nothing above "),
    ],
)
def test_what_is_asked_of_the_electrode_and_cannot_be(command, izhikevich_run, design, tmp_path, words, said):
    out = tmp_path / "new"
    assert refused(command, izhikevich_run, "--design", design, "-o", out, *words).startswith(f"nrn-mlfit: {said}")
    assert not out.exists() and not list(tmp_path.iterdir())


def test_a_recordings_noise_is_measured_said_and_trained_for(command, izhikevich_run, design, tmp_path):
    from nrn_mlfit.recordings import Recording

    noise = np.random.default_rng(1).normal(-70, 0.3, 20_000)
    current = np.where(np.arange(20_000) >= 10_000, 0.1, 0.0)
    Recording(noise, current, 0.05).save(tmp_path / "cell.npz")
    words = ["train", izhikevich_run, "--design", design, "--folds", 2, "--epochs", 1, "--noise", tmp_path / "cell.npz"]
    done = command(*words, "-o", tmp_path / "new", env=ONE_THREAD)
    assert done.returncode == 0, done.stderr
    assert re.match(r"cell.npz: noise of 0.(29|30)\d mV within 1.5 ms, 0.(29|30)\d mV within 500 ms\n", done.stdout)
    held = json.loads((tmp_path / "new" / "ensemble.json").read_text())["record"]["training"]["augmentation"]
    assert list(held) == ["noise"] and held["noise"] == pytest.approx(0.3, rel=0.03)
    judged = command("evaluate", izhikevich_run, "-e", tmp_path / "new", env=ONE_THREAD)
    assert "traces with what the ensemble was trained for: noise of 0.03 to 0." in judged.stdout
    judged = command("evaluate", izhikevich_run, "-e", tmp_path / "new", "--clean", env=ONE_THREAD)
    assert "traces as they are, though the ensemble was trained for noise of 0.03 to 0." in judged.stdout


def test_help_says_what_comes_on_top_of_the_minutes(command):
    said = " ".join(command("train", "-h").stdout.split())
    assert "On top of --minutes come the start, about 5 s and 2 s a network, and at the end intervals and alarm" in said
