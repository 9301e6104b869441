"""Ensembles that come with the package, by name."""

from pathlib import Path

FOLDER = Path(__file__).parents[1] / "ensembles"


def names() -> list[str]:
    """The names of the ensembles that come with the package."""
    return sorted(path.parent.name for path in FOLDER.glob("*/ensemble.json"))


def find(ensemble: Path | str) -> Path:
    """The folder of an ensemble: as given if it is there, else the shipped one of that name, else as given."""
    given = Path(ensemble)
    return FOLDER / given.name if not given.exists() and str(ensemble) in names() else given
