"""Protocols from recorded currents: the sweeps of some files as one bank, cut to one window, at one sample step."""

import contextlib
import hashlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from nrn_mlfit import progress, recordings, stimuli
from nrn_mlfit.errors import MlfitError, RecordingError, StimulusError
from nrn_mlfit.recordings import Recording, table
from nrn_mlfit.recordings.changes import LENGTH_MS, SAMPLES
from nrn_mlfit.stimuli import Protocol, Stimulus

AMPLITUDES = (0.8, 1.2)  # that sets of a bank of several sweeps draw their factor from
SHORTEST_MS, LONGEST_MS = 0.02, 0.1  # steps: a shorter one costs time for nothing, a longer one loses spikes
STIMULUS_FILES = (".npz", ".csv")  # which may hold a current alone
Window = tuple[float, float]


@dataclass(frozen=True, eq=False)
class Row:
    """A current (T,) in nA of a recording: of which sweep of which file, and in which of its rows."""

    current: np.ndarray
    recording: Recording
    path: Path
    sha256: str
    sweep: int


def from_files(
    paths: Sequence[Path],
    amplitudes: Window | None = None,
    window: Window | None = None,
    report: progress.Report = progress.silent,
) -> Protocol:
    """The currents in some recordings, or stimulus files, as one protocol.

    One current is that stimulus; several are a bank, of which each set gets one times a factor within `amplitudes` (0.8 to
    1.2). All are brought to one sample step of 0.02 to 0.1 ms, and cut to `window` (ms), else to at most 300 ms around the
    largest change of the current. A lone stimulus file, with neither amplitudes nor window, is taken whole and as it is.

    Raises RecordingError or StimulusError for files without a current, or ones that cannot be cut alike.
    """
    whole = _as_it_is(paths[0]) if len(paths) == 1 and not amplitudes and not window else None
    if whole:
        return Protocol((whole,))
    rows = _different([row for path in paths for row in _rows(path, report)], report)
    piece = _cut(_together(rows, report), window)
    made = [(_stimulus(row, current, piece),) for row, current in zip(rows, piece.volts[0], strict=True)]
    default = AMPLITUDES if len(made) > 1 else stimuli.AS_IT_IS
    protocol = Protocol(made[0], tuple(made[1:]), amplitudes or default)
    report(_told(paths, protocol, piece))
    return protocol


def _as_it_is(path) -> Stimulus | None:
    """The stimulus of a file that holds one current in one row, None for any other file."""
    if path.suffix in STIMULUS_FILES:
        with contextlib.suppress(StimulusError):
            return stimuli.from_file(path)
    return None


def _rows(path, report) -> Iterator[Row]:
    held = _read(path)
    sha256 = hashlib.sha256(path.read_bytes()).hexdigest()
    for sweep, made in enumerate(held):
        if isinstance(made, MlfitError) or made.currents is None:
            problem = str(made) if isinstance(made, MlfitError) else f"{made.name}: holds no current"
            if len(held) == 1:
                raise RecordingError(f"{problem}; a stimulus is a recorded current")
            report(f"left out: {problem}")
        else:
            yield from (Row(current, made, path, sha256, sweep) for current in made.currents)


def _read(path) -> list[Recording | MlfitError]:
    """The sweeps of a recording, or the current of a stimulus file, which holds nothing else."""
    if path.suffix not in STIMULUS_FILES or not path.is_file() or _holds_voltage(path):
        return recordings.read_all(path)
    alone = stimuli.from_file(path)
    return [Recording(np.zeros(alone.window.size), alone.window, alone.dt, path.name)]


def _holds_voltage(path) -> bool:
    if path.suffix == ".csv":
        return table.is_one(path)
    try:
        with np.load(path, allow_pickle=False) as held:
            return bool({"volts", "voltage"} & set(held.files))
    except Exception:  # damage comes up as any of zipfile's, zlib's and numpy's errors; the reader tells of it
        return False


def _different(rows, report) -> list[Row]:
    """The rows without those that repeat another one to the last bit: they would be drawn the more often."""
    known: dict[tuple[float, bytes], Row] = {}
    for row in rows:
        known.setdefault((row.recording.dt, row.current.tobytes()), row)
    kept = list(known.values())
    if not kept:
        raise RecordingError("no sweep holds a current; a stimulus is a recorded current")
    if len(kept) < len(rows):
        report(f"{len(rows) - len(kept)} sweeps have the same current as another one; each is taken once")
    return kept


def _together(rows, report) -> Recording:
    """All currents as one recording of so many stimuli, its voltages, too: at the coarsest of their steps, as long as the
    shortest."""
    steps = sorted({row.recording.dt for row in rows})
    dt = min(max(steps[-1], SHORTEST_MS), LONGEST_MS)
    if steps != [dt]:
        told = f"{steps[0]:g}" if len(steps) == 1 else f"{steps[0]:g} to {steps[-1]:g}"
        report(f"resampled from steps of {told} ms to {dt:g} ms, through an anti-alias filter (scipy's resample_poly)")
    currents = [_resampled(row, dt) for row in rows]
    length = min(current.size for current in currents)
    held = np.stack([current[:length] for current in currents])
    return Recording(held[None], held, dt, " and ".join(sorted({row.path.name for row in rows})))


def _resampled(row, dt):
    """The current of a row (T,) at another step; of a command in the way that the recordings' own rule has it."""
    of = row.recording
    made = recordings.resampled(Recording(row.current, row.current, of.dt, of.name, of.source), dt)
    return made.volts[0, 0] if made.currents is None else made.currents[0]


def _cut(whole: Recording, window) -> Recording:
    if window:
        return whole.cut(*window)
    size = whole.volts.shape[-1]
    if size <= SAMPLES and whole.duration <= LENGTH_MS:
        return whole.cut(0, whole.duration)
    return recordings.around_change(whole)


def _stimulus(row: Row, current, piece) -> Stimulus:
    origin = {
        "file": row.path.name,
        "sweep": row.sweep,
        "sha256": row.sha256,
        "window_ms": piece.source["cut_ms"],
        "recorded_step_ms": row.recording.dt,
    }
    return stimuli.samples(current, piece.dt, row.path.name, origin=origin)


def _told(paths, protocol, piece) -> str:
    start, stop = piece.source["cut_ms"]
    low, high = protocol.amplitudes
    names = ", ".join(path.name for path in paths)
    several = f"; each set gets one of them times {low:g} to {high:g}" if protocol.is_bank else ""
    return (
        f"stimulus: {len(protocol.alternatives)} of {names}, {start:g} to {stop:g} ms, {protocol.length} samples of "
        f"{protocol.dt:g} ms{several}"
    )
