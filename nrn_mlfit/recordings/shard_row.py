"""Rows of a shard of simulated traces: each is a recording whose true parameters are known."""

from functools import partial
from pathlib import Path

from nrn_mlfit import shards
from nrn_mlfit.errors import RecordingError
from nrn_mlfit.recordings.current import COMMANDED
from nrn_mlfit.recordings.reading import Reading
from nrn_mlfit.recordings.recording import Raw
from nrn_mlfit.shards import Status


def sweeps(path: Path, reading: Reading):
    """A function for each row that reads it."""
    reading.unnamed_channel(path.name)
    count = shards.rows(path) or len(shards.read(path).status)  # reading says what is wrong with one without rows
    return [partial(_read, path, row) for row in range(count)]


def _read(path, row) -> Raw:
    shard = shards.read(path, [row])
    name = f"{path.name}, sweep {row}"
    status = Status(shard.status[0])
    if status != Status.OK:
        raise RecordingError(f"{name}: its simulation ended with {status.label}; choose a row that went well")
    volts = shards.to_millivolts(shard.volts[0])
    currents = shard.injected[0]
    truth = dict(zip(shard.parameter_names, map(float, shard.phys_par[0]), strict=True))
    source = {"file": str(path), "format": "shard", "sweep": row}
    return Raw(volts, currents, float(shard.attributes["dt"]), name, source, COMMANDED, truth=truth)
