"""Training finds a relation that is known, repeats itself, keeps to its budget, and survives a divergence."""

import math
import re
import time
from dataclasses import replace

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from nrn_mlfit import shards
from nrn_mlfit.errors import DesignError, EnsembleError
from nrn_mlfit.learn import Design, Settings, train
from nrn_mlfit.learn.dataset import fold_rows, from_traces
from nrn_mlfit.learn.devices import pick_device, pick_precision
from nrn_mlfit.learn.scaling import TraceScaler
from nrn_mlfit.learn.threads import FIRST_WAIT, STEPS_TO_TRY, Threads
from nrn_mlfit.learn.training import LEAST_COOL, LOSSES, Budget, History, Task, schedule, train_member

QUICK = {"folds": 2, "precision": "f32", "device": "cpu"}


def test_a_known_relation_is_learned_and_transfers(decay_traces, small_design):
    """Amplitude and time constant of an exponential: far better than the middle on traces from other draws."""
    ensemble = train(decay_traces(500), small_design, Settings(epochs=12, **QUICK))
    fresh = decay_traces(200, seed=2)
    answers = ensemble.predict(shards.to_millivolts(fresh.volts))
    mse = ((answers.mean(0) - fresh.unit_par) ** 2).mean()
    assert mse < 1 / 3 / 20
    out_of_fold = np.mean(ensemble.validation_rms**2)
    assert out_of_fold == pytest.approx(np.mean(ensemble.record["fold_losses"]), rel=1e-4)
    assert mse / 2 < out_of_fold < 4 * mse  # the ensemble's own estimate is of that size


@pytest.mark.parametrize(
    "change", [{"loss": "mae", "optimizer": "nadam"}, {"optimizer": "adadelta", "last_activation": "linear"}]
)
def test_every_loss_and_optimizer_learns(decay_traces, change):
    design = Design("other", (8,), 5, 1, 10, (16,), **change)
    ensemble = train(decay_traces(200), design, Settings(epochs=8, **QUICK))
    assert max(ensemble.record["fold_losses"]) < 0.2


def test_same_seed_same_weights_and_another_seed_others(decay_traces, small_design):
    one, two, other = (
        train(decay_traces(40), small_design, Settings(epochs=2, seed=seed, **QUICK)) for seed in (1, 1, 2)
    )
    for a, b in zip(one.members, two.members, strict=True):
        assert all(torch.equal(x, y) for x, y in zip(a.parameters(), b.parameters(), strict=True))
    assert one.record == two.record
    assert not torch.equal(one.members[0].last.weight, other.members[0].last.weight)
    assert not torch.equal(one.members[0].last.weight, one.members[1].last.weight)


def test_training_leaves_the_random_state_of_others_alone(decay_traces, small_design):
    torch.manual_seed(5)
    expected = torch.rand(3)
    torch.manual_seed(5)
    train(decay_traces(20), small_design, Settings(epochs=1, **QUICK))
    assert torch.equal(torch.rand(3), expected)


@given(sets=st.integers(20, 300), folds=st.integers(2, 5), seed=st.integers(0, 2**32))
def test_folds_partition_the_data(sets, folds, seed):
    parts = fold_rows(sets, folds, seed)
    assert sorted(torch.cat(parts).tolist()) == list(range(sets))
    assert max(map(len, parts)) - min(map(len, parts)) <= 1
    assert all(torch.equal(a, b) for a, b in zip(parts, fold_rows(sets, folds, seed), strict=True))


def test_too_few_traces_are_one_sentence(decay_traces, small_design):
    with pytest.raises(EnsembleError) as error:
        train(decay_traces(10), small_design)
    assert str(error.value) == (
        "10 traces are too few for 5 folds, at least 20 are needed; simulate more, or use a smaller --folds"
    )
    with pytest.raises(EnsembleError) as error:
        train(decay_traces(10), small_design, Settings(folds=1))
    assert str(error.value) == "1 fold leaves nothing to validate on; use --folds 2 or more"


def test_a_design_too_deep_for_the_traces_is_refused_before_training(decay_traces):
    with pytest.raises(DesignError, match="traces of 600 samples shrink to nothing"):
        train(decay_traces(20), "model1")


def test_traces_of_another_cell_folder_are_refused(decay_traces, small_design):
    traces = decay_traces(20)
    wrong = replace(traces, unit_par=traces.unit_par[:, :1])
    with pytest.raises(EnsembleError, match=r"2 parameters, its traces have 1$"):
        train(wrong, small_design)


def test_minutes_end_the_training_wherever_it_is(decay_traces, small_design):
    began, lines = time.monotonic(), []
    ensemble = train(decay_traces(400), small_design, Settings(minutes=0.05, **QUICK), lines.append)
    assert 2 < time.monotonic() - began < 8
    assert len(ensemble.members) == 2
    assert lines[0].startswith("2 networks of design small, 200 traces each, batches of 8, cpu, f32; guessing")
    done = [line for line in lines if re.search(r"network \d/2 done: best validation loss 0\.\d{4} at epoch", line)]
    assert len(done) == 2


def test_progress_says_losses_speed_and_time_left(decay_traces, small_design):
    lines = []
    train(decay_traces(400), small_design, Settings(minutes=0.12, **QUICK), lines.append)
    shape = r"  network 1/2  epoch +\d+\.\d\d  training \d\.\d{4}  validation \d\.\d{4}  \d+ traces/s  \d s left"
    assert any(re.fullmatch(shape, line) for line in lines)


def _task(traces, **changes):
    data = from_traces(traces, TraceScaler(), torch.device("cpu"))
    rows = torch.arange(len(traces.volts))
    design = Design("small", (4,), 5, 1, 10, (8,), **changes)
    return Task(design, data, rows[8:], rows[:8], seed=1)


def test_a_divergence_means_one_new_start_with_a_lower_rate(decay_traces, monkeypatch):
    task, finite = _task(decay_traces(40)), torch.nn.functional.mse_loss
    calls = iter([float("nan")])
    monkeypatch.setitem(LOSSES, "mse", lambda answer, target: finite(answer, target) * next(calls, 1.0))
    history = train_member(task, Budget(2), lambda *_: None).history
    assert history.notes == ["diverged at learning rate 0.003 after 1.0 epochs"]
    assert len(history.epochs) == 2 and math.isfinite(history.best)


def test_two_divergences_are_one_sentence(decay_traces):
    traces = decay_traces(40)
    traces.unit_par[:] = np.nan
    with pytest.raises(EnsembleError) as error:
        train_member(_task(traces), Budget(2), lambda *_: None)
    assert str(error.value) == (
        "design small: training diverged at learning rate 0.003 after 1.0 epochs, then diverged at learning rate 0.0003 "
        "after 1.0 epochs; set a lower learning_rate in the design, or use another design"
    )


def test_the_weights_kept_are_those_of_the_best_epoch(decay_traces):
    task = _task(decay_traces(60))
    trained = train_member(task, Budget(6), lambda *_: None)
    loss = torch.nn.functional.mse_loss(trained.answers, task.data.targets[task.validate])
    assert float(loss) == pytest.approx(trained.history.best, rel=1e-5)
    assert torch.equal(task.data.predict(trained.network, task.validate), trained.answers)


def test_training_stops_where_validation_gets_no_better(decay_traces):
    traces = decay_traces(40)
    traces.unit_par[:] = np.random.default_rng(1).uniform(-1, 1, traces.unit_par.shape)  # nothing to learn
    history = train_member(_task(traces), Budget(300), lambda *_: None).history
    assert len(history.epochs) < 150 and history.stale == 25


def test_the_learning_rate_warms_up_and_cools_down():
    assert schedule(0, 0.0) == pytest.approx(0.02)
    assert schedule(100, 0.3) == 1
    assert schedule(100, 0.75) == pytest.approx(0.5)
    assert schedule(100, 1.0) == LEAST_COOL


def test_history_knows_its_best():
    history = History()
    assert (history.best, history.stale) == (math.inf, 0)
    assert [history.add(k, 1.0, loss) for k, loss in enumerate((0.3, 0.1, 0.2))] == [True, True, False]
    assert (history.best, history.stale) == (0.1, 1)


class _Clock:
    """Steps that take the seconds that were agreed for each thread count."""

    def __init__(self, monkeypatch, threads):
        self.now, self.used = 0.0, []
        monkeypatch.setattr(time, "monotonic", lambda: self.now)
        monkeypatch.setattr(torch, "get_num_threads", lambda: threads)
        monkeypatch.setattr(torch, "set_num_threads", self.used.append)

    def steps(self, threads, count, seconds):
        for _ in range(count):
            with threads.step():
                self.now += seconds[self.used[-1]]


def test_threads_settle_on_the_fastest_and_look_again(monkeypatch):
    clock = _Clock(monkeypatch, 4)
    threads = Threads()
    assert threads.counts == [1, 2, 4]
    clock.steps(threads, 3 * STEPS_TO_TRY, {1: 0.3, 2: 0.2, 4: 0.5})
    assert clock.used[-1] == threads.best == 2
    clock.now += FIRST_WAIT + 1
    clock.steps(threads, 3 * STEPS_TO_TRY, {1: 0.3, 2: 0.2, 4: 0.1})
    assert clock.used[-1] == threads.best == 4
    threads.restore()
    assert clock.used[-1] == 4


def test_a_hopeless_thread_count_gets_one_step(monkeypatch):
    clock = _Clock(monkeypatch, 2)
    threads = Threads()
    clock.steps(threads, STEPS_TO_TRY + 1, {1: 0.1, 2: 4.0})
    assert threads.best == 1 and clock.now < 5


def test_on_one_thread_nothing_is_tried(monkeypatch):
    clock = _Clock(monkeypatch, 1)
    with Threads().step():
        pass
    assert clock.used == []


def test_devices_and_precision():
    cpu = torch.device("cpu")
    assert pick_device("cpu") == cpu
    assert pick_precision("f32", cpu) == "f32"
    assert pick_precision("auto", torch.device("cuda")) == "bf16"
    assert pick_precision("auto", cpu) in ("f32", "bf16")


def test_bf16_learns_too(decay_traces, small_design):
    settings = Settings(epochs=6, folds=2, precision="bf16", device="cpu")
    assert max(train(decay_traces(200), small_design, settings).record["fold_losses"]) < 0.15
