"""CSV files: the first line names the columns time, voltage, maybe current, units if not ms, mV, nA."""

import csv
import re
from pathlib import Path

import numpy as np

from nrn_mlfit.errors import RecordingError
from nrn_mlfit.recordings import units
from nrn_mlfit.recordings.recording import Recording, even_step

COLUMN = re.compile(r"(?P<name>\w+)\s*(?:[(\[]\s*(?P<unit>\w+)\s*[)\]])?")  # voltage (mV), time [s], current
UNITS = {"time": ("ms", units.TO_MS), "voltage": ("mV", units.TO_MV), "current": ("nA", units.TO_NA)}
EXAMPLE = "time (ms),voltage (mV),current (pA)"


def sweeps(path: Path):
    """One function that reads the file's only recording."""
    return [lambda: _read(path)]


def _read(path) -> Recording:
    head, *rows = _lines(path)
    columns = _columns(head, path.name)
    table = _numbers(rows, [at for at, _ in columns.values()], path.name)
    values = {name: table[:, k] * scale for k, (name, (_, scale)) in enumerate(columns.items())}
    dt = even_step(values["time"], path.name)
    source = {"file": str(path), "format": "CSV", "sweep": 0}
    return Recording(values["voltage"], values.get("current"), dt, path.name, source)


def _lines(path) -> list[str]:
    try:
        text = path.read_text(encoding="utf-8-sig")  # spreadsheets begin UTF-8 with a byte order mark
    except (OSError, UnicodeDecodeError):
        raise RecordingError(f"{path.name}: cannot be read as text; save it as CSV in UTF-8") from None
    return text.splitlines() or [""]


def _columns(head, name) -> dict[str, tuple[int, float]]:
    """For each column that is read its place and what its values are multiplied by."""
    found: dict[str, tuple[int, float]] = {}
    for at, text in enumerate(next(csv.reader([head]), [])):
        match = COLUMN.fullmatch(text.strip())
        column = match["name"].lower() if match else ""
        if column in found:
            raise RecordingError(f"{name}: names two columns {column}; leave one")
        if match and column in UNITS:
            default, known = UNITS[column]
            found[column] = at, units.factor(match["unit"] or default, known, f"{name}, column {column}")
    if not {"time", "voltage"} <= set(found):
        got = f"`{head.strip()[:60]}`"
        raise RecordingError(f"{name}: the first line must name the columns, such as `{EXAMPLE}`; got {got}")
    return found


def _numbers(lines, places, name):
    """The table (T, columns) of the columns at `places`."""
    rows = [line for line in lines if line.strip()]
    if len(rows) < 2:
        raise RecordingError(f"{name}: holds {len(rows)} samples; at least 2 are needed")
    try:
        return np.loadtxt(rows, delimiter=",", usecols=places, ndmin=2, comments=None, quotechar='"')
    except ValueError:
        raise RecordingError(f"{name}, {_bad_line(lines, places)}") from None


def _bad_line(lines, places) -> str:
    """Where and what the first cell is that is no number."""
    for number, row in enumerate(csv.reader(lines), start=2):
        for at in places if row else ():
            cell = row[at].strip() if at < len(row) else ""
            if not _is_number(cell):
                return f"line {number}: {cell!r} is not a number"
    return "a line is not numbers"


def _is_number(text) -> bool:
    try:
        float(text)
    except ValueError:
        return False
    return True
