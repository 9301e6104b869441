"""The Recording itself, and the piece around its current's change."""

import re

import numpy as np
import pytest
from pytest import approx

from nrn_mlfit import recordings, stimuli
from nrn_mlfit.errors import RecordingError
from nrn_mlfit.recordings import Recording, around_change


def says(text):
    return pytest.raises(RecordingError, match=f"^{re.escape(text)}$")


def stepped(onset=200.0, offset=700.0, total=1000.0, dt=0.1, nA=0.2, noise=0.0):
    """-70 mV, and a current that steps to `nA` at `onset` and back at `offset`."""
    time = np.arange(round(total / dt)) * dt
    current = np.where((time >= onset) & (time < offset), nA, 0.0)
    current += noise * np.random.default_rng(1).standard_normal(time.size)
    return Recording(np.full(time.size, -70.0), current, dt, "cell7")


def test_one_row_becomes_one_probe_and_one_stimulus():
    recording = stepped()
    assert recording.volts.shape == (1, 1, 10000) and recording.currents.shape == (1, 10000)
    assert recording.duration == approx(1000)


def test_not_a_number_is_named_with_sample_and_time():
    volts = np.full(100, -70.0)
    volts[17] = np.nan
    with says("cell7: the voltage is nan at sample 17 (0.85 ms); use a stretch without gaps (--window)"):
        Recording(volts, None, 0.05, "cell7")
    current = np.zeros(100)
    current[3] = np.inf
    with says("cell7: the current is inf at sample 3 (0.15 ms); use a stretch without gaps (--window)"):
        Recording(np.full(100, -70.0), current, 0.05, "cell7")


def test_the_earliest_bad_sample_of_several_rows_is_named():
    volts = np.full((1, 2, 50), -70.0)
    volts[0, 0, 30] = volts[0, 1, 20] = np.nan
    with says("cell7: the voltage is nan at sample 20 (2 ms); use a stretch without gaps (--window)"):
        Recording(volts, None, 0.1, "cell7")


@pytest.mark.parametrize("shape", [(), (1,), (3, 100), (2, 1, 1, 100), (0, 1, 100)])
def test_a_wrong_voltage_shape_says_what_is_wanted(shape):
    text = f"cell7: the voltage has shape {shape}, wanted (T,) or (P, S, T) with at least 2 samples"
    with says(text):
        Recording(np.full(shape, -70.0), None, 0.1, "cell7")


def test_a_current_must_be_as_long_as_the_voltage():
    with says("cell7: the current has shape (99,), wanted (100,), as the voltage"):
        Recording(np.full(100, -70.0), np.zeros(99), 0.1, "cell7")
    with says("cell7: the current has shape (100,), wanted (2, 100), as the voltage"):
        Recording(np.full((1, 2, 100), -70.0), np.zeros(100), 0.1, "cell7")


@pytest.mark.parametrize("dt", [0.0, -0.1, np.nan, np.inf])
def test_a_sample_step_must_be_above_zero(dt):
    with says(f"cell7: the sample step dt must be above 0 ms, got {dt}"):
        Recording(np.full(100, -70.0), None, dt, "cell7")


def test_words_are_no_voltage():
    with says("cell7: the voltage must be real numbers, got <U1"):
        Recording(np.array(["a", "b"]), None, 0.1, "cell7")


def test_a_cut_holds_its_samples_and_remembers_where_it_was():
    whole = Recording(np.arange(1000.0), np.arange(1000.0) / 10, 0.1)
    piece = whole.cut(20, 60).cut(10, 20)
    assert piece.volts[0, 0].tolist() == np.arange(300.0, 400.0).tolist()
    assert piece.currents[0].tolist() == (np.arange(300.0, 400.0) / 10).tolist()
    assert piece.source["cut_ms"] == [30.0, 40.0]


@pytest.mark.parametrize("start, stop", [(-1, 50), (50, 101), (60, 50), (np.nan, 50), (0, np.inf)])
def test_a_cut_must_lie_inside(start, stop):
    with says(f"cell7: {start:g} to {stop:g} ms is no piece of its 0 to 100 ms"):
        Recording(np.full(1000, -70.0), None, 0.1, "cell7").cut(start, stop)


@pytest.mark.parametrize("noise", [0.0, 0.02])
def test_a_fifth_of_the_piece_lies_before_the_step(noise):
    piece = around_change(stepped(noise=noise))
    assert piece.source["cut_ms"] == [approx(140, abs=1), approx(440, abs=1)]
    assert piece.volts.shape[-1] == 3000


def test_the_larger_step_counts_not_the_test_pulse_before_it():
    recording = stepped(onset=500, nA=0.3)
    recording.currents[0, 1000:1100] = -0.4  # 10 ms
    assert around_change(recording).source["cut_ms"][0] == approx(440)


def test_the_first_step_counts_though_a_later_one_is_larger():
    recording = stepped(onset=200, offset=400, nA=0.025, noise=0.001)
    recording.currents[0, 6000:8000] -= 0.1
    assert around_change(recording).source["cut_ms"][0] == approx(140, abs=0.5)


def test_of_several_currents_the_first_that_steps_says_where():
    first, later = stepped(onset=300), stepped(onset=500, nA=1.0)
    both = Recording(
        np.zeros((1, 3, 10000)), np.stack([0 * first.currents[0], later.currents[0], first.currents[0]]), 0.1
    )
    assert around_change(both).source["cut_ms"][0] == approx(240)


def test_a_ramp_is_found_within_25_ms_of_its_begin():
    ramp = np.clip(np.arange(10000) * 0.1 - 300, 0, None) / 1000
    piece = around_change(Recording(np.full(10000, -70.0), ramp, 0.1))
    assert 300 - 60 <= piece.source["cut_ms"][0] <= 325 - 60


def test_the_piece_has_no_more_samples_than_the_network_sees():
    assert around_change(stepped(dt=0.01)).volts.shape[-1] == 9000


@pytest.mark.parametrize("onset, wanted", [(5.0, [0, 300]), (950.0, [700, 1000])])
def test_near_an_end_the_piece_is_shifted_inside(onset, wanted):
    assert around_change(stepped(onset, 1000.0)).source["cut_ms"] == approx(wanted)


def test_a_short_recording_is_taken_whole():
    assert around_change(stepped(20, 80, total=100)).source["cut_ms"] == approx([0, 100])


def test_without_a_change_of_current_nothing_is_guessed():
    for dt in (0.02, 0.1, 0.25):
        with says("cell7: its current does not change; say where with --window"):
            around_change(stepped(nA=0, noise=0.01, dt=dt))
    with says("cell7: its current does not change; say where with --window"):
        around_change(stepped(onset=0, offset=2000))
    with says("cell7: holds no current to cut around; say where with --window"):
        around_change(Recording(np.full(100, -70.0), None, 0.1, "cell7"))


def test_a_saved_piece_is_read_back_and_is_a_stimulus(tmp_path):
    piece = around_change(stepped(noise=0.001))
    piece.save(tmp_path / "piece.npz")
    again = recordings.read(tmp_path / "piece.npz")
    assert np.array_equal(again.volts, piece.volts) and np.array_equal(again.currents, piece.currents)
    assert again.dt == piece.dt and again.source["origin"] == {"name": "cell7", **piece.source}
    stimulus = stimuli.from_file(tmp_path / "piece.npz")
    assert np.array_equal(stimulus.window, piece.currents[0]) and stimulus.dt == piece.dt


def test_two_stimuli_and_the_truth_survive_saving(tmp_path):
    volts = np.random.default_rng(2).normal(-70, 5, (2, 3, 40))
    Recording(volts, volts[0] / 100, 0.1, truth={"a": 0.02}).save(tmp_path / "two.npz")
    again = recordings.read(tmp_path / "two.npz")
    assert np.array_equal(again.volts, volts) and np.array_equal(again.currents, volts[0] / 100)
    assert again.truth == {"a": 0.02}


def test_a_piece_is_saved_as_npz_only(tmp_path):
    path = tmp_path / "piece.csv"
    with says(f"{path}: a piece of a recording is saved as .npz; end the name so"):
        stepped().save(path)
    assert not list(tmp_path.iterdir())
