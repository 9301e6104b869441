"""Reading options: what they do to a recording, and what is said of those that make no sense."""

import re

import numpy as np
import pytest
from pytest import approx

from nrn_mlfit import recordings
from nrn_mlfit.errors import RecordingError
from nrn_mlfit.recordings import Reading

VOLTS = np.linspace(-80, 20, 1000)
CURRENT = np.linspace(-0.1, 0.3, 1000)


def says(text):
    return pytest.raises(RecordingError, match=f"^{re.escape(text)}$")


@pytest.fixture
def file(tmp_path):
    np.savez(tmp_path / "a.npz", volts=VOLTS, current=CURRENT, monitor=2 * CURRENT, dt=0.1)
    return tmp_path / "a.npz"


def test_without_options_a_file_is_as_it_is(file):
    read = recordings.read(file)
    assert np.array_equal(read.volts[0, 0], VOLTS) and np.array_equal(read.currents[0], CURRENT)
    assert "cut_ms" not in read.source and "junction_potential_mv" not in read.source


def test_the_junction_potential_is_subtracted_and_kept(file):
    read = recordings.read(file, reading=Reading(junction_potential=14))
    assert read.volts[0, 0] == approx(VOLTS - 14) and read.source["junction_potential_mv"] == 14


def test_a_junction_potential_in_millivolts_hides_no_volts(tmp_path):
    np.savez(tmp_path / "volts.npz", volts=VOLTS / 1000, current=CURRENT, dt=0.1)
    with says("volts.npz: no voltage is beyond 0.08 mV, which looks like volts; give it in mV"):
        recordings.read(tmp_path / "volts.npz", reading=Reading(junction_potential=14))


def test_a_piece_that_was_corrected_says_so(file, tmp_path):
    recordings.read(file, reading=Reading(junction_potential=14, current_scale=2)).save(tmp_path / "piece.npz")
    again = recordings.read(tmp_path / "piece.npz")
    assert again.source["origin"]["junction_potential_mv"] == 14 and again.source["origin"]["current_scale"] == 2
    assert again.volts[0, 0] == approx(VOLTS - 14) and not again.warnings
    twice = recordings.read(tmp_path / "piece.npz", reading=Reading(junction_potential=14))
    assert twice.warnings == ("a junction potential of 14 mV was subtracted already when this piece was cut",)


def test_warnings_stay_with_a_piece(tmp_path):
    np.savez(tmp_path / "slow.npz", volts=VOLTS, current=CURRENT, dt=0.25)
    whole = recordings.read(tmp_path / "slow.npz")
    told = "sampled at 4 kHz, below 10 kHz: spikes have few samples, so their shape says little"
    assert whole.warnings == (told,)
    whole.cut(0, 100).save(tmp_path / "piece.npz")
    assert recordings.read(tmp_path / "piece.npz").source["origin"]["warnings"] == [told]


def test_a_recording_without_a_current_says_what_gives_one(tmp_path):
    np.savez(tmp_path / "a.npz", volts=VOLTS, dt=0.1)
    read = recordings.read(tmp_path / "a.npz")
    assert read.warnings == ("no current is stored with it; give it with --stim-from FILE",)


def test_the_current_is_scaled_and_its_dataset_named(file):
    assert recordings.read(file, reading=Reading(current_scale=0.5)).currents[0] == approx(CURRENT / 2)
    assert recordings.read(file, reading=Reading(current_channel="monitor")).currents[0] == approx(2 * CURRENT)
    with says("a.npz: there is no x; --current-channel takes one of volts, current, monitor, dt"):
        recordings.read(file, reading=Reading(current_channel="x"))


def test_the_window_is_what_is_read(file):
    read = recordings.read(file, reading=Reading(window=(20, 60)))
    assert np.array_equal(read.volts[0, 0], VOLTS[200:600]) and np.array_equal(read.currents[0], CURRENT[200:600])
    assert read.source["cut_ms"] == [20, 60]
    assert read.cut(10, 20).source["cut_ms"] == [30, 40]


def test_a_gap_outside_the_window_does_no_harm(tmp_path):
    volts = VOLTS.copy()
    volts[700:] = np.nan
    np.savez(tmp_path / "a.npz", volts=volts, dt=0.1)
    with says("a.npz: the voltage is nan at sample 700 (70 ms); use a stretch without gaps (--window)"):
        recordings.read(tmp_path / "a.npz")
    assert recordings.read(tmp_path / "a.npz", reading=Reading(window=(0, 70))).duration == approx(70)


def test_a_window_beyond_the_recording_says_how_long_it_is(file):
    with says("a.npz: 50 to 200 ms is no piece of its 0 to 100 ms; change --window"):
        recordings.read(file, reading=Reading(window=(50, 200)))


def test_a_given_current_takes_the_place_of_the_files(file, tmp_path):
    np.savez(tmp_path / "i.npz", current=-CURRENT, dt=0.1)
    read = recordings.read(file, reading=Reading(stim_from=tmp_path / "i.npz", window=(20, 60)))
    assert read.currents[0] == approx(-CURRENT[200:600]) and read.source["current"] == "given"


BAD = [
    ({"current_scale": 0.0}, "--current-scale: must be a number other than 0, got 0"),
    ({"current_scale": np.nan}, "--current-scale: must be a number other than 0, got nan"),
    (
        {"junction_potential": 0.014e6},
        "--junction-potential: 14000 mV is no junction potential; give it in mV, such as 14",
    ),
    (
        {"window": (5, 5)},
        "--window: 5 to 5 ms is no stretch of time; give START and STOP in ms, START below STOP",
    ),
    (
        {"window": (-5, 5)},
        "--window: -5 to 5 ms is no stretch of time; give START and STOP in ms, START below STOP",
    ),
]


@pytest.mark.parametrize("wrong, text", BAD)
def test_options_that_make_no_sense(wrong, text):
    with says(text):
        Reading(**wrong)


def test_formats_with_one_current_have_no_channels_to_choose_from(tmp_path):
    pytest.importorskip("h5py")
    import h5py

    with h5py.File(tmp_path / "a.nwb", "w") as held:
        held.attrs["nwb_version"] = "2.2.2"
    with says("a.nwb: has no channels to choose a current from; leave out --current-channel"):
        recordings.read(tmp_path / "a.nwb", reading=Reading(current_channel="x"))
