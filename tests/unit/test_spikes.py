"""Spike times, counts and the coincidence factor."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from nrn_mlfit.spikes import coincidence, spike_counts, spike_times


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
