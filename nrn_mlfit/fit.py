"""A Fit: what an ensemble says about a recording. Values, their spread over the members, a verdict, provenance."""

from collections.abc import Sequence
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from nrn_mlfit import stimuli, textfile
from nrn_mlfit.alignment import LARGEST_WAVEFORM_DIFFERENCE, unlike
from nrn_mlfit.errors import EnsembleError, FitError
from nrn_mlfit.parameters import share_of_range

if TYPE_CHECKING:
    from nrn_mlfit.learn import Ensemble
    from nrn_mlfit.recordings import Recording

LARGEST_SCALE_CHANGE = 0.05  # the networks learned one scale; at 0.8 of it the usual errors no longer held
LARGEST_MARGIN = 0.1  # in unit parameters: how far beyond its range a value may land and still count as inside
VOLTAGE_MARGIN_MV = 1.0
AT_THE_END = 0.01  # of a range: so near an end a search went as far as it may
FORMAT_VERSION = 2
NUMBERS = ("value", "lo68", "hi68", "lo90", "hi90", "spread", "unit_par")  # of a Value that an ensemble gives


@dataclass(frozen=True)
class Value:
    """One fitted parameter: `value` in `unit`, inside [low, high].

    lo68 .. hi68 and lo90 .. hi90 hold the true value of 68 and 90 % of the simulated cells that no network had learned from:
    where they fill the range, the parameter was not learned. `spread` is the standard deviation over the members,
    `unit_par` the raw answer, in which the range is [-1, 1]; `truth` is known for simulated traces only. `answer` is the
    ensemble's value where a search went on from it (refine.py). `scale`, linear or log, is how the parameter was drawn from
    its range.
    """

    name: str
    value: float
    lo68: float
    hi68: float
    lo90: float
    hi90: float
    spread: float
    low: float
    high: float
    unit: str
    unit_par: float
    truth: float | None = None
    answer: float | None = None
    scale: str = "linear"

    @property
    def error(self) -> float | None:
        """(value - truth) in % of the range, of a log range in % of its decades, or None."""
        return None if self.truth is None else 100 * (self.share(self.value) - self.share(self.truth))

    @property
    def of_ensemble(self) -> float:
        """What the ensemble answered, whether or not a search went on from it: the intervals are about this value."""
        return self.value if self.answer is None else self.answer

    def share(self, value: float) -> float:
        """Where a value lies in the range: 0 at its low end, 1 at its high end."""
        return share_of_range(value, self.low, self.high, self.scale)


@dataclass(frozen=True)
class Fit:
    """The parameters of one recording, and why to believe them or not; `warnings` is empty for a trace in range.

    `score`: how strange the trace is to the ensemble; with 1 more its own traces are exp(-1) as many. `alarm` has the
    `threshold` of the score (None: too few traces to say) and its `signals`, by what is said of each: the largest is the score.
    """

    values: tuple[Value, ...]
    warnings: tuple[str, ...]
    recording: dict
    provenance: dict = field(default_factory=dict)
    score: float = float("nan")
    alarm: dict = field(default_factory=dict)

    @property
    def verdict(self) -> str:
        return "OUT OF RANGE: do not trust these values" if self.warnings else "in range"

    @property
    def text(self) -> str:
        """As fit.json holds it."""
        return textfile.to_json({"format_version": FORMAT_VERSION, "verdict": self.verdict, **asdict(self)})

    def probes(self, count: int) -> list[str]:
        """What its recording sites are called, `count` of them; by number where the fit does not keep their names."""
        names = [name for name, _ in self.provenance.get("probes", ())]
        return names if len(names) == count else [f"probe {p + 1}" for p in range(count)]

    @property
    def searched(self) -> str:
        """How its values were searched for; empty where they are the ensemble's answer."""
        if not (search := self.provenance.get("search")):
            return ""
        before, after = search["distance"]
        ends = [value.name for value in self.values if min(share := value.share(value.value), 1 - share) < AT_THE_END]
        at_ends = f"; at an end of their ranges, which may be too narrow: {', '.join(ends)}" if ends else ""
        return (
            f"values: those of the nearest of {search['simulations']} cells, searched on from the ensemble's answer; distance "
            f"from the recording {before:.3g} for that, {after:.3g} for the nearest; intervals and verdict are the "
            f"ensemble's{at_ends}"
        )

    @property
    def unsearched(self) -> "Fit":
        """The fit as it was before a search: the ensemble's answer."""
        values = tuple(replace(value, value=value.of_ensemble, answer=None) for value in self.values)
        provenance = {key: held for key, held in self.provenance.items() if key != "search"}
        return replace(self, values=values, provenance=provenance)

    def save(self, path: Path):
        textfile.write_atomic(path, self.text)


def load(path: Path) -> Fit:
    """Read a fit.json."""
    if not path.is_file():
        raise FitError(f"{path.parent}: holds no fit (no {path.name}); make one with `nrn-mlfit fit`")
    held = textfile.read_json(path, FitError)
    try:
        values = tuple(Value(**value) for value in held["values"])
        known = {name: held[name] for name in ("recording", "provenance", "score")}
        return Fit(values, tuple(held["warnings"]), **known, alarm=held.get("alarm", {}))
    except (KeyError, TypeError) as error:
        raise FitError(f"{path}: is no fit ({error} is missing or unknown); make one with `nrn-mlfit fit`") from None


def fit_recording(ensemble: "Ensemble", recording: "Recording") -> Fit:
    """Ask an ensemble about a recording of the same sample step, window and stimulus waveform.

    Raises EnsembleError where they do not belong together.
    """
    check(ensemble.protocol, tuple(ensemble.probes), recording)
    # The networks know currents without noise: they are told the waveform that it is, at its strength.
    look = ensemble.look(recording.volts[None], ensemble.protocol.rescaled_to(recording.currents).windows)
    answer = ensemble.answer(look).of(0)
    ends = [answer.bounds[level][side] for level in (0.68, 0.9) for side in (0, 1)]
    columns = dict(zip(NUMBERS, (answer.values, *ends, answer.spread, answer.unit_par), strict=True))
    values = tuple(
        Value(
            p.name,
            low=p.low,
            high=p.high,
            unit=p.unit,
            truth=recording.truth.get(p.name),
            scale=p.scale,
            **{name: float(column[k]) for name, column in columns.items()},
        )
        for k, p in enumerate(ensemble.space.parameters)
    )
    signals = ensemble.signals(look)
    warnings = (
        *_beyond(ensemble, answer.unit_par),
        *_voltages(ensemble, recording),
        *strength(ensemble.protocol, recording),
        *_strange(ensemble, signals),
    )
    source = {"name": recording.name, **recording.source}
    return Fit(values, warnings, source, ensemble.provenance(), float(answer.score), _alarm(ensemble, signals))


def check(wanted: stimuli.Protocol, probes: Sequence[str], recording: "Recording"):
    """Whether a recording is under the stimulus of an ensemble, and of as many `probes` (their names); traces of another cell are
    not refused.

    Raises EnsembleError with the reason.
    """
    name = recording.name
    if not np.isclose(recording.dt, wanted.dt, rtol=1e-6):
        raise EnsembleError(
            f"{name}: sampled every {recording.dt:g} ms, the ensemble needs {wanted.dt:g} ms; "
            "resample the recording, or train an ensemble for this step"
        )
    if recording.volts.shape != (len(probes), len(wanted.stimuli), wanted.length):
        raise EnsembleError(_other_shape(wanted, probes, recording))
    if recording.currents is None:
        raise EnsembleError(
            f"{name}: holds no current; say with --stimulus what was injected (the ensemble learned from {wanted.name})"
        )
    difference = wanted.difference(recording.currents)
    if difference > LARGEST_WAVEFORM_DIFFERENCE:
        raise EnsembleError(unlike(name, wanted, difference))


def with_stimulus(wanted: stimuli.Protocol, recording: "Recording", name: str) -> "Recording":
    """The recording; one without a current is taken to be made with the stimulus `name`, at the scale of an ensemble's `wanted`.

    Of a bank `name` is a file, whose current it is as it is.
    """
    if wanted.is_bank:
        return _with_one_of(wanted, recording, name)
    if Path(name).is_file():
        given = stimuli.from_file(name).window
        same = (
            len(wanted.stimuli) == 1
            and given.shape == (wanted.length,)
            and wanted.difference(given) <= LARGEST_WAVEFORM_DIFFERENCE
        )
    else:
        same = name == wanted.name
    if not same:
        raise EnsembleError(
            f"--stimulus {name}: the ensemble learned from {wanted.name}; name that, or use another ensemble"
        )
    known = recording.currents is not None or recording.volts.shape[1:] != wanted.windows.shape
    return recording if known else replace(recording, currents=wanted.windows)


def _with_one_of(bank, recording, name) -> "Recording":
    """The recording; one without a current is taken to be made with that of the file `name`, one of the bank's kind."""
    if not Path(name).is_file():
        raise EnsembleError(
            f"--stimulus {name}: the ensemble learned from a {bank.name}; give the .npz or .csv file of the current that flowed"
        )
    given = stimuli.from_file(name).window
    if given.shape != (bank.length,) or len(bank.stimuli) > 1 or bank.difference(given) > LARGEST_WAVEFORM_DIFFERENCE:
        raise EnsembleError(
            f"--stimulus {name}: is none of the ensemble's {bank.name}; give one of its waveforms, or use another ensemble"
        )
    return recording if recording.currents is not None else replace(recording, currents=given[None])


def _other_shape(wanted, probes, recording) -> str:
    """What is said of a recording of other probes, stimuli or length than the networks take, and what mends the first of them."""
    got, shape = recording.volts.shape, (len(probes), len(wanted.stimuli), wanted.length)
    if got[0] != shape[0]:
        those = "those probes, in this order" if shape[0] > 1 else "that probe alone"
        mend = (
            f"give the voltages of {those} ({', '.join(probes)}), as volts (P, S, T) (docs/recordings.md), or take an "
            "ensemble of the probes that were recorded"
        )
    elif got[1] != shape[1]:
        mend = f"give a response to each of {wanted.name}, in this order, as volts (P, S, T) (docs/recordings.md)"
    else:
        mend = "cut the recording to that window (`nrn-mlfit recording`)"
    alone = got[:2] == shape[:2] == (1, 1)
    held, needed = (f"{one[2]} samples" if alone else _shape_words(one) for one in (got, shape))
    return f"{recording.name}: holds {held}, the ensemble needs {needed}; {mend}"


def _shape_words(shape) -> str:
    probes, stims, length = shape
    of = (f"{probes} probe{'s' * (probes > 1)}", f"{'stimuli' if stims > 1 else 'stimulus'}")
    return f"{of[0]} x {stims} {of[1]} x {length} samples"


def _beyond(ensemble, middle):
    margin = np.minimum(ensemble.validation_rms, LARGEST_MARGIN)
    for parameter, value, slack in zip(ensemble.space.parameters, middle, margin, strict=True):
        if abs(value) > 1 + slack:
            side = "above" if value > 0 else "below"
            yield f"{parameter.name} lies {side} its range [{parameter.low:g}, {parameter.high:g}] {parameter.unit}".strip()


def _voltages(ensemble, recording):
    low, high = ensemble.voltage_range
    lowest, highest = float(recording.volts.min()), float(recording.volts.max())
    if lowest < low - VOLTAGE_MARGIN_MV or highest > high + VOLTAGE_MARGIN_MV:
        yield (f"voltages {lowest:.1f} to {highest:.1f} mV leave what was trained on, {low:.1f} to {high:.1f} mV")


def strength(protocol: stimuli.Protocol, recording: "Recording"):
    """What is to be said of currents that are stronger than all of that waveform that were trained on, or weaker."""
    low, high = protocol.amplitudes
    for factors in protocol.factors(recording.currents, LARGEST_WAVEFORM_DIFFERENCE).T:
        # What the current is to the weakest and to the strongest one that was trained on: 1 is as strong.
        weakest, strongest = factors.max() / low, factors.min() / high
        if weakest < 1 - LARGEST_SCALE_CHANGE or strongest > 1 + LARGEST_SCALE_CHANGE:
            ratio, end = (weakest, "weakest") if weakest < 1 else (strongest, "strongest")
            yield f"the current is {ratio:.2f} times the {end if protocol.is_bank else 'one'} that was trained on"


def _alarm(ensemble, signals) -> dict:
    threshold = float(ensemble.alarm.threshold)
    return {"threshold": threshold if np.isfinite(threshold) else None, "signals": signals}


def _strange(ensemble, signals):
    name, distance = max(signals.items(), key=lambda signal: signal[1])
    if distance > ensemble.alarm.threshold:
        yield (
            f"the trace is not like those that were trained on: {name} (score {distance:.1f}, alarm from "
            f"{ensemble.alarm.threshold:.1f})"
        )
