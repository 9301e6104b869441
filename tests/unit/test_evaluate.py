"""An evaluation of errors that are known says what they are."""

import json
from dataclasses import replace
from statistics import NormalDist

import numpy as np
import pytest

from nrn_mlfit.evaluate import Evaluation, write
from nrn_mlfit.report.evaluation import correlation_picture, distribution_picture, error_picture, truth_picture

SETS = 20_000


@pytest.fixture(scope="module")
def found():
    """a is known to 0.1; b not at all (its middle is answered); c and d are traded for each other, with errors of 0.3."""
    random = np.random.default_rng(1)
    truth = random.uniform(-0.6, 0.6, (SETS, 4))
    shared = random.normal(0, 0.3, SETS) * 0.5
    middle = truth.copy()
    middle[:, 0] += random.normal(0, 0.1, SETS)
    middle[:, 1] = 0
    middle[:, 2] += shared
    middle[:, 3] -= shared
    truth[:, 1] = random.uniform(-1, 1, SETS)
    half = np.array([0.1, 0.5, 0.15, 0.15])
    return Evaluation(
        names=["a", "b", "c", "d"],
        widths=np.array([10.0, 4.0, 2.0, 3.0]),
        units=["mS", "", "mV", "decades"],
        truth=truth,
        members=np.stack([middle - 0.01, middle + 0.01]),
        bounds={0.68: np.stack([middle - half, middle + half])},
        constant={0.68: np.array([0.1, 1.0, 0.3, 0.15])},
        score=np.linspace(0, 1, SETS),
        threshold=0.9,
    )


def test_errors_are_those_that_were_made(found):
    assert found.mse == pytest.approx([0.01, 1 / 3, 0.0225, 0.0225], rel=0.03)
    assert found.r2 == pytest.approx([0.97, 0.0, 0.9325, 0.9325], abs=0.03)
    assert found.rms_percent == pytest.approx([5, 28.9, 7.5, 7.5], rel=0.03)
    assert found.rms[0] == pytest.approx(0.1 * 10 / 2, rel=0.03)


def test_what_is_not_constrained_and_what_is_traded_is_named(found):
    assert found.unconstrained == ["b"]
    ((one, other, correlation),) = found.pairs
    assert (one, other) == ("c", "d") and correlation == pytest.approx(-1, abs=0.01)


def test_coverage_and_alarms_are_counted(found):
    assert found.coverage[0.68] == pytest.approx([0.683, 0.5, 0.683, 0.683], abs=0.015)
    assert found.alarms == pytest.approx(0.1, abs=0.001)


def test_the_error_by_the_true_value(found):
    centres, rms = found.by_truth()
    assert centres == pytest.approx(np.arange(-0.9, 1, 0.2))
    assert rms[:, 1] == pytest.approx(np.sqrt(centres**2 + 0.2**2 / 12), rel=0.05)  # of the answer 0, in bins 0.2 wide
    assert np.isnan(rms[0, 0]) and rms[4:6, 0] == pytest.approx([0.1, 0.1], rel=0.1)


def test_the_raw_spread_of_the_members_holds_as_often_as_a_gaussian_of_that_width_says(found):
    """The members differ by 0.02, the errors of a have a standard deviation of 0.1: 0.0099 of them either way."""
    assert found.raw[0.68][0] == pytest.approx(2 * (NormalDist(0, 0.1).cdf(0.00994) - 0.5), abs=0.01)
    wider = replace(found, bounds={0.95: found.bounds[0.68]})
    assert wider.raw[0.95][0] == pytest.approx(2 * (NormalDist(0, 0.1).cdf(0.0196) - 0.5), abs=0.01)


def test_widths_are_told_in_percent_and_against_one_width_for_all(found):
    assert found.width_percent[0.68][:2] == pytest.approx([10, 50])
    assert found.against_constant[0.68] == pytest.approx([1, 0.5, 0.5, 1], abs=0.03)


def part(found, sets, parameters):
    """The evaluation of the first of its traces and parameters."""
    kept = np.s_[:sets, :parameters]
    return replace(
        found,
        names=found.names[:parameters],
        widths=found.widths[:parameters],
        units=found.units[:parameters],
        truth=found.truth[kept],
        members=found.members[:, *kept],
        bounds={level: ends[:, *kept] for level, ends in found.bounds.items()},
        constant={level: half[:parameters] for level, half in found.constant.items()},
        score=found.score[:sets],
    )


def test_a_cell_with_one_parameter_has_no_pairs(found):
    lone = part(found, SETS, 1)
    assert lone.correlation == pytest.approx(np.ones((1, 1))) and lone.pairs == []


def test_errors_of_one_trace_are_not_correlated(found, tmp_path):
    lone = part(found, 1, 4)
    write(lone, tmp_path)
    assert not lone.correlation.any() and (tmp_path / "evaluation.json").is_file()


def test_the_correlation_is_pearsons(found):
    assert found.correlation == pytest.approx(np.corrcoef(found.residuals, rowvar=False))


def test_files_and_pictures_are_whole(found, tmp_path):
    write(found, tmp_path)
    pictures = [truth_picture, correlation_picture, error_picture, distribution_picture]
    for picture in pictures:
        picture(found, tmp_path / f"{picture.__name__}.png", "toy")
        assert (tmp_path / f"{picture.__name__}.png").stat().st_size > 5000
    rows = json.loads((tmp_path / "evaluation.json").read_text())["parameters"]
    assert rows["b"]["r2"] == pytest.approx(0, abs=0.03) and rows["c"]["against_constant"]["0.68"] < 0.6
