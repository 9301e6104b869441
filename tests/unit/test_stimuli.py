"""Stimuli against their formulas and statistics, written out a second time; a Protocol against its parts."""

import math
import re

import numpy as np
import pytest
from pytest import approx

from nrn_mlfit import stimuli
from nrn_mlfit.errors import StimulusError
from nrn_mlfit.stimuli import Protocol, Stimulus, waveform_difference


def published(i):
    """Sample i of reset + chirp, one number at a time."""
    if i < 200 or 12668 <= i < 17000 or i >= 22800:
        return 0.0
    if i < 6000 or i >= 17000:
        return -1.0
    if i < 6500:
        return 0.75 * (i - 6000) / 499
    tau = (i - 6501) * 0.02
    turns = 0.02561 * tau + 0.00175 * tau * tau + 0.07941029863
    return 0.48865675345 + (0.5475782099 + 0.01071581923 * tau) * math.sin(2 * math.pi * turns)


def test_reset_chirp_is_its_formula_at_every_sample():
    wanted = [0.3 * published(i) for i in range(23000)]
    np.testing.assert_allclose(stimuli.reset_chirp(0.3).current, wanted, rtol=0, atol=1e-12)


@pytest.mark.parametrize(
    ("first", "last", "value"), [(0, 199, 0), (200, 5999, -2), (12668, 16999, 0), (17000, 22799, -2), (22800, 22999, 0)]
)
def test_reset_chirp_is_flat_between_its_landmarks(first, last, value):
    current = stimuli.reset_chirp(2).current
    assert set(current[first : last + 1]) == {value}
    assert value not in current[last + 1 : last + 2]


def test_reset_chirp_rises_to_three_quarters_and_ends_included():
    rise = stimuli.reset_chirp().current[6000:6500]
    assert (rise[0], rise[-1]) == (0, 0.75)
    assert np.diff(rise) == approx(0.75 / 499)


def test_the_network_sees_110_to_290_ms_of_reset_chirp():
    protocol = Protocol((stimuli.reset_chirp(),))
    assert (protocol.start, protocol.stop, protocol.length, protocol.t0, protocol.dt) == (5500, 14500, 9000, 110, 0.02)
    assert protocol.currents.shape == (1, 14500)
    assert protocol.windows[0, 0] == protocol.currents[0, 5500]


def test_a_weaker_reset_changes_the_resets_only():
    full, weak = stimuli.reset_chirp(2).current, stimuli.reset_chirp(2, reset=0.25).current
    resets = np.zeros(23000, bool)
    resets[200:6000] = resets[17000:22800] = True
    assert set(weak[resets]) == {-0.5}
    assert np.array_equal(weak[~resets], full[~resets])


def test_a_step_is_on_for_its_duration():
    current = stimuli.step(0.2, delay=10, duration=20, total=50, dt=0.1).current
    assert current.size == 500
    assert np.flatnonzero(current).tolist() == list(range(100, 300))
    assert set(current[100:300]) == {0.2}


def test_a_ramp_rises_straight_from_nought_to_its_scale():
    current = stimuli.ramp(0.4, delay=10, duration=20, total=50, dt=0.1).current
    np.testing.assert_allclose(current[100:300], np.arange(200) / 200 * 0.4, atol=1e-12)
    assert not current[:100].any() and not current[300:].any()


def test_noise_has_its_mean_spread_and_correlation_time():
    tau, dt = 3.0, 0.05
    noise = stimuli.noise(2.0, mean=0.5, tau=tau, delay=100, total=60_000, dt=dt)
    x = noise.current[round(200 / dt) :]
    several = 5 * np.sqrt(2 * tau / (x.size * dt))  # standard errors: 2 tau is the time between independent samples
    assert x.mean() == approx(1.0, abs=2 * several)
    assert x.std() == approx(2.0, rel=several)
    y = x - x.mean()
    for lag in (tau / 2, tau, 2 * tau):
        k = round(lag / dt)
        assert np.mean(y[k:] * y[:-k]) / y.var() == approx(np.exp(-lag / tau), abs=several)
    assert not noise.current[: round(100 / dt)].any()


def test_noise_is_its_seed():
    one, same, other = (stimuli.noise(seed=s).current for s in (4, 4, 5))
    assert np.array_equal(one, same)
    assert not np.array_equal(one, other)


@pytest.mark.parametrize("factor", [1e-3, 0.5, 7.0])
def test_the_waveform_difference_is_blind_to_scale(factor):
    chirp = stimuli.reset_chirp().window
    assert waveform_difference(factor * chirp, chirp) == approx(0, abs=1e-12)


def test_the_waveform_difference_is_the_share_that_no_scale_explains():
    wave, other = np.array([1.0, 1, 1, 1]), np.array([1.0, -1, 1, -1])
    assert waveform_difference(3 * wave + 0.3 * other, wave) == approx(0.3 / np.hypot(3, 0.3))


@pytest.mark.parametrize("got", [-1.0, 0.0], ids=["upside down", "nothing"])
def test_a_current_upside_down_or_none_at_all_differs_altogether(got):
    chirp = stimuli.reset_chirp().window
    assert waveform_difference(got * chirp, chirp) == np.inf


def test_a_protocol_takes_over_the_scale_of_a_measured_current():
    protocol = Protocol((stimuli.step(0.2), stimuli.ramp(0.3)))
    measured = protocol.windows * np.array([[2.5], [0.5]])
    rescaled = protocol.rescaled_to(measured)
    np.testing.assert_allclose(rescaled.windows, measured, atol=1e-15)
    assert [s.scale for s in rescaled.stimuli] == approx([0.5, 0.15])
    assert rescaled.difference(protocol.windows) == approx(0)


def test_a_protocol_without_a_current_stays_one():
    protocol = Protocol((stimuli.samples(np.zeros(100), 0.1),))
    assert protocol.difference(np.zeros((1, 100))) == 0
    assert not protocol.rescaled_to(np.zeros((1, 100))).windows.any()


def test_the_digest_changes_with_samples_step_and_window():
    digests = [
        Protocol((stimulus,)).digest()
        for stimulus in (
            Stimulus(np.arange(10.0), 0.1, 2, 8, {}),
            Stimulus(np.arange(10.0) + 1e-9, 0.1, 2, 8, {}),
            Stimulus(np.arange(10.0), 0.2, 2, 8, {}),
            Stimulus(np.arange(10.0), 0.1, 3, 8, {}),
            Stimulus(np.arange(10.0), 0.1, 2, 9, {}),
        )
    ]
    assert len(set(digests)) == 5
    unseen = np.append(np.arange(9.0), 99)  # what flows after the window changes no trace
    assert Protocol((Stimulus(unseen, 0.1, 2, 8, {}),)).digest() == digests[0]


@pytest.fixture
def piece(tmp_path):
    """A function that writes a current of 1, 2, .. 50 nA at 0.1 ms as npz or CSV."""

    def write(suffix):
        path = tmp_path / f"piece.{suffix}"
        current = np.arange(1.0, 51)
        if suffix == "npz":
            np.savez(path, current=current, dt=0.1)
        else:
            rows = [f"{0.1 * k:.1f},{x}" for k, x in enumerate(current)]
            path.write_text("time,current\n" + "\n".join(rows) + "\n")
        return path

    return write


@pytest.mark.parametrize("suffix", ["npz", "csv"])
def test_a_current_from_a_file_waits_at_the_median_of_its_first_4_ms(piece, suffix):
    stimulus = stimuli.from_file(piece(suffix), scale=2, lead=3)
    assert (stimulus.dt, stimulus.start, stimulus.stop) == (0.1, 30, 80)
    assert stimulus.window.tolist() == list(range(2, 102, 2))
    assert set(stimulus.current[:30]) == {2 * 20.5}  # the samples 1 .. 40


def test_a_file_is_looked_for_beside_the_cell_file(piece, tmp_path):
    piece("npz")
    assert stimuli.make({"kind": "file", "path": "piece.npz", "lead": 0}, tmp_path).current.size == 50


@pytest.mark.parametrize(
    ("content", "sentence"),
    [
        (
            "time,current\n0,1\n0.1,2\n0.3,3\n",
            "a.csv: the times are not evenly spaced; resample the current to one step",
        ),
        ("time,current\n0,1\n0,2\n0,3\n", "a.csv: the times are not evenly spaced; "),
        ("t,i\n0,1\n1,2\n", "a.csv: needs a first line `time,current`, then samples in ms and nA"),
        ("time,current\n0,1,2\n1\n", "a.csv: needs a first line `time,current`, then samples in ms and nA"),
        ("", "a.csv: needs a first line `time,current`, then samples in ms and nA"),
        ("time,current\n0,1\n0.1,\n", "file: the samples must be one row of finite numbers, got shape (1002,)"),
    ],
)
@pytest.mark.filterwarnings("ignore::UserWarning")
def test_a_csv_that_holds_no_current(tmp_path, content, sentence):
    (tmp_path / "a.csv").write_text(content)
    with pytest.raises(StimulusError, match="^" + re.escape(sentence)):
        stimuli.from_file(tmp_path / "a.csv")


@pytest.mark.parametrize(
    ("held", "sentence"),
    [
        ({"dt": 0.1}, "a.npz: no current inside; a stimulus needs current (T,) nA and dt ms"),
        ({}, "a.npz: no current and no dt inside; "),
        ({"current": [1, 2], "dt": [0.1, 0.2]}, "a.npz: no single dt inside; "),
        ({"current": [1, 2], "dt": 0.0}, "a.npz: needs one row of samples and a step above 0 ms, got (2,) and 0.0 ms"),
        ({"current": [1, 2], "dt": np.nan}, "a.npz: needs one row of samples and a step above 0 ms, "),
        ({"current": np.ones((2, 5)), "dt": 0.1}, "a.npz: needs one row of samples and a step above 0 ms, got (2, 5)"),
        ({"current": [1, np.nan], "dt": 0.1}, "file: the samples must be one row of finite numbers, got shape (1002,)"),
        ({"current": [], "dt": 0.1}, "file: the window [0, 0) does not lie inside its 0 samples"),
        ({"current": np.array([{}]), "dt": 0.1}, "a.npz: cannot be read (Object arrays cannot be loaded"),
    ],
)
def test_an_npz_that_holds_no_current(tmp_path, held, sentence):
    np.savez(tmp_path / "a.npz", **held)
    with pytest.raises(StimulusError, match="^" + re.escape(sentence)):
        stimuli.from_file(tmp_path / "a.npz")


def test_a_damaged_npz_and_other_files(tmp_path):
    (tmp_path / "a.npz").write_bytes(b"PK\x03\x04 and so on")
    (tmp_path / "a.wav").write_bytes(b"")
    with pytest.raises(StimulusError, match=r"^a\.npz: cannot be read \(.*\); save plain arrays with numpy\.savez$"):
        stimuli.from_file(tmp_path / "a.npz")
    with pytest.raises(
        StimulusError, match=r"^a\.wav: a stimulus file ends in \.npz or \.csv; cut one from a recording"
    ):
        stimuli.from_file(tmp_path / "a.wav")
    with pytest.raises(StimulusError, match=r"none\.npz: no such file; a stimulus file is \.npz \(current, dt\) or"):
        stimuli.from_file(tmp_path / "none.npz")


@pytest.mark.parametrize(
    ("spec", "sentence"),
    [
        ({"kind": "chirp"}, "no stimulus is called 'chirp'; there are reset_chirp, step, ramp, noise, file"),
        ({"kind": ["step"]}, "no stimulus is called ['step']; there are reset_chirp, step, ramp, noise, file"),
        ({}, "no stimulus is called None; there are reset_chirp, step, ramp, noise, file"),
        ("step", "stimulus: must be a mapping such as {kind: step, scale: 0.1}, got 'step'"),
        ({"kind": "step", "scale": 0}, "step: scale must be a number other than 0, got 0"),
        ({"kind": "step", "scale": "big"}, "step: scale must be a number, got 'big'"),
        ({"kind": "step", "scale": math.nan}, "step: scale must be a number, got nan"),
        (
            {"kind": "step", "colour": "red"},
            "step: unknown setting 'colour'; see `nrn-mlfit stimuli` for what it takes",
        ),
        ({"kind": "step", "dt": 0}, "step: dt must be above 0, got 0"),
        ({"kind": "noise", "tau": 0.0}, "noise: tau must be above 0, got 0.0"),
        ({"kind": "noise", "seed": -1}, "noise: seed must not be negative, got -1"),
        ({"kind": "noise", "seed": 1.5}, "noise: seed must be a whole number, got 1.5"),
        ({"kind": "ramp", "duration": 0}, "ramp: duration must be above 0, got 0"),
        ({"kind": "step", "total": True}, "step: total must be a number, got True"),
        ({"kind": "file", "path": "a.npz", "lead": -1}, "file: lead must not be negative, got -1"),
    ],
)
def test_a_description_that_makes_no_stimulus(spec, sentence):
    with pytest.raises(StimulusError, match="^" + re.escape(sentence) + "$"):
        stimuli.make(spec)


@pytest.mark.parametrize(
    ("settings", "sentence"),
    [
        ({"dt": 0.0}, "samples: the sample step dt must be above 0 ms, got 0.0"),
        ({"start": 5, "stop": 5}, "samples: the window [5, 5) does not lie inside its 10 samples"),
        ({"stop": 11}, "samples: the window [0, 11) does not lie inside its 10 samples"),
        ({"current": np.full(10, np.inf)}, "samples: the samples must be one row of finite numbers, got shape (10,)"),
    ],
)
def test_a_stimulus_that_exists_is_valid(settings, sentence):
    held = {"current": np.zeros(10), "dt": 0.1, "start": 0, "stop": 10, "spec": {}} | settings
    with pytest.raises(StimulusError, match="^" + re.escape(sentence) + "$"):
        Stimulus(**held)


def test_stimuli_of_one_protocol_share_step_and_window():
    with pytest.raises(
        StimulusError, match=r"^ramp: step and window 0\.1 ms \[0, 3000\) differ from those of step, 0\.02"
    ):
        Protocol((stimuli.step(), stimuli.ramp(dt=0.1)))
    with pytest.raises(StimulusError, match="^a protocol needs at least one stimulus; name one with `stimulus:`$"):
        Protocol(())
