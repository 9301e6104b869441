"""Whether another engine's traces of a set are NEURON's: spike by spike, and sample by sample.

Two engines that are right differ by rounding. In most cells that stays small; in a cell near a threshold, or one whose
spikes hang on the last digit, it grows without end. So what does not agree is held against NEURON itself, run again
with its inputs changed in the last digit: the other engine may, at no time, be more than `amplification` times as far from
NEURON as the furthest of these runs has been until then. An error is in the traces from the start, when NEURON's
own runs still lie together to the last digits; so an error does not pass because the cell is chaotic later.
"""

from collections.abc import Iterator
from dataclasses import dataclass, replace

import numpy as np

from nrn_mlfit.shards import Status
from nrn_mlfit.simulator.neuron import judge
from nrn_mlfit.simulator.session import Session
from nrn_mlfit.spikes import spike_times
from nrn_mlfit.stimuli import Protocol

NEIGHBOURS = 2  # samples to either side among which the steepest slope is sought


@dataclass(frozen=True)
class Bounds:
    """How far right engines may lie apart, in double or in mixed precision.

    first_sign: the relative difference of a variable that tells where engines began to differ, far above what rounding
    does in a few steps; spike_ms: shift of a spike; volts_mv: difference of the voltages beyond what such a shift
    explains; rounding: the relative size of a last digit; digits: how many of them the larger perturbations change;
    amplification: how much further than NEURON's own perturbed runs. NEURON with its channels compiled to other roundings
    (-Ofast) was 2.5 times as far at most, in 120 random cells.
    """

    spike_ms: float
    volts_mv: float
    rounding: float
    digits: float
    amplification: float
    first_sign: float


DOUBLE = Bounds(
    spike_ms=1e-6, volts_mv=1e-6, rounding=2.0**-52, digits=450.0, amplification=1e3, first_sign=1e-9
)  # 450: 1e-13
MIXED = Bounds(spike_ms=1e-3, volts_mv=1e-2, rounding=2.0**-24, digits=1.0, amplification=1e2, first_sign=1e-3)


@dataclass(frozen=True)
class Difference:
    """What lies between the truth and another engine in one set.

    verdict: agrees, chaotic (NEURON perturbed differs as much) or differs; spikes: the truth's, over all traces;
    same_counts: in every trace; shift: the largest of a spike time, ms (inf where counts differ); apart: the largest
    |dV|, mV; beyond: the largest |dV| less what a shift of spike_ms explains, mV; own_shift: the largest between NEURON
    and NEURON perturbed, ms (nan where it was not asked); ratio: the largest of |dV| over NEURON's own until then.
    """

    verdict: str
    spikes: int
    same_counts: bool
    shift: float
    apart: float
    beyond: float
    own_shift: float = float("nan")
    ratio: float = float("nan")


def compare(truth, other, dt: float, bounds: Bounds = DOUBLE) -> Difference:
    """The difference of two engines' traces truth and other, (P, S, T) mV with a sample step of dt ms; never `chaotic`.

    Where the truth is no good trace (not finite, out of range), the other must have the same status, and no more.
    """
    truth, other = np.asarray(truth, float), np.asarray(other, float)
    status = judge(truth)
    if status != Status.OK or judge(other) != status:
        same = judge(other) == status
        far = 0.0 if same else np.inf
        return Difference("agrees" if same else "differs", 0, same, far, far, far)
    spikes, same, shift = _spikes_apart(truth, other, dt)
    gap = np.abs(other - truth)
    beyond = float((gap - bounds.spike_ms * _steepest(truth) / dt).max())
    fine = same and shift <= bounds.spike_ms and beyond <= bounds.volts_mv
    return Difference("agrees" if fine else "differs", spikes, same, shift, float(gap.max()), max(beyond, 0.0))


def examine(session: Session, phys_par, truth, other, bounds: Bounds = DOUBLE) -> Difference:
    """The difference of one set phys_par (K,), `chaotic` where it does not agree and NEURON perturbed is as far away.

    truth and other are (P, S, T) mV; `session` holds the cell and runs NEURON again where that is needed.
    """
    dt = session.model.protocol.dt
    found = compare(truth, other, dt, bounds)
    if found.verdict == "agrees" or not np.isfinite(found.apart):
        return found
    runs = list(perturbed(session, phys_par, bounds))
    own_shift = max(compare(truth, run, dt, bounds).shift for run in runs)
    ratio = excess(truth, other, runs, bounds)
    verdict = "chaotic" if ratio <= bounds.amplification else "differs"
    return replace(found, verdict=verdict, own_shift=own_shift, ratio=ratio)


def perturbed(session: Session, phys_par, bounds: Bounds = DOUBLE) -> Iterator[np.ndarray]:
    """NEURON's traces (P, S, T) mV of a set phys_par (K,), each with another small change of what goes in.

    v_init by one last digit, up and down; all parameters by one, up, and in turn up and down; all parameters, and the
    stimulus, by `digits` of them, up and down.
    """
    row, small, large = np.asarray(phys_par, float), bounds.rounding, bounds.digits * bounds.rounding
    in_turn = np.where(np.arange(len(row)) % 2, 1 + small, 1 - small)
    for factor in (1 + small, 1 - small):
        yield _traces(session, row, v_init=session.model.v_init * factor)
    for factors in (1 + small, in_turn, 1 + large, 1 - large):
        yield _traces(session, row * factors)
    for factor in (1 + large, 1 - large):
        scaled = Protocol(tuple(s.scaled(s.scale * factor) for s in session.model.protocol.stimuli))
        yield _traces(session, row, protocol=scaled)


def excess(truth, other, runs, bounds: Bounds = DOUBLE) -> float:
    """How many times further than the runs until then `other` is from the truth, at worst; all are (P, S, T) mV.

    A run counts as at least one last digit of the voltage away. Probes count together, stimuli each for itself.
    """
    digit = bounds.rounding * np.abs(truth).max()
    own = np.max([np.abs(run - truth).max(axis=0) for run in runs], axis=0)  # (S, T)
    until = np.maximum(np.maximum.accumulate(own, axis=-1), digit)
    return float((np.abs(other - truth).max(axis=0) / until).max())


def _traces(session: Session, row, **changes) -> np.ndarray:
    """The window (P, S, T) mV of a set, of the session's model with some changes."""
    session = session.changed(**changes)
    protocol = session.model.protocol
    session.set(row)
    return np.stack([session.run(s)[:, protocol.start :] for s in protocol.stimuli], axis=1)


def _spikes_apart(truth, other, dt) -> tuple[int, bool, float]:
    """The truth's spikes, whether each trace has as many, and the largest shift in ms."""
    count, same, shift = 0, True, 0.0
    for one, two in zip(truth.reshape(-1, truth.shape[-1]), other.reshape(-1, truth.shape[-1]), strict=True):
        times, others = spike_times(one, dt), spike_times(two, dt)
        count, same = count + times.size, same and times.size == others.size
        if same and times.size:
            shift = max(shift, float(np.abs(others - times).max()))
    return count, same, shift if same else np.inf


def _steepest(volts):
    """The largest change of volts (..., T) from a sample to the next, near each sample."""
    steps = np.abs(np.diff(volts, axis=-1))
    padded = np.pad(steps, [(0, 0)] * (volts.ndim - 1) + [(NEIGHBOURS, NEIGHBOURS)])
    windows = np.lib.stride_tricks.sliding_window_view(padded, 2 * NEIGHBOURS, axis=-1)
    return windows.max(axis=-1)
