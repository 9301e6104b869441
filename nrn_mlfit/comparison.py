"""How close the fitted cell's trace comes to the recording, and whether the two agree. P probes, S stimuli, T samples."""

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np

from nrn_mlfit import textfile
from nrn_mlfit.errors import FitError
from nrn_mlfit.recordings import Recording, firing, membrane, quality
from nrn_mlfit.recordings.membrane import Measure
from nrn_mlfit.spikes import coincidence, spike_counts, spike_times

PRECISION_MS = 2.0  # within which spikes coincide
BEFORE_MS, AFTER_MS = 5.0, 20.0  # so close to a spike of either trace no sample counts as between spikes
FEWEST_MS = 10.0  # between spikes, to tell of them
# Where two traces do not agree: each of it is so for less than 9 % of simulated cells that the shipped ensembles fit in range.
LEAST_COINCIDENCE = 0.5
LARGEST_COUNT_SHARE = 1 / 3  # of the larger count; and more than one spike
LARGEST_BETWEEN_MV, LARGEST_BETWEEN_NOISES = 3.0, 3.0
LARGEST_APART = {
    firing.FIRST: (5.0, 1 / 3),
    firing.PEAK: (10.0, 0.0),
    firing.WIDTH: (0.0, 1 / 3),
}  # ms or mV, and a share of the larger


@dataclass(frozen=True)
class AtProbe:
    """What one probe's traces are to each other, under all stimuli: the rms difference in mV, and spikes."""

    name: str
    rms: float
    spikes_recorded: int
    spikes_simulated: int


@dataclass(frozen=True)
class Comparison:
    """A re-simulated trace beside its recording: rms differences in mV (of all samples, and between spikes; None: too few
    there), spikes, the coincidence factor (1: all within 2 ms), what their spikes are like, both membranes, and why the two do
    not agree, if they don't. `probes` has the same of each probe alone, where there are several."""

    rms: float
    rms_between: float | None
    spikes_recorded: int
    spikes_simulated: int
    coincidence: float
    firing: tuple[Measure, ...]
    membrane: tuple[Measure, ...]
    disagreements: tuple[str, ...]
    probes: tuple[AtProbe, ...] = ()

    def lines(self) -> list[str]:
        """All of it as a person reads it, what does not agree first."""
        return [
            *(*self.warning(), *self.closeness(), *self.by_probe()),
            *(*_measure_lines(self.firing), *_measure_lines(self.membrane)),
        ]

    def warning(self) -> list[str]:
        """One line where recording and fitted cell do not agree, else none."""
        told = "; ".join(self.disagreements)
        return [f"DOES NOT AGREE: the fitted cell does not do what the recording does: {told}"] if told else []

    def closeness(self) -> list[str]:
        between = "" if self.rms_between is None else f", between spikes {self.rms_between:.2f} mV"
        at = f" at {self.probes[0].name}" if self.probes else ""
        return [
            f"rms difference {self.rms:.2f} mV{between}",
            f"spikes{at}: {self.spikes_recorded} recorded, {self.spikes_simulated} simulated; "
            f"coincidence within {PRECISION_MS:g} ms: {self.coincidence:.2f}",
        ]

    def by_probe(self) -> list[str]:
        """A line a probe, where there are several."""
        return [
            f"{one.name}: rms difference {one.rms:.2f} mV; spikes: {one.spikes_recorded} recorded, {one.spikes_simulated} "
            "simulated"
            for one in self.probes
        ]

    def save(self, path: Path):
        textfile.write_atomic(path, textfile.to_json(asdict(self)))


def load(path: Path) -> Comparison:
    """Read a comparison.json; raises FitError for another file."""
    held = textfile.read_json(path, FitError)
    try:
        for name in ("firing", "membrane"):
            held[name] = tuple(Measure(**one) for one in held[name])
        held["probes"] = tuple(AtProbe(**one) for one in held.get("probes", ()))
        return Comparison(**{**held, "disagreements": tuple(held["disagreements"])})
    except (TypeError, KeyError, AttributeError) as error:
        again = f"`nrn-mlfit resimulate {path.parent}` makes it anew"
        raise FitError(f"{path}: is no comparison ({error}); {again}") from None


def compare(
    recording: Recording, simulated, current_unit: str = "nA", probes: Sequence[str] | None = None
) -> Comparison:
    """A recording beside its re-simulation (P, S, T) in mV; spikes are those of the first probe, the membrane is that of the
    first probe under the first stimulus. `probes` names them. Of a recording without a current, what hangs on one is not
    measured."""
    recorded, dt = recording.volts, recording.dt
    currents = [None] * len(recorded[0]) if recording.currents is None else recording.currents
    pairs = [(spike_times(a, dt), spike_times(b, dt)) for a, b in zip(recorded[0], simulated[0], strict=True)]
    close = [coincidence(a, b, recording.duration, PRECISION_MS) for a, b in pairs]
    placed = [
        value for value, pair, current in zip(close, pairs, currents, strict=True) if _is_placed(pair, current, dt)
    ]
    spikes = firing.compared(recorded[0], simulated[0], currents, dt)
    between = rms_between(recorded, simulated, dt)
    noise = quality.measured(recording).noise_mv or 0.0
    return Comparison(
        rms=_rms(recorded - simulated),
        rms_between=between,
        spikes_recorded=sum(a.size for a, _ in pairs),
        spikes_simulated=sum(b.size for _, b in pairs),
        coincidence=float(np.mean(close)),
        firing=spikes,
        membrane=_membrane(recording, simulated, current_unit),
        disagreements=(*_trains_apart(pairs, placed), *_spikes_apart(spikes), *_volts_apart(between, noise)),
        probes=_at_probes(recorded, simulated, probes) if len(recorded) > 1 else (),
    )


def _at_probes(recorded, simulated, names) -> tuple[AtProbe, ...]:
    names = names or [f"probe {p + 1}" for p in range(len(recorded))]
    counts = [spike_counts(volts).sum(axis=-1) for volts in (recorded, simulated)]
    rms = [_rms(difference) for difference in recorded - simulated]
    return tuple(AtProbe(*one) for one in zip(names, rms, *(map(int, count) for count in counts), strict=True))


def _is_placed(pair, current, dt) -> bool:
    """Whether there are spikes, and where the current moves, so that the same cell would have them at the same times. Of a
    current that is not known this cannot be said."""
    if current is None:
        return False
    tops = [np.round(times / dt).astype(int) for times in pair]
    return any(times.size for times in pair) and firing.steady_from(current, dt, tops) is None


def _trains_apart(pairs, placed):
    """Why two spike trains do not agree, a sentence each; `placed` are the coincidences where the stimulus places the spikes."""
    ours, theirs = (np.array([pair[k].size for pair in pairs]) for k in (0, 1))
    apart = np.abs(ours - theirs).sum()
    if apart and 0 in (ours.sum(), theirs.sum()):
        yield f"{_silent(theirs.sum(), 'the fitted cell')}, {_silent(ours.sum(), 'the recording')}"
    elif apart > max(1, LARGEST_COUNT_SHARE * np.maximum(ours, theirs).sum()):
        yield f"the spike counts differ by more than a third ({ours.sum()} recorded, {theirs.sum()} simulated)"
    if ours.sum() and theirs.sum() and placed and (close := float(np.mean(placed))) < LEAST_COINCIDENCE:
        yield f"few spikes coincide ({close:.2f}, wanted {LEAST_COINCIDENCE:g})"


def _spikes_apart(measures):
    """Why the spikes of two traces are not alike."""
    for one in measures:
        if one.recorded is None or one.fitted is None:
            continue
        least, share = LARGEST_APART[one.name]
        limit = max(least, share * max(one.recorded, one.fitted)) if share else least
        if abs(one.recorded - one.fitted) > limit:
            both = f"{_figure(one.recorded, one.unit)} recorded, {_figure(one.fitted, one.unit)} simulated"
            yield f"{one.name} {both} (limit {limit:.2g} {one.unit} apart)"


def _volts_apart(between, noise):
    limit = max(LARGEST_BETWEEN_MV, LARGEST_BETWEEN_NOISES * noise)
    if between is not None and between > limit:
        yield f"between spikes the voltage is off by {between:.1f} mV rms (limit {limit:.2g})"


def _silent(count, name) -> str:
    return f"{name} has {f'{count} spikes' if count > 1 else 'a spike' if count else 'none'}"


def rms_between(recorded, simulated, dt) -> float | None:
    """The rms difference in mV of those samples of two traces (P, S, T) that are far from every spike of either, at any probe;
    None where they are too few."""
    time = dt * np.arange(recorded.shape[-1])
    far = np.ones(recorded.shape[1:], bool)
    for s, traces in enumerate(np.concatenate([recorded, simulated]).swapaxes(0, 1)):
        for spike in np.concatenate([spike_times(trace, dt) for trace in traces]):
            far[s] &= (time < spike - BEFORE_MS) | (time > spike + AFTER_MS)
    if far.sum() * dt < FEWEST_MS:
        return None
    return _rms((recorded - simulated)[:, far])


def _rms(difference) -> float:
    return float(np.sqrt(np.mean(difference**2)))


def _membrane(recording, simulated, unit) -> tuple[Measure, ...]:
    current = None if recording.currents is None else recording.currents[0]
    return membrane.compared(recording.volts[0, 0], simulated[0, 0], current, recording.dt, unit)


def _measure_lines(measures):
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
    return "not measured" if value is None else f"{value:.3g} {unit}" if abs(value) < 10 else f"{value:.1f} {unit}"
