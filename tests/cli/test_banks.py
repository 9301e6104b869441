"""nrn-mlfit with banks: from sweeps in files to shards, and back to each set, through the command line."""

import json
import re
import shlex

import numpy as np
import pytest

from nrn_mlfit import recordings, shards


def sweep(level):
    return np.concatenate([np.zeros(200), np.full(700, level), np.zeros(100)])


@pytest.fixture(scope="module")
def files(tmp_path_factory):
    """Two stimulus files: a .npz and a .csv."""
    folder = tmp_path_factory.mktemp("sweeps")
    np.savez(folder / "a.npz", current=sweep(0.08), dt=0.1)
    table = np.column_stack([np.arange(1000) * 0.1, sweep(0.12)])
    np.savetxt(folder / "b.csv", table, "%g", ",", header="time,current", comments="")
    return folder / "a.npz", folder / "b.csv"


def words(files):
    return [word for path in files for word in ("--stimulus", path)]


@pytest.fixture(scope="module")
def run(command, files, tmp_path_factory):
    folder = tmp_path_factory.mktemp("bank") / "run"
    asked = (*words(files), "--amplitudes", 0.7, 1.4, "--sets-a-shard", 10)
    done = command("simulate", "izhikevich", *asked, "-n", 25, "-o", folder)
    assert done.returncode == 0, done.stderr
    return folder, done.stdout


def test_each_set_draws_a_sweep_and_an_amplitude(run, files):
    folder, told = run
    assert told.startswith(
        "stimulus: 2 of a.npz, b.csv, 0 to 100 ms, 1000 samples of 0.1 ms; each set gets one of them times 0.7 to 1.4\n"
        "engine: lanes-double\n8 sets compared with plain NEURON: the same\n"
    )
    held = shards.load_runs([folder])
    assert held.injected.shape == (25, 1, 1000) and set(held.stim_index) == {0, 1}
    for index, factor, current in zip(held.stim_index, held.stim_scale, held.injected[:, 0], strict=True):
        assert current == pytest.approx(factor * sweep([0.08, 0.12][index])) and 0.7 <= factor <= 1.4
    manifest = json.loads((folder / "run.json").read_text())
    assert [[s["path"] for s in spec] for spec in manifest["protocol"]["bank"]] == [["a.npz"], ["b.csv"]]
    assert all(re.fullmatch("[0-9a-f]{64}", spec[0]["origin"]["sha256"]) for spec in manifest["protocol"]["bank"])


def test_plain_neuron_gives_the_same(command, run, files, tmp_path):
    asked = (*words(files), "--amplitudes", 0.7, 1.4, "--sets-a-shard", 10, "--engine", "neuron")
    assert command("simulate", "izhikevich", *asked, "-n", 9, "-o", tmp_path / "run").returncode == 0
    one, other = shards.load_runs([run[0]], 9), shards.load_runs([tmp_path / "run"])
    assert np.array_equal(one.injected, other.injected) and np.abs(one.volts.astype(int) - other.volts).max() <= 1


def test_info_and_verify_know_a_bank(command, run):
    told = command("shards", "info", run[0]).stdout
    assert "izhikevich, 4 parameters, a bank of 2 (file), each times 0.7 to 1.4" in told
    done = command("shards", "verify", run[0])
    assert done.returncode == 0 and "sets 0-24, 25 sets, all as written" in done.stdout


def test_parts_of_a_run_with_a_bank_are_merged_to_the_run_that_was_never_split(command, run, files, hashes, tmp_path):
    asked = (*words(files), "--amplitudes", 0.7, 1.4, "--sets-a-shard", 10)
    assert command("simulate", "izhikevich", *asked, "-n", 10, "-o", tmp_path / "a").returncode == 0
    assert command("simulate", "izhikevich", *asked, "-n", 15, "--first", 10, "-o", tmp_path / "b").returncode == 0
    assert command("shards", "merge", tmp_path / "a", tmp_path / "b", "-o", tmp_path / "whole").returncode == 0
    assert hashes(tmp_path / "whole") == hashes(run[0])


def test_a_set_alone_is_made_again_from_the_runs_copy_of_the_cell(command, run, tmp_path):
    """By the command that `failed` gives for a set: the copy has the bank."""
    done = command(*shlex.split(f"simulate {run[0]}/cell --seed 1 --first 13 -n 1 -o {tmp_path}/set-13"))
    assert done.returncode == 0, done.stderr
    alone, held = shards.load_runs([tmp_path / "set-13"]), shards.load_runs([run[0]])
    assert np.array_equal(alone.volts[0], held.volts[13]) and np.array_equal(alone.injected[0], held.injected[13])


def test_a_run_goes_on_with_its_bank_and_refuses_another(command, run, files, hashes, tmp_path):
    asked = (*words(files), "--amplitudes", 0.7, 1.4, "--sets-a-shard", 10)
    assert command("simulate", "izhikevich", *asked, "-n", 15, "-o", tmp_path / "run").returncode == 0
    assert command("simulate", "izhikevich", *asked, "-n", 25, "-o", tmp_path / "run").returncode == 0
    assert hashes(tmp_path / "run") == hashes(run[0])
    asked = (*words(files), "--amplitudes", 0.7, 1.5, "--sets-a-shard", 10)
    done = command("simulate", "izhikevich", *asked, "-n", 25, "-o", tmp_path / "run")
    assert done.returncode == 2 and "holds another run: protocol.amplitudes.1 1.4 there, 1.5 here" in done.stderr


def test_amplitudes_vary_a_cells_own_stimulus_too(command, tmp_path):
    done = command("simulate", "izhikevich", "--amplitudes", 0.9, 1.1, "-n", 3, "-o", tmp_path / "run")
    assert done.returncode == 0, done.stderr
    held = shards.load_runs([tmp_path / "run"])
    assert held.currents.shape == (1, 1, 14500) and (held.stim_index == 0).all() and len(set(held.stim_scale)) == 3


@pytest.mark.parametrize(
    ("asked", "sentence"),
    [
        (["--window", "0", "50"], "--window says what of a recording to take; name it with --stimulus"),
        (["--amplitudes", "2", "1"], "amplitudes 2 to 1: are factors, 0 < low <= high, such as 0.8 to 1.2"),
        (["--stimulus", "none.abc"], "none.abc: no such file; read are "),
    ],
)
def test_what_cannot_be_asked_for_is_one_sentence(command, tmp_path, asked, sentence):
    done = command("simulate", "izhikevich", *asked, "-n", 3, "-o", tmp_path / "run", cwd=tmp_path)
    assert done.returncode == 2 and done.stderr.startswith(f"nrn-mlfit: {sentence}") and not (tmp_path / "run").exists()
    assert done.stderr.count("\n") == 1


def test_a_whole_sweep_is_fitted_by_an_ensemble_of_the_bank(command, run, tmp_path):
    """Of another step and length than the bank's: it is cut as the bank's sweeps were, and NEURON gets its current."""
    (tmp_path / "tiny.yaml").write_text(
        "conv_filter: [4]\nconv_kernel: 5\nconv_repeat: 1\npool_len: 10\nfc_dims: [8]\n"
    )
    asked = ("--design", tmp_path / "tiny.yaml", "--folds", 2, "--epochs", 1, "--precision", "f32")
    assert command("train", run[0], "-o", tmp_path / "ensemble", *asked).returncode == 0
    current = np.concatenate([np.repeat(sweep(0.09), 2), np.zeros(400)])
    volts = np.random.default_rng(1).normal(-60, 2, current.size)
    np.savez(tmp_path / "whole.npz", volts=volts, current=current, dt=0.05)
    done = command("fit", tmp_path / "whole.npz", "-e", tmp_path / "ensemble", "-o", tmp_path / "fit")
    assert done.returncode == 0, done.stderr
    assert "the current is" not in done.stdout  # 0.09 lies between 0.7 x 0.08 and 1.4 x 0.12
    assert recordings.read(tmp_path / "fit" / "recording.npz").volts.shape == (1, 1, 1000)
    injected = np.loadtxt(tmp_path / "fit" / "stimulus0.txt")[-1000:]
    assert injected[:190] == pytest.approx(0, abs=1e-4) and injected[210:890] == pytest.approx(0.09, rel=0.01)
    strong = command("fit", _stronger(tmp_path), "-e", tmp_path / "ensemble", "-o", tmp_path / "strong")
    assert "the current is 1.19 times the strongest that was trained on" in strong.stdout


def _stronger(folder):
    """A recording of 0.2 where the strongest was 1.4 x 0.12."""
    volts = np.random.default_rng(1).normal(-60, 2, 1000)
    np.savez(folder / "strong.npz", volts=volts, current=sweep(0.2), dt=0.1)
    return folder / "strong.npz"
