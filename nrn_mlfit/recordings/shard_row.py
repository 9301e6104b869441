"""Rows of a shard of simulated traces: each is a recording whose true parameters are known."""

from functools import cache, partial
from pathlib import Path

from nrn_mlfit import cells, shards
from nrn_mlfit.errors import MlfitError, RecordingError
from nrn_mlfit.recordings.recording import Recording
from nrn_mlfit.shards import Status


def sweeps(path: Path):
    """A function for each row that reads it."""
    count = shards.rows(path) or len(
        shards.read(path).status
    )  # reading says what is wrong with a shard without rows
    names = cache(partial(_parameter_names, path.parent / "cell"))
    return [partial(_read, path, row, names) for row in range(count)]


def _read(path, row, names) -> Recording:
    shard = shards.read(path, [row])
    name = f"{path.name}, sweep {row}"
    status = Status(shard.status[0])
    if status != Status.OK:
        raise RecordingError(f"{name}: its simulation ended with {status.label}; choose a row that went well")
    volts = shards.to_millivolts(shard.volts[0])
    currents = shard.currents[:, -volts.shape[-1] :]
    truth = dict(zip(names(), map(float, shard.phys_par[0]), strict=False))
    source = {"file": str(path), "format": "shard", "sweep": row}
    return Recording(volts, currents, float(shard.attributes["dt"]), name, source, truth)


def _parameter_names(folder) -> list[str]:
    """The names of the columns of phys_par, in order as the cell file in the run's folder has them."""
    try:
        return [p.name for p in cells.load(folder).space.parameters]
    except MlfitError:
        return []
