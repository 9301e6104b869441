"""nrn-mlfit fit --sweep all: a series of sweeps, what is left out, and how each parameter goes with time."""

import csv
import os
import re
import shutil
import signal
import subprocess
import sys
import time
from dataclasses import replace
from datetime import UTC, datetime
from importlib import import_module

import numpy as np
import pytest
from click.testing import CliRunner

from nrn_mlfit import fit, recordings, refine, resimulate
from nrn_mlfit.cli import cli
from nrn_mlfit.errors import FitError, MachineError
from nrn_mlfit.learn import Ensemble, shipped
from nrn_mlfit.series import write as write_series

BEGINS_S = (5.0, 65.0, 125.0, 155.0, 305.0)
BROKEN = 2


@pytest.fixture(scope="module")
def series(izhikevich_run, tmp_path_factory):
    """Rows of a shard as sweeps of an NWB file that begin at BEGINS_S; one of them holds NaN."""
    pynwb = pytest.importorskip("pynwb")
    file = pynwb.NWBFile("a series", "series", datetime(2024, 1, 1, tzinfo=UTC))
    electrode = file.create_icephys_electrode(name="e", description="tip", device=file.create_device(name="amplifier"))
    for number, begin in enumerate(BEGINS_S):
        row = recordings.read(izhikevich_run / "shard-0000000000.h5", number)
        volts = np.where(number == BROKEN, np.nan, row.volts[0, 0])
        held = {
            "electrode": electrode,
            "gain": 1.0,
            "rate": 1e3 / row.dt,
            "starting_time": begin,
            "sweep_number": number,
        }
        response = pynwb.icephys.CurrentClampSeries(name=f"v{number}", data=volts, conversion=1e-3, **held)
        current = pynwb.icephys.CurrentClampStimulusSeries(
            name=f"i{number}", data=row.currents[0], conversion=1e-9, **held
        )
        file.add_acquisition(response)
        file.add_stimulus(current)
    path = tmp_path_factory.mktemp("series") / "cell.nwb"
    with pynwb.NWBHDF5IO(path, "w") as io:
        io.write(file)
    return path


@pytest.fixture(scope="module")
def fitted(command, series):
    done = command("fit", series, "--sweep", "0-4", "-e", "izhikevich", "-o", series.parent / "fits")
    assert done.returncode == 0, done.stderr
    return series.parent / "fits", done.stdout


def rows(path):
    with open(path, newline="") as file:
        return list(csv.DictReader(file))


def test_each_sweep_has_a_fit_but_the_broken_one_which_is_named(fitted):
    folder, told = fitted
    assert sorted(path.parent.name for path in folder.glob("*/fit.json")) == [f"sweep-{k}" for k in (0, 1, 3, 4)]
    assert f"sweep {BROKEN} is left out: the voltage is nan at sample 0" in told
    (left,) = rows(folder / "left_out.csv")
    assert left["recording"] == f"sweep {BROKEN}" and left["reason"].startswith("the voltage is nan at sample 0 (0 ms)")


def test_a_sweep_that_neuron_does_not_run_is_named_and_the_others_go_on(series, tmp_path, monkeypatch):
    """Of sweep 1 the fitted cell is damaged before NEURON runs it, which refuses it in its own words."""
    run = resimulate.run

    def damaging(folder, stimuli, probes):
        if fit.load(folder / "fit.json").recording["sweep"] == 1:
            (folder / "fit.hoc").write_text("no_such_procedure()\n")
        return run(folder, stimuli, probes)

    monkeypatch.setattr(resimulate, "run", damaging)
    words = ["fit", series, "-e", "izhikevich"]
    done = CliRunner().invoke(cli, [str(word) for word in (*words, "--sweep", "0,1", "-o", tmp_path / "fits")])
    assert done.exit_code == 0, done.output
    assert re.search(r"\n  sweep 1 is left out: fit.hoc does not run in NEURON \(.*no_such_procedure", done.output)
    assert [row["sweep"] for row in rows(tmp_path / "fits" / "fits.csv")] == ["0"]
    assert [row["recording"] for row in rows(tmp_path / "fits" / "left_out.csv")] == ["sweep 1"]
    assert {path.name for path in tmp_path.iterdir()} == {"fits"}
    done = CliRunner().invoke(cli, [str(word) for word in (*words, "--sweep", f"1,{BROKEN}", "-o", tmp_path / "none")])
    assert f"{tmp_path / 'none'}: none of the fits can be run; sweep 1: fit.hoc does not run" in str(done.exception)
    assert {path.name for path in tmp_path.iterdir()} == {"fits"}


def test_a_series_that_is_killed_has_no_name_and_goes_on_where_it_stopped(command, series, fitted, tmp_path):
    output, growing = tmp_path / "fits", tmp_path / ".fits-unfinished"
    words = ["fit", str(series), "--sweep", "0-4", "-e", "izhikevich", "-o", str(output)]
    killed = subprocess.Popen([sys.executable, "-m", "nrn_mlfit", *words], start_new_session=True)
    until = time.monotonic() + 100
    while not (growing / "sweep-1").is_dir() and time.monotonic() < until:
        time.sleep(0.02)
    os.killpg(killed.pid, signal.SIGKILL)
    killed.wait()
    assert {path.name for path in tmp_path.iterdir()} == {growing.name}
    (growing / "sweep-9").mkdir()  # of a series with other sweeps
    before = (growing / "sweep-0" / "fit.json").stat().st_ino
    done = command(*words)
    assert done.returncode == 0, done.stderr
    assert (output / "sweep-0" / "fit.json").stat().st_ino == before
    assert {path.name for path in tmp_path.iterdir()} == {"fits"}
    assert {path.name for path in output.iterdir()} == {path.name for path in fitted[0].iterdir()}
    assert (output / "fits.csv").read_bytes() == (fitted[0] / "fits.csv").read_bytes()


@pytest.fixture
def searched(series, tmp_path, monkeypatch):
    """fit --refine in this process: its end, and the sweeps that were searched for; at some of them an error may come."""
    search, seen, trouble = refine.refined, [], {}

    def counting(found, *others, **more):
        seen.append(found.recording["sweep"])
        if error := trouble.get(seen[-1]):
            raise error
        return search(found, *others, **more)

    def run(sweeps, simulations, **at):
        trouble.clear()
        trouble.update({int(name.removeprefix("sweep_")): error for name, error in at.items()})
        seen.clear()
        words = ["fit", series, "--sweep", sweeps, "-e", "izhikevich", "--refine", simulations, "-o", tmp_path / "fits"]
        return CliRunner().invoke(cli, [str(word) for word in words]), list(seen)

    monkeypatch.setattr(refine, "refined", counting)
    return run


def test_a_search_that_is_done_is_not_done_again_after_a_kill(searched, tmp_path):
    """It takes minutes a sweep. KeyboardInterrupt, as SIGKILL, is caught by nothing."""
    growing, output = tmp_path / ".fits-unfinished", tmp_path / "fits"
    done, seen = searched("0-3", 3, sweep_3=KeyboardInterrupt())
    assert done.exit_code != 0 and seen == [0, 1, 3] and not output.exists()
    before = fit.load(growing / "sweep-0" / "fit.json")
    assert before.provenance["search"]["simulations"] == 3
    (growing / "sweep-1" / "fit.json").write_text("{}")  # damaged: made again
    done, seen = searched("0-3", 3)
    assert done.exit_code == 0 and seen == [1, 3], done.output
    assert fit.load(output / "sweep-0" / "fit.json") == before
    assert {path.name for path in tmp_path.iterdir()} == {"fits"}


def test_a_search_of_another_length_is_another_one(searched, tmp_path, monkeypatch):
    """Also for a caller in Python, whose fits hold no command that tells."""
    monkeypatch.setattr(import_module("nrn_mlfit.cli.fit"), "command_line", lambda: "")
    assert searched("0,1", 2, sweep_1=KeyboardInterrupt())[1] == [0, 1]
    assert searched("0,1", 3, sweep_1=KeyboardInterrupt())[1] == [0, 1]
    assert fit.load(tmp_path / ".fits-unfinished" / "sweep-0" / "fit.json").provenance["search"]["simulations"] == 3


def test_a_search_that_fails_leaves_that_sweep_out_but_what_the_machine_lacks_ends_the_series(searched, tmp_path):
    done, _ = searched("0,1", 2, sweep_0=FitError("cell: no cell near it gives a sound trace"))
    assert done.exit_code == 0 and "sweep 0 is left out: cell: no cell near it" in done.output
    assert [row["recording"] for row in rows(tmp_path / "fits" / "left_out.csv")] == ["sweep 0"]
    shutil.rmtree(tmp_path / "fits")
    done, seen = searched("0,1", 2, sweep_0=MachineError("no compiler"))
    assert isinstance(done.exception, MachineError) and seen == [0] and not list(tmp_path.iterdir())


def test_what_the_machine_lacks_is_no_fault_of_a_sweep(searched, monkeypatch, tmp_path):
    def lacking(*_):
        raise MachineError("the disk is full")

    monkeypatch.setattr(fit, "fit_recording", lacking)
    done, _ = searched("0,1", 2)
    assert isinstance(done.exception, MachineError) and "left out" not in done.output and not list(tmp_path.iterdir())


@pytest.fixture(scope="module")
def files(series, tmp_path_factory):
    """The sweeps that can be fitted as files, whose names are not in order of time."""
    folder = tmp_path_factory.mktemp("one") / "cell"
    folder.mkdir()
    for number in (0, 1, 3, 4):
        recordings.read(series, number).save(folder / f"at{10 - 2 * number}.npz")
    np.savez(folder / "short.npz", volts=np.full(100, -70.0), current=np.linspace(0, 1, 100), dt=0.02)
    return folder


def test_the_files_of_one_cell_are_a_series_in_order_of_time(command, files, fitted, tmp_path):
    """The same recordings as the series of sweeps: the same values, times and trends."""
    done = command("fit", files, "--one-cell", "-e", "izhikevich", "-o", tmp_path / "fits")
    assert done.returncode == 0, done.stderr
    assert "short.npz is left out: lasts 2 ms, the ensemble needs 180 ms" in done.stdout
    table, swept = rows(tmp_path / "fits" / "fits.csv"), rows(fitted[0] / "fits.csv")
    assert [row.pop("recording") for row in table] == ["at10.npz", "at8.npz", "at4.npz", "at2.npz"]
    assert table == [{key: text for key, text in row.items() if key not in ("recording", "sweep")} for row in swept]
    assert (tmp_path / "fits" / "drift.csv").read_bytes() == (fitted[0] / "drift.csv").read_bytes()
    assert (tmp_path / "fits" / "drift.png").is_file()


def test_files_that_do_not_tell_when_they_began_keep_their_places(command, files, tmp_path):
    """The second of four is too short."""
    folder = tmp_path / "cell"
    folder.mkdir()
    shutil.copy(files / "short.npz", folder / "cell_2.npz")
    for name, number in (("at10.npz", 1), ("at8.npz", 3), ("at4.npz", 4)):
        whole = recordings.read(files / name)
        np.savez(folder / f"cell_{number}.npz", volts=whole.volts[0, 0], current=whole.currents[0], dt=whole.dt)
    done = command("fit", folder, "--one-cell", "-e", "izhikevich", "-o", tmp_path / "fits")
    assert "so time is the file's place in the order" in done.stdout
    fits = [fit.load(tmp_path / "fits" / f"cell_{k}.npz" / "fit.json") for k in (1, 3, 4)]
    values = [found.values[0] for found in fits]
    weights = [2 / (v.hi68 - v.lo68) for v in values]
    slope, _ = np.polyfit([1, 3, 4], [v.value for v in values], 1, w=weights)
    assert float(rows(tmp_path / "fits" / "drift.csv")[0]["slope"]) == pytest.approx(slope, rel=1e-3)


def test_a_recording_that_is_called_as_a_table_of_the_series_has_a_folder_of_another_name(fitted, tmp_path):
    found = fit.load(fitted[0] / "sweep-0" / "fit.json")
    pair = recordings.read(fitted[0] / "sweep-0" / "recording.npz"), found
    networks = Ensemble.load(shipped.find("izhikevich"))
    write_series({"fits.csv": pair, "Drift.csv": pair}, networks, tmp_path / "fits", {"a": "why"}, one_cell=False)
    assert {path.name for path in (tmp_path / "fits").iterdir()} == {
        *("fits.csv", "left_out.csv", "fits.csv-fit", "Drift.csv-fit"),
    }
    assert [row["recording"] for row in rows(tmp_path / "fits" / "fits.csv")] == ["fits.csv-fit", "Drift.csv-fit"]


def test_files_that_may_be_of_different_cells_have_no_drift(command, files, tmp_path):
    """Here one of them, so that it is soon done; the one that does not belong is named."""
    folder = tmp_path / "cells"
    folder.mkdir()
    for name in ("at10.npz", "short.npz"):
        shutil.copy(files / name, folder)
    done = command("fit", folder, "-e", "izhikevich", "-o", tmp_path / "fits")
    assert done.returncode == 0 and "short.npz is left out: lasts 2 ms" in done.stdout
    assert {path.name for path in (tmp_path / "fits").iterdir()} == {"at10.npz", "fits.csv", "left_out.csv"}


def test_where_no_file_can_be_fitted_it_is_one_sentence(command, files, tmp_path):
    folder = tmp_path / "cells"
    folder.mkdir()
    shutil.copy(files / "short.npz", folder)
    done = command("fit", folder, "-e", "izhikevich", "-o", tmp_path / "fits")
    assert done.returncode == 2 and done.stderr == (
        "nrn-mlfit: cells: none of its recordings can be fitted; short.npz: lasts 2 ms, the ensemble needs 180 ms; take a longer "
        "stretch (--window), or another ensemble\n"
    )
    done = command("fit", folder / "short.npz", "--one-cell", "-e", "izhikevich", "-o", tmp_path / "fits")
    assert done.stderr == "nrn-mlfit: --one-cell: is for a folder of files, and short.npz is none; leave it out\n"
    assert {path.name for path in tmp_path.iterdir()} == {"cells"}


def test_times_are_those_of_the_file(fitted):
    table = rows(fitted[0] / "fits.csv")
    assert [float(row["time_s"]) for row in table] == [0, 60, 150, 300]
    assert [row["sweep"] for row in table] == ["0", "1", "3", "4"]


def test_slopes_are_numpys_weighted_ones_over_minutes(fitted):
    folder, told = fitted
    fits = [fit.load(folder / f"sweep-{k}" / "fit.json") for k in (0, 1, 3, 4)]
    inside = np.array([not found.warnings for found in fits])
    used = inside if inside.sum() >= 3 else np.full(4, True)
    assert ("not to be trusted" in told) == (inside.sum() < 3)
    for k, row in enumerate(rows(folder / "drift.csv")):
        values = [found.values[k] for found, take in zip(fits, used, strict=True) if take]
        errors = np.array([(value.hi68 - value.lo68) / 2 for value in values])
        slope, _ = np.polyfit(np.array([0, 1, 2.5, 5])[used], [value.value for value in values], 1, w=1 / errors)
        assert float(row["slope"]) == pytest.approx(slope, rel=1e-3)
        assert row["parameter"] == values[0].name and row["unit"] == f"{values[0].unit}/min"


@pytest.mark.parametrize(
    ("sweep", "sentence"),
    [
        ("3-", "--sweep 3-: is no sweep; write a number, several such as 3-8,10, or all"),
        ("8-3", "--sweep 8-3: is no sweep; write a number, several such as 3-8,10, or all"),
        ("99", "cell.nwb: there is no sweep 99; it holds 5 sweeps (0-4)"),
        ("1,3-99", "cell.nwb: there is no sweep 99; it holds 5 sweeps (0-4)"),
        (
            "2,2",
            "cell.nwb: no sweep of it can be fitted; sweep 2: the voltage is nan at sample 0 (0 ms); use a stretch without gaps "
            "(--window)",
        ),
    ],
)
def test_what_cannot_be_fitted_is_one_sentence(command, series, tmp_path, sweep, sentence):
    done = command("fit", series, "--sweep", sweep, "-e", "izhikevich", "-o", tmp_path / "fits")
    assert done.returncode == 2 and done.stderr == f"nrn-mlfit: {sentence}\n"
    assert not list(tmp_path.iterdir())


def test_a_series_that_the_ensemble_does_not_serve_is_refused(command, tmp_path):
    path, ramp = tmp_path / "ramp.npz", np.linspace(0, 1, 9000)
    np.savez(path, volts=ramp - 70, current=ramp, dt=0.02)
    done = command("fit", path, "--sweep", "all", "-e", "izhikevich", "-o", tmp_path / "fits")
    assert done.returncode == 2 and done.stderr.count("\n") == 1 and not (tmp_path / "fits").exists()
    assert "ramp.npz: no sweep of it can be fitted; sweep 0: its current is not the ensemble's stimulus" in done.stderr


def test_all_leaves_out_what_fails_its_checks(command, izhikevich_run, tmp_path):
    """A sweep in noise of 1 mV."""
    row = recordings.read(izhikevich_run / "shard-0000000000.h5", 0)
    noise = np.random.default_rng(5).standard_normal(row.volts.shape)
    replace(row, volts=row.volts + noise).save(tmp_path / "noisy.npz")
    done = command("fit", tmp_path / "noisy.npz", "--sweep", "all", "-e", "izhikevich", "-o", tmp_path / "fits")
    assert done.returncode == 2 and "not good enough to fit, unless it is named by its number: noise of" in done.stderr
