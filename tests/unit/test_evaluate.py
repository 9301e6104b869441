"""An evaluation of errors that are known says what they are."""

import numpy as np
import pytest

from nrn_mlfit.evaluate import Evaluation, write
from nrn_mlfit.report.evaluation import correlation_picture, truth_picture

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


def test_files_and_pictures_are_whole(found, tmp_path):
    write(found, tmp_path)
    truth_picture(found, tmp_path / "t.png", "toy")
    correlation_picture(found, tmp_path / "c.png", "toy")
    assert all((tmp_path / name).stat().st_size > 5000 for name in ("t.png", "c.png"))
    assert (tmp_path / "evaluation.json").stat().st_size > 500
