"""Resampling: tones below the new limit stay, tones above it vanish instead of coming back as others."""

import re

import numpy as np
import pytest
from pytest import approx

from nrn_mlfit.errors import RecordingError
from nrn_mlfit.recordings import Recording, resampled

T, DT = 20_000, 0.02  # 400 ms at 50 kHz


def tone(kilohertz, dt=DT, count=T):
    return np.sin(2 * np.pi * kilohertz * dt * np.arange(count))


def middle(values):
    """Without the ends, where a filter has only one side."""
    return values[values.size // 10 : -values.size // 10]


@pytest.mark.parametrize("dt", [0.01, 0.025, 0.04, 0.05, 0.1])
def test_a_slow_tone_stays_what_it_was(dt):
    new = resampled(Recording(-60 + 10 * tone(0.2), None, DT), dt)
    assert new.dt == dt and new.duration == approx(400, abs=dt)
    wanted = -60 + 10 * tone(0.2, dt, new.volts.shape[-1])
    assert middle(new.volts[0, 0]) == approx(middle(wanted), abs=0.05)


def test_a_tone_that_the_new_rate_cannot_hold_vanishes():
    whole = Recording(-60 + 10 * tone(9.0), None, DT)
    new = resampled(whole, 0.1)  # 10 kHz holds up to 5 kHz; 9 kHz would come back as 1 kHz
    assert np.abs(middle(new.volts[0, 0]) + 60).max() < 0.05
    assert np.abs(middle(whole.volts[0, 0][::5]) + 60).max() > 9  # what picking each fifth sample does


def test_a_command_keeps_its_levels_and_a_measured_current_is_filtered():
    current = np.where(np.arange(T) >= 7000, 0.3, 0.0)
    volts = np.full(T, -70.0)
    new = resampled(Recording(volts, current, DT, source={"current": "commanded"}), 0.1)
    assert set(np.unique(new.currents)) == {0.0, 0.3} and np.argmax(new.currents[0] > 0) == 1400
    measured = resampled(Recording(volts, 0.1 * tone(9.0), DT, source={"current": "measured"}), 0.1)
    assert np.abs(middle(measured.currents[0])).max() < 0.001


def test_probes_stimuli_and_source_are_kept():
    whole = Recording(np.full((2, 3, 100), -70.0), np.zeros((3, 100)), 0.1, "a", {"file": "a"}, {"g": 1.0}, ("x",))
    new = resampled(whole, 0.05)
    assert new.volts.shape == (2, 3, 200) and new.currents.shape == (3, 200)
    assert new.source == {"file": "a", "resampled_from_ms": 0.1} and new.truth == {"g": 1.0} and new.warnings == ("x",)
    assert resampled(whole, 0.1) is whole


BAD = [
    (0.0, "a: the new sample step must be above 0 ms, got 0.0"),
    (np.nan, "a: the new sample step must be above 0 ms, got nan"),
    (1e9, "a: a step of 0.1 ms cannot be made into one of 1e+09 ms; choose a step between 0.001 and 10 ms"),
    (60.0, "a: of 10 ms too little is left at 60 ms a sample"),
]


@pytest.mark.parametrize("dt, text", BAD)
def test_steps_that_make_no_sense(dt, text):
    with pytest.raises(RecordingError, match=f"^{re.escape(text)}$"):
        resampled(Recording(np.full(100, -70.0), None, 0.1, "a"), dt)
