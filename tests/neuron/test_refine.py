"""The search on from an ensemble's answer: it finds the cell that made a trace, never ends farther off, and repeats itself."""

from dataclasses import replace

import numpy as np
import pytest

from nrn_mlfit import cells, comparison, fit, refine
from nrn_mlfit.errors import FitError
from nrn_mlfit.learn import Ensemble
from nrn_mlfit.recordings import Recording
from nrn_mlfit.refine import refined
from nrn_mlfit.shards import Status
from nrn_mlfit.simulator.batch import simulate_sets

TRUTH = {"a": 0.035, "b": 0.22, "c": -63.0, "d": 2.2}


@pytest.fixture(scope="module")
def ensemble():
    return Ensemble.load("izhikevich")


@pytest.fixture(scope="module")
def recording(ensemble):
    """A point cell under its chirp, of known parameters."""
    volts, _ = simulate_sets(cells.load("izhikevich"), np.array([[*TRUTH.values()]]), workers=1)
    return Recording(volts[0], ensemble.protocol.windows, ensemble.protocol.dt, "simulated", truth=TRUTH)


@pytest.fixture(scope="module")
def astray(ensemble, recording):
    """A fit whose values are a fifth of each range off: another cell."""
    found = fit.fit_recording(ensemble, recording)

    def off(value):
        unit_par = value.unit_par + (0.4 if value.unit_par < 0 else -0.4)
        low, high = (value.low + (value.high - value.low) * (u + 1) / 2 for u in (unit_par - 0.4, unit_par + 0.4))
        return replace(value, unit_par=unit_par, value=(low + high) / 2, lo68=low, hi68=high)

    return replace(found, values=tuple(map(off, found.values)))


@pytest.fixture(scope="module")
def nearer(astray, ensemble, recording):
    return refined(astray, ensemble, recording, 1500)


def compared(found, ensemble, recording):
    volts, _ = simulate_sets(cells.load(ensemble.cell_folder), np.array([[v.value for v in found.values]]), workers=1)
    return comparison.compare(recording, volts[0])


def test_it_finds_a_cell_that_does_what_the_recorded_one_does(nearer, astray, recording, ensemble):
    """Its values lie nearer the truth, too; not on it, as c and d make up for each other."""
    assert compared(astray, ensemble, recording).disagreements
    assert not compared(nearer, ensemble, recording).disagreements
    assert compared(nearer, ensemble, recording).coincidence > 0.8
    off, before = (np.abs([value.error for value in found.values]).mean() for found in (nearer, astray))
    assert off < before / 2


def test_what_the_ensemble_said_stays(nearer, astray):
    assert [value.answer for value in nearer.values] == [value.value for value in astray.values]
    assert [(v.lo68, v.hi90, v.unit_par) for v in nearer.values] == [
        (v.lo68, v.hi90, v.unit_par) for v in astray.values
    ]
    assert (nearer.verdict, nearer.score) == (astray.verdict, astray.score)
    assert nearer.provenance["search"]["simulations"] <= 1500
    before, after = nearer.provenance["search"]["distance"]
    assert after < before / 20


def test_it_survives_its_file(nearer, tmp_path):
    nearer.save(tmp_path / "fit.json")
    assert fit.load(tmp_path / "fit.json") == nearer


def test_with_one_simulation_the_answer_stays(astray, ensemble, recording):
    same = refined(astray, ensemble, recording, 1)
    assert [v.value for v in same.values] == pytest.approx([v.value for v in astray.values], rel=1e-5)
    assert len(set(same.provenance["search"]["distance"])) == 1


def test_more_simulations_end_no_farther_and_the_same_ones_at_the_same_cell(astray, ensemble, recording):
    np.random.seed(3)
    untouched = np.random.random()
    np.random.seed(3)
    once, again, longer = (refined(astray, ensemble, recording, count, seed=2) for count in (120, 120, 300))
    assert once == again
    assert longer.provenance["search"]["distance"][1] <= once.provenance["search"]["distance"][1]
    assert once.provenance["search"]["simulations"] == 120
    assert np.random.random() == untouched  # of others


def test_one_parameter_alone_is_searched_for(astray, ensemble, recording, monkeypatch):
    """The others are known: then it comes to the truth, which it can't with more that make up for each other."""
    model = cells.fixed(cells.load("izhikevich"), {name: TRUTH[name] for name in "abd"})
    monkeypatch.setattr(refine.cells, "load", lambda _: model)
    alone = replace(astray, values=tuple(value for value in astray.values if value.name == "c"))
    (found,) = refined(alone, ensemble, recording, 200).values
    assert abs(found.error) < 0.5


def test_a_cell_that_fails_is_not_the_nearest(astray, ensemble, recording, monkeypatch):
    """Every second set is said to have failed, with a trace that is the recording's own."""
    from nrn_mlfit.simulator.batch import Batch

    def run(batch, phys_par, reduce):
        volts = np.repeat(recording.volts[None], len(phys_par), axis=0)
        volts[::2] += 5.0
        return (*reduce(volts), np.where(np.arange(len(phys_par)) % 2, Status.VOLTAGE_RANGE, Status.OK))

    monkeypatch.setattr(Batch, "run", run)
    first, nearest = refined(astray, ensemble, recording, 64).provenance["search"]["distance"]
    assert first == nearest > 1


@pytest.mark.filterwarnings("error")
def test_the_search_is_quiet_and_heeds_no_file_of_the_folder(tmp_path, monkeypatch, capfd):
    """cma_signals.in in the current folder would end it after one generation."""
    (tmp_path / "cma_signals.in").write_text("{'timeout': 0}")
    monkeypatch.chdir(tmp_path)
    start, steps = np.array([-1.0, 1.0, 0.2]), np.array([0.1, 0.5, 0.3])
    tried = refine._search(lambda sets: np.square(sets).sum(axis=1), start, steps, (1280, 1), lambda _: None)
    assert tried.count == 1280 and tried.first == pytest.approx(2.04) and tried.nearest < 1e-4
    assert capfd.readouterr() == ("", "")
    assert [path.name for path in tmp_path.iterdir()] == ["cma_signals.in"]


def test_without_a_sound_trace_it_says_so(astray, ensemble, recording, monkeypatch):
    from nrn_mlfit.distance import Target

    monkeypatch.setattr(Target, "distance", lambda target, volts: target.largest())
    with pytest.raises(
        FitError, match="simulated: no cell near the ensemble's answer gives a sound trace; fit without --refine"
    ):
        refined(astray, ensemble, recording, 60)


def test_the_command_line_shows_both_and_the_page_tells_of_it(recording, command, tmp_path):
    recording.save(tmp_path / "trace.npz")
    done = command("fit", tmp_path / "trace.npz", "-e", "izhikevich", "--refine", 60, "-o", tmp_path / "fit")
    assert done.returncode == 0, done.stderr
    said = "".join(line for line in (done.stdout + done.stderr).splitlines(True) if "simulations," not in line)
    assert said.splitlines()[0].split()[:4] == ["parameter", "value", "ensemble", "68%"]
    assert "values: those of the nearest of 60 cells, searched on from the ensemble's answer" in said
    found = fit.load(tmp_path / "fit" / "fit.json")
    assert found.provenance["search"]["simulations"] == 60
    assert command("report", tmp_path / "fit").returncode == 0
    page = (tmp_path / "fit" / "report.html").read_text()
    assert "Values: those of the nearest of 60 cells" in page
    assert page.count("<small>ensemble: ") == len(TRUTH)
