"""What an ensemble's folder says without its networks: of which cell it is, and which stimulus it knows. Loads no PyTorch."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

import safetensors
from safetensors.numpy import load as arrays_from

from nrn_mlfit import textfile
from nrn_mlfit.errors import EnsembleError, MlfitError
from nrn_mlfit.learn import shipped
from nrn_mlfit.stimuli import Protocol

Held = TypeVar("Held")
FORMAT = "nrn_mlfit ensemble"
FORMAT_VERSION = 3
MEND = "copy the whole folder again, or train again"


@dataclass(frozen=True, eq=False)
class Outline:
    """The name of an ensemble's cell and its hash, the stimulus that was trained on, and the names of the probes."""

    cell: str
    cell_hash: str
    protocol: Protocol
    probes: tuple[str, ...]


def read(folder: Path) -> Outline:
    """The outline of the ensemble in `folder`; raises EnsembleError where there is none, or what it needs is damaged."""
    return opened(folder, _outline)


def _outline(folder, held) -> Outline:
    record = held["record"]
    probes = tuple(str(name) for name, _ in held["probes"])
    return Outline(record.get("cell", ""), record.get("cell_hash", ""), protocol(folder, held), probes)


def opened(folder: Path, take: Callable[[Path, dict], Held]) -> Held:
    """What `take` makes of a folder and its ensemble.json; what goes wrong is said in one sentence, an EnsembleError."""
    path = folder / "ensemble.json"
    if not path.is_file():
        raise EnsembleError(
            f"{folder}: holds no ensemble (no ensemble.json){_those_shipped()}; train one with `nrn-mlfit train DIR -o {folder}`"
        )
    held = textfile.read_json(path, EnsembleError)
    if held.get("format") != FORMAT or held.get("format_version") != FORMAT_VERSION:
        raise EnsembleError(
            f"{path}: is {held.get('format')!r} version {held.get('format_version')!r}, this program reads "
            f"{FORMAT!r} version {FORMAT_VERSION}; use the version of nrn-mlfit that wrote it"
        )
    try:
        return take(folder, held)
    except (LookupError, TypeError, ValueError, AttributeError) as error:
        raise EnsembleError(f"{path}: damaged ({type(error).__name__}: {error}); {MEND}") from None
    except MlfitError as error:
        raise error if isinstance(error, EnsembleError) else EnsembleError(f"{path}: {error}") from None


def _those_shipped() -> str:
    """The ensembles that are known by name, by whom they come with."""
    known = shipped.available()
    held = {offer.package: [name for name in known if known[name].package == offer.package] for offer in known.values()}
    return "".join(f"; those that come with {package} are {', '.join(names)}" for package, names in held.items())


def protocol(folder: Path, held: dict) -> Protocol:
    """The stimulus of an ensemble with that ensemble.json."""
    path = folder / "stimulus.safetensors"
    try:
        arrays = arrays_from(path.read_bytes())
    except (OSError, safetensors.SafetensorError) as error:
        raise EnsembleError(f"{path}: cannot be read as safetensors ({error}); {MEND}") from None
    return Protocol.rebuilt(arrays["currents"], held["dt"], int(arrays["start"]), held["protocol"])
