"""Design: Fisher information against what is known of toys, jumps that are marked, candidates that are what was asked."""

import os
import threading
import time
from dataclasses import replace

import numpy as np
import pytest

from nrn_mlfit import cells
from nrn_mlfit.candidates import Candidate, candidates
from nrn_mlfit.design import STEPS, Finding, curated, design, leaders, neighbours
from nrn_mlfit.errors import CellError, StimulusError
from nrn_mlfit.information import NOISE, Information, explained, fisher, in_words, judge, posterior
from nrn_mlfit.report.design import design_picture
from nrn_mlfit.shards import Status
from nrn_mlfit.simulator.batch import Batch, simulate_sets

IZHIKEVICH = cells.load("izhikevich")
NO = np.zeros((4, 2, 2), bool)  # of jumps, for 4 points and 2 parameters


def toy(rows, points=4):
    """Derivatives (points, 2, K, D) of a linear cell: the same everywhere, with any step."""
    return np.broadcast_to(np.array(rows, float), (points, 2, *np.shape(rows)))


def test_a_linear_gaussian_toy_has_its_analytic_r2():
    slopes = np.array([2.0, 0.5])
    told = judge(["a", "b"], toy(np.diag(slopes)), NO, NO)
    assert np.allclose(told.median, 1 - 3 / (slopes**2 / NOISE**2 + 3))
    assert np.allclose(told.log_det, np.log(slopes**2 / NOISE**2 + 3).sum())
    assert told.unlike == 0


def test_the_posterior_is_that_of_conjugate_regression():
    rng = np.random.default_rng(1)
    slopes = rng.normal(size=(3, 50))
    exact = np.linalg.inv(slopes @ slopes.T / 0.7**2 + 3 * np.eye(3))
    assert np.allclose(posterior(fisher(slopes, 0.7)), exact)
    # What least squares with this prior really misses by, over many noisy traces.
    truth = rng.normal(0, 3**-0.5, (20000, 3))
    traces = truth @ slopes + rng.normal(0, 0.7, (20000, 50))
    missed = traces @ slopes.T / 0.7**2 @ exact - truth
    assert np.allclose(np.mean(missed**2, axis=0), np.diag(exact), rtol=0.05)


def test_a_parameter_without_effect_has_r2_0():
    told = judge(["a", "nothing"], toy([[5.0, 1], [0, 0]]), NO, NO)
    assert told.median[1] == pytest.approx(0, abs=1e-12) and told.median[0] > 0.98
    assert told.weakest[0][0] == "nothing"
    assert told.worst_in_words == ("nothing alone", pytest.approx(0, abs=1e-12))


def test_parameters_that_do_the_same_are_half_known_and_their_difference_is_the_worst_direction():
    told = judge(["a", "b"], toy([[50.0, 20], [50, 20]]), NO, NO)
    assert np.allclose(told.median, 0.5, atol=1e-3)
    words, along = told.worst_in_words
    assert words in ("a up with b down", "b up with a down") and along == pytest.approx(0, abs=1e-9)


@pytest.mark.parametrize(
    "direction, words",
    [
        ([0.8, -0.6, 0.1], "a up with b down"),
        ([0.1, 0.99, 0.1], "b alone"),
        ([0.5, 0.6, -0.62], "b and a up with c down"),
        ([0.7, 0.1, 0.71], "c and a up"),
    ],
)
def test_directions_in_words(direction, words):
    assert in_words(np.array(direction), ["a", "b", "c"]) == words


def test_points_with_jumps_or_failures_are_counted_and_left_out():
    slopes = toy(np.eye(2)).copy()
    slopes[1, 0, 0] = slopes[2, 0, 0] = np.nan  # whatever a jump gives
    jumps, failed = NO.copy(), NO.copy()
    jumps[1, 0, 0] = jumps[3, 1, 1] = failed[2, 0, 0] = jumps[2, 0, 0] = True
    told = judge(["a", "b"], slopes, jumps, failed)
    assert told.r2.shape == (2, 2) and np.allclose(told.r2, told.r2[0])
    assert (told.jumps.sum(), told.failed.sum()) == (1, 1)  # what failed has no number of spikes that could jump
    assert len(told.other_r2) == 3


def test_steps_that_do_not_agree_are_told():
    slopes = toy(np.eye(2)).copy()
    slopes[:3, 1, 1] *= 0.5
    assert judge(["a", "b"], slopes, NO, NO).unlike == 0.75


def finding_of(mean, other_mean, count=8, unlike=0.0):
    told = Information(["a"], np.full((count, 1), mean), np.full((count, 1), other_mean), np.zeros(count), np.eye(1), np.zeros(
        (10, 1)), np.zeros((10, 1)), unlike)  # fmt: skip
    return Finding(Candidate(f"at {mean}", None), told, np.ones(10), -90.0, "lanes-double")


def test_a_lead_that_is_smaller_than_the_doubt_is_none():
    sure, near, doubted, far = (finding_of(*pair) for pair in ((0.8, 0.8), (0.797, 0.797), (0.7, 0.85), (0.5, 0.5)))
    assert leaders([far, sure]) == [sure]
    assert leaders([sure, near, far]) == [sure, near]
    assert leaders([sure, doubted, far]) == [sure, doubted]
    assert leaders([finding_of(np.nan, np.nan, 0)]) == []


def test_medians_of_scattered_points_leave_more_open():
    spread = np.linspace(0.5, 0.9, 9)[:, None]  # quartiles 0.6 and 0.8
    told = Information(["a"], spread, spread, np.zeros(9), np.eye(1), np.zeros((9, 1)), np.zeros((9, 1)), 0.0)
    assert told.doubt == pytest.approx(np.sqrt(np.pi / 2) / 1.349 * 0.2 / 3, rel=0.01)


class _Clock:
    """Seconds that pass only where a test says so."""

    def __init__(self):
        self.now = 0.0

    def monotonic(self):
        return self.now


def test_the_time_left_does_not_count_what_building_took(monkeypatch):
    from nrn_mlfit import design as rules
    from nrn_mlfit import progress

    clock, lines = _Clock(), []

    class Slow:
        def __init__(self, *_):
            pass

        def __enter__(self):
            clock.now += 100

        def __exit__(self, *_):
            pass

    def examine(_candidate, _points, _steps, _batch, tick):
        clock.now += 5
        tick(10)
        return finding_of(0.8, 0.8)

    monkeypatch.setattr(progress, "time", clock)
    monkeypatch.setattr(rules, "Batch", Slow)
    monkeypatch.setattr(rules, "_examine", examine)
    design(candidates(cells.load("izhikevich")), points=10, report=lines.append)
    assert lines[0] == "  10/170 sets, 2/s, 1 min 20 s left"


def test_what_is_to_be_relied_on():
    assert not finding_of(0.8, 0.8, count=7).information.is_reliable
    assert finding_of(0.8, 0.8).information.is_reliable
    assert not finding_of(0.8, 0.8, count=4).information.is_reliable
    assert not finding_of(0.8, 0.8, unlike=0.6).information.is_reliable
    assert not finding_of(0.8, 0.8, unlike=np.nan).information.is_reliable


def test_without_points_nothing_is_known():
    told = judge(["a", "b"], toy(np.eye(2)), ~NO, NO)
    assert np.isnan([told.mean, told.other_mean, told.unlike, told.typical_log_det]).all()


def test_curation_takes_the_logarithm_before_it_averages():
    volts = np.tile([-81.0, 18.0], 50)[None, None, None]  # mV, floor -82: log10(2) and log10(101)
    assert np.allclose(curated(volts, -82.0, 0.1), (np.log10(2) + np.log10(101)) / 2 * np.ones((1, 20)), atol=0.2)
    assert curated(volts, -82.0, 0.02).shape == (1, 4)
    assert curated(volts, -82.0, 0.02)[0, 0] == pytest.approx((13 * np.log10(2) + 12 * np.log10(101)) / 25)
    assert curated(volts, -82.0, 1.0).shape == (1, 100)
    assert curated(volts[..., :3], -82.0, 0.02).shape == (1, 1)  # shorter than a bin


def test_neighbours_differ_from_their_point_in_one_parameter_by_a_step():
    points = np.array([[0.5, -0.5, 0.1], [0, 0.2, 0.3]])
    ends = neighbours(points, (0.1, 0.2)).reshape(2, 2, 3, 2, 3)
    assert np.allclose(ends[1, 0, 2], [[0, 0.2, 0.2], [0, 0.2, 0.4]])
    assert np.allclose(ends[0, 1, 0], [[0.3, -0.5, 0.1], [0.7, -0.5, 0.1]])


def test_candidates_are_all_combinations():
    made = candidates(IZHIKEVICH, ["own", "step"], [5, 10.0], geometries=["own", "size=2,length=3"])
    assert [c.name for c in made][:3] == ["own 5, own", "own 5, size=2,length=3", "own 10, own"]
    assert len(made) == 8 and made[1].model.geometry == {"size": 2, "length": 3} and not made[0].model.geometry
    first = made[0].model.protocol.stimuli[0]
    assert first.scale == 5 and np.allclose(first.current, IZHIKEVICH.protocol.stimuli[0].current / 3)


def test_a_kind_without_a_scale_gets_the_own_one():
    (step,) = candidates(IZHIKEVICH, ["step"])
    assert step.name == "step 15" and step.model.protocol.stimuli[0].current.max() == 15


def test_the_own_kind_keeps_its_settings_and_another_one_has_its_defaults():
    model = cells.load("ball_two_sticks")
    own, named, step = (c.model.protocol for c in candidates(model, ("own", "reset_chirp", "step")))
    assert own.specs[0]["reset"] == 0.65 and named.digest() == own.digest()
    assert step.specs[0]["delay"] == 50


def test_stimuli_from_files(tmp_path):
    np.savez(tmp_path / "piece.npz", current=np.arange(500) / 100, dt=0.1)
    (tmp_path / "two.yaml").write_text("[{kind: step, scale: 0.2}, {kind: step, scale: -0.1}]")
    (piece,) = candidates(IZHIKEVICH, [str(tmp_path / "piece.npz")], [2])
    assert np.allclose(piece.model.protocol.windows[0], np.arange(500) / 50)
    (two,) = candidates(IZHIKEVICH, [str(tmp_path / "two.yaml")], [1])
    assert [s.scale for s in two.model.protocol.stimuli] == [1, -0.5]


def test_probes_by_name_and_by_site():
    (both,) = candidates(IZHIKEVICH, probes=["V,U@cell"])
    assert both.model.probes == {"V": "V@cell", "U@cell": "U@cell"} and both.name == "own 15, V,U@cell"


@pytest.mark.parametrize(
    "asked, error, words",
    [
        ({"names": ["chirp"]}, StimulusError, "no stimulus is called 'chirp'; there are own, reset_chirp"),
        ({"names": ["no.npz"]}, StimulusError, "no.npz: no such file"),
        ({"names": ["no.yaml"]}, StimulusError, "no.yaml: cannot be read"),
        ({"scales": [0.0]}, StimulusError, "a scale of 0: must be a number other than 0"),
        ({"scales": [float("nan")]}, StimulusError, "a scale of nan"),
        ({"probes": ["soma(2)"]}, CellError, "probe 'soma(2)': write SECTION"),
        ({"probes": ["soma"]}, CellError, "probe 'soma'"),
        ({"probes": ["set_rm()"]}, CellError, "write SECTION"),
        ({"geometries": ["length"]}, CellError, "geometry 'length': write KEY=VALUE"),
        ({"geometries": ["length=long"]}, CellError, "write KEY=VALUE"),
        ({"geometries": ["a=1,"]}, CellError, "geometry '': write KEY=VALUE"),
    ],
)
def test_what_makes_no_candidate(asked, error, words):
    with pytest.raises(error) as raised:
        candidates(IZHIKEVICH, **asked)
    assert words in str(raised.value)


def test_a_kind_needs_a_scale_where_the_own_stimulus_has_none(tmp_path):
    np.savez(tmp_path / "piece.npz", current=np.ones(500), dt=0.1)
    (piece,) = candidates(IZHIKEVICH, [str(tmp_path / "piece.npz")])
    with pytest.raises(StimulusError, match="needs --scales"):
        candidates(piece.model, ["step"])
    with pytest.raises(StimulusError, match="bad.yaml: no stimulus is called"):
        (tmp_path / "bad.yaml").write_text("{kind: chirp}")
        candidates(piece.model, [str(tmp_path / "bad.yaml")])


DRAWS = IZHIKEVICH.space.to_phys(IZHIKEVICH.space.draw(1, 0, 12))


def test_sets_come_back_in_their_order_whatever_the_number_of_workers():
    alone, status = simulate_sets(IZHIKEVICH, DRAWS, workers=1)
    shared, _ = simulate_sets(IZHIKEVICH, DRAWS, workers=3)
    assert alone.shape == (12, 1, 1, 9000) and alone.dtype == np.float32 and (status == Status.OK).all()
    assert np.array_equal(alone, shared)


def test_sets_are_reduced_as_they_come():
    means, status = simulate_sets(IZHIKEVICH, DRAWS, workers=2, reduce=lambda volts: (volts.mean(axis=(1, 2, 3)),))
    whole, _ = simulate_sets(IZHIKEVICH, DRAWS, workers=2)
    assert np.allclose(means, whole.mean(axis=(1, 2, 3)), atol=1e-3) and len(status) == 12


def test_an_error_ends_all_workers_soon():
    def fail(_volts):
        raise ValueError("as it were")

    before = threading.active_count()
    with pytest.raises(ValueError, match="as it were"):
        simulate_sets(IZHIKEVICH, np.repeat(DRAWS, 100, axis=0), workers=2, reduce=fail)
    assert threading.active_count() == before
    with pytest.raises(CellError, match="no public apical_length"):
        simulate_sets(replace(IZHIKEVICH, geometry={"apical_length": 1.0}), DRAWS, workers=2)


def test_a_worker_that_is_killed_costs_nothing():
    wanted, _ = simulate_sets(IZHIKEVICH, DRAWS, workers=1)
    with Batch(IZHIKEVICH, workers=1) as batch:
        batch.run(DRAWS[:1])
        os.kill(batch._workers[0]._pid, 9)
        time.sleep(0.1)
        volts, status = batch.run(DRAWS)
    assert np.array_equal(volts, wanted) and (status == Status.OK).all()


@pytest.fixture(scope="module")
def found():
    """What one can learn of the Izhikevich cell at rest, where c and d do nothing, and when it fires."""
    return design(candidates(IZHIKEVICH, ["own", "step"], [1e-9, 10]), points=6, workers=2)


def test_a_reset_that_never_happens_cannot_be_learned(found):
    for quiet in (f for f in found if "1e-09" in f.name):
        still = quiet.spikes == 0  # some draws fire by themselves
        assert still.any() and quiet.lowest < -60
    fires = next(f for f in found if f.name == "step 10")
    assert fires.silent == 0 and (fires.information.median > 0.9).all()
    silent = design(candidates(only_a_quiet_one(), ["step"], [1e-9]), points=4, workers=2)[0]
    assert silent.silent == 1 and not silent.information.jumps.any()
    assert np.allclose(silent.information.median[2:], 0, atol=1e-6)
    assert (silent.information.median[:2] > 0.02).all()


def only_a_quiet_one():
    """The cell with b so small that it rests."""
    space = IZHIKEVICH.space
    calm = replace(space.parameters[1], low=0.1, high=0.18)
    return replace(IZHIKEVICH, space=replace(space, parameters=(space.parameters[0], calm, *space.parameters[2:])))


def test_the_same_points_give_the_same_findings_on_any_number_of_workers(found):
    again = design(candidates(IZHIKEVICH, ["step"], [10]), points=6, workers=1)[0]
    assert np.array_equal(again.information.r2, next(f for f in found if f.name == "step 10").information.r2)


def test_derivatives_are_those_of_the_simulator():
    """c is where V is set after a spike: the information on it is about that of the time spent near there."""
    (step,) = candidates(IZHIKEVICH, ["step"], [10])
    point = np.zeros((1, 4))
    (volts, _) = simulate_sets(step.model, step.model.space.to_phys(neighbours(point, STEPS)), workers=1)
    rate = (curated(volts, -90.0, 0.02)[1::2] - curated(volts, -90.0, 0.02)[0::2]).reshape(2, 4, -1)
    small, large = rate[0] / 2 / STEPS[0], rate[1] / 2 / STEPS[1]
    assert explained(posterior(fisher(small)))[2] > 0.9 < explained(posterior(fisher(large)))[2]


def test_the_picture_is_whole(found, tmp_path):
    design_picture(found, tmp_path / "a.png", "a cell", 0.002)
    design_picture(found[:1], tmp_path / "one.svg", "a cell", 0.002)
    assert (tmp_path / "a.png").read_bytes().startswith(b"\x89PNG") and b"<svg" in (tmp_path / "one.svg").read_bytes()
    assert len(list(tmp_path.iterdir())) == 2


def test_the_picture_says_how_many_points_count_and_how_many_are_unlike():
    from nrn_mlfit.report.design import _facts

    assert _facts(finding_of(0.8, 0.8, count=8, unlike=0.25)).endswith("; 8/10 points, 25% unlike")
