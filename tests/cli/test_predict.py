"""`nrn-mlfit predict`: a row a trace, the same numbers as a fit's, and what it refuses."""

import csv
import json

import h5py
import numpy as np
import pytest

ONE_THREAD = {"OMP_NUM_THREADS": "1"}


@pytest.fixture(scope="module")
def ensemble(command, izhikevich_run, tmp_path_factory):
    folder = tmp_path_factory.mktemp("ensembles")
    (folder / "d.yaml").write_text("conv_filter: [4]\nconv_kernel: 5\nconv_repeat: 1\npool_len: 16\nfc_dims: [12]\n")
    words = ["train", izhikevich_run, "-o", folder / "izh", "--design", folder / "d.yaml", "--folds", 2, "--epochs", 2]
    done = command(*words, "--device", "cpu", env=ONE_THREAD)
    assert done.returncode == 0, done.stderr
    return folder / "izh"


@pytest.fixture(scope="module")
def table(command, izhikevich_run, ensemble, tmp_path_factory):
    path = tmp_path_factory.mktemp("tables") / "t.csv"
    done = command("predict", izhikevich_run, "-e", ensemble, "-o", path)
    assert (done.returncode, done.stdout.splitlines()[-1]) == (0, f"{path}: 60 traces"), done.stderr
    return path


def test_a_row_a_trace_in_the_order_of_the_index(table):
    rows = list(csv.DictReader(table.open()))
    names = [f"{name}{suffix}" for name in "abcd" for suffix in ("", "_lo68", "_hi68", "_lo90", "_hi90")]
    assert list(rows[0]) == ["index", *names, "score", "warn"]
    assert [int(row["index"]) for row in rows] == list(range(60))
    for row in rows:
        for name in "abcd":
            ends = [float(row[f"{name}{suffix}"]) for suffix in ("_lo90", "_lo68", "", "_hi68", "_hi90")]
            assert ends == sorted(ends)
        assert row["warn"] in "01"


def test_hdf5_holds_the_same(command, izhikevich_run, ensemble, table, tmp_path):
    done = command("predict", izhikevich_run, "-e", ensemble, "-o", tmp_path / "t.h5")
    assert done.returncode == 0, done.stderr
    held = np.genfromtxt(table, delimiter=",", names=True)
    with h5py.File(tmp_path / "t.h5") as file:
        assert set(file) == set(held.dtype.names)
        for name in held.dtype.names:
            assert np.allclose(file[name][()], held[name], rtol=1e-6)


def test_a_row_is_the_fit_of_that_trace(izhikevich_run, ensemble, table):
    from nrn_mlfit import fit_recording, read, shards
    from nrn_mlfit.learn import Ensemble

    held = np.genfromtxt(table, delimiter=",", names=True)[33]
    path = shards.open_run(izhikevich_run).shards[1]
    for value in fit_recording(Ensemble.load(ensemble), read(path, 13)).values:
        for suffix in ("lo68", "hi68", "lo90", "hi90"):
            assert held[f"{value.name}_{suffix}"] == pytest.approx(getattr(value, suffix), rel=1e-3)
        assert held[value.name] == pytest.approx(value.value, rel=1e-3)


def test_any_cell_under_the_same_stimulus_but_no_other_stimulus(command, ensemble, tmp_path):
    cell = tmp_path / "cell.hoc"
    cell.write_text(
        "begintemplate Other\npublic soma, all\ncreate soma\nobjref all\nproc init() { all = new SectionList()\n"
        "    soma { L = diam = 20  insert pas  all.append() } }\nendtemplate Other\n"
    )
    text = "name: other\nhoc: cell.hoc\ntemplate: Other\nstimulus: {kind: reset_chirp, scale: SCALE}\ndt: 0.02\n"
    text += "parameters: {g_pas.all: {low: 1.0e-4, high: 1.0e-3}}\n"
    for scale, code in ((15, 0), (14, 2)):
        (tmp_path / "cell.yaml").write_text(text.replace("SCALE", str(scale)))
        run = tmp_path / f"run{scale}"
        assert command("simulate", tmp_path / "cell.yaml", "-n", 3, "-o", run, "--engine", "neuron").returncode == 0
        done = command("predict", run, "-e", ensemble, "-o", tmp_path / f"{scale}.csv")
        assert done.returncode == code, done.stderr
        assert (tmp_path / f"{scale}.csv").exists() is (code == 0)
    assert f"{run}: was simulated under another stimulus than the ensemble knows (reset_chirp); simulate" in done.stderr


def test_a_table_that_is_none_is_refused_before_any_work(command, izhikevich_run, ensemble, tmp_path):
    done = command("predict", izhikevich_run, "-e", ensemble, "-o", tmp_path / "t.txt")
    assert (done.returncode, done.stderr) == (
        2,
        f"nrn-mlfit: {tmp_path / 't.txt'}: the name must end in .csv or .h5, which says what to write\n",
    )


@pytest.mark.parametrize(("ending", "head"), [("svg", b"<?xml"), ("pdf", b"%PDF")])
def test_evaluate_draws_its_pictures_as_asked_for(command, izhikevich_run, ensemble, tmp_path, ending, head):
    done = command("evaluate", izhikevich_run, "-e", ensemble, "-o", tmp_path / "e", "--pictures", ending)
    assert done.returncode == 0, done.stderr
    pictures = [path for path in (tmp_path / "e").iterdir() if path.suffix != ".json"]
    assert len(pictures) == 5
    for path in pictures:
        assert path.suffix == f".{ending}" and path.read_bytes().startswith(head) and path.name in done.stdout


def test_evaluate_says_how_good_it_is(command, izhikevich_run, ensemble, tmp_path):
    done = command("evaluate", izhikevich_run, "-e", ensemble, "-o", tmp_path / "e")
    assert done.returncode == 0, done.stderr
    assert "mean square error 0." in done.stdout and "(guessing the middle: 0.333), 60 traces" in done.stdout
    pictures = {f"{name}.png" for name in ("predicted", "residuals", "distributions", "correlation", "learning")}
    assert {p.name for p in (tmp_path / "e").iterdir()} == {"evaluation.json", *pictures}
    held = json.loads((tmp_path / "e" / "evaluation.json").read_text())
    for name in "abcd":
        line, _ = (line for line in done.stdout.splitlines() if line.startswith(f"{name} "))
        assert float(line.split()[1]) == pytest.approx(held["parameters"][name]["r2"], abs=6e-4)
    again = command("evaluate", izhikevich_run, "-e", ensemble, "-o", tmp_path / "e")
    assert again.returncode == 2 and "already there and not empty" in again.stderr
