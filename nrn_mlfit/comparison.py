"""How close the fitted cell's trace comes to the recording, and whether the two agree. P probes, S stimuli, T samples."""

from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np

from nrn_mlfit import textfile
from nrn_mlfit.errors import FitError
from nrn_mlfit.recordings import Recording, membrane, quality
from nrn_mlfit.recordings.membrane import Measure
from nrn_mlfit.spikes import coincidence, spike_times

PRECISION_MS = 2.0  # within which spikes coincide
BEFORE_MS, AFTER_MS = 5.0, 20.0  # so close to a spike of either trace no sample counts as between spikes
FEWEST_MS = 10.0  # between spikes, to tell of them
# Where two traces do not agree: each of it is so for less than 9 % of simulated cells that the shipped ensembles fit in range.
LEAST_COINCIDENCE = 0.5
LARGEST_COUNT_SHARE = 1 / 3  # of the larger count; and more than one spike
LARGEST_BETWEEN_MV, LARGEST_BETWEEN_NOISES = 3.0, 3.0


@dataclass(frozen=True)
class Comparison:
    """A re-simulated trace beside its recording: rms differences in mV (of all samples, and between spikes; None: too few
    there), spikes, the coincidence factor (1: all within 2 ms), both membranes, and why the two do not agree, if they don't."""

    rms: float
    rms_between: float | None
    spikes_recorded: int
    spikes_simulated: int
    coincidence: float
    membrane: tuple[Measure, ...]
    disagreements: tuple[str, ...]

    def lines(self) -> list[str]:
        """All of it as a person reads it, what does not agree first."""
        return [*self.warning(), *self.closeness(), *_membrane_lines(self.membrane)]

    def warning(self) -> list[str]:
        """One line where recording and fitted cell do not agree, else none."""
        told = "; ".join(self.disagreements)
        return [f"DOES NOT AGREE: the fitted cell does not do what the recording does: {told}"] if told else []

    def closeness(self) -> list[str]:
        between = "" if self.rms_between is None else f", between spikes {self.rms_between:.2f} mV"
        return [
            f"rms difference {self.rms:.2f} mV{between}",
            f"spikes: {self.spikes_recorded} recorded, {self.spikes_simulated} simulated; "
            f"coincidence within {PRECISION_MS:g} ms: {self.coincidence:.2f}",
        ]

    def save(self, path: Path):
        textfile.write_atomic(path, textfile.to_json(asdict(self)))


def load(path: Path) -> Comparison:
    """Read a comparison.json; raises FitError for another file."""
    held = textfile.read_json(path, FitError)
    try:
        measures = tuple(Measure(**measure) for measure in held.pop("membrane"))
        return Comparison(**{**held, "disagreements": tuple(held["disagreements"])}, membrane=measures)
    except (TypeError, KeyError, AttributeError) as error:
        again = f"`nrn-mlfit resimulate {path.parent}` makes it anew"
        raise FitError(f"{path}: is no comparison ({error}); {again}") from None


def compare(recording: Recording, simulated, current_unit: str = "nA") -> Comparison:
    """A recording beside its re-simulation (P, S, T) in mV; spikes are those of the first probe, the membrane is that of the
    first probe under the first stimulus."""
    recorded, dt = recording.volts, recording.dt
    pairs = [(spike_times(a, dt), spike_times(b, dt)) for a, b in zip(recorded[0], simulated[0], strict=True)]
    close = [coincidence(a, b, recording.duration, PRECISION_MS) for a, b in pairs]
    between = rms_between(recorded, simulated, dt, pairs)
    noise = quality.measured(recording).noise_mv or 0.0
    return Comparison(
        rms=_rms(recorded - simulated),
        rms_between=between,
        spikes_recorded=sum(a.size for a, _ in pairs),
        spikes_simulated=sum(b.size for _, b in pairs),
        coincidence=float(np.mean(close)),
        membrane=_membrane(recording, simulated, current_unit),
        disagreements=tuple(_disagreements(pairs, float(np.mean(close)), between, noise)),
    )


def _disagreements(pairs, close, between, noise):
    """Why two traces do not agree, a sentence each."""
    ours, theirs = (np.array([pair[k].size for pair in pairs]) for k in (0, 1))
    apart = np.abs(ours - theirs).sum()
    if apart and 0 in (ours.sum(), theirs.sum()):
        yield f"{_silent(theirs.sum(), 'the fitted cell')}, {_silent(ours.sum(), 'the recording')}"
    elif apart > max(1, LARGEST_COUNT_SHARE * np.maximum(ours, theirs).sum()):
        yield f"the spike counts differ by more than a third ({ours.sum()} recorded, {theirs.sum()} simulated)"
    if ours.sum() and theirs.sum() and close < LEAST_COINCIDENCE:
        yield f"few spikes coincide ({close:.2f}, wanted {LEAST_COINCIDENCE:g})"
    limit = max(LARGEST_BETWEEN_MV, LARGEST_BETWEEN_NOISES * noise)
    if between is not None and between > limit:
        yield f"between spikes the voltage is off by {between:.1f} mV rms (limit {limit:.2g})"


def _silent(count, name) -> str:
    return f"{name} has {f'{count} spikes' if count > 1 else 'a spike' if count else 'none'}"


def rms_between(recorded, simulated, dt, pairs) -> float | None:
    """The rms difference in mV of those samples of two traces (P, S, T) that are far from every spike of either, None where they
    are too few; `pairs` are the spike times of both, one pair a stimulus."""
    time = dt * np.arange(recorded.shape[-1])
    far = np.ones(recorded.shape[1:], bool)
    for s, pair in enumerate(pairs):
        for spike in np.concatenate(pair):
            far[s] &= (time < spike - BEFORE_MS) | (time > spike + AFTER_MS)
    if far.sum() * dt < FEWEST_MS:
        return None
    return _rms((recorded - simulated)[:, far])


def _rms(difference) -> float:
    return float(np.sqrt(np.mean(difference**2)))


def _membrane(recording, simulated, unit) -> tuple[Measure, ...]:
    return membrane.compared(recording.volts[0, 0], simulated[0, 0], recording.currents[0], recording.dt, unit)


def _membrane_lines(measures):
    """A line a figure; those that neither trace tells of, for one reason, together."""
    absent: dict[str, list[str]] = {}
    for m in measures:
        if m.recorded is m.fitted is None:
            absent.setdefault(m.why, []).append(m.name)
            continue
        why = f" ({m.why})" if m.why else ""
        yield f"{m.name}: {_figure(m.recorded, m.unit)} recorded, {_figure(m.fitted, m.unit)} fitted cell{why}"
    yield from (f"{' and '.join(names)} not measured: {why}" for why, names in absent.items())


def _figure(value, unit) -> str:
    return "not measured" if value is None else f"{value:.1f} {unit}"
