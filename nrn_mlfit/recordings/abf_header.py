"""What of an ABF header pyabf does not check, or reads from the wrong place. Sources: Axon's ABFHEADR.H and pyabf."""

import struct
from dataclasses import dataclass
from pathlib import Path

from nrn_mlfit.errors import RecordingError

BLOCK = 512
SECTIONS = range(76, 76 + 18 * 16, 16)  # of ABF 2: block, bytes an entry, entries (8 bytes)
LARGEST = {92: 64, 108: 64, 124: 1024, 140: 64, 172: 64}  # entries: ADC, DAC, epochs, epochs a DAC, user lists
MOST_SWEEPS = 100_000
WHOLE_HEADER_1 = 6144  # bytes; older programs wrote 2048 and no command
LEVEL, DURATION, EPOCHS = 21, 31, 10  # ABF_EPOCHINITLEVEL, ABF_EPOCHINITDURATION, ABF_EPOCHCOUNT
FIRST_YEAR = 1984  # Axon's first program; what was not set is read as an earlier one
FIELDS = {0: "level", 1: "duration"}


@dataclass(frozen=True)
class UserList:
    """The values that one setting of the command took from sweep to sweep: `field` of epoch `epoch` (from 0)."""

    parameter: int
    values: tuple[float, ...]
    repeat: bool

    @property
    def epoch(self) -> int:
        return (self.parameter - LEVEL) % EPOCHS

    @property
    def field(self) -> str:
        return FIELDS.get((self.parameter - LEVEL) // EPOCHS, "")

    @property
    def what(self) -> str:
        return f"{self.field} of epoch {chr(65 + self.epoch)}" if self.field else f"parameter {self.parameter}"

    def value(self, sweep: int) -> float:
        """The value for a sweep; after the list's end its last one, or the list anew."""
        count = len(self.values)
        return self.values[sweep % count if self.repeat else min(sweep, count - 1)]


def damaged(name: str) -> RecordingError:
    return RecordingError(f"{name}: cut short, damaged or no ABF at all; copy it anew from where it came")


def check(path: Path):
    """Raise RecordingError where a header names more bytes, sweeps or channels than the file can hold."""
    size = path.stat().st_size
    with open(path, "rb") as file:
        head = file.read(WHOLE_HEADER_1)
    try:
        sound = {b"ABF ": _sound_1, b"ABF2": _sound_2}[head[:4]](head, size)
    except (KeyError, struct.error):
        sound = False
    if not sound:
        raise damaged(path.name)


def _sound_1(head, size) -> bool:
    samples, episodes, start = (struct.unpack_from("<i", head, at)[0] for at in (10, 16, 40))
    channels, tags_at, tags = (
        struct.unpack_from(kind, head, at)[0] for kind, at in (("<h", 120), ("<i", 44), ("<i", 48))
    )
    held = start * BLOCK + 2 * samples <= size and tags_at * BLOCK + 64 * tags <= size and min(tags_at, tags) >= 0
    return held and start > 0 and samples > 1 and 1 <= channels <= 16 and 0 <= episodes <= min(samples, MOST_SWEEPS)


def _sound_2(head, size) -> bool:
    for at in SECTIONS:
        block, width, count = struct.unpack_from("<IIq", head, at)
        if not 0 <= count <= LARGEST.get(at, size) or (count and block * BLOCK + width * count > size):
            return False
    episodes = struct.unpack_from("<I", head, 12)[0]
    samples, channels = (struct.unpack_from("<q", head, at + 8)[0] for at in (236, 92))
    return episodes <= min(samples, MOST_SWEEPS) and samples > 1 and channels >= 1


def clean(text) -> str:
    """A name or unit without what fills up its place."""
    return str(text).split("\0")[0].strip()


def outputs(file) -> tuple[list, list]:
    """For each output (DAC) whether a waveform was on, and where it comes from (1 epochs, 2 a file)."""
    if file.abfVersion["major"] == 2:
        return file._dacSection.nWaveformEnable, file._dacSection.nWaveformSource
    if file.dataByteStart < WHOLE_HEADER_1:
        return [], []
    return file._headerV1.nWaveformEnable, file._headerV1.nWaveformSource


def output_unit(file, dac: int) -> str:
    """The unit of an output; pyabf's own list ends with the number of inputs."""
    if file.abfVersion["major"] == 1:
        return clean(file.dacUnits[dac])
    return clean(file._stringsSection._indexedStrings[file._dacSection.lDACChannelUnitsIndex[dac]])


def holding(path: Path, file) -> list[float]:
    """The level of each output between the epochs; of ABF 1 pyabf takes the first epochs' levels for it."""
    return list(file.holdingCommand) if file.abfVersion["major"] == 2 else list(_unpacked(path, "<4f", 1394))


def user_list(path: Path, file, dac: int) -> UserList | None:
    """The user list that changed an output's command; of ABF 1 pyabf reads all of it from one wrong place."""
    if file.abfVersion["major"] == 1:
        enabled, parameter, repeat = (_unpacked(path, "<4h", at)[dac] for at in (3360, 3368, 4400))
        text = _unpacked(path, "<256s", 3376 + 256 * dac)[0].split(b"\0")[0].decode("ascii", "ignore")
        return UserList(parameter, _numbers(text), bool(repeat)) if enabled else None
    at = dac if dac < len(file.userListEnable) and len(file.userListEnable) > 1 else 0
    if at >= len(file.userListEnable) or not file.userListEnable[at]:
        return None
    values = tuple(map(float, file.userList or ()))
    return UserList(int(file.userListParamToVary[at]), values, bool(file.userListRepeat[at]))


def starts(path: Path, file) -> list[float] | None:
    """When each sweep began, s: by the synch array, in fSynchTimeUnit (us); None of a file without one."""
    if file.abfVersion["major"] == 2:
        held, unit = file._synchArraySection.lStart, file._protocolSection.fSynchTimeUnit
    else:
        unit = file._headerV1.fSynchTimeUnit
        held = _synchronised(path, file._headerV1.lSynchArrayPtr, file._headerV1.lSynchArraySize)
    if not unit or len(held) != file.sweepCount:
        return None  # a unit of 0 means samples that were recorded, in which pauses do not count
    return [1e-6 * unit * start for start in held]


def _synchronised(path, block, count):
    """The start of each sweep in the synch array of ABF 1: pairs of start and length."""
    size = path.stat().st_size
    if not (0 < block * BLOCK <= size and 0 < count <= MOST_SWEEPS and block * BLOCK + 8 * count <= size):
        return []
    with open(path, "rb") as file:
        file.seek(block * BLOCK)
        return [start for start, _ in struct.iter_unpack("<ii", file.read(8 * count))]


def began(file) -> str:
    """The date and time at which the file's recording began, ISO 8601; empty where its header has none."""
    date = file.abfDateTime
    return date.isoformat(timespec="milliseconds") if date.year >= FIRST_YEAR else ""


def stimulus_name(file, dac: int) -> str:
    """The path, as Clampex wrote it, of the file that an output's waveform came from."""
    if file.abfVersion["major"] == 1:
        return clean(file._headerV1.sDACFilePath[dac])
    return clean(file._stringsSection._indexedStrings[file._dacSection.lDACFilePathIndex[dac]])


def stimulus_scale(file, dac: int) -> tuple[float, float]:
    """What a stimulus file's values were multiplied by, and what was added."""
    held = file._headerV1 if file.abfVersion["major"] == 1 else file._dacSection
    return float(held.fDACFileScale[dac]), float(held.fDACFileOffset[dac])


def _unpacked(path, form, at):
    with open(path, "rb") as file:
        return struct.unpack_from(form, file.read(WHOLE_HEADER_1), at)


def _numbers(text) -> tuple[float, ...]:
    try:
        return tuple(float(word) for word in text.replace(";", ",").split(",") if word.strip())
    except ValueError:
        return ()
