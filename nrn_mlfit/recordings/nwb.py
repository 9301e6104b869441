"""NWB 2 files, by h5py: the CurrentClampSeries of /acquisition, each with its CurrentClampStimulusSeries.

Names are not standard, and descriptions can be wrong by one sweep. A response's stimulus is the one of its
sweep_number, else the one of its row in intracellular_recordings (NWB 2.4), else the one whose name ends in
the same number.
"""

import re
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from math import inf, isclose
from pathlib import Path

import h5py
import numpy as np

from nrn_mlfit.errors import RecordingError
from nrn_mlfit.recordings import starts, units
from nrn_mlfit.recordings.hdf5 import bounded, opened
from nrn_mlfit.recordings.reading import Reading
from nrn_mlfit.recordings.recording import Raw, even_step

TABLE = "general/intracellular_ephys/intracellular_recordings"


@dataclass(frozen=True)
class Piece:
    """The samples [start, stop) of the series at `path`; stop None is its end."""

    path: str
    start: int = 0
    stop: int | None = None


@dataclass(frozen=True)
class Samples:
    """Values (T,) in mV or nA, the first of them at t0 ms."""

    values: np.ndarray
    dt: float
    t0: float


def sweeps(path: Path, reading: Reading) -> list[Callable[[], Raw]]:
    """A function for each sweep that reads it, in the order of the sweep numbers."""
    reading.unnamed_channel(path.name)
    with opened(path) as file:
        pairs = _pairs(file, path.name)
    if not pairs:
        raise RecordingError(f"{path.name}: holds no CurrentClampSeries; only current-clamp recordings are read")
    return [partial(_read, path, number, *pair) for number, pair in enumerate(pairs)]


def _read(path, number, response, stimulus) -> Raw:
    name = f"{path.name}, sweep {number}"
    source = {"file": str(path), "format": "NWB", "sweep": number, "series": response.path}
    with opened(path) as file:
        volts = _samples(file, response, units.TO_MV, name)
        source |= starts.noted(volts.t0 / 1e3, _since(file))
        if stimulus is None:
            return Raw(volts.values, None, volts.dt, name, source, unsure=True)
        current = _samples(file, stimulus, units.TO_NA, name)
    shift = _shift(volts, current, name)  # what only one of the two covers is left out, nothing is invented
    first, last = max(0, shift), min(volts.values.size, shift + current.values.size)
    source["stimulus"] = stimulus.path
    if last - first < volts.values.size:
        source["cut_ms"] = [round(k * volts.dt, 9) for k in (first, last)]
    flowed = current.values[first - shift : last - shift]
    return Raw(volts.values[first:last], flowed, volts.dt, name, source, unsure=True)


def _shift(volts, current, name) -> int:
    """The sample of the voltage at which the current begins; at least 2 samples are covered by both."""
    if not isclose(volts.dt, current.dt, rel_tol=1e-6):
        raise RecordingError(
            f"{name}: voltage and current have steps of {volts.dt:g} and {current.dt:g} ms; resample one"
        )
    shift = round((current.t0 - volts.t0) / volts.dt)
    if min(volts.values.size, shift + current.values.size) - max(0, shift) < 2:
        raise RecordingError(
            f"{name}: voltage (from {volts.t0:g} ms on) and current (from {current.t0:g} ms on) "
            "share no time; mend their starting_time"
        )
    return shift


def _samples(file, piece, known, name) -> Samples:
    """A piece of a series in mV or nA (`known` says which), by its unit, conversion and offset."""
    series = file[piece.path]
    data, part = bounded(series["data"], name), slice(piece.start, piece.stop)
    if data.ndim != 1 or data[part].size < 2:
        raise RecordingError(f"{name}: {piece.path} has shape {data.shape}, wanted (T,) with at least 2 samples")
    default = "volts" if known is units.TO_MV else "amperes"
    scale = units.factor(_text(data.attrs.get("unit", default)), known, f"{name}, {piece.path}")
    conversion, offset = data.attrs.get("conversion", 1.0), data.attrs.get("offset", 0.0)
    values = (data[part].astype(float) * float(conversion) + float(offset)) * scale
    return Samples(values, *_clock(series, piece, name))


def _since(file) -> str:
    """When the file's clock was 0: all its times count from there."""
    for name in ("timestamps_reference_time", "session_start_time"):
        if isinstance(file.get(name), h5py.Dataset) and file[name].shape == ():
            return _text(file[name][()])
    return ""


def _clock(series, piece, name) -> tuple[float, float]:
    """The sample step and the time of a piece's first sample, ms."""
    if "timestamps" in series:
        times = 1e3 * series["timestamps"][piece.start : piece.stop]
        return even_step(times, f"{name}, {piece.path}"), float(times[0])
    if "starting_time" not in series or not series["starting_time"].attrs.get("rate", 0) > 0:
        raise RecordingError(f"{name}: {piece.path} has neither a rate nor timestamps; its sample step is not known")
    dt = 1e3 / float(series["starting_time"].attrs["rate"])
    return dt, 1e3 * float(series["starting_time"][()]) + piece.start * dt


def _pairs(file, name) -> list[tuple[Piece, Piece | None]]:
    """Every response with its stimulus, by the first of the three ways that gives one."""
    stimuli = _series(file, "stimulus/presentation", "CurrentClampStimulusSeries")
    responses = sorted(_series(file, "acquisition", "CurrentClampSeries"), key=_order)
    table, pairs = _table(file), []
    for response in responses:
        numbered = _same_number(response, responses, stimuli, name)
        unlisted = [(Piece(response.name), _same_ending(response, responses, stimuli))]
        rows = table.get(response.name, unlisted)
        pairs += [(piece, numbered or stimulus) for piece, stimulus in rows]
    return pairs


def _series(file, folder, kind) -> list[h5py.Group]:
    held = file.get(folder, {})
    return [held[name] for name in held if _text(held[name].attrs.get("neurodata_type", "")) == kind]


def _order(series):
    number = _sweep_number(series)
    return (_ending(series, inf) if number is None else number), series.name


def _same_number(response, responses, stimuli, name) -> Piece | None:
    """The stimulus with the response's sweep_number; of several, that of the same electrode."""
    number = _sweep_number(response)
    if number is None:
        return None
    rivals, found = ([s for s in held if _sweep_number(s) == number] for held in (responses, stimuli))
    if len(rivals) > 1 or len(found) > 1:
        found = [s for s in found if _electrode(s) == _electrode(response)]
    if len(found) > 1:
        raise RecordingError(
            f"{name}: which stimulus of sweep_number {number} belongs to {response.name} is unclear; "
            "give each its own number"
        )
    return Piece(found[0].name) if found else None


def _same_ending(response, responses, stimuli) -> Piece | None:
    """The one stimulus whose name, as that of this one response, ends in a number, or in none."""
    ending = _ending(response)
    rivals = [r for r in responses if _ending(r) == ending]
    found = [s for s in stimuli if _ending(s) == ending]
    if len(rivals) != 1 or len(found) != 1 or None not in map(_sweep_number, (response, found[0])):
        return None  # sweep numbers, where both have them, have been asked already
    return Piece(found[0].name)


def _table(file) -> dict[str, list[tuple[Piece, Piece | None]]]:
    """The rows of intracellular_recordings: for each response its pieces with their stimuli."""
    rows: dict[str, list[tuple[Piece, Piece | None]]] = {}
    if TABLE not in file:
        return rows
    responses, stimuli = file[f"{TABLE}/responses/response"][()], file[f"{TABLE}/stimuli/stimulus"][()]
    for response, stimulus in zip(responses, stimuli, strict=True):
        piece = _piece(file, response)
        if piece:
            rows.setdefault(piece.path, []).append((piece, _piece(file, stimulus)))
    return rows


def _piece(file, reference) -> Piece | None:
    """A cell (idx_start, count, timeseries) of the table; below 0 they mean that there is none."""
    start, count = int(reference["idx_start"]), int(reference["count"])
    if start < 0 or count < 0 or not reference["timeseries"]:
        return None
    return Piece(file[reference["timeseries"]].name, start, start + count)


def _sweep_number(series) -> int | None:
    number = series.attrs.get("sweep_number")
    return None if number is None else int(number)


def _ending(series, default=None):
    """The number at the end of a series' name."""
    match = re.search(r"\d+$", series.name)
    return int(match[0]) if match else default


def _electrode(series) -> str:
    link = series.get("electrode", getlink=True)
    return link.path if isinstance(link, h5py.SoftLink) else f"{series.name}/electrode"


def _text(value) -> str:
    return value.decode() if isinstance(value, bytes) else str(value)
