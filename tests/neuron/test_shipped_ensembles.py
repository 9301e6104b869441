"""The ensembles that come with the package: whole, of the cells as they are, light, and right about cells they never met."""

import numpy as np
import pytest

from nrn_mlfit import cells, shards, simulate
from nrn_mlfit.learn import Ensemble, shipped

CELLS = ["ball_two_sticks", "izhikevich", "mainen"]
SETS, SEED = 64, 77  # of no training and no judging


@pytest.fixture(scope="module", params=CELLS)
def ensemble(request):
    return Ensemble.load(request.param)


@pytest.fixture(scope="module")
def unseen(ensemble, tmp_path_factory):
    """A run of cells that no network has met."""
    folder = tmp_path_factory.mktemp("unseen") / "run"
    simulate(cells.load(ensemble.record["cell"]), samples=SETS, folder=folder, seed=SEED)
    return folder


def test_there_is_one_for_each_shipped_cell():
    assert shipped.names() == CELLS


def test_they_are_light():
    assert sum(path.stat().st_size for path in shipped.FOLDER.rglob("*") if path.is_file()) < 30e6


def test_an_ensemble_is_of_the_cell_as_it_is_now(ensemble):
    """A change of a shipped cell means that its ensemble has to be trained again."""
    cell = cells.load(ensemble.record["cell"])
    assert ensemble.record["cell_hash"] == cell.digest()
    assert ensemble.protocol.digest() == cell.protocol.digest()


def test_an_ensemble_was_made_with_care(ensemble):
    assert len(ensemble.members) >= 4 and ensemble.record["traces"] >= 200_000
    assert all(member.parameter_count <= 1_000_000 for member in ensemble.members)


def test_the_card_says_what_holds_and_what_is_not_detected(ensemble):
    card = (shipped.FOLDER / ensemble.record["cell"] / "MODEL_CARD.md").read_text()
    for words in ("Do the intervals hold", "What the alarm hears", "is not detected", "How it was made"):
        assert words in card


def test_its_errors_and_intervals_on_unseen_cells_are_what_the_card_says(ensemble, unseen):
    fresh = shards.load_runs([unseen])
    found = ensemble.fit(shards.to_millivolts(fresh.volts))
    told = ensemble.record["judged"]["evaluation"]
    mse = ((np.clip(found.unit_par, -1, 1) - fresh.unit_par) ** 2).mean()
    assert mse < 2 * told["mse"] + 1e-4
    phys = ensemble.space.to_phys(fresh.unit_par)
    low, high = found.bounds[0.9]
    inside = (low <= phys) & (phys <= high)
    assert inside.mean() == pytest.approx(0.9, abs=4 * np.sqrt(0.09 / SETS))  # as if a set's parameters were one
    assert found.warn.mean() < 0.2
