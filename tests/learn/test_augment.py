"""What is done to traces is what was asked for: by formulas of filters and spectra; and what comes of training with it."""

import copy
import dataclasses
import math

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from nrn_mlfit import evaluate, shards
from nrn_mlfit.errors import EnsembleError
from nrn_mlfit.learn import Augmentation, Design, Ensemble, Settings, card, open_corpus, train, training
from nrn_mlfit.learn.augment import coloured, filtered, gaussian, numbers, quick, shifted

DT = 0.02  # ms


def sines(kilohertz, cycles=40):
    """A sine of so many kHz in a window of 4000 samples, mV."""
    return torch.sin(2 * math.pi * kilohertz * DT * torch.arange(4000)).reshape(1, 1, -1)


def constant(value=-70.0, electrodes=3, length=2000):
    return torch.full((electrodes, 1, length), value)


def test_without_anything_the_very_counts_come_back():
    counts = torch.arange(12, dtype=torch.int16).reshape(2, 1, 6)
    assert Augmentation().of_counts(counts, numbers(1, 1), DT, 1) is counts
    assert not Augmentation() and Augmentation(noise=0.1) and not Augmentation().told()


@pytest.mark.parametrize("slope", [0.0, 0.75, 1.5])
def test_the_power_of_noise_falls_as_it_should(slope):
    """The slope of log power against log frequency, of 300 periodograms under a Hann window, is -b."""
    draws, period = 300, 8192
    frequency = torch.fft.rfftfreq(period, DT)
    white = torch.view_as_complex(torch.randn((draws, 1, period // 2 + 1, 2), generator=numbers(1, 2)))
    noise = coloured(white, frequency, torch.full((draws, 1, 1), slope), None, constant(electrodes=draws, length=4096))
    power = np.abs(np.fft.rfft(noise[:, 0].numpy() * np.hanning(4096))) ** 2
    known = slice(8, 1500)
    found = np.polyfit(np.log(np.fft.rfftfreq(4096)[known]), np.log(power.mean(axis=0)[known]), 1)[0]
    assert found == pytest.approx(-slope, abs=0.03)


def test_noise_has_the_standard_deviation_that_was_drawn_log_uniformly():
    read = Augmentation(noise=0.5).of_millivolts(constant(electrodes=2000, length=300), numbers(1, 3), DT)
    size = (read + 70).std(-1, correction=0).numpy().ravel()
    assert size.min() > 0.049 and size.max() < 0.501
    shares = np.log(size / 0.05) / math.log(10)  # uniform in 0..1
    assert np.sort(shares) == pytest.approx(np.linspace(0, 1, 2000), abs=0.05)
    assert float((read.mean(-1) + 70).abs().max()) < 1e-4


def test_noise_does_not_close_up_on_itself():
    """Of slow noise the two ends of a window have no more in common than any two samples so far apart."""
    period = quick(4000)
    white = torch.view_as_complex(torch.randn((500, 1, period // 2 + 1, 2), generator=numbers(1, 4)))
    frequency = torch.fft.rfftfreq(period, DT)
    noise = coloured(white, frequency, torch.tensor(1.5), None, constant(electrodes=500))[:, 0].numpy()
    assert np.corrcoef(noise[:, 0], noise[:, -1])[0, 1] < 0


@pytest.mark.parametrize(("kilohertz", "gain"), [(1.0, 1 / math.sqrt(2)), (2.0, 0.25), (0.25, 0.5 ** (1 / 32))])
def test_a_filter_of_1_khz(kilohertz, gain):
    """A Gaussian filter's gain is 2^-(f/fc)^2/2: -3 dB at the cut-off, -12 dB an octave above."""
    wave, period = sines(kilohertz), quick(8000)
    response = gaussian(torch.fft.rfftfreq(period, DT), torch.tensor(1.0))
    inner = slice(500, 3500)
    read = filtered(wave, response)[..., inner]
    assert float(read.std() / wave[..., inner].std()) == pytest.approx(gain, rel=2e-3)


def test_a_filter_is_scipys():
    from scipy.ndimage import gaussian_filter1d

    volts = torch.from_numpy(np.random.default_rng(1).normal(-60, 5, (2, 1, 1501)).cumsum(-1) / 100)
    sigma = math.sqrt(math.log(2)) / (2 * math.pi * 0.5) / DT  # of the kernel in samples, for a cut-off of 0.5 kHz
    wanted = gaussian_filter1d(volts.numpy(), sigma, mode="nearest", truncate=8)
    read = filtered(volts, gaussian(torch.fft.rfftfreq(quick(3002), DT, dtype=torch.float64), torch.tensor(0.5)))
    assert read.numpy() == pytest.approx(wanted, abs=1e-6)  # at the ends, too: nothing comes around


def test_every_filter_that_is_drawn_lies_between_its_cut_off_and_half_the_rate(monkeypatch):
    from nrn_mlfit.learn import augment

    cutoffs = []
    monkeypatch.setattr(augment, "gaussian", lambda f, cutoff: cutoffs.append(cutoff) or gaussian(f, cutoff))
    Augmentation(lowpass=2.0).of_millivolts(constant(electrodes=2000, length=20), numbers(1, 5), DT)
    drawn = np.log(cutoffs[0].numpy().ravel() / 2) / math.log(25 / 2)
    assert np.sort(drawn) == pytest.approx(np.linspace(0, 1, 2000), abs=0.05)


def test_what_is_late_repeats_its_first_sample_and_what_is_early_its_last():
    volts = torch.arange(6.0).reshape(1, 1, 6)
    assert shifted(volts, torch.tensor([[[2]]])).flatten().tolist() == [0, 0, 0, 1, 2, 3]
    assert shifted(volts, torch.tensor([[[-2]]])).flatten().tolist() == [2, 3, 4, 5, 5, 5]


def test_jitter_reaches_every_step_within_its_bounds_alike():
    volts = torch.arange(200.0).expand(3000, 1, 200)
    late = 100 - Augmentation(jitter=0.06).of_millivolts(volts, numbers(1, 6), DT)[:, 0, 100]
    assert sorted(set(late.tolist())) == [-3, -2, -1, 0, 1, 2, 3]
    assert np.bincount(late.int() + 3) / 3000 == pytest.approx(1 / 7, abs=0.025)


def test_offset_and_gain_are_uniform_about_nothing():
    offset = (Augmentation(offset=5).of_millivolts(constant(electrodes=2000, length=4), numbers(1, 7), DT) + 70)[:, 0]
    assert np.sort(offset[:, 0]) == pytest.approx(np.linspace(-5, 5, 2000), abs=0.4)
    assert (offset == offset[:, :1]).all()
    gain = Augmentation(gain=0.03).of_millivolts(constant(electrodes=2000, length=4), numbers(1, 8), DT)[:, 0, 0] / -70
    assert np.sort(gain) == pytest.approx(np.linspace(0.97, 1.03, 2000), abs=0.003)


def test_sweeps_share_an_electrode_and_probes_do_not():
    counts = torch.full((1, 4, 50), -7000, dtype=torch.int16)  # two probes, two sweeps each
    read = Augmentation(offset=5, gain=0.1).of_counts(counts, numbers(1, 9), DT, 2)[0, :, 0].tolist()
    assert read[0] == read[1] and read[2] == read[3] and read[0] != read[2]


strong = st.builds(
    Augmentation,
    noise=st.sampled_from([0.0, 0.1, 20.0]),
    offset=st.sampled_from([0.0, 50.0]),
    gain=st.sampled_from([0.0, 0.5]),
    jitter=st.sampled_from([0.0, 0.3]),
    lowpass=st.sampled_from([None, 0.05, 24.0]),
)


@settings(max_examples=40, deadline=None)
@given(added=strong, length=st.integers(30, 300), seed=st.integers(0, 2**63), level=st.integers(-32700, 32700))
def test_whatever_is_done_counts_stay_counts_and_currents_untouched(added, length, seed, level):
    counts = torch.full((3, 3, length), level, dtype=torch.int16)
    counts[:, 2] = torch.arange(length)  # of currents
    read = added.of_counts(counts, numbers(seed, 0), DT, 1, currents=1)
    assert read.dtype == torch.int16 and read.shape == counts.shape
    assert torch.equal(read[:, 2], counts[:, 2])
    assert torch.equal(read, added.of_counts(counts, numbers(seed, 0), DT, 1, currents=1))
    if not (added.noise or added.offset or added.gain):
        assert torch.equal(read, counts)  # of a constant a filter and a shift change nothing
    assert int(read.int().abs().max()) <= 32700


def test_nothing_is_done_to_the_counts_that_were_given():
    counts = torch.full((2, 1, 100), -7000, dtype=torch.int16)
    Augmentation(1, 5, 0.1, 0.2, 2).of_counts(counts, numbers(1, 1), DT, 1)
    assert (counts == -7000).all()


def test_the_random_numbers_of_two_steps_or_seeds_differ():
    drawn = {float(torch.rand((), generator=numbers(*key))) for key in ((1, 0), (1, 1), (2, 0), (2**62, 0))}
    assert len(drawn) == 4


@pytest.mark.parametrize("added", [Augmentation(), Augmentation(0.3, 5, 0.03, 1, 2), Augmentation(lowpass=4)])
def test_json_and_back(added):
    assert Augmentation.from_json(added.to_json()) == added


@pytest.mark.parametrize(
    ("values", "said"),
    [
        ({"noise": -1}, "noise -1 mV: choose one from 0 to 20 mV"),
        ({"noise": math.nan}, "noise nan mV: choose one from 0 to 20 mV"),
        ({"offset": 51}, "offset 51 mV: choose one from 0 to 50 mV"),
        ({"gain": 3}, "gain 300 %: choose one from 0 to 50 %"),
        ({"jitter": math.inf}, "jitter inf ms: choose one from 0 to 100 ms"),
        ({"lowpass": 0}, "lowpass 0 kHz: choose one from 0.05 to 1000 kHz"),
        ({"gain": "much"}, "gain 'much': must be a number from 0 to 0.5"),
    ],
)
def test_what_makes_no_sense_is_one_sentence(values, said):
    with pytest.raises(EnsembleError) as error:
        Augmentation(**values)
    assert str(error.value) == said


def test_what_does_not_go_with_the_window_is_one_sentence():
    with pytest.raises(EnsembleError) as error:
        Augmentation(lowpass=5).check(0.1, 600)
    assert str(error.value) == (
        "lowpass 5 kHz: the traces hold nothing above 5 kHz, half their sampling rate; choose a lower cut-off, or none"
    )
    with pytest.raises(EnsembleError) as error:
        Augmentation(jitter=31).check(0.1, 600)
    assert str(error.value) == "jitter 31 ms: the window is 60 ms long; choose at most half of it"
    with pytest.raises(EnsembleError, match="augmentation {'hum': 1}: holds something unknown"):
        Augmentation.from_json({"hum": 1})


# ---- What comes of it ----

NOISY = Augmentation(noise=2.0, offset=2.0, gain=0.02, jitter=0.2, lowpass=2.0)
QUICK = Settings(folds=2, epochs=5, precision="f32", device="cpu")
DESIGN = Design("small", (8, 12), 5, 1, 5, (24, 12))


@pytest.fixture(scope="module")
def noisy(decay_run, tmp_path_factory):
    """An ensemble that learned decays with noise."""
    torch.set_num_threads(1)
    folder = tmp_path_factory.mktemp("noisy") / "ensemble"
    return train(open_corpus([decay_run(1500)]), folder, DESIGN, dataclasses.replace(QUICK, augmentation=NOISY))


@pytest.fixture(scope="module")
def clean(decay_run, tmp_path_factory):
    torch.set_num_threads(1)
    folder = tmp_path_factory.mktemp("clean") / "ensemble"
    return train(open_corpus([decay_run(1000)]), folder, DESIGN, dataclasses.replace(QUICK, epochs=1))


@pytest.fixture(scope="module")
def test_run(decay_run):
    return decay_run(400, seed=3)


def test_trained_clean_the_alarm_hears_noise_and_trained_with_it_it_does_not(clean, noisy, test_run):
    counts = shards.load_runs([test_run]).volts
    read = noisy.as_recorded(counts, 0)
    alarms = [float(np.mean(held.score(held.look(read)) > held.alarm.threshold)) for held in (clean, noisy)]
    assert alarms[0] > 0.8 and alarms[1] < 0.12


def test_intervals_of_one_trained_with_noise_hold_for_traces_with_noise(noisy, test_run):
    """100 sets make the quantiles: the coverage of 90 % has a standard deviation of some 3.5 % by them and the 400 that judge."""
    found = evaluate.evaluate(noisy, [test_run])
    assert found.coverage[0.9] == pytest.approx(0.9, abs=0.07)
    assert found.mse.mean() < 0.15 and 0.01 < found.alarms < 0.12
    assert found.augmentation == {"noise": 2.0, "offset": 2.0, "gain": 0.02, "jitter": 0.2, "lowpass": 2.0}


def test_an_evaluation_of_clean_traces_takes_them_as_they_are(noisy, test_run, tmp_path):
    found = evaluate.evaluate(noisy, [test_run], clean=True)
    held = shards.load_runs([test_run])
    assert np.array_equal(found.members, noisy.predict(shards.to_millivolts(held.volts)))
    assert found.augmentation == {}
    again = evaluate.evaluate(noisy, [test_run])
    assert not np.array_equal(again.members, found.members)
    assert np.array_equal(again.members, evaluate.evaluate(noisy, [test_run]).members)


def test_the_record_the_card_and_the_range_of_voltages_say_so(noisy, clean):
    assert Ensemble.load(noisy.cell_folder.parent).augmentation == NOISY
    assert noisy.record["training"]["augmentation"] == NOISY.to_json()
    told = "noise of 0.2 to 2 mV, offsets of up to 2 mV, gain errors of up to 2 %, times off by up to 0.2 ms, low-pass filters"
    assert told in card.text(noisy)
    assert "augmentation" not in clean.record["training"] and clean.augmentation == Augmentation()
    assert "The noise of a real recording gives the alarm for itself." in card.text(clean)
    (low, high), (lowest, highest) = clean.voltage_range, noisy.voltage_range
    assert lowest < low - 2 and highest > high + 2


def test_broken_off_and_gone_on_with_it_is_the_same_to_the_bit(decay_run):
    corpus = open_corpus([decay_run(60)])
    pieces = corpus.pieces
    task = training.Task(
        DESIGN, corpus, training.TraceScaler(), pieces[6:], pieces[:6], 1, torch.device("cpu"), augmentation=NOISY
    )
    kept = []
    budget = training.Budget(3)
    whole = training.train_member(task, budget, keep=lambda state: kept.append(copy.deepcopy(state())))
    again = training.train_member(task, budget, kept=kept[len(kept) // 2])
    assert same(whole, again) and whole.history.validation == again.history.validation
    other = training.train_member(dataclasses.replace(task, augmentation=Augmentation()), budget)
    assert not same(whole, other)


def same(one, other) -> bool:
    pairs = zip(one.network.state_dict().values(), other.network.state_dict().values(), strict=True)
    return all(torch.equal(a, b) for a, b in pairs)
