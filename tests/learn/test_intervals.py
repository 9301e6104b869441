"""Conformal intervals hold what they promise, whatever the errors are like, and are narrow where the members agree."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from nrn_mlfit.learn.intervals import LEVELS, UNCALIBRATED, Calibration, calibrate, calibration_from, coverage


def members(random, sets, noise):
    """truth (N, 2) and answers (4, N, 2): an error that all have in common, of a size that the spread tells, and one each."""
    truth = random.uniform(-1, 1, (sets, 2))
    size = noise(random, (sets, 1)) * np.array([0.05, 0.2])
    common, own = random.normal(0, 1, (sets, 2)) * size, random.normal(0, 1, (4, sets, 2)) * size
    return truth, truth + common + own


UNEVEN = {
    "all alike": lambda random, shape: np.ones(shape),
    "a tenth far worse": lambda random, shape: np.where(random.uniform(size=shape) < 0.1, 5.0, 0.3),
    "of any size": lambda random, shape: random.lognormal(0, 1, shape),
}


@pytest.mark.parametrize("noise", UNEVEN)
def test_other_sets_are_held_as_often_as_promised(noise):
    random = np.random.default_rng(1)
    truth, answers = members(random, 20_000, UNEVEN[noise])
    held = coverage(calibrate(answers, truth).bounds(answers), truth)
    truth, answers = members(random, 20_000, UNEVEN[noise])
    held = coverage(calibrate(*members(random, 5000, UNEVEN[noise])[::-1]).bounds(answers), truth)
    assert np.abs(held - np.array(LEVELS)[:, None]).max() < 0.02


def test_they_are_narrower_than_constant_ones_where_the_spread_tells_the_error():
    random = np.random.default_rng(2)
    made = calibrate(*members(random, 5000, UNEVEN["of any size"])[::-1])
    truth, answers = members(random, 5000, UNEVEN["of any size"])
    width = 2 * made.half_widths(answers.std(axis=0)).mean(axis=1)
    assert (width[2:] < 0.9 * 2 * made.constant[2:]).all()


def test_constant_ones_hold_as_often_too():
    random = np.random.default_rng(4)
    made = calibrate(*members(random, 5000, UNEVEN["of any size"])[::-1])
    truth, answers = members(random, 20_000, UNEVEN["of any size"])
    inside = np.abs(np.clip(answers.mean(axis=0), -1, 1) - truth) <= made.constant[:, None]
    assert np.abs(inside.mean(axis=1) - np.array(LEVELS)[:, None]).max() < 0.02


@settings(max_examples=50, deadline=None)
@given(st.integers(1, 60), st.integers(0, 2**32))
def test_few_sets_make_wide_intervals_and_never_too_narrow_ones(sets, seed):
    """The rank of Lei et al.: where the sets are too few to say, all of the range."""
    random = np.random.default_rng(seed)
    truth, answers = members(random, sets, UNEVEN["all alike"])
    made = calibrate(answers, truth)
    bounds = made.bounds(answers)
    for level, (low, high) in zip(LEVELS, bounds, strict=True):
        if np.ceil((made.sets + 1) * level) > made.sets:
            assert (low == -1).all() and (high == 1).all()
    assert (np.diff(bounds[:, 1] - bounds[:, 0], axis=0) >= 0).all()  # a higher level is never narrower


def test_members_that_agree_completely_have_intervals_all_the_same():
    truth = np.random.default_rng(3).uniform(-1, 1, (500, 2))
    answers = np.repeat((truth + 0.1)[None], 3, axis=0)
    low, high = calibrate(answers, truth).bounds(answers)[2]
    assert ((low <= truth) & (truth <= high)).mean() >= 0.9


def test_without_calibration_all_that_is_known_is_the_range():
    bounds = UNCALIBRATED.bounds(np.zeros((3, 5, 2)))
    assert (bounds[:, 0] == -1).all() and (bounds[:, 1] == 1).all()


def test_a_calibration_survives_json_and_other_levels_are_refused():
    made = Calibration(np.array([0.1, 0.2]), np.arange(8.0).reshape(4, 2), 77, np.arange(8.0, 16).reshape(4, 2))
    again = calibration_from(made.to_json())
    assert np.array_equal(again.quantiles, made.quantiles) and again.sets == 77
    assert np.array_equal(again.constant, made.constant)
    with pytest.raises(ValueError, match="levels"):
        calibration_from({**made.to_json(), "levels": [0.5]})
