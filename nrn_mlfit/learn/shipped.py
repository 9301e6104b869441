"""Ensembles that come with the package, by name."""

from pathlib import Path

FOLDER = Path(__file__).parents[1] / "ensembles"


def names() -> list[str]:
    """The names of the ensembles that come with the package."""
    return sorted(path.parent.name for path in FOLDER.glob("*/ensemble.json"))


def find(ensemble: Path | str) -> Path:
    """The folder of an ensemble: as given if one is there, else the shipped one of that name, else as given.

    A folder that has the name of a cell, and holds its runs or fits, does not stand before the shipped one.
    """
    given = Path(ensemble)
    if (given / "ensemble.json").is_file() or str(ensemble) not in names():
        return given
    return FOLDER / given.name
