"""Ensembles that are known by name: those that come with this package, and those that other installed packages bring."""

from pathlib import Path

from nrn_mlfit import packages
from nrn_mlfit.packages import Offer

FOLDER = Path(__file__).parents[1] / "ensembles"
OURS = "nrn_mlfit"


def names() -> list[str]:
    """The names of the ensembles that come with this package."""
    return sorted(path.parent.name for path in FOLDER.glob("*/ensemble.json"))


def available() -> dict[str, Offer]:
    """Every ensemble that is known by name, this package's own first; what other packages offer may be damaged."""
    ours = names()
    return {name: Offer(FOLDER / name, OURS) for name in ours} | packages.offered("ensemble", ours)


def find(ensemble: Path | str) -> Path:
    """The folder of an ensemble: as given if one is there, else that of the one of that name, else as given.

    A folder that has the name of a cell, and holds its runs or fits, does not stand before the ensemble of that name.
    """
    given = Path(ensemble)
    if (given / "ensemble.json").is_file():
        return given
    known = available()
    return known[str(ensemble)].path if str(ensemble) in known else given
