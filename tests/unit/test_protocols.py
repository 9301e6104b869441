"""Protocols are told from currents of known form, with and without the noise of a measurement."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from nrn_mlfit import recordings, stimuli
from nrn_mlfit.errors import RecordingError
from nrn_mlfit.recordings import pieces
from nrn_mlfit.recordings.protocols import recognised
from nrn_mlfit.recordings.sweep import Sweep

NOISES = (0.0, 0.002, 0.01)


def noisy(current, noise, seed=0):
    return current + noise * np.random.default_rng(seed).standard_normal(current.size)


@pytest.mark.parametrize("noise", NOISES)
@pytest.mark.parametrize(
    "kind, wanted", [("reset_chirp", "chirp"), ("step", "step"), ("ramp", "ramp"), ("noise", "noise")]
)
def test_the_packages_own_stimuli(kind, wanted, noise):
    stimulus = stimuli.KINDS[kind](scale=0.2)
    assert recognised(noisy(stimulus.window, noise), stimulus.dt) == wanted


@pytest.mark.parametrize("noise", NOISES)
def test_no_change_is_none(noise):
    assert recognised(noisy(np.full(20000, -0.05), noise), 0.05) == "none"
    assert recognised(None, 0.05) == "none"


@settings(max_examples=40, deadline=None)
@given(
    st.lists(st.tuples(st.floats(30, 500), st.floats(-0.4, 0.4)), min_size=2, max_size=6),
    st.sampled_from(NOISES[:2]),
    st.sampled_from([0.02, 0.05, 0.1]),
)
def test_any_levels_are_steps(parts, noise, dt):
    levels = [level for _, level in parts]
    if np.abs(np.diff(levels)).min() < 0.05 * max(np.ptp(levels), 1e-9) or np.ptp(levels) < 0.1:
        return
    current = np.concatenate([np.full(round(length / dt), level) for length, level in parts])
    assert recognised(noisy(current, noise), dt) == "step"
    found = pieces.stretches(noisy(current, noise), dt)
    assert len(found) == len(parts)
    assert np.allclose([part.level for part in found], levels, atol=0.001)


@pytest.mark.parametrize("frequencies", [(0.5, 20), (2, 8), (10, 100), (5, 5)])
def test_sines_of_steady_or_rising_frequency_are_chirps(frequencies):
    time, (low, high) = np.arange(0, 2, 5e-5), frequencies
    phase = 2 * np.pi * (low * time + (high - low) / 4 * time**2)
    assert recognised(0.05 * np.sin(phase), 0.05) == "chirp"


RAMPS = {
    "up and held": lambda t: np.clip(t - 300, 0, 400) / 4000,
    "down": lambda t: -np.clip(t - 300, 0, 600) / 3000,
    "up and back": lambda t: np.clip(200 - np.abs(t - 500), 0, None) / 2000,
    "up and off": lambda t: np.where(t < 700, np.clip(t - 100, 0, None), 0) / 4000,
}


@pytest.mark.parametrize("noise", NOISES[:2])
@pytest.mark.parametrize("name", RAMPS)
def test_ramps_of_any_form(name, noise):
    assert recognised(noisy(RAMPS[name](np.arange(20000) * 0.05), noise), 0.05) == "ramp"


@pytest.mark.parametrize("seed", range(8))
def test_noise_of_any_seed_is_noise(seed):
    stimulus = stimuli.noise(scale=0.1, seed=seed, total=1000)
    assert recognised(stimulus.current, stimulus.dt) == "noise"


@settings(max_examples=100, deadline=None)
@given(st.integers(2, 300), st.integers(0, 10_000), st.sampled_from([0.001, 0.05, 0.5, 20.0]))
def test_any_current_has_a_protocol(size, seed, dt):
    current = np.random.default_rng(seed).choice([0.0, 0.1, 0.3, -1e5], size)
    assert recognised(current, dt) in ("step", "ramp", "chirp", "noise", "none")


def test_mixed_protocols_say_which_sweeps():
    sweeps = [Sweep(k, "", protocol=name) for k, name in enumerate(["step", "none", "ramp", "step"])]
    with pytest.raises(
        RecordingError, match=r"^a\.abf: mixes protocols: step \(sweep 0, 3\), ramp \(sweep 2\); take one of"
    ):
        recordings.one_protocol(sweeps, "a.abf")
    assert recordings.one_protocol(sweeps[:2], "a.abf") == "step"
    assert recordings.one_protocol([Sweep(0, "", problem="x")], "a.abf") == "none"
