"""Current-clamp recordings and simulated rows, of any format that is read, as a `Recording` in mV, nA and ms.

    recording = recordings.read("cell7.nwb", sweep=3)
    piece = recordings.around_change(recording)         # at most 300 ms around the current's step
    piece.save("piece.npz")

Each format is one module with one function, `sweeps(path, reading)`: a list of functions that read one sweep each.
"""

import re
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from types import ModuleType

from nrn_mlfit.errors import MlfitError, RecordingError
from nrn_mlfit.recordings import abf, current, given, hdf5, igor, npz, nwb, shard_row, table
from nrn_mlfit.recordings.changes import around_change
from nrn_mlfit.recordings.joining import as_probes, as_stimuli
from nrn_mlfit.recordings.quality import Noise, Quality, loudest
from nrn_mlfit.recordings.reading import AS_IT_IS, Reading
from nrn_mlfit.recordings.recording import Raw, Recording
from nrn_mlfit.recordings.resampling import resampled
from nrn_mlfit.recordings.sweep import Sweep, one_protocol, summaries

__all__ = [
    "Noise",
    "Quality",
    "Reading",
    "Recording",
    "Sweep",
    "around_change",
    "as_probes",
    "as_stimuli",
    "count",
    "files",
    "noise",
    "one_protocol",
    "read",
    "read_all",
    "read_folder",
    "read_some",
    "resampled",
    "summaries",
    "sweeps",
]

HDF5_SUFFIXES = (".h5", ".hdf5", ".nwb")
BY_SUFFIX: dict[str, ModuleType] = {".abf": abf, ".ibw": igor, ".npz": npz, ".csv": table, ".txt": table}
SUFFIXES = (*HDF5_SUFFIXES, *BY_SUFFIX)
READ_ARE = (
    "read are NWB 2 (.nwb), HDF5 and shards (.h5, .hdf5), ABF (.abf), Igor waves (.ibw), .npz, .csv and .txt; "
    "convert it to one of them"
)
# Of a folder's files with these suffixes only those count that are a recording, not notes or a current alone.
ONLY_IF: dict[str, Callable[[Path], bool]] = {".abf": abf.is_voltage, ".txt": table.is_one, ".ibw": igor.is_voltage}
LONGEST = 255  # a file's name
LOWEST_KHZ = 10.0  # eFEL interpolates to 10 kHz; below it a spike's width has too few samples


def read(path, sweep: int | None = None, reading: Reading = AS_IT_IS) -> Recording:
    """The recording in a file, or its sweep `sweep` (from 0; the row of a shard) where it holds several.

    `reading` says what the file does not. Raises RecordingError (ShardError for a damaged shard) in one sentence for
    whatever cannot be read.
    """
    path = Path(path)
    readers = _readers(path, reading)
    number = _chosen(path.name, len(readers), sweep)
    return _read(readers[number], number, reading)


def count(path, reading: Reading = AS_IT_IS) -> int:
    """How many sweeps a file holds."""
    return len(_readers(Path(path), reading))


def read_all(
    path, reading: Reading = AS_IT_IS, sweep: int | None = None, most: int | None = None
) -> list[Recording | MlfitError]:
    """Every sweep of a file (the first `most`, or only `sweep`), with the error in place of one that cannot be read.

    Raises RecordingError where the file itself cannot be read, or its only sweep.
    """
    path = Path(path)
    readers = _readers(path, reading)
    if sweep is not None or len(readers) == 1:
        number = _chosen(path.name, len(readers), sweep)
        return [_read(readers[number], number, reading)]
    return [_read_or_error(reader, number, reading) for number, reader in enumerate(readers[:most])]


def read_some(path, spans: Sequence[range] = (), reading: Reading = AS_IT_IS) -> dict[int, Recording | MlfitError]:
    """The sweeps of a file in `spans` (all without one) by number, with the error in place of one that cannot be read.

    Raises RecordingError where the file cannot be read, or has no such sweep.
    """
    path = Path(path)
    readers = _readers(path, reading)
    for span in spans:
        _chosen(path.name, len(readers), span[-1])
    numbers = sorted({number for span in spans or [range(len(readers))] for number in span})
    return {number: _read_or_error(readers[number], number, reading) for number in numbers}


def read_folder(
    folder, sweep: int | Sequence[range] | None = None, reading: Reading = AS_IT_IS
) -> dict[str, Recording | MlfitError]:
    """The recordings in a folder by their files' names, with the error in place of one that cannot be read.

    Of a file with several sweeps it is the one of number `sweep`, or all in these spans (all without one), as NAME-sweep-K.
    Raises RecordingError where the folder holds no recording.
    """
    held: dict[str, Recording | MlfitError] = {}
    for path in files(folder):
        made = _of_file(path, sweep, reading)
        held |= {path.name if len(made) == 1 else f"{path.name}-sweep-{number}": one for number, one in made.items()}
    return held


def _of_file(path, sweep, reading) -> dict[int, Recording | MlfitError]:
    try:
        if sweep is None or isinstance(sweep, int):
            return {0: read(path, sweep, reading)}
        return read_some(path, sweep, reading)
    except MlfitError as error:
        return {0: error}


def sweeps(path, reading: Reading = AS_IT_IS) -> list[Sweep]:
    """What the sweeps of a file are, in short; raises RecordingError where the file cannot be read."""
    return summaries(read_all(path, reading))


def noise(path, reading: Reading = AS_IT_IS) -> Noise:
    """The noise of the loudest of a file's sweeps; raises RecordingError where it cannot be read, or tells of none."""
    found = loudest([sweep.quality for sweep in sweeps(path, reading) if not sweep.problem])
    if not found.mv > 0:
        raise RecordingError(f"{path}: tells of no noise (is it simulated?); give the noise as a number in mV")
    return found


def files(folder) -> list[Path]:
    """The recordings of a folder, by how their names end, cell2 before cell10; raises RecordingError where there are none."""
    found = [path for path in Path(folder).glob("*") if path.suffix.lower() in SUFFIXES and path.is_file()]
    found.sort(key=lambda path: [(word.zfill(LONGEST), word) for word in re.split(r"(\d+)", path.name)])
    found = [path for path in found if ONLY_IF.get(path.suffix.lower(), Path.is_file)(path)]
    if not found:
        raise RecordingError(f"{folder}: holds no recording; {READ_ARE}")
    return found


def _read(reader: Callable[[], Raw], number: int, reading: Reading) -> Recording:
    raw = reader()
    stimulus = None if reading.stim_from is None else given.current(reading.stim_from, number, raw)
    recording = reading.applied(raw, stimulus)
    return replace(recording, warnings=(*recording.warnings, *_doubts(recording)))


def _doubts(recording: Recording):
    """What is doubtful about the samples themselves; simulated rows are as their cell has them."""
    if recording.source["format"] == "shard":
        return
    if recording.currents is None and not any("--stim-from" in text for text in recording.warnings):
        yield "no current is stored with it; give it with --stim-from FILE"
    probes, stimuli, _ = recording.volts.shape
    if probes * stimuli > 1:
        yield (
            f"holds {probes} probe{'s' * (probes > 1)} x {stimuli} {'stimuli' if stimuli > 1 else 'stimulus'}: its figures and "
            "checks are those of the first probe under the first stimulus"
        )
    if 1 / recording.dt < LOWEST_KHZ * (1 - 1e-6):
        yield (
            f"sampled at {1 / recording.dt:.3g} kHz, below {LOWEST_KHZ:g} kHz: spikes have few samples, so their shape says "
            "little"
        )
    if recording.currents is not None and recording.source.get("current") == current.MEASURED:
        yield from current.artefact(recording.currents[0], recording.dt)


def _read_or_error(reader, number, reading) -> Recording | MlfitError:
    try:
        return _read(reader, number, reading)
    except MlfitError as error:
        return error


def _readers(path, reading) -> list[Callable[[], Raw]]:
    if path.is_dir():
        raise RecordingError(f"{path}: is a folder; name one file in it")
    if not path.is_file():
        raise RecordingError(f"{path}: no such file; {READ_ARE}")
    return _format(path).sweeps(path, reading)


def _format(path) -> ModuleType:
    """The module that reads a file: by content where HDF5 is behind it, else by suffix."""
    if hdf5.is_one(path):
        return {"shard": shard_row, "nwb": nwb, "hdf5": hdf5}[hdf5.kind(path)]
    suffix = path.suffix.lower()
    if suffix in HDF5_SUFFIXES:
        raise RecordingError(f"{path.name}: cut short, damaged or no HDF5 at all; copy it anew from where it came")
    if suffix not in SUFFIXES:
        raise RecordingError(f"{path.name}: a format that is not read; {READ_ARE}")
    return BY_SUFFIX[suffix]


def _chosen(name, count, sweep) -> int:
    holds = f"holds {count} sweeps (0-{count - 1})" if count > 1 else "holds one sweep (0)"
    if sweep is None and count > 1:
        raise RecordingError(f"{name}: {holds}; choose one with --sweep")
    if sweep is not None and not 0 <= sweep < count:
        raise RecordingError(f"{name}: there is no sweep {sweep}; it {holds}")
    return sweep or 0
