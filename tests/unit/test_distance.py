"""The distance of a trace from a recording: nought for itself, more for more of an error, never more than its largest."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from nrn_mlfit.distance import ABSENT, FEW, MANY, SHAPE, Target
from nrn_mlfit.recordings import Recording

DT, LENGTH_MS, REST = 0.1, 400.0, -70.0


def trace(times, peak=40.0, width=1.0, rest=REST):
    """(1, 1, T) mV: a spike of a Gaussian's shape at each of `times`, `width` ms wide at half its height."""
    time = DT * np.arange(round(LENGTH_MS / DT))
    sd = width / (2 * np.sqrt(2 * np.log(2)))
    bumps = [np.exp(-0.5 * ((time - at) / sd) ** 2) for at in times]
    return (rest + (peak - rest) * np.sum([np.zeros(time.size), *bumps], axis=0))[None, None]


def target(volts):
    return Target.of(Recording(volts, None, DT, "recorded"))


SPIKES = np.arange(50.0, 350.0, 40.0)
RECORDED = trace(SPIKES)
trains = st.lists(st.floats(5, 395), max_size=12)


@given(trains)
@settings(max_examples=50, deadline=None)
def test_a_trace_is_at_no_distance_from_itself_and_none_is_farther_than_the_largest(times):
    volts = trace(times)
    assert target(volts).distance(volts) == 0
    assert 0 <= target(RECORDED).distance(volts) <= target(RECORDED).largest()


@given(st.integers(1, 120), st.integers(1, 30))
@settings(max_examples=50, deadline=None)
def test_spikes_that_come_later_are_farther(late, more):
    near, far = (target(RECORDED).distance(trace(SPIKES + DT * samples)) for samples in (late, late + more))
    assert 0 < near < far


def test_one_unit_of_time_is_one():
    """8 ms later: the times are one unit off and the first spike 8/5 of one, each square x2 with 16 x2 / (16 + x2) of it;
    and four times what counts as coincident, with 4 x2 / (4 + x2) of it."""
    levelled = [16 * x * x / (16 + x * x) for x in (1.0, 8 / 5)] + [4 * 16 / (4 + 16)]
    assert target(RECORDED).distance(trace(SPIKES + 8.0)) == pytest.approx(sum(levelled), rel=0.01)


@given(st.permutations(range(4)), st.integers(0, 3))
@settings(deadline=None)
def test_every_probe_under_every_stimulus_counts_alike(order, wrong):
    """One of four traces without its spikes is as far wherever it stands; the distance of one alone is not diluted further.

    3 mV lower it has peaks, onsets and troughs that are off by 3/5, 3/4, 3/4 and, of the first spike, 3/5 units, with 16 x2 /
    (16 + x2) of each square; and between spikes the rms over all four is 1.5 mV, half a unit, with 49 x2 / (49 + x2).
    """
    four = np.stack([trace(SPIKES)[0, 0]] * 4).reshape(2, 2, -1)
    lost = four.copy().reshape(4, -1)
    lost[order[wrong]] = trace([])[0, 0]
    assert target(four).distance(lost.reshape(2, 2, -1)) == pytest.approx(target(RECORDED).distance(trace([])) / 4)
    low = four.copy().reshape(4, -1)
    low[order[wrong]] -= 3.0
    shape = sum(16 * x * x / (16 + x * x) for x in (3 / 5, 3 / 4, 3 / 4, 3 / 5))
    wanted = shape / 4 + 49 * 0.25 / (49 + 0.25)
    assert target(four).distance(low.reshape(2, 2, -1)) == pytest.approx(wanted, rel=1e-3)


@given(st.integers(0, 6))
@settings(deadline=None)
def test_each_spike_that_is_missing_is_farther(missing):
    last = len(SPIKES) - missing
    near, far = (target(RECORDED).distance(trace(SPIKES[:count])) for count in (last, last - 1))
    assert near < far


@pytest.mark.parametrize(
    ("change", "columns"),
    [({"peak": 45.0}, [(5, 5), (5, 5)]), ({"width": 1.25}, [(0.25, 0.25), (0.25, 0.25)])],
)
def test_shapes_are_weighed_by_their_units(change, columns):
    """A peak 5 mV higher, or spikes 0.25 ms wider, in the median and in the first spike: a unit each. The width at
    half height and the onset follow a little."""
    units = [error / unit for error, unit in columns]
    wanted = sum(16 * x * x / (16 + x * x) for x in units)
    assert target(RECORDED).distance(trace(SPIKES, **change)) == pytest.approx(wanted, rel=0.15)


def test_the_voltage_between_spikes_counts():
    """3 mV off all the time, without a spike: one unit, of which 49/50 is left."""
    assert target(trace([])).distance(trace([], rest=REST + 3)) == pytest.approx(49 / 50)


def test_one_that_never_rests_is_as_far_between_spikes_as_can_be():
    """With spikes every 20 ms no sample is left between them: that is no agreement, be it at whatever voltage."""
    silent, busy = target(trace([])), np.arange(5.0, 395.0, 20.0)
    assert silent.distance(trace(busy)) == pytest.approx(MANY**2 * 400 / (MANY**2 + 400) + ABSENT + MANY**2, rel=0.01)
    assert silent.distance(trace(busy)) > silent.distance(trace(busy[::3], rest=REST + 30))
    assert (
        target(trace(busy)).distance(trace(busy, rest=REST + 3)) < 4
    )  # the recording does not rest either: by shapes alone


def test_the_lowest_voltage_after_a_spike_is_that_of_the_next_30_ms():
    """A dip later on is of no spike, whether another one follows or not; one in time counts, once for the medians."""
    time = DT * np.arange(round(LENGTH_MS / DT))

    def dip(at):
        return -20 * np.exp(-0.5 * ((time - at) / 2) ** 2)

    one = trace([100.0])
    assert target(one).distance(one + dip(180)) < 2.5  # the rms between spikes alone
    assert target(one).distance(one + dip(115)) == pytest.approx(16 * 25 / (16 + 25), rel=0.15)


def test_a_trace_without_spikes_is_far_from_one_with_and_the_other_way():
    """All of the count, first spike and times; of the shapes where they are recorded."""
    count = len(SPIKES)
    silent = MANY**2 * count**2 / (MANY**2 + count**2)
    assert target(RECORDED).distance(trace([])) == pytest.approx(silent + ABSENT + FEW**2 * len(SHAPE), rel=0.01)
    assert target(trace([])).distance(RECORDED) > ABSENT


def test_stimuli_are_averaged():
    two = np.concatenate([RECORDED, RECORDED], axis=1)
    half = np.concatenate([RECORDED, trace(SPIKES + 8.0)], axis=1)
    assert target(two).distance(half) == pytest.approx(target(RECORDED).distance(trace(SPIKES + 8.0)) / 2, rel=0.01)


def test_a_trace_that_is_not_finite_is_as_far_as_can_be():
    assert target(RECORDED).distance(np.full_like(RECORDED, np.nan)) == target(RECORDED).largest()


def test_a_rest_that_is_off_counts_for_itself():
    """Before a step all is 4 mV off, in the step nothing: two units of rest, beside what lies between spikes."""
    current = np.where(DT * np.arange(round(LENGTH_MS / DT)) >= 100, 0.1, 0.0)
    recorded, moved = trace([]), trace([])
    moved[..., :1000] += 4
    known = Target.of(Recording(recorded, current, DT, "recorded")).distance(moved)
    assert known - target(recorded).distance(moved) == pytest.approx(MANY**2 * 4 / (MANY**2 + 4))
