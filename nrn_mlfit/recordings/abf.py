"""ABF 1 and 2 files (Axon, pCLAMP), by pyabf, which comes with nrn_mlfit[abf].

Voltage is the first channel whose unit is a voltage. A channel whose unit is a current holds the measured current;
the command comes from the epoch table, from a user list that changes it from sweep to sweep, or from a stimulus file.
"""

import warnings
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache, partial
from pathlib import Path, PureWindowsPath
from typing import Any

import numpy as np

from nrn_mlfit.errors import RecordingError
from nrn_mlfit.recordings import abf_header, starts, units
from nrn_mlfit.recordings.current import COMMANDED, MEASURED
from nrn_mlfit.recordings.reading import Reading
from nrn_mlfit.recordings.recording import Raw

DAMAGE = (Exception, MemoryError)  # pyabf checks nothing: flipped bits come up as any of Python's errors
EPOCH_TABLE, STIMULUS_FILE = 1, 2
CURRENT_CLAMP_ONLY = "only current-clamp recordings are read"


@dataclass(frozen=True, eq=False)
class Command:
    """The commanded current (T,) in nA, or None, with what is doubtful about it."""

    current: np.ndarray | None = None
    warnings: tuple[str, ...] = ()


def sweeps(path: Path, reading: Reading) -> list[Callable[[], Raw]]:
    """A function for each sweep that reads it."""
    file = opened(path)
    volts, current = _voltage_channel(file, path.name), _current_channel(file, path.name, reading)
    return [partial(_read, path, file, number, volts, current) for number in range(file.sweepCount)]


def is_voltage(path: Path) -> bool:
    """Whether a file is a recording, as opposed to the stimulus of others; what cannot be read may be one."""
    try:
        return any(unit in units.TO_MV for unit in opened(path, samples=False).adcUnits)
    except RecordingError:
        return True


def opened(path: Path, samples: bool = True) -> Any:
    """The pyabf.ABF of a file whose header has been checked, so that its sizes are those of the file."""
    pyabf = _pyabf()
    abf_header.check(path)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            file = pyabf.ABF(path, loadData=samples, cacheStimulusFiles=False)
    except DAMAGE:
        raise abf_header.damaged(path.name) from None
    if not (file.sweepCount >= 1 and file.sweepPointCount >= 2 and 0 < file.dataRate < np.inf):
        raise abf_header.damaged(path.name)
    file.adcUnits = [abf_header.clean(unit) for unit in file.adcUnits]
    file.adcNames = [abf_header.clean(name) or f"channel {k}" for k, name in enumerate(file.adcNames)]
    return file


@cache
def _pyabf():
    try:
        import pyabf
        import pyabf.waveform
    except ImportError:
        raise RecordingError("ABF files need pyabf; install it with `pip install nrn_mlfit[abf]`") from None
    return pyabf


def stimulus(path: Path, sweep: int, unit: str = "pA"):
    """The current (T,) nA and dt (ms) that a stimulus file holds: its channel in amperes, else its first in `unit`."""
    if path.suffix.lower() == ".atf":
        return _text_stimulus(path, sweep, unit)
    file = opened(path)
    named = [k for k, held in enumerate(file.adcUnits) if held in units.TO_NA]
    at = named[0] if named else 0
    number = _paired(sweep, file.sweepCount, path.name)
    scale = units.TO_NA[file.adcUnits[at] if named else unit]
    return _channel(file, number, at, path.name) * scale, 1e3 / file.dataRate


def _paired(sweep, count, name) -> int:
    """Which of `count` sweeps of a stimulus is that of a recording's sweep: a lone one is that of all."""
    if count > 1 and sweep >= count:
        raise RecordingError(
            f"{name}: holds {count} sweeps of current, none for sweep {sweep}; give one for each sweep"
        )
    return sweep if count > 1 else 0


def _text_stimulus(path, sweep, unit):
    try:
        file = _pyabf().ATF(path)
        file.setSweep(_paired(sweep, file.sweepCount, path.name))
        return np.asarray(file.sweepY, float) * units.TO_NA[unit], 1e3 / float(file.dataRate)
    except RecordingError:
        raise
    except DAMAGE:
        raise RecordingError(f"{path.name}: cannot be read as ATF; save it anew from Clampex") from None


def _voltage_channel(file, name) -> int:
    known = [k for k, unit in enumerate(file.adcUnits) if unit in units.TO_MV]
    if known:
        return known[0]
    held = ", ".join(f"{a} ({b})" for a, b in zip(file.adcNames, file.adcUnits, strict=True))
    raise RecordingError(f"{name}: holds no voltage, its channels are {held}; {CURRENT_CLAMP_ONLY}")


def _current_channel(file, name, reading) -> int | None:
    """The channel of the measured current, where there is one."""
    wanted = reading.current_channel
    if wanted is None:
        return next((k for k, unit in enumerate(file.adcUnits) if unit in units.TO_NA), None)
    if wanted in file.adcNames:
        return list(file.adcNames).index(wanted)
    if wanted.isdigit() and int(wanted) < file.channelCount:
        return int(wanted)
    held = ", ".join(f"{k}: {channel}" for k, channel in enumerate(file.adcNames))
    raise RecordingError(f"{name}: there is no channel {wanted}; --current-channel takes a name or number of {held}")


def _read(path, file, number, volts, current) -> Raw:
    name = f"{path.name}, sweep {number}"
    source = {"file": str(path), "format": "ABF", "sweep": number, **_start(path, file, number)}
    voltage = _channel(file, number, volts, name) * units.TO_MV[file.adcUnits[volts]]
    command = _command(path, file, number, volts, voltage.size)
    told = list(command.warnings)
    if current is None:
        kind = COMMANDED if command.current is not None else ""
        return Raw(voltage, command.current, 1e3 / file.dataRate, name, source, kind, None, tuple(told), unsure=True)
    scale, doubt = _to_nanoamperes(file.adcUnits[current], f"channel {file.adcNames[current]!r}")
    measured = _channel(file, number, current, name) * scale
    source["channel"] = file.adcNames[current]
    commanded = command.current if command.current is not None and np.ptp(command.current) else None
    told = [*doubt, *(told if commanded is not None else ())]
    return Raw(voltage, measured, 1e3 / file.dataRate, name, source, MEASURED, commanded, tuple(told), unsure=True)


def _start(path, file, number) -> dict:
    try:
        times = abf_header.starts(path, file)
        return starts.noted(times[number] if times else None, abf_header.began(file))
    except DAMAGE:
        return {}


def _channel(file, number, channel, name):
    try:
        file.setSweep(number, channel)
        return np.asarray(file.sweepY, float)
    except DAMAGE:
        raise abf_header.damaged(name) from None


def _to_nanoamperes(unit, what) -> tuple[float, tuple[str, ...]]:
    if unit in units.TO_NA:
        return units.TO_NA[unit], ()
    told = f"the {what} has the unit {unit!r}, which is no current: it is taken for pA; correct it with --current-scale"
    return units.TO_NA["pA"], (told,)


def _command(path, file, number, channel, size) -> Command:
    """What the amplifier was told; NaN, which pyabf gives for what it does not find, becomes no current."""
    try:
        dac, source = _output(file, channel)
        if source == STIMULUS_FILE:
            return _from_stimulus_file(path, file, number, dac, size)
        if source != EPOCH_TABLE:
            return Command(warnings=("the file holds no command and no measured current; give it with --stim-from",))
        return _from_epochs(path, file, number, dac, size)
    except RecordingError:
        raise
    except DAMAGE:
        told = "its command cannot be read from the file; give the current with --stim-from FILE"
        return Command(warnings=(told,))


def _output(file, channel) -> tuple[int, int]:
    """The output that carried the command, and where its waveform comes from: the voltage's own, if it was on."""
    enabled, sources = abf_header.outputs(file)
    for dac in [channel, *range(len(enabled))]:
        if dac < len(enabled) and enabled[dac] and sources[dac]:
            return dac, sources[dac]
    return 0, 0


def _from_epochs(path, file, number, dac, size) -> Command:
    file.holdingCommand = abf_header.holding(path, file)
    table = _pyabf().waveform.EpochTable(file, dac)
    varied = abf_header.user_list(path, file, dac)
    problem = _vary(table, varied, number) if varied else ""
    if problem:
        return Command(warnings=(problem,))
    lengths = [epoch.duration + epoch.durationDelta * number for epoch in table.epochs]
    if min(lengths, default=0) < 0 or sum(lengths) > size:
        return Command(warnings=("its epoch table is longer than the sweep; give the current with --stim-from FILE",))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # an epoch that pyabf does not know is NaN, which is told below
        current = table.getEpochWaveformsBySweep(file)[number].getWaveform()
    if current.shape != (size,) or not np.isfinite(current).all():
        return Command(warnings=("its epoch table is of a kind that is not read; give it with --stim-from FILE",))
    scale, doubt = _to_nanoamperes(abf_header.output_unit(file, dac), f"command of output {dac}")
    told = [f"the command's {varied.what} comes from Clampex's user list"] if varied else []
    return Command(current * scale, (*doubt, *told))


def _vary(table, varied, number) -> str:
    """Put the user list's value for a sweep into the epoch table; a sentence where that cannot be done."""
    epochs = [epoch for epoch in table.epochs if epoch.epochNumber == varied.epoch]
    carried = table.returnToHold and epochs and epochs[-1] is table.epochs[-1]  # into the next sweep, by pyabf's name
    if not varied.values or not epochs or not varied.field or carried:
        return f"Clampex's user list changed {varied.what}, which is not read; give the current with --stim-from FILE"
    value = varied.value(number)
    for epoch in epochs:
        delta = f"{varied.field}Delta"
        setattr(epoch, varied.field, int(value) if varied.field == "duration" else value)
        setattr(epoch, delta, 0)
    return ""


def _from_stimulus_file(path, file, number, dac, size) -> Command:
    name = PureWindowsPath(abf_header.stimulus_name(file, dac)).name
    beside = path.with_name(name) if name else path
    if not name or not beside.is_file() or beside == path:
        named = f"`{name}`" if name else "that it does not name"
        told = f"its current lies in a stimulus file {named}, which is not beside it; give it with --stim-from FILE"
        return Command(warnings=(told,))
    unit = abf_header.output_unit(file, dac)
    _, doubt = _to_nanoamperes(unit, f"command of output {dac}")
    try:
        current, _ = stimulus(beside, number, unit if not doubt else "pA")
    except RecordingError as error:
        return Command(warnings=(f"its stimulus file cannot be used: {error}, or the current with --stim-from",))
    if current.size < size:
        told = f"its stimulus file {name} holds {current.size} samples, the sweep {size}; give another with --stim-from"
        return Command(warnings=(told,))
    scale, offset = abf_header.stimulus_scale(file, dac)
    return Command(current[:size] * scale + offset * units.TO_NA.get(unit, 1e-3), doubt)
