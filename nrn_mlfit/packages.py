"""What installed packages offer by name through entry points: cells (`nrn_mlfit.cells`), ensembles (`nrn_mlfit.ensembles`)."""

import warnings
from collections.abc import Collection
from dataclasses import dataclass
from importlib.metadata import EntryPoint, entry_points
from pathlib import Path

GROUPS = {"cell": "nrn_mlfit.cells", "ensemble": "nrn_mlfit.ensembles"}
ARTICLES = {"cell": "a cell", "ensemble": "an ensemble"}


@dataclass(frozen=True)
class Offer:
    """A file or folder, and the package that offers it."""

    path: Path
    package: str


def offered(kind: str, taken: Collection[str]) -> dict[str, Offer]:
    """The cells or ensembles (`kind`) of installed packages by name, in the order of the names; `taken` are this package's own.

    What does not load is left out with a warning: whatever another package does must not hide what the rest offers. Of two
    packages with one name the first by the alphabet has it, with a warning that names both; so it is on every machine.
    """
    found: dict[str, Offer] = {}
    for entry in sorted(entry_points(group=GROUPS[kind]), key=lambda entry: (entry.name, _package(entry))):
        told = _doubled(kind, entry, taken, found)
        if not told:
            try:
                found[entry.name] = Offer(_path(entry), _package(entry))
            except (Exception, SystemExit) as error:  # a script may call sys.exit() when it is imported
                why = f"it ends Python (sys.exit({error}))" if isinstance(error, SystemExit) else error
                told = (
                    f"{kind} {entry.name} of the package {_package(entry)} does not load: {why}; mend or uninstall it"
                )
        if told:
            warnings.warn(told, stacklevel=3)
    return found


def _path(entry: EntryPoint) -> Path:
    """What an entry point names; a relative path would be another file in each working folder."""
    path = Path(entry.load())
    if not path.is_absolute():
        raise ValueError(f"the path {path} is relative, and is to be made of the package's __file__")
    return path


def _doubled(kind, entry, taken, found) -> str:
    """Why a name that a package gives is not its own; empty where it is."""
    name, package = entry.name, _package(entry)
    if name in taken:
        return (
            f"the package {package} calls {ARTICLES[kind]} {name}, as one that comes with nrn_mlfit is called, which stays; use "
            f"the {kind} of {package} by its path"
        )
    if name in found:
        first = found[name].package
        return (
            f"the packages {first} and {package} both have {ARTICLES[kind]} {name}; that of {first} is taken: uninstall one, or "
            "use the other by its path"
        )
    return ""


def _package(entry: EntryPoint) -> str:
    return entry.dist.name if entry.dist else entry.value.split(":")[0]
