"""NEURON is the truth: which sets are compared with it, and what is said of them."""

from dataclasses import dataclass, field
from types import SimpleNamespace

import numpy as np
import pytest

from nrn_mlfit import cells
from nrn_mlfit.errors import EngineError
from nrn_mlfit.simulator.agreement import Difference
from nrn_mlfit.simulator.batch import simulate_sets
from nrn_mlfit.simulator.lanes import Checked, Disagreement
from nrn_mlfit.simulator.truth import check_engine
from nrn_mlfit.simulator.worker import Worker

SETS = np.arange(100.0)[:, None]


@dataclass
class Scripted:
    """A worker whose sets give a trace where `good` says so, and in which the set `wrong` is not NEURON's."""

    good: object
    wrong: int = -1
    asked: list = field(default_factory=list)
    model = SimpleNamespace(name="mine")
    made = SimpleNamespace(name="lanes-double")

    def check(self, rows):
        numbers = rows[:, 0].astype(int).tolist()
        self.asked += numbers
        compared = sum(map(self.good, numbers))
        if self.wrong not in numbers:
            return Checked(compared)
        difference = Difference("differs", 2, True, 0.25, 30.0, 30.0)
        return Checked(
            compared, Disagreement(numbers.index(self.wrong), None, None, None, difference, "v is 1 instead of 2")
        )


def said_of(worker, sets=SETS, **more):
    lines = []
    check_engine(worker, sets, report=lines.append, **more)
    return lines, worker.asked


def test_the_first_eight_are_compared():
    assert said_of(Scripted(lambda _: True)) == (["8 sets compared with plain NEURON: the same"], [*range(8)])
    assert said_of(Scripted(lambda _: True), SETS[:1]) == (["1 set compared with plain NEURON: the same"], [0])


def test_sets_without_a_trace_do_not_count_and_further_ones_take_their_place():
    lines, asked = said_of(Scripted(lambda k: k % 3 == 0))
    assert lines == ["8 sets compared with plain NEURON: the same"]
    assert asked == [*range(len(asked))] and sum(k % 3 == 0 for k in asked) == 8


def test_where_none_of_the_first_sets_gives_a_trace_it_says_that_nothing_was_compared():
    lines, asked = said_of(Scripted(lambda _: False))
    assert lines == ["nothing was compared with plain NEURON: none of the 64 sets tried gave a trace in both engines"]
    assert asked == [*range(64)]


def test_sets_that_end_the_worker_are_not_tried_for_ever_and_are_told_of():
    """Each may have cost it minutes."""
    worker = Scripted(lambda _: False)
    worker.check = lambda rows: Checked(0, failed=len(rows))
    lines, _ = said_of(worker)
    told = "none of the 8 sets tried gave a trace in both engines; 8 could not be checked"
    assert lines == [f"nothing was compared with plain NEURON: {told}"]


def test_a_difference_ends_it_and_names_the_set_by_its_number_in_the_run():
    drawn = []
    with pytest.raises(
        EngineError, match=r"^mine: in set 1012 engine lanes-double .* up to 0.25 ms .* 30 mV apart; v is 1 in"
    ):
        said_of(Scripted(lambda k: k > 4, wrong=12), first=1000, draw=drawn.append)
    assert len(drawn) == 1


def test_questions_about_a_cell_are_checked_too(monkeypatch):
    """And only once for a batch."""
    model = cells.load("izhikevich")
    sets = model.space.to_phys(model.space.draw(1, 0, 3))
    difference = Difference("differs", 2, False, np.inf, 30.0, 30.0)
    wrong = Disagreement(1, None, None, None, difference, "V is 1 instead of 2")
    monkeypatch.setattr(Worker, "check", lambda self, rows: Checked(2, wrong))
    with pytest.raises(EngineError, match=r"in set 1 engine lanes-double differs .* another number of spikes"):
        simulate_sets(model, sets, workers=1)
    assert simulate_sets(model, sets, "neuron", workers=1)[1].tolist() == [0, 0, 0]
