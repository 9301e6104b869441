"""The ensembles that come with the package: whole, of the cells as they are, light, and right about cells they never met."""

import numpy as np
import pytest

from nrn_mlfit import cells, shards, simulate
from nrn_mlfit.cells import CellModel
from nrn_mlfit.learn import Ensemble, shipped

# The cell of each, and the stimulus that is not the cell's own.
OF_CELLS = {
    "ball_two_sticks": ("ball_two_sticks", None),
    "izhikevich": ("izhikevich", None),
    "izhikevich_steps": ("izhikevich_slice", "steps"),
    "mainen": ("mainen", None),
    "mainen_steps": ("mainen_wide", "steps"),
}
SETS, SEED = 64, 77  # of no training and no judging


@pytest.fixture(scope="module", params=OF_CELLS)
def name(request):
    return request.param


@pytest.fixture(scope="module")
def ensemble(name):
    return Ensemble.load(name)


@pytest.fixture(scope="module")
def cell(name) -> CellModel:
    return cells.load(*OF_CELLS[name])


@pytest.fixture(scope="module")
def unseen(cell, tmp_path_factory):
    """A run of cells that no network has met."""
    folder = tmp_path_factory.mktemp("unseen") / "run"
    simulate(cell, samples=SETS, folder=folder, seed=SEED)
    return folder


def test_there_is_one_for_each_shipped_cell():
    assert shipped.names() == list(OF_CELLS)


def test_they_are_light():
    assert sum(path.stat().st_size for path in shipped.FOLDER.rglob("*") if path.is_file()) < 30e6


def test_an_ensemble_is_of_the_cell_as_it_is_now(ensemble, cell):
    """A change of a shipped cell means that its ensemble has to be trained again."""
    assert ensemble.record["cell_hash"] == cell.digest()
    assert ensemble.protocol.digest() == cell.protocol.digest()


def test_an_ensemble_was_made_with_care(ensemble):
    assert len(ensemble.members) >= 4 and ensemble.record["traces"] >= (
        60_000 if ensemble.protocol.is_bank else 200_000
    )
    assert all(member.parameter_count <= 1_000_000 for member in ensemble.members)


def test_the_card_says_what_holds_and_what_is_not_detected(name):
    card = (shipped.FOLDER / name / "MODEL_CARD.md").read_text()
    for words in ("Do the intervals hold", "What the alarm hears", "is not detected", "How it was made"):
        assert words in card


def test_its_errors_and_intervals_on_unseen_cells_are_what_the_card_says(ensemble, unseen):
    fresh = shards.load_runs([unseen])
    currents = fresh.injected if ensemble.protocol.is_bank else None
    found = ensemble.fit(ensemble.as_recorded(fresh.volts, 0), currents)
    told = ensemble.record["judged"]["evaluation"]
    mse = ((np.clip(found.unit_par, -1, 1) - fresh.unit_par) ** 2).mean()
    assert mse < 2 * told["mse"] + 1e-4
    phys = ensemble.space.to_phys(fresh.unit_par)
    low, high = found.bounds[0.9]
    inside = (low <= phys) & (phys <= high)
    assert inside.mean() == pytest.approx(0.9, abs=4 * np.sqrt(0.09 / SETS))  # as if a set's parameters were one
    assert found.warn.mean() < 0.2
