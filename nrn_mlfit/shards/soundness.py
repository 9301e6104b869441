"""Whether a shard is well in itself: its bytes as they were written, its data what its attributes give."""

import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from nrn_mlfit import machine
from nrn_mlfit.errors import ShardError
from nrn_mlfit.parameters import Parameter, ParameterSpace
from nrn_mlfit.shards.format import MISSING, Shard, Status, is_as_written, name_of, read
from nrn_mlfit.shards.overview import Span
from nrn_mlfit.shards.run import first_of

AGAIN = "give the same `nrn-mlfit simulate` command again"


@dataclass(frozen=True)
class Sound:
    """A shard that is well in itself."""

    path: Path
    count: int
    attributes: dict

    @property
    def span(self) -> Span:
        return first_of(self.path), self.count


def checked(path) -> Sound:
    """A shard that is as it was written; raises ShardError for another. HDF5 opens only what has its stamp."""
    if not is_as_written(path):
        raise ShardError(f"not as it was written (cut short, or bytes in it changed); delete it, then {AGAIN}")
    shard = read(path)
    name = name_of(int(shard.attributes["first"]))
    if name != path.name:
        raise ShardError(f"has another name than {name}, which it was given; rename it, or take it out of the folder")
    if wrong := list(_contradictions(shard)):
        raise ShardError(f"{', '.join(wrong)}; delete it, then {AGAIN}")
    return Sound(path, len(shard.status), shard.attributes)


def _contradictions(shard: Shard) -> Iterator[str]:
    """In what a shard is not what its attributes give; of one that has other shapes nothing more can be asked."""
    about, cell = shard.attributes, json.loads(shard.attributes["cell"])
    if wrong := list(_wrong_shapes(shard, len(cell["probes"]))):
        yield from wrong
        return
    space = ParameterSpace(tuple(Parameter(**{**p, "sets": tuple(p["sets"])}) for p in cell["parameters"]))
    sets = int(about["seed"]), int(about["first"]), len(shard.status)
    drawn = space.draw(*sets)
    if not np.array_equal(shard.unit_par, drawn):
        yield "unit_par is not what seed and set numbers draw"
    # Another processor or NumPy may round exp() otherwise in the last bit.
    here = (machine.instruction_set(), np.__version__)
    same_bits = (about["instruction_set"], json.loads(about["versions"]).get("numpy")) == here
    if same_bits and not np.array_equal(shard.phys_par, space.to_phys(drawn)):
        yield "phys_par is not unit_par in the parameters' units"
    if unknown := sorted(set(shard.status.tolist()) - set(Status)):
        yield f"status {unknown[0]} is none"
    yield from _wrong_traces(shard)
    yield from _wrong_currents(shard, sets)


def _wrong_shapes(shard, probes) -> Iterator[str]:
    currents, volts = shard.currents.shape, shard.volts.shape
    if len(currents) != (2 if shard.stim_index is None else 3):
        yield f"currents have the shape {currents}, which is not that of stimuli and samples"
    elif len(volts) != 4 or volts[:3] != (len(shard.status), probes, currents[-2]) or volts[3] > currents[-1]:
        yield f"volts have the shape {volts}, which is not that of its sets, probes and stimuli"


def _wrong_traces(shard) -> Iterator[str]:
    absent = (shard.volts == MISSING).reshape(len(shard.status), -1)
    if absent[shard.ok].any() or not absent[~shard.ok].all():
        yield "volts are missing where the status is ok, or there where it is not"


def _wrong_currents(shard, sets) -> Iterator[str]:
    protocol = shard.protocol
    if protocol.digest()[:32] != shard.attributes["content_hash"][32:]:
        yield "currents are not those of its content_hash"
    wanted = protocol.draw(*sets) if protocol.is_bank else (None, None)
    if any(not np.array_equal(a, b) for a, b in zip((shard.stim_index, shard.stim_scale), wanted, strict=True)):
        yield "stim_index and stim_scale are not what seed and set numbers draw"
