"""A fitted cell beside repeats of a sweep: means, standard deviations and z by their formulas, and which sweeps are repeats."""

import json
import statistics
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pytest import approx

from nrn_mlfit import features, repeats, transfer
from nrn_mlfit.errors import RecordingError
from nrn_mlfit.recordings import Recording

DT = 0.1
TIME = np.arange(0, 300, DT)
STEP = np.where((TIME >= 50) & (TIME < 250), 0.2, 0.0)
SPIKES = np.arange(70.0, 240.0, 40.0)


def trace(base=-70.0, spikes=()):
    """At `base` mV, 10 mV higher a little after the step began, with spikes of 100 mV and 1 ms."""
    return (
        base
        + 50 * np.roll(STEP, 10)
        + sum((100 * np.exp(-0.5 * ((TIME - at) / 0.4247) ** 2) for at in spikes), np.zeros(TIME.size))
    )


def sweep(base=-70.0, spikes=(), current=STEP):
    return Recording(trace(base, spikes), current, DT)


def by_name(found):
    return {feature.name: feature for feature in found}


@settings(max_examples=15, deadline=None)
@given(st.lists(st.floats(-90, -50), min_size=2, max_size=5, unique_by=lambda x: round(x, 1)), st.floats(-90, -50))
def test_z_is_the_distance_from_the_mean_in_standard_deviations(bases, fitted):
    pytest.importorskip("efel", reason="no eFEL here; it comes with nrn_mlfit[efel]")
    found = by_name(features.over([trace(base) for base in bases], trace(fitted), STEP, DT))["voltage_base"]
    mean, sd = statistics.fmean(bases), statistics.stdev(bases)
    assert (found.count, found.mean, found.sd, found.fitted) == approx((len(bases), mean, sd, fitted), rel=1e-6)
    assert found.z == approx((fitted - mean) / sd, rel=1e-5)


def test_what_does_not_vary_or_is_not_there_has_no_z():
    pytest.importorskip("efel", reason="no eFEL here; it comes with nrn_mlfit[efel]")
    alike = by_name(features.over([trace(-70, SPIKES), trace(-71, SPIKES)], trace(-70), STEP, DT))
    assert (alike["spike_count"].sd, alike["spike_count"].fitted, alike["spike_count"].z) == (0, 0, None)
    assert alike["AP_amplitude"].mean == approx(90, abs=15) and alike["AP_amplitude"].z is None
    one = by_name(features.over([trace(-70, SPIKES), trace(-71)], trace(-70, SPIKES), STEP, DT))
    assert (one["AP_amplitude"].count, one["AP_amplitude"].sd, one["AP_amplitude"].z) == (1, None, None)
    assert one["spike_count"].z == approx((len(SPIKES) - len(SPIKES) / 2) / statistics.stdev([0, len(SPIKES)]))
    equal = by_name(features.over([trace(-70.1)] * 3, trace(-70), STEP, DT))
    assert equal["voltage_base"].sd == 0 and equal["voltage_base"].z is None  # but for rounding


def test_rms_from_each_other_and_from_the_fitted_cell():
    """Of traces that are 0, 1 and 2 mV up, and a cell 10 mV up: 1, 2 and 1 mV; 10, 9 and 8 mV."""
    found = repeats.compare([sweep(-70), sweep(-69), sweep(-68)], trace(-60)[None, None])
    assert (found.count, found.rms_among, found.rms) == approx((3, 4 / 3, 9))
    assert found.lines()[0] == (
        "3 repeats under this current: rms difference 1.33 mV from each other; the fitted cell's from them 9.00 mV, "
        "6.8 times as much"
    )


def test_lines_tell_z_and_in_one_line_what_no_repeat_has():
    pytest.importorskip("efel", reason="no eFEL here; it comes with nrn_mlfit[efel]")
    lines = repeats.compare([sweep(-70), sweep(-69), sweep(-68)], trace(-60, SPIKES)[None, None]).lines()
    assert "  voltage before the stimulus: repeats -69 mV +- 1, fitted cell -60, z = +9.0" in lines
    assert "  spikes: repeats 0 +- 0, fitted cell 5" in lines
    assert lines[-1].startswith("  of the fitted cell alone: firing rate, first spike") and len(lines) == 6


def test_without_efel_the_rms_is_told(monkeypatch):
    monkeypatch.setattr(features, "is_there", lambda: False)
    assert len(repeats.compare([sweep(-70), sweep(-69)], trace(-60)[None, None]).lines()) == 1


def test_repeats_are_sweeps_under_one_current_but_for_its_noise():
    noise = np.random.default_rng(3).normal(0, 0.005, (2, TIME.size))
    one, two = sweep(current=STEP + noise[0]), sweep(current=STEP + noise[1])
    others = [sweep(current=0.9 * STEP + noise[1]), sweep(current=np.roll(STEP, 100) + noise[1]), sweep(current=None)]
    others += [replace(one, dt=0.2), Recording(trace()[:2000], STEP[:2000], DT)]
    assert repeats.of(one, [two, *others, one]) == [two, one]
    assert repeats.of(sweep(), [sweep(current=0.98 * STEP)]) == [] and len(repeats.of(sweep(), [sweep()])) == 1


def test_a_transfer_is_held_against_the_readable_sweeps_of_the_file(tmp_path):
    sweep(-70).save(tmp_path / "recording.npz")
    sweep(-60).save(tmp_path / "simulated.npz")
    unreadable, other = RecordingError("sweep 2: damaged"), sweep(current=2 * STEP)
    assert transfer.beside_repeats(tmp_path, [sweep(-70), unreadable, other]) is None
    assert not (tmp_path / "repeats.json").exists()
    found = transfer.beside_repeats(tmp_path, [sweep(-70), unreadable, other, sweep(-68)])
    held = json.loads((tmp_path / "repeats.json").read_text())
    assert (held["count"], held["rms"], held["rms_among"]) == approx((2, 9, 2))
    assert [row["z"] for row in held["features"]] == [f.z for f in found.features]
