"""Spike times, counts and the coincidence factor."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from nrn_mlfit.spikes import around, coincidence, onsets, slope, spike_counts, spike_times


def test_a_crossing_is_interpolated():
    assert spike_times([-60, -30, 10, -50], 0.1, t0=5) == pytest.approx([5 + 0.1 * (1 + 10 / 40)])


def test_times_and_counts_agree():
    time = np.arange(0, 100, 0.02)
    volts = -60 + 80 * np.sin(2 * np.pi * time / 10) ** 21
    assert spike_counts(volts) == len(spike_times(volts, 0.02)) == 10
    assert np.diff(spike_times(volts, 0.02)) == pytest.approx(np.full(9, 10.0), abs=1e-6)


def test_a_trace_that_starts_above_has_not_spiked():
    assert spike_counts([0.0, 0.0, -60.0]) == 0 and spike_times([0.0, 0.0, -60.0], 0.1).size == 0


def test_equal_trains_coincide_and_far_ones_do_not():
    train = np.arange(10, 200, 20.0)
    assert coincidence(train, train, 200) == pytest.approx(1)
    assert coincidence(train, train + 1.9, 200) == pytest.approx(1)
    assert coincidence(train, train + 9, 200) < 0
    assert coincidence([], [], 200) == 1 and coincidence(train, [], 200) == 0


def test_chance_gives_nought():
    random = np.random.default_rng(1)
    duration, pairs = 10_000.0, []
    for _ in range(60):
        one, other = (np.sort(random.uniform(0, duration, 200)) for _ in range(2))
        pairs.append(coincidence(one, other, duration))
    assert abs(np.mean(pairs)) < 0.02


def test_a_doublet_coincides_with_one_spike_only_once():
    assert coincidence([10, 10.5, 11], [10.5], 300) == pytest.approx((1 - 3 * 4 / 300) / 2 / (1 - 4 / 300))


@pytest.mark.parametrize("spikes", [30, 45, 90])
def test_equal_trains_coincide_however_fast(spikes):
    train = np.linspace(1, 179, spikes)
    assert coincidence(train, train, 180) == pytest.approx(1)
    assert coincidence(train, train + 0.45 * 180 / spikes, 180) < 0.1


TRAINS = st.lists(st.floats(0, 180), max_size=60).map(sorted)


@given(TRAINS, TRAINS)
def test_no_two_trains_coincide_more_than_equal_ones(one, other):
    assert coincidence(one, other, 180) <= 1 + 1e-9


@given(st.floats(-50, 50), st.floats(0.01, 0.2))
def test_the_slope_of_a_ramp_is_its_steepness(steepness, dt):
    assert slope(-70 + steepness * dt * np.arange(50), dt) == pytest.approx(np.full(50, steepness), abs=1e-6)


def test_a_spike_begins_where_its_slope_passes_ten():
    """exp(t) mV above -70 rises by 10 mV/ms at t = ln 10, where it is at -60 mV."""
    time = np.arange(0, 4.5, 0.01)
    rise = -70 + np.exp(time)
    volts = np.concatenate([rise, rise[::-1]])
    assert onsets(np.tile(volts, 3), 0.01) == pytest.approx([-60] * 3, abs=0.15)


def test_a_trace_without_spikes_has_no_onset():
    assert onsets(np.full(100, -70.0), 0.1).size == 0
    assert onsets(np.linspace(-30, 30, 100), 0.01).size == 0  # steep from the first sample on


def test_what_lies_around_a_time():
    time, volts = around(np.arange(100.0), 0.5, at=20, before=1, after=2)
    assert time.tolist() == [-1, -0.5, 0, 0.5, 1, 1.5, 2]
    assert volts.tolist() == [38, 39, 40, 41, 42, 43, 44]
    assert around(np.arange(100.0), 0.5, at=0.25, before=1, after=1)[0].tolist() == [-0.25, 0.25, 0.75]
