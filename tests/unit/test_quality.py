"""Quality figures against cells whose resistance, time constant, rest and bridge error are known by formula."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pytest import approx

from nrn_mlfit import recordings
from nrn_mlfit.errors import RecordingError
from nrn_mlfit.recordings import Recording, quality

pytestmark = pytest.mark.filterwarnings("error::RuntimeWarning")
DT = 0.05


def white(size, seed=11):
    return np.random.default_rng(seed).standard_normal(size)


def command(amplitude, delay=200.0, length=500.0, total=1500.0, dt=DT, holding=0.0):
    time = np.arange(round(total / dt)) * dt
    return holding + np.where((time >= delay) & (time < delay + length), amplitude, 0.0)


def passive(current, resistance=150.0, tau=20.0, rest=-70.0, bridge=0.0, noise=0.0, dt=DT):
    """The voltage of R and C in parallel behind a bridge error, exact for a current that holds between samples.

    tau dV/dt = rest - V + R I, so V <- V_inf + (V - V_inf) exp(-dt / tau) from sample to sample.
    """
    keep, volts = np.exp(-dt / tau), np.empty(current.size)
    value = rest + resistance * current[0]
    for k, amplitude in enumerate(current):
        volts[k] = value
        end = rest + resistance * amplitude
        value = end + (value - end) * keep
    return volts + bridge * current + noise * white(current.size)


def figures(volts, current, dt=DT):
    return quality.measured(Recording(volts, current, dt))


def spiking(times, height=100.0, width=1.0, total=1500.0, base=-60.0, noise=0.02):
    """Spikes as triangles from base - their height and half width are `height` and `width` by construction."""
    time = np.arange(round(total / DT)) * DT
    volts = base + noise * white(time.size)
    for at in times:
        volts = np.maximum(volts, base + height * (1 - np.abs(time - at) / width))
    return volts


# --- what steps tell


@settings(max_examples=25, deadline=None)
@given(
    st.floats(60, 400),
    st.floats(5, 40),
    st.floats(-85, -55),
    st.floats(-10, 40),
    st.sampled_from([0.025, 0.05, 0.1]),
)
def test_the_membrane_of_a_passive_cell_is_found(resistance, tau, rest, bridge, dt):
    amplitude = -10 / resistance  # 10 mV down
    current = command(min(amplitude, -0.025), dt=dt)
    found = figures(passive(current, resistance, tau, rest, bridge, noise=0.03, dt=dt), current, dt)
    assert found.rest_mv == approx(rest, abs=0.02)
    assert found.input_resistance_mohm == approx(resistance + bridge, rel=0.02)
    assert found.tau_ms == approx(tau, rel=0.05)
    assert found.bridge_mohm == approx(bridge, abs=2.5)
    assert found.noise_mv == approx(0.03, rel=0.12) and found.holding_pa == approx(0, abs=1e-9)


def test_holding_current_and_resting_voltage_under_it():
    current = command(-0.05, holding=-0.1)
    found = figures(passive(current, 100.0, 15.0, -65.0), current)
    assert found.rest_mv == approx(-75) and found.holding_pa == approx(-100)
    assert found.input_resistance_mohm == approx(100, rel=0.01)


@settings(max_examples=40, deadline=None)
@given(
    resistance=st.floats(60, 400),
    tau=st.floats(5, 40),
    deep=st.floats(31, 80),
    small=st.floats(8, 25),
    gap=st.floats(20, 700),
    up=st.booleans(),
)
def test_a_step_counts_only_if_its_baseline_has_settled(resistance, tau, deep, small, gap, up):
    """After a step too large to measure on, of 300 ms: what is left of it falls as exp(-t / tau), whatever the resistance."""
    first, second = (deep if up else -deep) / resistance, -small / resistance
    current = np.concatenate([np.zeros(4000), np.full(6000, first), np.zeros(round(gap / DT)), np.full(10000, second)])
    found = figures(passive(current, resistance, tau, -70.0), current)
    span = min(gap, 100.0)
    left = abs(first / second) * tau / span * (np.exp((span - gap) / tau) - np.exp(-gap / tau))
    assert found.input_resistance_mohm is None or found.input_resistance_mohm == approx(resistance, rel=0.015)
    assert found.tau_ms is None or found.tau_ms == approx(tau, rel=0.02)
    if left < 0.005 or left > 0.02:
        assert (found.input_resistance_mohm is None) == (left > 0.02)


def test_a_measured_current_that_wanders_slowly_is_no_response_to_come_to_rest_from():
    """2 pA over 3 s, as amplifiers do, before -50 pA: the membrane follows it 13 fA behind (2 pA / 3 s times 20 ms).

    The step's size is told by the medians of the stretches, which the wander brings 1.2 pA nearer to each other.
    """
    current = command(-0.05, delay=3000, total=4000)
    current += np.linspace(0, 0.002 * 4 / 3, current.size)
    found = figures(passive(current, 150.0, 20.0), current)
    assert found.input_resistance_mohm == approx(150, rel=1.2 / 48.8) and found.tau_ms == approx(20, rel=0.02)


def test_another_step_is_taken_where_a_baseline_has_not_settled():
    """100 pA 200 ms after 200 pA, for a membrane of 40 ms: 1.2 of 20 mV are left by then; later 90 pA from rest."""
    current = np.zeros(42000)
    current[4000:10000], current[14000:22000], current[32000:40000] = -0.2, -0.1, -0.09
    found = figures(passive(current, 200.0, 40.0), current)
    assert found.input_resistance_mohm == approx(200, rel=0.005) and found.tau_ms == approx(40, rel=0.01)
    cut = figures(passive(current, 200.0, 40.0)[:24000], current[:24000])
    assert cut.input_resistance_mohm is None and cut.tau_ms is None


def test_a_measured_current_with_noise_tells_as_much():
    clean = command(-0.06)
    current = clean + 0.002 * white(clean.size, 12)
    found = figures(passive(clean, 150.0, 20.0, -70.0, 12.0, noise=0.05), current)
    assert found.input_resistance_mohm == approx(162, rel=0.02) and found.tau_ms == approx(20, rel=0.07)
    assert found.bridge_mohm == approx(12, abs=2)


def test_the_pipettes_own_transient_is_no_part_of_the_time_constant():
    current = command(-0.06)
    time = np.arange(current.size) * DT
    transient = np.where(time >= 200, -6 * np.exp(-np.maximum(time - 200, 0) / 0.3), 0.0)
    assert figures(passive(current, tau=10.0, noise=0.03) + transient, current).tau_ms == approx(10, rel=0.02)


def test_a_small_step_up_serves_where_none_goes_down():
    current = command(0.03)
    found = figures(passive(current), current)
    assert found.input_resistance_mohm == approx(150, rel=0.01) and found.tau_ms == approx(20, rel=0.02)


def test_steps_with_spikes_tell_no_resistance():
    current = command(0.2)
    volts = np.maximum(passive(current, 100.0), spiking([300, 400]))
    found = figures(volts, current)
    assert found.input_resistance_mohm is None and found.tau_ms is None


def test_without_a_current_only_the_voltage_is_judged():
    found = quality.measured(Recording(passive(command(-0.05)), None, DT))
    assert found.rest_mv == approx(-70, abs=0.01)
    assert found.bridge_mohm is found.input_resistance_mohm is found.tau_ms is None


# --- spikes


@pytest.mark.parametrize("width", [0.8, 1.0, 2.0])
def test_height_and_width_of_a_spike(width):
    found = figures(spiking([300], 100.0, width), None)
    assert found.spike_height_mv == approx(100, rel=0.03)
    assert found.spike_width_ms == approx(width, rel=0.05)  # at half height a triangle is as wide as each of its sides


def test_drift_of_height_and_width_within_a_sweep():
    volts = np.maximum(spiking([300], 100.0, 1.0), spiking([900], 80.0, 1.5))
    found = figures(volts, None)
    assert found.height_drift == approx(-0.2, abs=0.03) and found.width_drift == approx(0.5, abs=0.06)


def test_clipped_spikes_are_counted():
    volts = np.minimum(spiking([300, 500, 700]), 20.0)
    found = figures(volts, None)
    assert found.clipped == 3
    assert quality.failures(found) == ("3 spikes with a flat top: clipped by the amplifier",)
    assert figures(spiking([300, 500, 700]), None).clipped == 0


# --- what fails


def passes(**more):
    return quality.failures(quality.Quality(rest_mv=-70.0, **more))


def test_a_good_sweep_does_not_fail():
    current = command(-0.05)
    assert quality.failures(figures(passive(current, noise=0.03), current)) == ()


@pytest.mark.parametrize("drift, fails", [(0.8, False), (1.3, True), (-1.3, True)])
def test_drift_is_the_end_against_the_baseline(drift, fails):
    current = command(-0.05, delay=500, total=2500)
    volts = passive(current, noise=0.03)
    volts[current.size * 3 // 5 :] += drift
    found = figures(volts, current)
    assert found.drift_mv == approx(drift, abs=0.05)
    assert bool(quality.failures(found)) == fails
    if fails:
        assert quality.failures(found) == (f"the baseline drifts by {found.drift_mv:+.2f} mV (limit 1)",)
        assert quality.failures(found, "ramp") == ()  # the membrane has not come back there


def test_the_voltage_under_a_stimulus_that_fills_the_sweep_is_no_noise():
    """A sine of 60 Hz and 20 mV with spikes on it, in 0.05 mV of noise."""
    time = DT * np.arange(20_000)
    spikes = 100 * np.exp(-0.5 * (((time + 5) % 50 - 25) / 0.4) ** 2)
    volts = -60 + 20 * np.sin(2 * np.pi * 0.06 * time) + spikes + 0.05 * white(time.size)
    assert figures(volts, 0.1 * np.sin(2 * np.pi * 0.06 * time + 0.3)).noise_mv == approx(0.05, rel=0.3)


def test_noise_slow_noise_and_a_jump_of_the_noise():
    current = command(-0.05, delay=500, total=2500)
    volts = passive(current)
    assert figures(volts + 0.6 * white(volts.size), current).noise_mv == approx(0.6, rel=0.05)
    slow = figures(volts + 1.0 * np.sin(np.arange(volts.size) * DT / 50) + 0.02 * white(volts.size), current)
    assert slow.slow_noise_mv == approx(1 / np.sqrt(2), rel=0.1)
    assert "slow noise of" in " ".join(quality.failures(slow))
    jumping = volts + np.where(np.arange(volts.size) > volts.size / 2, 0.25, 0.05) * white(volts.size)
    found = figures(jumping, current)
    assert found.noise_jump == approx(5, rel=0.1)
    assert quality.failures(found) == (f"the noise jumps {found.noise_jump:.1f}-fold (limit 3)",)


def test_missing_samples_are_found_where_there_is_noise():
    current = command(-0.05)
    volts = passive(current, noise=0.03)
    volts[20000:20400] = volts[20000]
    found = figures(volts, current)
    assert found.missing_ms == approx(20, abs=0.1)
    assert quality.failures(found) == (f"{found.missing_ms:.3g} ms of equal samples: data are missing",)
    assert figures(passive(current), current).missing_ms == 0  # a simulation without noise rests on one value


def test_the_bridge_error_is_compared_with_the_input_resistance():
    assert passes(bridge_mohm=19.0) == ()
    assert passes(bridge_mohm=21.0) == ("a bridge error of 21.0 MOhm (limit 20)",)
    assert passes(bridge_mohm=-21.0) == ("a bridge error of -21.0 MOhm (limit 20)",)
    assert passes(bridge_mohm=12.0, input_resistance_mohm=60.0) == ("a bridge error of 12.0 MOhm (limit 9)",)


def test_fast_noise_fails_beyond_half_a_millivolt():
    assert passes(noise_mv=0.4) == ()
    assert passes(noise_mv=0.6) == ("noise of 0.600 mV in 1.5 ms (limit 0.5)",)


def test_sweeps_are_compared_with_each_other():
    sweeps = [
        quality.Quality(rest_mv=-70.0, holding_pa=0.0, spike_height_mv=90.0, spike_width_ms=1.0) for _ in range(4)
    ]
    odd = quality.Quality(rest_mv=-65.0, holding_pa=0.0, spike_height_mv=60.0, spike_width_ms=1.6)
    found = quality.across([*sweeps, odd])
    assert found[:4] == [()] * 4
    assert found[4] == (
        "rest is +5.0 mV from the other sweeps' -70.0 (limit 3)",
        "spike height is -30 mV from the other sweeps' 90 (limit 20%)",
        "spike width is +0.60 ms from the other sweeps' 1.00 (limit 30%)",
    )


def test_another_holding_current_is_no_drift():
    held = [quality.Quality(rest_mv=-70.0 - k, holding_pa=-10.0 * k) for k in range(6)]
    assert quality.across(held) == [()] * 6


def test_no_figure_is_nan():
    assert quality.Quality(drift_mv=float("nan"), noise_mv=float("inf")) == quality.Quality()


@settings(max_examples=60, deadline=None)
@given(st.integers(2, 400), st.integers(0, 10_000), st.sampled_from([0.01, 0.05, 0.25, 5.0]), st.booleans())
def test_any_short_recording_has_figures(size, seed, dt, steps):
    rng = np.random.default_rng(seed)
    current = rng.choice([0.0, 0.1, -0.2], size) if steps else rng.normal(0, 0.1, size)
    found = figures(rng.normal(-60, 30, size), np.sort(current) if seed % 2 else current, dt)
    assert np.isfinite(found.rest_mv)


def test_the_noise_of_a_recording_is_that_of_its_loudest_sweep_without_potentials():
    """Slow noise beyond Allen's 0.5 mV is the cell's; what is not measured says nothing."""
    known = [(0.05, 0.2), (0.08, 0.4), (0.06, 0.7), (0.01, None), (None, None)]
    sweeps = [quality.Quality(noise_mv=fast, slow_noise_mv=slow) for fast, slow in known]
    found = quality.loudest(sweeps)
    assert (found.fast_mv, found.slow_mv, found.restless, found.mv) == (0.08, 0.4, 1, 0.4)
    assert quality.loudest([sweeps[2]]).mv == 0.06
    assert quality.loudest([]).mv == 0


def test_the_noise_of_a_file_is_what_was_put_there(tmp_path):
    current = command(0.1)
    volts = passive(current, noise=0.3)
    Recording(volts, current, DT).save(tmp_path / "noisy.npz")
    found = recordings.noise(tmp_path / "noisy.npz")
    assert found.fast_mv == approx(0.3, rel=0.05) and found.slow_mv == approx(0.3, rel=0.05)


def test_a_file_without_noise_is_one_sentence(tmp_path):
    current = command(0.1)
    Recording(passive(current), current, DT).save(tmp_path / "still.npz")
    with pytest.raises(RecordingError) as error:
        recordings.noise(tmp_path / "still.npz")
    assert str(error.value) == (
        f"{tmp_path / 'still.npz'}: tells of no noise (is it simulated?); give the noise as a number in mV"
    )
