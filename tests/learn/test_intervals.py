"""Conformal intervals hold what they promise, whatever the errors are like, and are narrow where the members agree."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from nrn_mlfit.learn.intervals import LEVELS, UNCALIBRATED, calibrate, calibration_from, coverage
from nrn_mlfit.learn.widths import learn_widths


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
    held = coverage(calibrate(*members(random, 5000, UNEVEN[noise])[::-1]).bounds(answers), truth)
    assert np.abs(held - np.array(LEVELS)[:, None]).max() < 0.02


def test_they_are_narrower_than_constant_ones_where_the_spread_tells_the_error():
    random = np.random.default_rng(2)
    made = calibrate(*members(random, 5000, UNEVEN["of any size"])[::-1])
    truth, answers = members(random, 5000, UNEVEN["of any size"])
    width = 2 * made.half_widths(answers).mean(axis=1)
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


def test_where_errors_hang_on_the_place_in_the_range_so_do_the_widths():
    """Members that agree everywhere, but are wrong by a Gaussian error of 0.01 below and 0.1 above the middle."""
    random = np.random.default_rng(5)

    def sets(count):
        truth = random.uniform(-1, 1, (count, 2))
        return np.repeat((truth + random.normal(0, np.where(truth < 0, 0.01, 0.1)))[None], 3, axis=0), truth

    made = calibrate(*sets(9000))
    answers = np.repeat(np.array([[[-0.7, -0.7], [0.7, 0.7]]]), 3, axis=0)
    low, high = made.half_widths(answers)[2]
    assert (low < high / 4).all() and high == pytest.approx(1.645 * 0.1, rel=0.3)  # 90 % of a Gaussian


def test_errors_that_nothing_tells_get_one_width_or_nearly():
    random = np.random.default_rng(6)
    truth = random.uniform(-1, 1, (9000, 2))
    answers = np.repeat((truth + random.normal(0, 0.05, truth.shape))[None], 3, axis=0)
    made = calibrate(answers, truth)
    inside = (np.abs(truth) < 0.8).all(axis=1)  # at the ends the range cuts the errors
    half = made.half_widths(answers[:, inside])[2]
    assert half.std(axis=0).max() < 0.15 * half.mean()


def test_widths_are_learned_to_the_same_bits_again_and_leave_random_numbers_alone():
    import torch

    answers = np.random.default_rng(7).normal(size=(3, 700, 2))
    torch.manual_seed(1)
    state = torch.get_rng_state()
    one, other = (learn_widths(answers, np.abs(answers[0])) for _ in range(2))
    assert np.array_equal(one.of(answers), other.of(answers)) and torch.equal(state, torch.get_rng_state())


def test_a_calibration_survives_being_arrays_and_other_levels_are_refused():
    random = np.random.default_rng(8)
    truth, answers = members(random, 3000, UNEVEN["of any size"])
    made = calibrate(answers, truth)
    again = calibration_from(made.arrays())
    assert np.array_equal(again.bounds(answers), made.bounds(answers)) and again.sets == made.sets == 2000
    assert np.array_equal(again.constant, made.constant)
    with pytest.raises(ValueError, match="levels"):
        calibration_from({**made.arrays(), "levels": np.array([0.5])})
