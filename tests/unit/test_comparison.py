"""Recording and fitted cell compared: membranes known by formula, and when the two do not agree."""

import json

import numpy as np
import pytest
from pytest import approx

from nrn_mlfit import comparison
from nrn_mlfit.errors import FitError
from nrn_mlfit.recordings import Recording

DT = 0.1
TIME = np.arange(0, 1000, DT)
STEP = np.where((TIME >= 200) & (TIME < 600), -0.05, 0.0)


def membrane(resistance, tau, rest, current=STEP):
    """R and C in parallel under a step from 200 to 600 ms: V = rest + R I (1 - exp(-t/tau)), then back."""
    during = np.clip(TIME - 200, 0, 400)
    charged = 1 - np.exp(-during / tau)
    after = np.where(TIME >= 600, np.exp(-np.maximum(TIME - 600, 0) / tau), 1.0)
    return rest + resistance * current[3000] * charged * after


def spiking(times, base=-70.0):
    """A resting cell with triangular spikes of 100 mV and 2 ms at its feet."""
    spikes = [100 * np.maximum(0, 1 - np.abs(TIME - at)) for at in times]
    return base + sum(spikes, np.zeros(TIME.size))


def compared(recorded, simulated, current=STEP, unit="nA"):
    return comparison.compare(Recording(recorded, current, DT), np.asarray(simulated)[None, None], unit)


def test_both_membranes_are_those_of_the_formula():
    found = compared(membrane(150, 20, -70), membrane(220, 35, -66))
    rest, ohms, tau = found.membrane
    assert (rest.recorded, rest.fitted) == approx((-70, -66))
    assert (ohms.recorded, ohms.fitted) == approx((150, 220), rel=0.01)
    assert (tau.recorded, tau.fitted) == approx((20, 35), rel=0.02)
    assert not any(m.why for m in found.membrane)
    assert "input resistance: 150.0 MOhm recorded, 220.0 MOhm fitted cell" in found.lines()


def test_what_a_stimulus_does_not_tell_is_said():
    chirp = 0.1 * np.sin(2 * np.pi * (TIME / 100) ** 2)
    found = compared(membrane(150, 20, -70), membrane(150, 20, -70), chirp).lines()
    assert found[-1] == (
        "input resistance and time constant not measured: the stimulus has no step of 50 ms from the level at which it begins"
    ) or found[-1].startswith("rest and input resistance")
    assert compared(TIME * 0 - 70, TIME * 0 - 70, unit="").membrane[1].why == "the current has no unit"


def test_without_a_current_what_hangs_on_one_is_not_measured_and_not_judged():
    """Voltages, counts and shapes are compared all the same. The times of spikes repeat in a moving current alone."""
    found = compared(spiking([200, 300]), spiking([230, 350]), None)
    assert [(m.recorded, m.fitted) for m in (found.firing[0], *found.membrane)] == [(None, None)] * 4
    why = "the recording holds no current"
    assert found.lines()[-1] == f"rest and input resistance and time constant not measured: {why}"
    assert f"first spike not measured: {why}" in found.lines()
    assert (found.coincidence, found.disagreements) == (approx(0, abs=0.02), ())
    peak = found.firing[1]
    assert (peak.recorded, peak.fitted) == approx((30, 30)) and found.spikes_simulated == 2
    silent = compared(spiking([200, 300]), spiking([]), None)
    assert silent.disagreements == ("the fitted cell has none, the recording has 2 spikes",)


def test_a_fitted_cell_that_spikes_in_the_step_has_no_resistance():
    found = compared(membrane(150, 20, -70), np.maximum(membrane(150, 20, -70), spiking([400])))
    _, ohms, tau = found.membrane
    assert ohms.recorded == approx(150, rel=0.01) and tau.recorded == approx(20, rel=0.02)
    assert ohms.fitted is tau.fitted is None
    assert ohms.why == tau.why == "the fitted cell spikes or goes too far in every such step"
    assert any(
        line.startswith("input resistance: 150.0 MOhm recorded, not measured fitted cell (") for line in found.lines()
    )


def test_both_are_measured_in_a_step_in_which_both_are_passive():
    two = np.where((TIME >= 200) & (TIME < 400), -0.1, np.where((TIME >= 700) & (TIME < 950), -0.05, 0.0))

    def volts(resistance):
        value, held = -70.0, []
        for current in two:
            held.append(value)
            value += (DT / 10) * (-70 + resistance * current - value)
        return np.array(held)

    ohms = compared(volts(150), volts(400), two).membrane[1]  # the fitted cell goes 40 mV down under the first
    assert (ohms.recorded, ohms.fitted) == approx((150, 400), rel=0.01) and ohms.why == ""


@pytest.mark.parametrize(
    ("first", "told"),
    [
        (0.0, "the recording and the fitted cell spike or go too far in every such step that begins at rest"),
        (0.3, "no such step begins at rest: the membrane has not settled from an earlier change of the current"),
    ],
)
def test_a_step_on_a_baseline_that_has_not_settled_tells_nothing_and_that_is_said(first, told):
    """100 ms after a step too large to measure on, at 40 ms: 8% of it are left. That step, too, begins 40 ms after another."""
    pulse = np.where((TIME >= 20) & (TIME < 60), first, 0.0)
    current = pulse + np.where((TIME >= 100) & (TIME < 400), -0.5, np.where((TIME >= 500) & (TIME < 950), -0.05, 0.0))
    value, held = -70.0, []
    for amplitude in current:
        held.append(value)
        value += (DT / 40) * (-70 + 150 * amplitude - value)
    ohms, tau = compared(np.array(held), np.array(held), current).membrane[1:]
    assert ohms.recorded is ohms.fitted is tau.recorded is tau.fitted is None
    assert ohms.why == told


MANY = np.arange(100, 900, 80.0)  # 10 spikes


@pytest.mark.parametrize(
    "recorded, simulated, told",
    [
        (MANY, MANY, ""),
        (MANY, MANY[:7], ""),  # 3 of 10 are missing
        (MANY, MANY[:6], "the spike counts differ by more than a third (10 recorded, 6 simulated)"),
        (MANY[:6], MANY, "the spike counts differ by more than a third (6 recorded, 10 simulated)"),
        (MANY[:2], MANY[:1], ""),  # one spike more or less is none
        (MANY[:1], (), "the fitted cell has none, the recording has a spike"),
        ((), MANY, "the fitted cell has 10 spikes, the recording has none"),
        ((), (), ""),
        (MANY, MANY + 1.5, ""),
        (MANY, MANY + 9, "few spikes coincide (-0.04, wanted 0.5)"),
    ],
)
def test_when_spikes_do_not_agree(recorded, simulated, told):
    found = compared(spiking(recorded), spiking(simulated))
    assert found.disagreements == ((told,) if told else ())
    assert any("DOES NOT AGREE" in line for line in found.lines()) == bool(told)


@pytest.mark.parametrize("offset, noise, fails", [(2.5, 0, False), (3.5, 0, True), (3.5, 1.5, False), (6, 1.5, True)])
def test_an_offset_between_spikes_does_not_agree_where_noise_does_not_explain_it(offset, noise, fails):
    noisy = noise * np.random.default_rng(1).standard_normal(TIME.size)
    found = compared(spiking([500]) + noisy, spiking([500]) + offset)
    assert found.rms_between == approx(np.hypot(offset, noise), rel=0.03)
    assert bool(found.disagreements) == fails
    if fails:
        assert (
            found.lines()[0].startswith("DOES NOT AGREE") and "between spikes the voltage is off by" in found.lines()[0]
        )


def test_a_spike_that_comes_late_is_not_between_spikes():
    assert compared(spiking([500]), spiking([508])).rms_between == 0
    dense = np.arange(5, 1000, 20.0)
    assert compared(spiking(dense), spiking(dense)).rms_between is None


def test_a_comparison_is_read_as_it_was_written(tmp_path):
    found = compared(membrane(150, 20, -70), membrane(220, 35, -50))
    found.save(tmp_path / "comparison.json")
    assert comparison.load(tmp_path / "comparison.json") == found
    assert set(json.loads((tmp_path / "comparison.json").read_text())["membrane"][0]) == {
        *("name", "unit", "recorded", "fitted", "why")
    }


@pytest.mark.parametrize("text", ['{"rms": 1.0}', "[1]", '{"membrane": 3}', '{"membrane": [{"x": 1}]}'])
def test_another_file_is_no_comparison(tmp_path, text):
    (tmp_path / "comparison.json").write_text(text)
    with pytest.raises(FitError, match=r"is no comparison|resimulate|no JSON object"):
        comparison.load(tmp_path / "comparison.json")
