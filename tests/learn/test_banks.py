"""Networks of a bank are given the injected current: what only it tells is learned, and kept with the ensemble."""

import functools

import numpy as np
import pytest
import torch

from nrn_mlfit import cells, evaluate, fit, predict, shards, textfile
from nrn_mlfit.errors import EnsembleError
from nrn_mlfit.learn import Design, Ensemble, Settings, open_corpus, train
from nrn_mlfit.learn.scaling import FULL_COUNTS, TraceScaler, current_counts, full_current_of
from nrn_mlfit.recordings import Recording
from nrn_mlfit.shards import manifest

CELL = """name: ohm
hoc: ohm.hoc
template: Ohm
stimulus:
  bank:
    - {kind: step, scale: 0.1, delay: 10, duration: 40, total: 60, dt: 0.1}
    - {kind: ramp, scale: 0.1, delay: 10, duration: 40, total: 60, dt: 0.1}
  amplitudes: [0.4, 1.6]
parameters:
  resistance: {low: 40, high: 200, unit: MOhm, sets: [set_resistance()]}
"""
DESIGN = Design("small", (8, 8), 5, 1, 5, (16,), drop_frac=0.0, learning_rate=0.003)
SETTINGS = Settings(folds=2, epochs=10, batch=20, precision="f32", device="cpu")


@pytest.fixture(scope="module")
def make_run(tmp_path_factory):
    """make(N, seed) -> the folder of a run of passive cells at once at their level: V = -70 mV + R I, with 0.1 mV of noise."""
    folder = tmp_path_factory.mktemp("ohm")
    (folder / "ohm.yaml").write_text(CELL)
    (folder / "ohm.hoc").write_text("// a cell that is never built\n")
    model = cells.load(folder)

    @functools.cache
    def make(sets, seed=1):
        run = tmp_path_factory.mktemp("runs") / "run"
        about = manifest.describe(model, seed, 50, "none")
        cells.bundle(model, run / "cell")
        textfile.write_atomic(run / manifest.NAME, textfile.to_json(about))
        unit_par, (index, factor) = model.space.draw(seed, 0, sets), model.protocol.draw(seed, 0, sets)
        resistance = model.space.to_phys(unit_par)[:, :, None]
        injected = np.stack([model.protocol.of(i, f).windows for i, f in zip(index, factor, strict=True)])
        noise = np.random.default_rng(seed).normal(0, 0.1, injected.shape)
        volts = shards.to_counts(-70 + resistance * injected + noise)[:, None]
        for low in range(0, sets, 50):
            rows = slice(low, low + 50)
            held = shards.Shard(
                unit_par[rows], unit_par[rows], volts[rows], np.zeros(len(unit_par[rows]), np.uint8),
                model.protocol.currents, shards.attributes_of(about, low), index[rows], factor[rows],
            )  # fmt: skip
            shards.write(run / shards.name_of(low), held)
        return run

    return make


@pytest.fixture(scope="module")
def ensemble(make_run, tmp_path_factory):
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    held = train(open_corpus([make_run(400)]), tmp_path_factory.mktemp("ensemble") / "ohm", DESIGN, SETTINGS)
    torch.set_num_threads(before)
    return held


def blind(corpus):
    """The same corpus without its currents, as if there were no bank."""
    object.__setattr__(corpus, "currents", 0)
    return corpus


def test_a_resistance_is_learned_where_the_current_is_known_and_only_there(ensemble, make_run, tmp_path):
    """V = R I: of the voltage alone the same trace is a large resistance or a large current."""
    without = train(blind(open_corpus([make_run(400)])), tmp_path / "blind", DESIGN, SETTINGS)
    fresh = shards.load_runs([make_run(200, seed=2)])
    volts = shards.to_millivolts(fresh.volts)
    mse, blind_mse = (
        np.mean((held.predict(volts, fresh.injected).mean(0) - fresh.unit_par) ** 2) for held in (ensemble, without)
    )
    assert mse < 0.02 and blind_mse > 0.08 and blind_mse > 8 * mse


def test_what_is_read_of_a_bank_has_its_currents_below_the_voltages(make_run):
    run = make_run(400)
    corpus, held = open_corpus([run]), shards.load_runs([run])
    counts, _ = corpus.read(corpus.pieces)
    assert counts.shape == (400, 2, 600) and counts.dtype == torch.int16
    assert corpus.full_current == pytest.approx(0.16) and corpus.currents == 1
    volts, injected = corpus.apart(counts)
    assert np.array_equal(volts, held.volts[:, 0]) and injected == pytest.approx(held.injected, abs=0.16 / FULL_COUNTS)


def test_in_training_and_later_a_network_is_given_the_same(make_run, ensemble):
    corpus, held = open_corpus([make_run(400)]), shards.load_runs([make_run(400)])
    counts, _ = corpus.read(corpus.pieces[:3])
    count, scaler = len(counts), ensemble.scaler
    trained = scaler.from_counts(counts)
    curated = scaler.from_millivolts(torch.from_numpy(shards.to_millivolts(held.volts[:count, 0])))
    later = scaler.with_currents(curated, torch.tensor(held.injected[:count]))
    assert trained.shape == later.shape == (count, 2, 600)
    assert torch.allclose(trained, later, atol=2 / FULL_COUNTS) and float(later[:, 1].abs().max()) <= 1


def test_counts_of_the_full_current_fill_their_type_and_no_more():
    assert current_counts([-0.16, 0, 0.08, 0.16], 0.16).tolist() == [-FULL_COUNTS, 0, FULL_COUNTS / 2, FULL_COUNTS]


def test_a_scaler_without_currents_is_written_as_it_always_was():
    assert TraceScaler(-85.0).to_json() == {"floor": -85.0}
    bank = TraceScaler(-85.0, 2, 0.3)
    assert TraceScaler(**bank.to_json()) == bank
    with pytest.raises(EnsembleError, match="scaler: a full current of 0.0 nA; train the ensemble again"):
        TraceScaler(-85.0, 2, 0.0)


def test_an_ensemble_of_a_bank_is_loaded_the_same(ensemble, make_run, tmp_path):
    ensemble.save(tmp_path / "copy")
    again = Ensemble.load(tmp_path / "copy")
    fresh = shards.load_runs([make_run(200, seed=2)])
    volts, injected = shards.to_millivolts(fresh.volts[:5]), fresh.injected[:5]
    assert again.protocol.digest() == ensemble.protocol.digest() and again.protocol.specs == ensemble.protocol.specs
    assert again.scaler == ensemble.scaler and again.scaler.full_current == full_current_of(again.protocol)
    assert np.array_equal(again.predict(volts, injected), ensemble.predict(volts, injected))
    card = (tmp_path / "copy" / "MODEL_CARD.md").read_text()
    assert "stimulus bank of 2 (step, ramp)) and the injected currents to 1 parameters" in card
    assert "\n- Currents below 0.4 or above 1.6 times those of the bank: the verdict says so.\n" in card


def test_currents_may_be_given_in_any_shape_that_says_what_each_trace_got(ensemble, make_run):
    fresh = shards.load_runs([make_run(200, seed=2)])
    volts, injected = shards.to_millivolts(fresh.volts[:3]), fresh.injected[:3]
    whole = ensemble.fit(volts, injected)
    assert np.array_equal(ensemble.fit(volts[:, 0, 0], injected[:, 0]).values, whole.values)
    for row in range(3):
        for one, current in ((volts[row], injected[row]), (volts[row, 0, 0], injected[row, 0])):
            assert ensemble.fit(one, current).values == pytest.approx(whole.values[row], rel=1e-5)
    same = ensemble.fit(np.repeat(volts[:1], 3, axis=0), injected[0]).values
    assert same == pytest.approx(np.repeat(whole.values[:1], 3, axis=0), rel=1e-5)
    other = ensemble.fit(volts, 2 * injected)
    assert (other.values < 0.7 * whole.values).all()  # twice the current for that voltage: half the resistance


@pytest.mark.parametrize(
    ("currents", "sentence"),
    [
        (
            None,
            "the ensemble learned from a bank of 2 (step, ramp) and must know what was injected: give the currents, too, "
            "(N, S, T) = ('N', 1, 600) in nA",
        ),
        (np.zeros(599), "currents of shape (599,); the ensemble needs (N, S, T) = (3, 1, 600) in nA"),
        (np.zeros((600, 3)), "currents of shape (600, 3); the ensemble needs (N, S, T) = (3, 1, 600) in nA"),
        (np.zeros((2, 600)), "currents of shape (2, 600); the ensemble needs (N, S, T) = (3, 1, 600) in nA"),
        (np.full(600, np.nan), "the currents hold NaN or infinite samples; cut or mend the recording"),
    ],
)
def test_currents_that_do_not_say_what_was_injected(ensemble, currents, sentence):
    with pytest.raises(EnsembleError) as error:
        ensemble.fit(np.full((3, 600), -70.0), currents)
    assert str(error.value) == sentence


def test_an_ensemble_without_a_bank_knows_its_current(small_ensemble, window):
    answers = small_ensemble.predict(window)
    assert np.array_equal(small_ensemble.predict(window, np.ones((2, 1, 600))), answers)
    assert small_ensemble.scaler.to_json() == {"floor": small_ensemble.scaler.floor}


def test_predict_and_evaluate_tell_the_networks_what_each_set_got(ensemble, make_run, tmp_path):
    run = make_run(200, seed=2)
    assert predict.predict(ensemble, [run], tmp_path / "table.csv") == 200
    table = np.genfromtxt(tmp_path / "table.csv", delimiter=",", names=True)
    truth = ensemble.space.to_phys(shards.load_runs([run]).unit_par)[:, 0]
    assert np.corrcoef(table["resistance"], truth)[0, 1] > 0.97
    assert evaluate.evaluate(ensemble, [run]).mse.mean() < 0.02


@pytest.mark.parametrize("kind", [0, 1])
@pytest.mark.parametrize(
    ("amplitude", "warned"), [(0.9, ""), (1.65, ""), (2.0, "1.25 times the strongest"), (0.3, "0.75 times the weakest")]
)
def test_a_recording_of_the_kind_is_fitted_and_its_amplitude_judged(ensemble, kind, amplitude, warned):
    current = amplitude * ensemble.protocol.windows[kind]
    recording = Recording(-70 + 100 * current[None], current, 0.1, "mine.npz")
    found = fit.fit_recording(ensemble, recording)
    told = [line for line in found.warnings if line.startswith("the current is")]
    assert told == ([f"the current is {warned} that was trained on"] if warned else [])
    if not warned:
        assert found.values[0].value == pytest.approx(100, abs=25)


def test_a_recording_under_another_waveform_is_refused(ensemble):
    current = 0.1 * np.sin(np.arange(600) / 20)
    with pytest.raises(
        EnsembleError, match="its current is like none of the ensemble's bank of 2 \\(step, ramp\\): .* of it differs"
    ):
        fit.fit_recording(ensemble, Recording(-70 + 100 * current, current, 0.1, "mine.npz"))


def test_the_current_of_a_recording_that_holds_none_is_taken_from_a_file(ensemble, tmp_path):
    silent = Recording(np.full(600, -70.0) + np.arange(600) / 100, None, 0.1, "mine.npz")
    current = 0.7 * ensemble.protocol.windows[1, 0]
    np.savez(tmp_path / "ramp.npz", current=current, dt=0.1)
    np.savez(tmp_path / "other.npz", current=np.sin(np.arange(600) / 20), dt=0.1)
    assert np.array_equal(fit.with_stimulus(ensemble.protocol, silent, tmp_path / "ramp.npz").currents[0], current)
    for name, sentence in (
        (
            tmp_path / "other.npz",
            "is none of the ensemble's bank of 2 (step, ramp); give one of its waveforms, or use another ensemble",
        ),
        (
            "ramp",
            "the ensemble learned from a bank of 2 (step, ramp); give the .npz or .csv file of the current that flowed",
        ),
    ):
        with pytest.raises(EnsembleError) as error:
            fit.with_stimulus(ensemble.protocol, silent, name)
        assert str(error.value) == f"--stimulus {name}: {sentence}"
