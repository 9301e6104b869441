"""Training finds a relation that is known, repeats itself, keeps to its budget, and survives a divergence."""

import dataclasses
import io
import itertools
import math
import re
import shutil
from functools import partial

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from nrn_mlfit import shards, workers
from nrn_mlfit.errors import DesignError, EnsembleError
from nrn_mlfit.learn import Design, Settings, folds, open_corpus, train, training
from nrn_mlfit.learn.corpus import deal
from nrn_mlfit.learn.devices import pick_device, pick_precision
from nrn_mlfit.learn.networks import LOSSES, TraceCNN
from nrn_mlfit.learn.optimizers import ADAM_SHARE, make_optimizer
from nrn_mlfit.learn.scaling import TraceScaler
from nrn_mlfit.learn.training import LEAST_COOL, Budget, History, Task, schedule, train_member

QUICK = {"folds": 2, "precision": "f32", "device": "cpu"}


@pytest.fixture
def trained(decay_run, tmp_path):
    """make(sets, design, **settings) -> the ensemble of a training on a run of so many decays."""

    def make(sets, design, report=lambda _: None, **settings):
        folder = tmp_path / f"ensemble{len(list(tmp_path.iterdir()))}"
        return train(open_corpus([decay_run(sets)]), folder, design, Settings(**{**QUICK, **settings}), report)

    return make


def test_a_known_relation_is_learned_and_transfers(trained, decay_run, small_design):
    """Amplitude and time constant of an exponential: far better than the middle on traces from other draws."""
    ensemble = trained(500, small_design, epochs=12)
    fresh = shards.load_runs([decay_run(200, seed=2)])
    answers = ensemble.predict(shards.to_millivolts(fresh.volts))
    mse = ((answers.mean(0) - fresh.unit_par) ** 2).mean()
    assert mse < 1 / 3 / 20
    out_of_fold = np.mean(ensemble.validation_rms**2)
    assert out_of_fold == pytest.approx(np.mean(ensemble.record["fold_losses"]), rel=1e-4)
    assert mse / 2 < out_of_fold < 4 * mse  # the ensemble's own estimate is of that size


@pytest.mark.parametrize(
    "change",
    [
        {"loss": "mae", "optimizer": "nadam"},
        {"optimizer": "adadelta", "last_activation": "linear"},
        {"optimizer": "adamw", "weight_decay": 0.01, "average": 0.9},
        {"optimizer": "muon", "weight_decay": 0.01},
    ],
)
def test_every_loss_and_optimizer_learns(trained, change):
    design = Design("other", (8,), 5, 1, 10, (16,), **change)
    assert max(trained(200, design, epochs=8).record["fold_losses"]) < 0.2


def same_weights(one, two) -> bool:
    pairs = zip(one.members, two.members, strict=True)
    return all(torch.equal(x, y) for a, b in pairs for x, y in zip(a.parameters(), b.parameters(), strict=True))


def test_same_seed_same_weights_and_another_seed_others(trained, small_design):
    one, two, other = (trained(40, small_design, epochs=2, seed=seed) for seed in (1, 1, 2))
    assert same_weights(one, two) and one.record == two.record
    assert not torch.equal(one.members[0].last.weight, other.members[0].last.weight)
    assert not torch.equal(one.members[0].last.weight, one.members[1].last.weight)


def test_training_leaves_the_random_state_of_others_alone(trained, small_design):
    torch.manual_seed(5)
    expected = torch.rand(3)
    torch.manual_seed(5)
    trained(20, small_design, epochs=1)
    assert torch.equal(torch.rand(3), expected)


@given(pieces=st.integers(25, 3000), folds=st.integers(2, 5), seed=st.integers(0, 2**32))
def test_folds_and_what_is_held_out_partition_the_pieces(pieces, folds, seed):
    held, parts = deal(range(pieces), folds, seed)
    assert sorted(piece for part in (held, *parts) for piece in part) == list(range(pieces))
    assert max(map(len, parts)) - min(map(len, parts)) <= 1
    assert len(held) == min(pieces // 10, 200)
    assert (held, parts) == deal(range(pieces), folds, seed)


def test_too_few_traces_are_one_sentence(trained, small_design):
    with pytest.raises(EnsembleError) as error:
        trained(10, small_design, folds=5)
    assert str(error.value) == (
        "10 traces are too few for 5 folds, at least 25 are needed; simulate more, or use a smaller --folds"
    )
    with pytest.raises(EnsembleError) as error:
        trained(10, small_design, folds=1)
    assert str(error.value) == "1 fold leaves nothing to validate on; use --folds 2 or more"


def test_a_design_too_deep_for_the_traces_is_refused_before_training(trained):
    with pytest.raises(DesignError, match="traces of 600 samples shrink to nothing"):
        trained(20, "model1")


def test_a_cell_that_was_changed_after_the_run_is_refused(decay_run, small_design, tmp_path):
    folder = shutil.copytree(decay_run(20), tmp_path / "run")
    (folder / "cell" / "decay.hoc").write_text("// another one\n")
    with pytest.raises(EnsembleError, match="cell: is not the cell that was simulated"):
        train(open_corpus([folder]), tmp_path / "ensemble", small_design, Settings(**QUICK))


@pytest.mark.parametrize(
    ("asked", "epochs", "seconds"),
    [
        ({"minutes": 3}, math.inf, 36),
        ({"epochs": 7}, 7, math.inf),
        ({"epochs": 7, "minutes": 3}, 7, 36),
        ({}, 60, math.inf),
    ],
)
def test_minutes_are_for_all_members_and_epochs_for_each(asked, epochs, seconds):
    assert Settings(**asked).budget(turns=5) == Budget(epochs, seconds)


def test_minutes_end_the_training_wherever_it_is(trained, small_design, monkeypatch):
    """By a clock that runs a second at each step and each validation: half of a minute is for each of two members."""
    lines = []
    by_steps = partial(train_member, clock=partial(next, itertools.count()))
    monkeypatch.setattr(folds, "train_member", by_steps)
    ensemble = trained(400, small_design, lines.append, minutes=1)
    epochs = [history["epochs"][-1] for history in ensemble.record["histories"]]
    assert len(epochs) == 2 and all(1.2 < e < 1.4 for e in epochs)  # of 23 steps: 186 traces in batches of 8
    assert lines[0].startswith("2 networks of design small, 186 traces each, batches of 8, cpu, f32; guessing")
    done = [line for line in lines if re.search(r"network \d/2 done: best validation loss 0\.\d{4} at epoch", line)]
    assert len(done) == 2


def test_progress_says_losses_speed_and_time_left(trained, small_design, monkeypatch):
    lines = []
    monkeypatch.setattr(folds, "SECONDS_BETWEEN_LINES", 0.0)
    trained(400, small_design, lines.append, epochs=2)
    shape = r"  network 1/2  epoch +\d+\.\d\d  training \d\.\d{4}  validation \d\.\d{4}  \d+ traces/s  \d s left"
    assert any(re.fullmatch(shape, line) for line in lines)


@pytest.fixture
def task(decay_run):
    """make(sets, change, **of the design) -> a Task whose held-out sets are the first tenth."""

    def make(sets, change=None, **design):
        corpus = open_corpus([decay_run(sets, change=change)])
        held = len(corpus.pieces) // 10
        small = Design("small", (4,), 5, 1, 10, (8,), **design)
        pieces = corpus.pieces
        return Task(small, corpus, TraceScaler(), pieces[held:], pieces[:held], seed=1, device=torch.device("cpu"))

    return make


class Halved(TraceCNN):
    """Learns half of what it is told to."""

    def loss(self, answer, targets):
        return super().loss(answer, targets / 2)


def test_a_network_of_another_make_is_trained_by_its_own_loss(task):
    held = task(200)
    halved = train_member(dataclasses.replace(held, make=Halved), Budget(30))
    counts, targets = held.corpus.read(held.validate)
    answers = halved.network(held.scaler.from_counts(counts)).detach()
    assert isinstance(halved.network, Halved)
    assert float((answers * targets).mean() / targets.square().mean()) == pytest.approx(0.5, abs=0.1)


def test_a_divergence_means_one_new_start_with_a_lower_rate(task, monkeypatch):
    finite, calls = torch.nn.functional.mse_loss, iter([float("nan")])
    monkeypatch.setitem(LOSSES, "mse", lambda answer, target: finite(answer, target) * next(calls, 1.0))
    history = train_member(task(40), Budget(2)).history
    assert history.notes == ["diverged at learning rate 0.003 after 1.0 epochs"]
    assert len(history.epochs) == 2 and math.isfinite(history.best)


def no_numbers(unit_par):
    return np.full_like(unit_par, np.nan)


def noise(unit_par):
    return np.random.default_rng(1).uniform(-1, 1, unit_par.shape)


def test_two_divergences_are_one_sentence(task):
    with pytest.raises(EnsembleError) as error:
        train_member(task(40, no_numbers), Budget(2))
    assert str(error.value) == (
        "design small: training diverged at learning rate 0.003 after 1.0 epochs, then diverged at learning rate 0.0003 "
        "after 1.0 epochs; set a lower learning_rate in the design, or use another design"
    )


@pytest.mark.parametrize("average", [0.0, 0.9])
def test_the_weights_kept_are_those_of_the_best_epoch(task, average):
    held = task(60, average=average)
    trained = train_member(held, Budget(6))
    counts, targets = held.corpus.read(held.validate)
    with torch.inference_mode():
        answers = trained.network(held.scaler.from_counts(counts))
    errors = (answers - targets).square().mean(0)
    assert torch.allclose(errors, trained.errors)
    assert float(errors.mean()) == pytest.approx(trained.history.best, rel=1e-5)


def test_training_stops_where_validation_gets_no_better(task):
    history = train_member(task(40, noise), Budget(300)).history
    assert len(history.epochs) < 150 and history.stale == 25


def test_a_budget_in_seconds_is_by_the_clock_that_is_given(task):
    """One that stands still ends no training; one that runs a second at each look ends it after half as many steps."""
    ticks = itertools.count()
    history = train_member(task(100), Budget(1000, 20), clock=lambda: next(ticks)).history
    assert 10 <= history.epochs[-1] * 11 <= 22  # 90 sets, batches of 8: 11 steps an epoch, some of them in validation
    assert train_member(task(100), Budget(3, 1e-9), clock=lambda: 0.0).history.epochs[-1] == 3


def test_weights_are_saved_as_asked_for(trained, small_design):
    ensemble = trained(60, small_design, epochs=1, weights="float16")
    assert ensemble.weights == "float16"
    for value in ensemble.members[0].state_dict().values():
        assert torch.equal(value, value.half().float())  # nothing that float16 does not hold


def test_intervals_and_alarm_are_made_with_the_weights_as_they_are_saved(decay_run, small_design, tmp_path):
    corpus, settings = open_corpus([decay_run(200)]), Settings(**QUICK, epochs=1, weights="float16")
    ensemble = train(corpus, tmp_path / "ensemble", small_design, settings)
    held, _ = deal(corpus.pieces, settings.folds, settings.seed)
    again = folds._calibrated(ensemble, corpus, held)
    assert np.array_equal(again.calibration.quantiles, ensemble.calibration.quantiles)
    assert again.alarm.threshold == pytest.approx(ensemble.alarm.threshold, rel=1e-6)  # kept in single precision


def test_each_group_of_weights_has_its_share_of_the_rate(task, monkeypatch):
    made = []
    monkeypatch.setattr(training, "make_optimizer", lambda *given: made.append(make_optimizer(*given)) or made[-1])
    train_member(task(100, optimizer="muon"), Budget(2))
    hidden, rest = (group["lr"] for group in made[0].param_groups)
    assert rest == pytest.approx(ADAM_SHARE * hidden) and hidden < 0.02


# ---- Broken off and gone on with ----


class Interrupted(Exception):
    pass


@pytest.mark.parametrize("change", [{}, {"average": 0.9}, {"optimizer": "muon"}])
@pytest.mark.parametrize("at", [(1,), (7, 8), (3, 20, 41)])
def test_what_goes_on_comes_to_the_same_bits(task, at, change):
    """Broken off after some steps, in epochs and rounds and within them; dropout draws go on, too."""
    held, budget = task(100, drop_frac=0.2, **change), Budget(6)
    whole, kept = train_member(held, budget), None
    for last in at:
        kept = broken_off(held, budget, last, kept)
        assert kept["step"] == last
    again = train_member(held, budget, kept=kept)
    assert again.history == whole.history and torch.equal(again.errors, whole.errors)
    pairs = zip(again.network.state_dict().values(), whole.network.state_dict().values(), strict=True)
    assert all(torch.equal(x, y) for x, y in pairs)


@pytest.mark.parametrize("neighbours", [1, 2, 5])
def test_a_training_gives_its_threads_back_even_if_it_fails(decay_run, small_design, tmp_path, monkeypatch, neighbours):
    """Of 4 threads each of some processes on a machine has its share, as often as it trains."""
    seen = []
    monkeypatch.setattr(workers.Serial, "neighbours", neighbours)
    monkeypatch.setattr(folds, "train_member", lambda *_: seen.append(torch.get_num_threads()) or 1 / 0)
    torch.set_num_threads(4)
    for _ in range(2):
        with pytest.raises(ZeroDivisionError):
            train(open_corpus([decay_run(40)]), tmp_path / "ensemble", small_design, Settings(**QUICK, epochs=1))
    assert torch.get_num_threads() == 4
    assert seen == [max(1, 4 // neighbours)] * 2


def test_a_training_goes_on_with_another_number_of_threads_and_says_so(decay_run, small_design, tmp_path, monkeypatch):
    """As on another machine, or under another OMP_NUM_THREADS; of what was finished before nothing is trained again."""
    corpus, settings, lines = open_corpus([decay_run(40)]), Settings(**QUICK, epochs=1), []
    members = iter([train_member])
    with monkeypatch.context() as broken:
        broken.setattr(folds, "train_member", lambda *given: next(members)(*given))
        with pytest.raises(StopIteration):
            train(corpus, tmp_path / "ensemble", small_design, settings)
    torch.set_num_threads(2)
    trained = []
    monkeypatch.setattr(folds, "train_member", lambda *given: trained.append(given) or train_member(*given))
    ensemble = train(corpus, tmp_path / "ensemble", small_design, settings, lines.append)
    assert (len(ensemble.members), len(trained)) == (2, 1)
    assert (
        "begun with 1 thread a process, gone on with 2: the last bits may differ from those of an unbroken training"
        in lines
    )


def broken_off(task, budget, last, kept):
    """What is kept of a training that ends after the step `last`, through a file as it would be."""
    image = io.BytesIO()

    def keep(state):
        held = state()
        if held["step"] == last:
            torch.save(held, image)
            raise Interrupted

    with pytest.raises(Interrupted):
        train_member(task, budget, keep=keep, kept=kept)
    image.seek(0)
    return torch.load(image, weights_only=True)


def test_the_learning_rate_warms_up_and_cools_down():
    assert schedule(0, 0.0) == pytest.approx(0.02)
    assert schedule(100, 0.3) == 1
    assert schedule(100, 0.75) == pytest.approx(0.5)
    assert schedule(100, 1.0) == LEAST_COOL


def test_history_knows_its_best():
    history = History()
    assert (history.best, history.stale) == (math.inf, 0)
    assert [history.add(k, 1.0, loss) for k, loss in enumerate((0.3, 0.1, 0.2))] == [True, True, False]
    assert (history.best, history.best_epoch, history.stale) == (0.1, 1, 1)


def test_devices_and_precision():
    cpu = torch.device("cpu")
    assert pick_device("cpu") == cpu
    assert pick_precision("f32", cpu) == "f32"
    assert pick_precision("auto", torch.device("cuda")) == "bf16"
    assert pick_precision("auto", cpu) in ("f32", "bf16")


def test_bf16_learns_too(trained, small_design):
    assert max(trained(200, small_design, epochs=6, precision="bf16").record["fold_losses"]) < 0.15
