"""A cell tried out before anyone trains on it: does each parameter reach what it names, and what comes of random sets?"""

import math
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np

from nrn_mlfit import design, machine, progress
from nrn_mlfit.candidates import Candidate
from nrn_mlfit.cells import CellModel
from nrn_mlfit.doctor import NOTE, OK, PROBLEM, Line
from nrn_mlfit.information import Information
from nrn_mlfit.places import place
from nrn_mlfit.shards import Status
from nrn_mlfit.simulator import apart, inventory, mechanisms, reach
from nrn_mlfit.simulator.batch import Batch
from nrn_mlfit.simulator.reach import Built, Reach
from nrn_mlfit.spikes import spike_counts, spike_times

SETS, POINTS, SEED = 200, 12, 1
HALVED = 5  # sets whose step is halved: the middle and random ones
TRACES = 50_000  # of the run whose time is foretold: as many as an ensemble learns from
FAILING = 0.1  # the share of failed sets from which a cell is not sound
SILENT, MOST_SPIKES, LOWEST_MV = 0.05, 25, -110.0  # docs/choice.md: of a stimulus that teaches
BANK_SILENT = 0.75  # what is weak in a bank is there to stay silent: in `steps` a third is negative
SHIFT_MS = 0.1  # of spikes by half a step: five samples
WEAK = 0.1  # an R2 below which a parameter is hardly learned


@dataclass(frozen=True)
class Checkup:
    """What was found about a cell: a Line each, what each parameter reaches, the median R2 of each by `design` (NaN where it was
    not asked or not told), and figures by name."""

    cell: str
    lines: tuple[Line, ...]
    reaches: tuple[Reach, ...]
    r2: dict[str, float]
    figures: dict[str, float]

    @property
    def is_sound(self) -> bool:
        return all(line.mark != PROBLEM for line in self.lines)

    @property
    def can_run(self) -> bool:
        """Whether all parameters could be set, so that sets were simulated."""
        return not any(each.problem for each in self.reaches)

    @property
    def changes(self) -> list[str]:
        """What to change, a sentence each, what must be changed first."""
        ordered = sorted(self.lines, key=lambda line: line.mark != PROBLEM)
        return [line.todo for line in ordered if line.todo and line.mark != OK]

    def to_json(self) -> dict:
        """All of it as JSON-ready values."""
        return {
            "cell": self.cell,
            "sound": self.is_sound,
            "lines": [vars(line) for line in self.lines],
            "parameters": {
                r.parameter: {"reaches": r.told, "r2": _number(self.r2.get(r.parameter))} for r in self.reaches
            },
            "figures": {name: _number(value) for name, value in self.figures.items()},
            "change": self.changes,
        }


class _Notes:
    """Lines and figures as they come; each line is told at once."""

    def __init__(self, tell: Callable[[Line], object]):
        self.lines: list[Line] = []
        self.figures: dict[str, float] = {}
        self._tell = tell

    def add(self, mark, name, found, todo=""):
        self.lines.append(Line(mark, name, found, todo))
        self._tell(self.lines[-1])


def check(
    model: CellModel,
    sets: int = SETS,
    points: int = POINTS,
    report: progress.Report = progress.silent,
    tell: Callable[[Line], object] = lambda _: None,
) -> Checkup:
    """Try a cell out: `sets` random ones, and `points` of `design` (0: none). `tell` is given each line when it is found.

    Raises what its construction raises: CellError, MechanismError.
    """
    notes, r2 = _Notes(tell), dict[str, float]()
    mechanisms.tell_if_new(model.mod, report)
    report(f"building {model.name}, and setting each parameter")
    built = apart.ask_of_cell(reach.examine, model)
    _tell_of_the_cell(notes, model, built)
    if built.sections > 1 and (loose := apart.ask_of_cell(inventory.loose, model)):
        site = place(next(iter(model.probes.values()))).name
        notes.add(PROBLEM, "pieces", *inventory.in_pieces(loose, site))
    if all(not each.problem for each in built.reaches):
        with Batch(model, report=report) as batch:
            good = _random_sets(notes, model, batch, sets, report)
        _half_the_step(notes, model, report)
        if good and points:
            r2 = _design(notes, model, points, report)
        _foretell(notes)
    return Checkup(model.name, tuple(notes.lines), built.reaches, r2, notes.figures)


def _tell_of_the_cell(notes, model, built: Built):
    notes.add(
        OK, "built", f"{progress.counted(built.sections, 'section')}, {progress.counted(built.segments, 'segment')}"
    )
    notes.figures |= {"sections": built.sections, "segments": built.segments}
    if built.strangers:
        todo = f"take out of {model.hoc.name} what makes sections outside of the template: each run simulates them, too"
        notes.add(NOTE, "besides", f"{progress.counted(built.strangers, 'section')} outside of the cell", todo)
    # where one cannot be set none was, and what the others reach is not known
    wrong = [each for each in built.reaches if each.problem] or [each for each in built.reaches if not each.is_sound]
    for each in wrong:
        notes.add(PROBLEM, "reach", *_wrong(each))
    if built.left_over:
        todo = "make each procedure give the same cell whatever was set before: set values, do not multiply them"
        notes.add(PROBLEM, "reach", f"{reach.in_words(built.left_over)} does not come back with the parameters", todo)
    if not wrong:
        others = "" if any(each.free for each in built.reaches) else ", and nothing else"
        notes.add(OK, "reach", f"{progress.counted(len(built.reaches), 'parameter')} reach what they name{others}")


def _wrong(each: Reach) -> tuple[str, str]:
    """What is wrong with what a parameter reaches, and what to do."""
    name = each.parameter
    if each.problem:
        return each.problem, f"{name}: mend its entry under `parameters:`, or the template"
    if each.missed:
        return (
            f"{name} does not reach {reach.in_words(each.missed)}",
            f"{name}: see which later parameter or procedure sets that again; give each place to one parameter",
        )
    if each.besides:
        return (
            f"{name} also changes {reach.in_words(each.besides)}",
            f"{name}: see what in the cell hangs on it, and name that under `sets`, too",
        )
    return f"{name} reaches nothing", f"{name}: let its procedure set what it is for, or take it out"


def _random_sets(notes, model, batch, sets, report) -> bool:
    """Simulate random sets; whether any gave a trace."""
    rows = _rows(model, sets)
    warm = min(batch.lanes * machine.cores(), max(1, sets // 2))
    meter = progress.Meter(sets, "sets", report)
    report(f"simulating {progress.counted(sets, 'random set')}")
    first = batch.run(rows[:warm], _sketch, meter.at)
    began = time.monotonic()
    second = batch.run(rows[warm:], _sketch, lambda count: meter.at(warm + count)) if sets > warm else first
    chunks = math.ceil(len(second[0]) / batch.lanes)
    seconds = (time.monotonic() - began) * min(machine.cores(), chunks) / len(second[0])
    parts = (first, second) if sets > warm else (first,)
    lowest, highest, spikes, status = (np.concatenate(both) for both in zip(*parts, strict=True))
    _tell_of_the_engine(notes, batch, seconds)
    good = status == Status.OK
    _tell_of_failures(notes, status)
    if good.any():
        _tell_of_traces(notes, model, lowest[good], highest[good], spikes[good])
    return bool(good.any())


def _rows(model, count):
    phys_par = model.space.to_phys(model.space.draw(SEED, 0, count))
    return model.rows(phys_par, *model.protocol.draw(SEED, 0, count))


def _sketch(volts):
    return volts.min(axis=(1, 2, 3)), volts.max(axis=(1, 2, 3)), spike_counts(volts[:, 0]).mean(axis=1)


def _tell_of_the_engine(notes, batch, seconds):
    if batch.why:
        notes.add(NOTE, "engine", f"{batch.engine}, 4 to 60 times slower than lanes would be: {batch.why}")
    else:
        notes.add(OK, "engine", f"{batch.engine}; the first sets are the same in plain NEURON")
    notes.figures |= {"seconds_a_set": seconds, "megabytes": batch.memory / 1e6}
    found = f"{_time(seconds)} a set on one core; {batch.memory / 1e6:.0f} MB a process"
    notes.add(OK, "cost", found)


def _tell_of_failures(notes, status):
    counts = Counter(int(s) for s in status if s != Status.OK)
    share = sum(counts.values()) / len(status)
    notes.figures |= {"sets": len(status), "failed": share}
    if not counts:
        notes.add(OK, "sets", f"none of {len(status)} random sets failed")
        return
    words = ", ".join(f"{n} {Status(s).label}" for s, n in sorted(counts.items()))
    todo = "narrow the ranges, or lower the scale of the stimulus, until hardly any set fails"
    notes.add(PROBLEM if share > FAILING else NOTE, "sets", f"of {len(status)} random sets {words}", todo)


def _tell_of_traces(notes, model, lowest, highest, spikes):
    silent, low, high = float(np.mean(spikes == 0)), float(lowest.min()), float(highest.max())
    few, middle, many = np.percentile(spikes, [5, 50, 95])
    notes.figures |= {"silent": silent, "spikes": float(middle), "lowest_mv": low, "highest_mv": high}
    counted = f"{middle:g} a trace (5% {few:g}, 95% {many:g}); {silent:.0%} silent"
    if silent > (BANK_SILENT if model.protocol.is_bank else SILENT):
        notes.add(NOTE, "spikes", counted, _raised(model))
    elif middle > MOST_SPIKES:
        notes.add(
            NOTE,
            "spikes",
            counted,
            "lower the scale of the stimulus, unless the cell fires by itself: with so many spikes hardly any stands for itself",
        )
    else:
        notes.add(OK, "spikes", counted)
    lower = f"lower the scale of the stimulus or the depth of its reset: no channel was measured below {LOWEST_MV:g} mV"
    notes.add(NOTE if low < LOWEST_MV else OK, "voltage", f"{low:.1f} to {high:.1f} mV", lower * (low < LOWEST_MV))


def _raised(model) -> str:
    """What to do where too many traces are silent."""
    if model.protocol.is_bank:
        return (
            "give the bank stronger stimuli, or larger factors (`amplitudes`): more than three quarters of its draws are silent, "
            "and a silent trace tells little of channels"
        )
    return (
        f"raise the scale of the stimulus (now {model.protocol.stimuli[0].scale:g}), or narrow the ranges, unless the cell is a "
        "passive one: a silent trace tells little of channels"
    )


def _half_the_step(notes, model, report):
    """The same sets with half the time step, both in plain NEURON."""
    meter = progress.Meter(2 * HALVED, "sets", report)
    middle = model.rows(model.space.to_phys(np.zeros((1, len(model.space)))), np.zeros(1, int), np.ones(1))
    rows = np.concatenate([middle, _rows(model, HALVED - 1)])
    traces = []
    for k, step in enumerate((model.step, model.step / 2)):
        report(f"halving the time step: {HALVED} sets at {step:g} ms in plain NEURON")
        with Batch(replace(model, dt=step), "neuron", report=report) as batch:
            volts, status = batch.run(rows, tick=lambda count, before=k * HALVED: meter.at(before + count))
            traces.append((volts[:, 0, 0].astype(float), status == Status.OK))
    (coarse, fine_once), (fine, fine_twice) = traces
    both = np.flatnonzero(fine_once & fine_twice)
    if not len(both):
        return
    pairs = [_apart(coarse[k], fine[k], model.protocol.dt) for k in both]
    other = sum(not same for same, _, _ in pairs)
    shifts = [shift for _, shift, _ in pairs if shift is not None]
    shift = float(np.median(shifts)) if shifts else 0.0
    rms = float(np.median([rms for _, _, rms in pairs]))
    notes.figures |= {"half_step_shift_ms": shift, "half_step_other_counts": other, "half_step_rms_mv": rms}
    found = f"spikes shift by {shift:.3f} ms, {other} of {len(both)} sets have another number; rms {rms:.2f} mV"
    coarse_one = shift > SHIFT_MS or other > len(both) / 2
    todo = f"set dt: {model.step / 2:g}, and check again: the spikes hang on the time step"
    notes.add(
        NOTE if coarse_one else OK, "half dt", f"{model.step:g} -> {model.step / 2:g} ms: {found}", todo * coarse_one
    )


def _apart(coarse, fine, dt) -> tuple[bool, float | None, float]:
    """Whether two traces (T,) have as many spikes, the median shift of those of the finer one in ms, and the rms in mV."""
    before, after = spike_times(coarse, dt), spike_times(fine, dt)
    nearest = [float(np.abs(before - t).min()) for t in after] if before.size else []
    rms = float(np.sqrt(np.mean((fine - coarse) ** 2)))
    return before.size == after.size, float(np.median(nearest)) if nearest else None, rms


def _design(notes, model, points, report) -> dict[str, float]:
    """The median R2 of each parameter, by a local estimate."""
    if model.protocol.is_bank:
        todo = f"nrn-mlfit design {model.name} --stimuli NAME tells it for one of them"
        notes.add(OK, "design", f"not asked, as each set gets another stimulus ({todo})")
        return {}
    report(f"asking design at {progress.counted(points, 'point')} what can be learned")
    told = design.design([Candidate(f"{model.name}", model)], points, report=report)[0].information
    r2 = dict(zip(told.names, map(float, told.median), strict=True))
    notes.figures |= {"design_mean_r2": told.mean, "design_points": len(told.r2)}
    if not len(told.r2):
        todo = "at each point a small change gives another number of spikes: try --points 64, or another scale of the stimulus"
        notes.add(NOTE, "design", f"none of {points} points counts", todo)
        return r2
    weak = [name for name, value in r2.items() if value < WEAK]
    words = f"mean R2 {told.mean:.2f} at {len(told.r2)} of {points} points{_doubt(told)}"
    todo = (
        f"{', '.join(weak)}: the trace hardly tells; hold what is known (`fixed:`), tie parameters together, record elsewhere, "
        "or try other stimuli with nrn-mlfit design"
    )
    notes.add(NOTE if weak else OK, "design", words, todo if weak else "")
    return r2


def _doubt(told: Information) -> str:
    return "" if told.is_reliable else "; an order rather than numbers, as few points count or most are unlike"


def _foretell(notes):
    seconds = TRACES * notes.figures["seconds_a_set"] / machine.cores()
    notes.figures["seconds_of_a_run"] = seconds


def _time(seconds) -> str:
    return f"{1000 * seconds:.2g} ms" if seconds < 0.1 else f"{seconds:.2g} s"


def _number(value) -> float | None:
    return None if value is None or not math.isfinite(value) else float(value)
