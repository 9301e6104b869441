"""nrn-mlfit fit --sweep all: a series of sweeps, what is left out, and how each parameter goes with time."""

import csv
from datetime import UTC, datetime

import numpy as np
import pytest

from nrn_mlfit import fit, recordings

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


def test_all_leaves_out_what_fails_its_checks(command, series, tmp_path):
    """The baseline of these cells spikes: noise, to the quality checks."""
    done = command("fit", series, "--sweep", "all", "-e", "izhikevich", "-o", tmp_path / "fits")
    assert done.returncode == 2 and "not good enough to fit, unless it is named by its number: noise of" in done.stderr
