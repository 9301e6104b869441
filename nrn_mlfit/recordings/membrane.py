"""A membrane as a recording and the fitted cell show it: rest, input resistance and time constant. T samples."""

from dataclasses import dataclass

import numpy as np

from nrn_mlfit.recordings import passive, quality, spike_shapes

NO_CURRENT = "the recording holds no current"
NO_REST = f"no {quality.FEWEST_MS:g} ms without a spike before the stimulus begins"
NO_STEP = f"the stimulus has no step of {passive.SHORTEST_MS:g} ms from the level at which it begins"
NOT_SETTLED = "no such step begins at rest: the membrane has not settled from an earlier change of the current"
NO_UNIT = "the current has no unit"
NOT_PASSIVE = "{} spikes or goes too far in every such step"
NO_TAU = "{} does not follow an exponential there"
TRACES = ("the recording", "the fitted cell")


@dataclass(frozen=True)
class Measure:
    """One figure of two membranes in `unit`; None where a trace does not tell, and `why` says why not."""

    name: str
    unit: str
    recorded: float | None
    fitted: float | None
    why: str = ""


def compared(recorded, fitted, current, dt: float, current_unit: str = "nA") -> tuple[Measure, ...]:
    """Rest, input resistance and time constant of two traces (T,) in mV under one current (T,) in nA; None: it is not known.

    Both are measured in the same samples, under the same step; the step is one in which both stay passive, if there is one.
    """
    if current is None:
        return (
            Measure("rest", "mV", None, None, NO_CURRENT),
            *_pair((None, None), (None, None), NO_CURRENT, NO_CURRENT),
        )
    tops = [[spike.top for spike in spike_shapes.spikes(trace, dt)] for trace in (recorded, fitted)]
    measured = _of_step((recorded, fitted), current, dt, tops, current_unit)
    return (_rest((recorded, fitted), current, dt, tops), *measured)


def _rest(traces, current, dt, tops) -> Measure:
    before, _ = quality.rests(current, len(current), dt, sorted(tops[0] + tops[1]))
    if before is None:
        return Measure("rest", "mV", None, None, NO_REST)
    recorded, fitted = (float(np.median(trace[before])) for trace in traces)
    return Measure("rest", "mV", recorded, fitted)


def _of_step(traces, current, dt, tops, unit) -> tuple[Measure, Measure]:
    step, why = _step(traces, current, dt, tops) if unit == "nA" else (None, NO_UNIT)
    if step is None:
        return _pair((None, None), (None, None), why, why)
    calm = [passive.passive_size(trace, dt, step, top) is not None for trace, top in zip(traces, tops, strict=True)]
    ohms = [passive.resistance(trace, dt, step) if ok else None for trace, ok in zip(traces, calm, strict=True)]
    taus = [passive.tau(trace, dt, step) if ok else None for trace, ok in zip(traces, calm, strict=True)]
    wild = [NOT_PASSIVE.format(name) for name, ok in zip(TRACES, calm, strict=True) if not ok]
    late = [NO_TAU.format(name) for name, ok, tau in zip(TRACES, calm, taus, strict=True) if ok and tau is None]
    return _pair(ohms, taus, "; ".join(wild), "; ".join(wild + late))


def _pair(ohms, taus, why, why_no_tau) -> tuple[Measure, Measure]:
    return (
        Measure("input resistance", "MOhm", ohms[0], ohms[1], why),
        Measure("time constant", "ms", taus[0], taus[1], why_no_tau),
    )


def _step(traces, current, dt, tops):
    """The step to measure both traces on, or None and why there is none."""
    found = passive.steps(current, dt)
    if not found:
        return None, NO_STEP
    told = list(zip(traces, tops, strict=True))
    steps = [s for s in found if all(passive.is_settled(trace, current, dt, s, top) for trace, top in told)]
    if not steps:
        return None, NOT_SETTLED
    calm = [s for s in steps if passive.passive_size(traces[1], dt, s, tops[1]) is not None]
    choices = ((traces[0], calm, tops[0]), (traces[0], steps, tops[0]), (traces[1], calm, tops[1]))
    chosen = (passive.deepest(trace, dt, held, top) for trace, held, top in choices)
    wild = f"{' and '.join(TRACES)} spike or go too far in every such step"
    return next((step for step in chosen if step), None), wild + " that begins at rest" * (len(steps) < len(found))
