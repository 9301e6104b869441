"""Draws depend on (seed, index) alone; unit and physical values are two names of one thing."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import kstest

from nrn_mlfit.errors import ParameterError
from nrn_mlfit.parameters import Parameter, ParameterSpace, share_of_range

SPACE = ParameterSpace((Parameter("g", 10, 250, "pS/um2"), Parameter("tau", 0.01, 10, "ms", "log")))


@given(st.integers(0, 2**63), st.integers(0, 2**40), st.integers(1, 30), st.integers(0, 30))
def test_any_split_of_a_range_draws_the_same_sets(seed, first, count, at):
    at = min(at, count)
    whole = SPACE.draw(seed, first, count)
    parts = [SPACE.draw(seed, first, at), SPACE.draw(seed, first + at, count - at)]
    assert np.array_equal(whole, np.concatenate(parts))


def test_draws_are_uniform_in_the_unit_range():
    draws = SPACE.draw(3, 0, 4000)
    assert draws.min() >= -1 and draws.max() < 1
    for column in draws.T:
        assert kstest(column, "uniform", (-1, 2)).pvalue > 0.01
    assert abs(np.corrcoef(draws.T)[0, 1]) < 0.05


def test_another_seed_draws_others():
    assert not np.isin(SPACE.draw(1, 0, 50), SPACE.draw(2, 0, 50)).any()


@given(st.lists(st.floats(-1.5, 1.5), min_size=2, max_size=2))
def test_unit_to_physical_and_back(unit):
    assert SPACE.to_unit(SPACE.to_phys([unit]))[0] == pytest.approx(unit, abs=1e-9)


def test_the_ends_and_the_middle_of_a_range():
    phys = SPACE.to_phys([[-1, -1], [0, 0], [1, 1]])
    assert phys[:, 0] == pytest.approx([10, 130, 250])
    assert phys[:, 1] == pytest.approx([0.01, np.sqrt(0.01 * 10), 10])


@pytest.mark.parametrize(
    ("wrong", "text"),
    [
        ((5, 2), "g: the range [5, 2] is empty or upside down; write low < high"),
        ((2, 2), "g: the range [2, 2] is empty or upside down; write low < high"),
        ((float("nan"), 2), "g: the range [nan, 2] is empty or upside down; write low < high"),
        ((0, 2, "ms", "log"), "g: a log range needs 0 < low < high, got [0, 2] ms"),
        ((1, 2, "ms", "cubic"), "g: scale is 'cubic'; write one of linear, log"),
    ],
)
def test_a_range_that_is_none(wrong, text):
    with pytest.raises(ParameterError) as error:
        Parameter("g", *wrong)
    assert str(error.value) == text


def test_names_are_their_own():
    with pytest.raises(ParameterError, match="^g: given twice; a parameter's name must be its own$"):
        ParameterSpace((Parameter("g", 1, 2), Parameter("g", 1, 2)))


@given(st.floats(-1, 1), st.sampled_from(SPACE.parameters))
def test_the_share_of_a_range_is_the_unit_parameter(unit, parameter):
    value = ParameterSpace((parameter,)).to_phys([[unit]])[0, 0]
    share = share_of_range(value, parameter.low, parameter.high, parameter.scale)
    assert share == pytest.approx((unit + 1) / 2, abs=1e-9)


def test_a_unit_is_the_same_however_its_marks_are_written():
    from nrn_mlfit.parameters import plain_unit

    assert plain_unit("mho/cm^2") == plain_unit("mho/cm2") and plain_unit("(1/ms)") == plain_unit("/ms")
    assert plain_unit("ohm-cm") == plain_unit("ohm cm") and plain_unit("µm") == plain_unit("um")
    assert plain_unit("mV") != plain_unit("uV")
