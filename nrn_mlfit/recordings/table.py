"""CSV and TXT files: the first line names the columns time, voltage, maybe current and command, units if not ms, mV, nA.

Columns are separated by commas, in TXT by tabs or else by spaces. A column of another name counts by its unit: `Vm (mV)`.
"""

import csv
import re
from pathlib import Path

import numpy as np

from nrn_mlfit.errors import RecordingError
from nrn_mlfit.recordings import units
from nrn_mlfit.recordings.current import COMMANDED, MEASURED
from nrn_mlfit.recordings.reading import Reading
from nrn_mlfit.recordings.recording import Raw, even_step

NAME = r"[\w.#]+"
UNIT = r"[(\[]\s*(?P<unit>[\w\u00b5\u03bc]+)\s*[)\]]"
COLUMN = re.compile(rf"(?P<name>{NAME}(?: +{NAME})*)\s*(?:{UNIT})?")  # voltage (mV), time [s], current
SPACED = re.compile(rf"{NAME}(?:\s*[(\[][^)\]]*[)\]])?")  # columns that spaces divide have names of one word
UNITS = {
    "time": ("ms", units.TO_MS),
    "voltage": ("mV", units.TO_MV),
    "current": ("nA", units.TO_NA),
    "command": ("nA", units.TO_NA),
}
BY_UNIT = ("time", "voltage", "current")
EXAMPLE = "time (ms),voltage (mV),current (pA)"


def sweeps(path: Path, reading: Reading):
    """One function that reads the file's only recording."""
    return [lambda: _read(path, reading)]


def is_one(path: Path) -> bool:
    """Whether a text file's first line names the columns of a recording; most of a folder's do not."""
    try:
        with open(path, encoding="utf-8-sig") as file:
            head = file.readline(10_000)
        return {"time", "voltage"} <= set(_columns(head.strip("\n"), path, Reading()))
    except (OSError, UnicodeDecodeError, RecordingError):
        return False


def _read(path, reading) -> Raw:
    head, *rows = _lines(path)
    columns = _columns(head, path, reading)
    table = _numbers(rows, [at for at, _ in columns.values()], path.name, _separator(path, head))
    values = {name: table[:, k] * scale for k, (name, (_, scale)) in enumerate(columns.items())}
    dt = even_step(values["time"], path.name)
    source = {"file": str(path), "format": "TXT" if path.suffix.lower() == ".txt" else "CSV", "sweep": 0}
    current, command = values.get("current"), values.get("command")
    kind = "" if command is None else COMMANDED if current is None else MEASURED
    flowed, beside = (command, None) if current is None else (current, command)
    return Raw(values["voltage"], flowed, dt, path.name, source, kind, beside)


def _separator(path, head) -> str | None:
    """What divides the columns; None is any white space."""
    if path.suffix.lower() != ".txt":
        return ","
    return next((mark for mark in ("\t", ",") if mark in head), None)


def _lines(path) -> list[str]:
    try:
        text = path.read_text(encoding="utf-8-sig")  # spreadsheets begin UTF-8 with a byte order mark
    except (OSError, UnicodeDecodeError):
        raise RecordingError(f"{path.name}: cannot be read as text; save it as CSV in UTF-8") from None
    return text.splitlines() or [""]


def _columns(head, path, reading) -> dict[str, tuple[int, float]]:
    """For each column that is read its place and what its values are multiplied by."""
    name, separator = path.name, _separator(path, head)
    cells = next(csv.reader([head], delimiter=separator), []) if separator else SPACED.findall(head)
    matches = [COLUMN.fullmatch(cell.strip().lstrip("#").strip()) for cell in cells]
    roles = _roles(matches, reading.current_channel, name)
    found: dict[str, tuple[int, float]] = {}
    for at, (match, column) in enumerate(zip(matches, roles, strict=True)):
        if column and column in found:
            raise RecordingError(f"{name}: names two columns {column}; leave one")
        if match and column:
            default, known = UNITS[column]
            found[column] = at, units.factor(match["unit"] or default, known, f"{name}, column {column}")
    if not {"time", "voltage"} <= set(found):
        got = f"`{head.strip()[:60]}`"
        raise RecordingError(f"{name}: the first line must name the columns, such as `{EXAMPLE}`; got {got}")
    return found


def _roles(matches, current_channel, name) -> list[str]:
    """What each column is: by its name, or by its unit where no column has that name."""
    names = [match["name"].lower() if match else "" for match in matches]
    roles = [column if column in UNITS else "" for column in names]
    if current_channel is not None:
        roles = ["" if role == "current" else role for role in roles]
        if current_channel.lower() not in names:
            held = ", ".join(filter(None, names))
            raise RecordingError(f"{name}: there is no column {current_channel}; --current-channel takes one of {held}")
        roles[names.index(current_channel.lower())] = "current"
    for wanted in BY_UNIT:
        if wanted not in roles:
            alike = [at for at, m in enumerate(matches) if m and not roles[at] and m["unit"] in UNITS[wanted][1]]
            roles = [wanted if at in alike else role for at, role in enumerate(roles)]
    return roles


def _numbers(lines, places, name, separator):
    """The table (T, columns) of the columns at `places`."""
    rows = [line for line in lines if line.strip()]
    if len(rows) < 2:
        raise RecordingError(f"{name}: holds {len(rows)} samples; at least 2 are needed")
    try:
        return np.loadtxt(rows, delimiter=separator, usecols=places, ndmin=2, comments=None, quotechar='"')
    except ValueError:
        raise RecordingError(f"{name}, {_bad_line(lines, places, separator)}") from None


def _bad_line(lines, places, separator) -> str:
    """Where and what the first cell is that is no number."""
    split = csv.reader(lines, delimiter=separator) if separator else map(str.split, lines)
    for number, row in enumerate(split, start=2):
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
