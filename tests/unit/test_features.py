"""Features by eFEL: those that eFEL itself gives, between the stimulus' own ends."""

import numpy as np
import pytest

from nrn_mlfit import features, stimuli

DT = 0.02
TIME = np.arange(0, 300, DT)
STEP = np.where((TIME >= 50) & (TIME < 250), 0.2, 0.0)


def spiking(times, height=100.0):
    """A trace at -70 mV, at -60 under the step, with spikes of `height` mV and 1 ms at half of it."""
    volts = np.where(np.roll(STEP, 10) > 0, -60.0, -70.0)  # a little after the current, as of a cell
    for at in times:
        volts = volts + height * np.exp(-0.5 * ((TIME - at) / 0.4247) ** 2)
    return volts


def test_values_are_what_efel_gives_for_the_same_trace():
    efel = pytest.importorskip("efel", reason="no eFEL here; it comes with nrn_mlfit[efel]")
    one, other = spiking([70, 110, 160, 220]), spiking([75, 140, 230], 90)
    traces = [{"T": TIME, "V": v, "stim_start": [50.0], "stim_end": [250.0]} for v in (one, other)]
    wanted = efel.get_feature_values(traces, list(features.NAMES), raise_warnings=False)
    found = features.compare(one, other, STEP, DT)
    assert [f.name for f in found] == list(features.NAMES)
    for feature in found:
        for value, held in zip((feature.recorded, feature.fitted), wanted, strict=True):
            theirs = held[feature.name]
            assert value == (None if theirs is None else pytest.approx(float(np.mean(theirs)))), feature.name


def test_values_are_those_that_the_trace_was_made_with():
    pytest.importorskip("efel", reason="no eFEL here; it comes with nrn_mlfit[efel]")
    held = {f.name: f for f in features.compare(spiking([70, 110, 160, 220]), spiking([75, 115]), STEP, DT)}
    assert (held["spike_count"].recorded, held["spike_count"].fitted, held["spike_count"].difference) == (4, 2, -2)
    assert held["voltage_base"].recorded == pytest.approx(-70, abs=1e-6)
    assert held["peak_voltage"].recorded == pytest.approx(40, abs=0.5)
    assert held["time_to_first_spike"].difference == pytest.approx(5, abs=0.11)
    assert held["inv_first_ISI"].recorded == pytest.approx(1000 / 40, rel=0.01)
    assert (held["peak_voltage"].unit, held["mean_frequency"].unit, held["ISI_CV"].unit) == ("mV", "Hz", "")


def test_a_trace_without_spikes_has_none_of_their_features():
    pytest.importorskip("efel", reason="no eFEL here; it comes with nrn_mlfit[efel]")
    held = {f.name: f for f in features.compare(spiking([70, 110]), spiking([]), STEP, DT)}
    assert held["spike_count"].fitted == 0
    assert (held["AP_amplitude"].fitted, held["AP_amplitude"].difference) == (None, None)


@pytest.mark.parametrize("noise", [0, 0.002])
@pytest.mark.parametrize("level", [0.2, -0.1])
def test_a_step_is_on_from_its_onset_to_its_end(level, noise):
    current = level * (STEP > 0) + np.random.default_rng(1).normal(0, noise, len(STEP))
    assert features.stimulus_interval(current, DT) == pytest.approx((50, 250))


def test_a_step_that_does_not_end_is_on_until_the_end():
    current = np.interp(TIME, [0, 50, 50.2, 300], [0, 0, 0.2, 0.2])  # measured: it takes some samples to rise
    assert features.stimulus_interval(current, DT) == pytest.approx((50, 300), abs=0.05)


def test_a_current_that_does_not_change_is_on_all_the_time():
    assert features.stimulus_interval(np.full(500, 0.1), 0.1) == pytest.approx((0, 50))


def test_a_chirp_is_on_from_the_reset_s_end_to_its_own():
    """Of the window from sample 5500: the ramp begins at sample 6000, the chirp ends with 12667."""
    start, stop = features.stimulus_interval(stimuli.reset_chirp(0.8, reset=0.21).window, 0.02)
    assert start == pytest.approx(10, abs=3)
    assert stop == pytest.approx((12668 - 5500) * 0.02, abs=0.5)
