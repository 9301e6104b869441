"""Igor binary waves (.ibw), by igor2, which comes with nrn_mlfit[igor]. A wave holds one channel of one sweep.

Voltage and current of a sweep lie in two files whose names differ in the channel's number only, such as B6_Ch3_1.ibw
and B6_Ch0_1.ibw; the units in the waves say which is which. A wave of two dimensions holds a sweep a column.
"""

import logging
import re
import struct
from collections.abc import Callable
from datetime import datetime
from functools import cache, partial
from pathlib import Path
from typing import Any

import numpy as np

from nrn_mlfit.errors import RecordingError
from nrn_mlfit.recordings import starts, units
from nrn_mlfit.recordings.current import MEASURED
from nrn_mlfit.recordings.reading import Reading
from nrn_mlfit.recordings.recording import Raw

SUFFIX = ".ibw"
CHANNEL = re.compile(r"(?<![a-z])(ch(?:an(?:nel)?)?|ad|adc)_?\d+", re.IGNORECASE)
DAMAGE = (Exception, MemoryError)  # igor2 checks little: flipped bits come up as any of Python's errors
# The wave's own dates say when it was made or saved, often all of a folder at once; a note may have the sweep's.
TIME_NOTED = re.compile(rb"\bTIME:(\d+)/(\d+)/(\d{4}) (\d+)[.:](\d+)[.:](\d+)\b")
MOST_DIMENSIONS = 2
# Of each version: the lengths that the file's header holds, and where. Source: WaveMetrics, Technical Note 003.
LENGTHS = {2: ("2i", 2), 3: ("3i", 2), 5: ("12i", 4)}


def sweeps(path: Path, reading: Reading) -> list[Callable[[], Raw]]:
    """A function for each sweep that reads it, whichever of its two files `path` is."""
    wave = _wave(path)
    partners = [other for other in _siblings(path) if other != path]
    if wave.unit in units.TO_NA:
        path, wave, partners = _with_voltage(path, partners)
    currents = _with_current(path, partners, reading)
    return [partial(_read, path, wave, number, currents) for number in range(wave.columns.shape[1])]


def is_voltage(path: Path) -> bool:
    """Whether a wave is a recording's voltage, as opposed to its current."""
    try:
        return _wave(path).unit in units.TO_MV
    except RecordingError:
        return True  # whoever reads it says what is wrong


class _Wave:
    """Columns (T, sweeps) in `unit`, dt in ms."""

    def __init__(self, held: dict[str, Any], name: str):
        header = held["wave_header"]
        values = np.asarray(held["wData"])
        self.unit = _text(held, "data_units", header["dataUnits"] if "nDim" in header else [header["dataUnits"]])
        self.time_unit = _text(held, "", header["dimUnits"][0] if "nDim" in header else [header["xUnits"]])
        self.dt = float(header["sfA"][0] if "nDim" in header else header["hsA"])
        if values.dtype.kind not in "iuf" or not 1 <= values.ndim <= MOST_DIMENSIONS or values.shape[0] < 2:
            raise RecordingError(
                f"{name}: holds {values.dtype} of shape {values.shape}, wanted real numbers (T,) or (T, sweeps) with at least "
                "2 samples"
            )
        self.columns = values.reshape(values.shape[0], -1)
        self.since = _date(held.get("note") or b"")


@cache
def _igor():
    try:
        from igor2 import binarywave
    except ImportError:
        raise RecordingError("Igor waves need igor2; install it with `pip install nrn_mlfit[igor]`") from None
    logging.getLogger("igor2").setLevel(logging.CRITICAL + 1)  # of a damaged wave it would print every sample
    return binarywave


def _wave(path: Path) -> _Wave:
    loader = _igor()
    _check(path)
    try:
        with np.errstate(all="ignore"):
            return _Wave(loader.load(str(path))["wave"], path.name)
    except RecordingError:
        raise
    except DAMAGE:
        raise _damaged(path) from None


def _damaged(path):
    return RecordingError(f"{path.name}: cut short, damaged or no Igor wave at all; copy it anew from where it came")


def _check(path):
    """Refuse a header that promises longer parts than the file holds, before memory is taken for them."""
    size = path.stat().st_size
    with open(path, "rb") as file:
        head = file.read(64)
    try:
        order = "<" if head[0] else ">"  # a version is below 256: of a big-endian file the first byte is empty
        form, at = LENGTHS[struct.unpack_from(order + "h", head)[0]]
        lengths = struct.unpack_from(order + form, head, at)
    except (struct.error, KeyError, IndexError):
        raise _damaged(path) from None
    if not 0 <= min(lengths) <= max(lengths) <= size:
        raise _damaged(path)


def _text(held, name, characters) -> str:
    """A unit: beside the header where it is long, else the characters in the header."""
    longer = held.get(name) or b""
    short = b"".join(bytes(c) for c in characters)
    return (longer or short).split(b"\0")[0].decode("ascii", "ignore").strip()


def _date(note: bytes) -> str:
    """The time in a wave's note, `TIME:month/day/year hours.minutes.seconds`, ISO 8601; empty where there is none."""
    match = TIME_NOTED.search(note)
    if not match:
        return ""
    month, day, year, hour, minute, second = map(int, match.groups())
    try:
        return datetime(year, month, day, hour, minute, second).isoformat()
    except ValueError:
        return ""


def _siblings(path) -> list[Path]:
    """The files whose names differ from this one's in the channel's number only."""
    match = CHANNEL.search(path.stem)
    if not match:
        return [path]
    pattern = re.compile(
        re.escape(path.stem[: match.start()]) + CHANNEL.pattern + re.escape(path.stem[match.end() :]), re.IGNORECASE
    )
    same = (p for p in path.parent.iterdir() if p.suffix.lower() == SUFFIX)
    return sorted(p for p in same if pattern.fullmatch(p.stem))


def _with_voltage(path, partners):
    held = [(other, wave) for other in partners if (wave := _wave(other)).unit in units.TO_MV]
    if len(held) != 1:
        found = f"there are {len(held)}" if held else "there is none"
        raise RecordingError(
            f"{path.name}: is a current, and its voltage is to lie beside it in a wave of the same name but for the "
            f"channel's number; {found}"
        )
    other, wave = held[0]
    return other, wave, [p for p in [path, *partners] if p != other]


def _with_current(path, partners, reading) -> tuple[Path, _Wave] | None:
    wanted = reading.current_channel
    if wanted is not None:
        named = [p for p in partners if wanted in (p.name, p.stem, _channel(p), _channel(p).lstrip("CHch"))]
        if len(named) != 1:
            there = ", ".join(p.name for p in partners) or "nothing"
            raise RecordingError(
                f"{path.name}: --current-channel {wanted} names no wave beside it; of its name there is {there}"
            )
        return named[0], _wave(named[0])
    held = [(other, wave) for other in partners if (wave := _wave(other)).unit in units.TO_NA]
    if len(held) > 1:
        names = ", ".join(other.name for other, _ in held)
        raise RecordingError(f"{path.name}: several waves hold its current: {names}; choose one with --current-channel")
    return held[0] if held else None


def _channel(path) -> str:
    match = CHANNEL.search(path.stem)
    return match[0] if match else ""


def _read(path, wave, number, current) -> Raw:
    name = path.name if wave.columns.shape[1] == 1 else f"{path.name}, sweep {number}"
    known = wave.since and wave.columns.shape[1] == 1
    source = {"file": str(path), "format": "Igor", "sweep": number, **starts.noted(0.0 if known else None, wave.since)}
    volts = wave.columns[:, number].astype(float) * units.factor(wave.unit, units.TO_MV, name)
    dt = round(wave.dt * units.factor(wave.time_unit or "s", units.TO_MS, name), 9)
    if current is None:
        told = "no wave beside it holds its current; give it with --stim-from FILE"
        return Raw(volts, None, dt, name, source, warnings=(told,), unsure=True)
    other, held = current
    if held.columns.shape != wave.columns.shape or abs(held.dt / wave.dt - 1) > 1e-6:
        raise RecordingError(
            f"{name}: its current in {other.name} has {held.columns.shape[0]} samples of {held.dt:g}, the voltage "
            f"{wave.columns.shape[0]} of {wave.dt:g}; choose another with --current-channel or --stim-from"
        )
    amperes = held.columns[:, number].astype(float) * units.factor(held.unit, units.TO_NA, f"{name}, {other.name}")
    return Raw(volts, amperes, dt, name, {**source, "current_file": str(other)}, MEASURED, unsure=True)
