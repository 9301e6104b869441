"""Candidates of a comparison: one cell under several stimuli, scales, probes and geometries, in all combinations."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import product
from pathlib import Path

import numpy as np

from nrn_mlfit import stimuli, textfile
from nrn_mlfit.cells import CellModel
from nrn_mlfit.errors import CellError, MlfitError, StimulusError
from nrn_mlfit.places import is_site
from nrn_mlfit.stimuli import Protocol, Stimulus

OWN = "own"  # what the cell file says


@dataclass(frozen=True, eq=False)
class Candidate:
    """A cell as it could be measured: under one stimulus and scale, with one set of probes and one geometry."""

    name: str
    model: CellModel


def candidates(
    model: CellModel,
    names: Sequence[str] = (OWN,),
    scales: Sequence[float] = (),
    probes: Sequence[str] = (OWN,),
    geometries: Sequence[str] = (OWN,),
) -> list[Candidate]:
    """All combinations; "own" is what the cell file says, and stands for what is not given.

    A stimulus is one of its kinds, at the own one's scale (and with its settings, where that is of this kind), or the path
    of a .npz, .csv or .yaml file. `scales` replace the scale, that of the first stimulus where there are several; the
    others keep their proportion. Probes are sites or names of the cell's probes, "soma(0.5),dend(1)"; a geometry is
    "apical_length=600,soma_diameter=20" (um).
    """
    held = []
    for name, scale, sites, shape in product(names, scales or (None,), probes, geometries):
        stims = _scaled(_stimuli(model, name, scale), scale)
        other = replace(model.under(*stims), probes=_probes(model, sites), geometry=_geometry(model, shape))
        extras = [word for word, choice in ((sites, probes), (shape, geometries)) if tuple(choice) != (OWN,)]
        held.append(Candidate(", ".join([f"{name} {stims[0].scale:g}", *extras]), other))
    return held


def _stimuli(model, name, scale) -> tuple[Stimulus, ...]:
    path = Path(name)
    if name == OWN:
        if model.protocol.is_bank:
            raise StimulusError(
                f"{model.name}: its stimulus is a {model.protocol.name}, another one for each set; name one with --stimuli"
            )
        return model.protocol.stimuli
    if path.suffix in (".yaml", ".yml"):
        return _described(path)
    if path.suffix in (".npz", ".csv"):
        return (stimuli.from_file(path),)
    if name not in stimuli.KINDS:
        raise StimulusError(
            f"no stimulus is called {name!r}; there are {', '.join([OWN, *stimuli.KINDS])}, or give the path of a .npz, "
            ".csv or .yaml file"
        )
    own = model.protocol.stimuli[0]
    if scale is None and own.name not in stimuli.KINDS:
        raise StimulusError(f"{name}: needs --scales, as the cell's own stimulus is a file, whose scale is a factor")
    settings = own.spec if own.name == name else {"scale": own.scale}  # the default, 1 nA, is too much for most cells
    return (stimuli.make({**settings, "kind": name}),)


def _described(path) -> tuple[Stimulus, ...]:
    """What a YAML file describes: one stimulus or a list of them, as under `stimulus:` of a cell file."""
    held = textfile.read_yaml(path, StimulusError)
    held = held["stimulus"] if isinstance(held, dict) and "stimulus" in held else held
    specs = held if isinstance(held, list) else [held]
    try:
        return Protocol(tuple(stimuli.make(spec, path.parent) for spec in specs)).stimuli
    except MlfitError as error:
        raise StimulusError(f"{path}: {error}") from None


def _scaled(stims, scale) -> tuple[Stimulus, ...]:
    if scale is None:
        return stims
    if not np.isfinite(scale) or scale == 0:
        raise StimulusError(f"a scale of {scale:g}: must be a number other than 0")
    return tuple(s.scaled(scale * (s.scale / stims[0].scale)) for s in stims)


def _probes(model, words) -> dict[str, str]:
    if words == OWN:
        return model.probes
    sites = {word: model.probes.get(word, word) for word in map(str.strip, words.split(","))}
    for site in sites.values():
        if not is_site(site):
            raise CellError(
                f"probe {site!r}: write SECTION(x) with x in 0..1, VARIABLE@PROCESS for a point process, or the name of a "
                f"probe of the cell: {', '.join(model.probes)}"
            )
    return sites


def _geometry(model, words) -> dict[str, float]:
    if words == OWN:
        return model.geometry
    return {**model.geometry, **dict(_setting(word) for word in words.split(","))}


def _setting(word) -> tuple[str, float]:
    name, _, value = word.partition("=")
    try:
        number = float(value)
    except ValueError:
        number = np.nan
    if not (name.strip() and np.isfinite(number)):
        raise CellError(f"geometry {word!r}: write KEY=VALUE with a number, such as soma_diameter=20")
    return name.strip(), number
