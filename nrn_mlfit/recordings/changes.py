"""Where the current changes, and the piece of a recording around it."""

import numpy as np

from nrn_mlfit.errors import RecordingError
from nrn_mlfit.recordings import pieces, protocols
from nrn_mlfit.recordings.recording import Recording

LENGTH_MS = 300.0
SAMPLES = 9000  # what the published networks look at
LEAD = 0.2  # of the piece lies before the change
ABOUT_AS_LARGE = 0.8  # of the largest change: a step's onset and end differ by noise, the first one counts
EDGE_MS = 4.0  # before its first and after its last sample the current is held at the median of this long


def around_change(recording: Recording, length_ms: float = LENGTH_MS, samples: int = SAMPLES) -> Recording:
    """The piece around the first step of the current away from its rest, a fifth of it before; of a current without steps
    around the first of its largest sustained changes.

    At most `length_ms` long and `samples` samples; shifted where it would reach beyond an end. Raises
    RecordingError for a recording without a current or with one that does not change.
    """
    change = _change(recording)
    size = recording.volts.shape[-1]
    count = min(size, samples, round(length_ms / recording.dt))
    first = min(max(0, change - round(LEAD * count)), size - count)
    return recording.cut(first * recording.dt, (first + count) * recording.dt)


def _change(recording) -> int:
    """The sample at which the current changes; of several currents the first of them to step."""
    if recording.currents is None:
        raise RecordingError(f"{recording.name}: holds no current to cut around; say where with --window")
    dt = recording.dt
    stepping = [current for current in recording.currents if protocols.recognised(current, dt) == "step"]
    begins = [step.first for current in stepping for step in pieces.steps(current, dt)[:1]]
    return min(begins) if begins else _first_large_change(recording)


def _first_large_change(recording) -> int:
    """The sample of the first of the largest changes, as the means of 20 ms before and after have it."""
    width, edge = (max(1, round(span / recording.dt)) for span in (pieces.SUSTAINED_MS, EDGE_MS))
    sizes = _change_sizes(recording.currents, width, edge)
    if sizes.max() <= pieces.sample_noise(recording.currents):
        raise RecordingError(f"{recording.name}: its current does not change; say where with --window")
    reached = int(np.argmax(sizes >= ABOUT_AS_LARGE * sizes.max()))
    return reached + int(np.argmax(sizes[reached : reached + width]))


def _change_sizes(currents, width, edge):
    """|mean of `width` samples after - mean of as many before| each sample, largest of S: (S, T) -> (T,)."""
    held = np.pad(currents, ((0, 0), (width, width)), mode="median", stat_length=((1, 1), (edge, edge)))
    sums = np.pad(np.cumsum(held - held[:, :1], axis=1), ((0, 0), (1, 0)))
    means = (sums[:, width:] - sums[:, :-width]) / width  # means[k] is over held[k : k + width]
    size = currents.shape[1]
    return np.abs(means[:, width : width + size] - means[:, :size]).max(axis=0)
