"""What a trace is like: figures that follow from how it was made."""

import numpy as np
import pytest

from nrn_mlfit.learn.traits import LEVELS, LOWEST, PLANE, SLOPES, STEEPEST, traits_of

DT = 0.02


def traits(trace):
    volts = np.asarray(trace, float)[None, None]
    return traits_of(volts, volts, DT)


def test_white_noise_is_as_rough_as_its_standard_deviation_says():
    """A second difference of independent samples has the variance 1 + 4 + 1."""
    noise = np.random.default_rng(1).normal(0, 0.5, 9000)
    assert np.exp(traits(noise).roughness).mean() == pytest.approx(0.5 * np.sqrt(6), rel=0.03)


def test_a_straight_line_has_no_roughness_and_its_course():
    line = np.linspace(-80, 40, 9000)
    held = traits(line)
    assert held.roughness == pytest.approx(np.log(0.001), abs=1e-6)
    assert held.shape[0] == pytest.approx(line.reshape(-1, 50).mean(axis=1))


def test_a_ramp_passes_the_plane_at_its_voltage_and_slope():
    ramp = -80 + 2.0 * DT * np.arange(3000)  # 2 mV/ms
    path = traits(ramp).path[0, 0].astype(int)
    level, across = np.divmod(path, SLOPES)
    assert level == pytest.approx(np.floor(ramp[:-10:10] - LOWEST), abs=1)
    assert (across == int((np.arcsinh(2) / STEEPEST + 1) * SLOPES / 2)).all()


def test_what_leaves_the_plane_counts_as_its_edge():
    path = traits([-1e6, 1e6] * 500).path
    assert path.max() < PLANE and path.dtype == np.uint16


def test_no_traces_have_no_traits():
    volts = np.zeros((0, 2, 900))
    held = traits_of(volts, volts, DT)
    assert held.shape.shape == (0, 36) and held.path.shape == (0, 2, 89)


def test_a_rest_is_told_of_in_every_bin_that_it_touches_by_its_whole_length():
    """256 equal samples from the 480th on touch the bins of 50 samples from the 9th to the 14th: 4 levels for each doubling."""
    trace = np.arange(9000.0)
    trace[480:736] = -1.0
    rests = traits(trace).rests[0]
    assert (rests[9:15] == 4 * 8).all() and (np.delete(rests, range(9, 15)) == 0).all()


def test_a_trace_that_is_flat_rests_for_all_its_length():
    rests = traits(np.zeros(9000)).rests
    assert (rests == int(4 * np.log2(9000))).all() and rests.max() < LEVELS
