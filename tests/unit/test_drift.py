"""The slope of a drift against numpy's weighted regression, and how often none is called one."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from nrn_mlfit.drift import Course, one_way, trend


def course(values, errors, scale="linear"):
    values, errors = np.asarray(values, float), np.asarray(errors, float)
    ends = (values * np.exp(-errors), values * np.exp(errors)) if scale == "log" else (values - errors, values + errors)
    return Course("rm", "MOhm", scale, 1.0, 1000.0, values, *ends)


@settings(max_examples=30, deadline=None)
@given(st.integers(3, 20), st.integers(0, 1000), st.sampled_from(["linear", "log"]))
def test_the_slope_is_that_of_numpys_weighted_fit(count, seed, scale):
    rng = np.random.default_rng(seed)
    times, errors = np.cumsum(rng.uniform(0.1, 2, count)), rng.uniform(2, 5, count)
    values = rng.uniform(100, 400, count)
    if scale == "log":
        errors /= 10
    found = trend(times, course(values, errors, scale), "min")
    y, factor = (np.log(values), 100) if scale == "log" else (values, 1)
    (slope, _), spread = np.polyfit(times, y, 1, w=1 / errors, cov="unscaled")
    assert found.slope == pytest.approx(factor * slope, rel=1e-6, abs=1e-9)
    residual = (y - np.polyval(np.polyfit(times, y, 1, w=1 / errors), times)) / errors
    larger = max(1.0, np.sqrt(np.sum(residual**2) / (count - 2)))
    assert found.error == pytest.approx(factor * larger * np.sqrt(spread[0, 0]), rel=1e-6)
    assert found.unit == ("%/min" if scale == "log" else "MOhm/min")


def test_a_known_fall_is_found_and_none_seldom_invented():
    rng, times = np.random.default_rng(7), np.arange(15.0)
    fall = trend(times, course(300 - 4 * times + rng.normal(0, 5, 15), np.full(15, 5.0)), "min")
    assert fall.differs and fall.lo95 < -4 < fall.hi95
    called = [trend(times, course(300 + rng.normal(0, 5, 15), np.full(15, 5.0)), "min").differs for _ in range(400)]
    assert np.mean(called) < 0.06


def test_two_sweeps_tell_no_trend():
    assert trend([0, 1], course([1, 2], [1, 1]), "min") is None


def test_an_amplitude_that_grows_with_time_is_noticed():
    assert one_way([-100, -50, 0, 0, 50]) and not one_way([50, 50, 50]) and not one_way([0, 50, 25])
