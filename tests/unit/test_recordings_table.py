"""TXT beside CSV: separators, names, units, and measured beside commanded current."""

import re

import numpy as np
import pytest
from pytest import approx

from nrn_mlfit import recordings
from nrn_mlfit.errors import RecordingError
from nrn_mlfit.recordings import Reading

TIME = np.arange(2000) * 0.05
VOLTS = -70 + 10 * np.sin(TIME / 10)
COMMAND = np.where((TIME >= 20) & (TIME < 60), 100.0, 0.0)
MEASURED = COMMAND + np.random.default_rng(1).normal(0, 1, TIME.size)


def says(text):
    return pytest.raises(RecordingError, match=f"^{re.escape(text)}$")


def table(folder, head, *columns, separator="\t", name="a.txt"):
    rows = (separator.join(repr(float(v)) for v in row) for row in zip(*columns, strict=True))
    (folder / name).write_text("\n".join([head, *rows]) + "\n", encoding="utf-8")
    return folder / name


HEADS = [
    ("Time (ms)\tVoltage (mV)\tCurrent (pA)", "\t"),
    ("Time (ms) Voltage (mV) Current [pA]", " "),
    ("time\tVm (mV)\tIinj (pA)", "\t"),
    ("# Time (ms)\tTrace #1 (mV)\tTrace #2 (pA)", "\t"),
    ("time,membrane potential (mV),pipette current (pA)", ","),
]


@pytest.mark.parametrize("head, separator", HEADS)
def test_columns_are_found_by_name_or_by_unit(tmp_path, head, separator):
    read = recordings.read(table(tmp_path, head, TIME, VOLTS, COMMAND, separator=separator))
    assert read.dt == 0.05 and read.source["format"] == "TXT"
    assert read.volts[0, 0] == approx(VOLTS) and 1e3 * read.currents[0] == approx(COMMAND)


def test_seconds_volts_and_the_micro_sign(tmp_path):
    head = "Time (s)\tVoltage (V)\tCurrent (\u00b5A)"
    read = recordings.read(table(tmp_path, head, TIME / 1000, VOLTS / 1000, COMMAND / 1e6))
    assert read.dt == 0.05 and read.volts[0, 0] == approx(VOLTS) and 1e3 * read.currents[0] == approx(COMMAND)


@pytest.mark.parametrize("values, kind", [(COMMAND, "commanded"), (MEASURED, "measured")])
def test_noise_tells_a_measured_current_from_a_command(tmp_path, values, kind):
    read = recordings.read(table(tmp_path, "time\tvoltage\tcurrent (pA)", TIME, VOLTS, values))
    assert read.source["current"] == kind


def test_a_column_command_is_the_command_and_is_compared(tmp_path):
    head = "time\tvoltage\tcommand (pA)\tcurrent (pA)"
    read = recordings.read(table(tmp_path, head, TIME, VOLTS, COMMAND, MEASURED))
    assert 1e3 * read.currents[0] == approx(MEASURED) and read.source["current"] == "measured" and not read.warnings
    (told,) = recordings.read(table(tmp_path, head, TIME, VOLTS, COMMAND, 2 * MEASURED)).warnings
    assert told.startswith("measured and commanded current differ by 1") and "= 2)" in told
    alone = recordings.read(table(tmp_path, "time\tvoltage\tcommand (pA)", TIME, VOLTS, COMMAND))
    assert 1e3 * alone.currents[0] == approx(COMMAND) and alone.source["current"] == "commanded"


def test_the_column_of_the_current_can_be_named(tmp_path):
    path = table(
        tmp_path, "time,voltage,current (pA),monitor (pA)", TIME, VOLTS, COMMAND, MEASURED, separator=",", name="a.csv"
    )
    read = recordings.read(path, reading=Reading(current_channel="monitor"))
    assert 1e3 * read.currents[0] == approx(MEASURED)
    with says("a.csv: there is no column x; --current-channel takes one of time, voltage, current, monitor"):
        recordings.read(path, reading=Reading(current_channel="x"))


def test_a_text_that_is_no_recording_is_not_one_of_a_folders(tmp_path):
    (tmp_path / "LICENSE.txt").write_text("Anyone may use these data\nat any time\n")
    path = table(tmp_path, HEADS[0][0], TIME, VOLTS, COMMAND)
    assert recordings.files(tmp_path) == [path]
    with pytest.raises(RecordingError, match=r"^LICENSE.txt: the first line must name the columns, such as "):
        recordings.read(tmp_path / "LICENSE.txt")


def test_a_bad_cell_is_named_with_its_line(tmp_path):
    path = table(tmp_path, "Time (ms) Voltage (mV)", [0, 0.1, 0.2], [-70, -70, -70], separator="   ")
    path.write_text(path.read_text().replace("0.1", "x"))
    with says("a.txt, line 3: 'x' is not a number"):
        recordings.read(path)
