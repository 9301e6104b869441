"""Units that files use, and values that look as if theirs were another."""

from dataclasses import replace

import numpy as np

from nrn_mlfit.errors import RecordingError
from nrn_mlfit.recordings.recording import Recording

TO_MS = {"s": 1e3, "sec": 1e3, "seconds": 1e3, "ms": 1.0, "us": 1e-3}
TO_MV = {"V": 1e3, "volt": 1e3, "volts": 1e3, "mV": 1.0, "millivolts": 1.0, "uV": 1e-3}
TO_NA = {
    "A": 1e9,
    "ampere": 1e9,
    "amperes": 1e9,
    "uA": 1e3,
    "nA": 1.0,
    "nanoamperes": 1.0,
    "pA": 1e-3,
    "picoamperes": 1e-3,
}

SHORTEST_STEP_MS = 0.001  # amplifiers sample at 4 to 200 kHz
LARGEST_MV = 1000.0
LARGEST_NA = 100.0  # beyond what a pipette passes
SMALLEST_NA = 1e-6  # of a current that is not 0: 1 fA
RESTING_MV = (-120.0, -20.0)  # where a living cell's voltage lies most of the time


def factor(unit: str, known: dict[str, float], name: str) -> float:
    """What to multiply values in `unit` by; RecordingError for a unit that is not `known`."""
    unit = unit.replace("\u00b5", "u").replace("\u03bc", "u")  # the micro sign, and the Greek letter
    if unit not in known:
        raise RecordingError(f"{name}: the unit {unit!r} is not known; there are {', '.join(known)}")
    return known[unit]


def mended(recording: Recording) -> Recording:
    """The recording with volts that its file calls mV, or pA that it calls nA, taken for what they are, and a warning.

    Only for files whose unit a user cannot change, and only where the voltage becomes that of a cell.
    """
    volts, currents, told = recording.volts, recording.currents, []
    if np.abs(volts).max() < 1 and RESTING_MV[0] < 1e3 * np.median(volts) < RESTING_MV[1]:
        volts = 1e3 * volts
        told.append("the voltages look like volts, although the file says mV: they are taken for volts")
    if currents is not None and LARGEST_NA < np.abs(currents).max() < 1e3 * LARGEST_NA:
        currents = 1e-3 * currents
        told.append("the currents look like pA, although the file says nA: they are taken for pA")
    return (
        replace(recording, volts=volts, currents=currents, warnings=(*recording.warnings, *told)) if told else recording
    )


def check(recording: Recording):
    """Raise RecordingError where voltage, current or sample step look like V, pA, A or s.

    Simulated rows are as their cell has them; a point process may count in units of its own.
    """
    if "shard" in (recording.source.get("format"), recording.source.get("origin", {}).get("format")):
        return
    volts = np.abs(recording.volts).max()
    current = 0.0 if recording.currents is None else np.abs(recording.currents).max()
    if recording.dt < SHORTEST_STEP_MS:
        _refuse(
            recording,
            f"the sample step of {recording.dt:g} ms looks like seconds",
            "give it in ms",
            "time (s)",
        )
    if volts < 1:
        _refuse(
            recording,
            f"no voltage is beyond {volts:.2g} mV, which looks like volts",
            "give it in mV",
            "voltage (V)",
        )
    if volts > LARGEST_MV:
        _refuse(recording, f"a voltage of {volts:.3g} mV is beyond any cell", "mend its unit", "voltage (uV)")
    if current > LARGEST_NA:
        _refuse(recording, f"a current of {current:.3g} nA looks like pA", "give it in nA", "current (pA)")
    if 0 < current < SMALLEST_NA:
        _refuse(
            recording,
            f"no current is beyond {current:.2g} nA, which looks like A",
            "give it in nA",
            "current (A)",
        )


def _refuse(recording, what, step, column):
    step = f"name the column `{column}`" if recording.source.get("format") == "CSV" else step
    raise RecordingError(f"{recording.name}: {what}; {step}")
