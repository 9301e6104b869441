"""The spikes that a recording and the fitted cell show: the first one, their peak and width. T samples, S stimuli.

Under a constant current the later spikes of one and the same neuron come at other times in each repeat, by tens of ms; under
one that fluctuates they come within a ms or two (Mainen & Sejnowski, Science 268:1503, 1995). So spikes are held against each
other one by one only where the current moves; in a step the first one is, which does repeat.
"""

import numpy as np

from nrn_mlfit.recordings import pieces, quality, spike_shapes
from nrn_mlfit.recordings.membrane import NO_CURRENT, Measure

STEADY_MS = 50.0  # a current that holds its level for so long does not place the spikes in it
FIRST, PEAK, WIDTH = "first spike", "spike peak", "spike width"
NO_STEP = f"the stimulus has no steady part of {STEADY_MS:g} ms in which most spikes are"
NO_SPIKE = "{} has no whole spike"
TRACES = ("the recording", "the fitted cell")


def compared(recorded, fitted, currents, dt: float) -> tuple[Measure, ...]:
    """When the first spike comes after the begin of a step, and peak and width (medians over all spikes) of two sets of traces
    (S, T) in mV under the same currents (S, T) in nA, S times None where they are not known."""
    found = [[spike_shapes.spikes(trace, dt) for trace in traces] for traces in (recorded, fitted)]
    peaks, widths = [], []
    for traces, of_all in zip((recorded, fitted), found, strict=True):
        peaks.append([trace[spike.top] for trace, some in zip(traces, of_all, strict=True) for spike in some])
        widths.append([spike.width for some in of_all for spike in some])
    missing = "; ".join(NO_SPIKE.format(name) for name, held in zip(TRACES, peaks, strict=True) if not held)
    of_peaks = Measure(PEAK, "mV", _median(peaks[0]), _median(peaks[1]), missing)
    return _first(found, currents, dt), of_peaks, Measure(WIDTH, "ms", _median(widths[0]), _median(widths[1]), missing)


def _median(values) -> float | None:
    return float(np.median(values)) if values else None


def _first(found, currents, dt) -> Measure:
    """Of the first stimulus in which the current is steady where most spikes are."""
    for current, *tops in zip(currents, *(_tops(some) for some in found), strict=True):
        begin = steady_from(current, dt, tops)
        if begin is not None:
            one, other = (next((dt * (top - begin) for top in some if top >= begin), None) for some in tops)
            return Measure(FIRST, "ms", one, other, "; ".join(_absent((one, other))))
    return Measure(FIRST, "ms", None, None, NO_CURRENT if currents[0] is None else NO_STEP)


def _tops(of_all):
    return [[spike.top for spike in some] for some in of_all]


def _absent(late):
    return [NO_SPIKE.format(name) for name, one in zip(TRACES, late, strict=True) if one is None]


def steady_from(current, dt: float, tops) -> int | None:
    """The first sample of the part of a current (T,) that holds one level for 50 ms or more and has more than half of the
    spikes in it, `tops` (a list of samples for each of two traces); None where there is none, or the
    current is not known."""
    every = sorted(top for some in tops for top in some)
    for part in pieces.stretches(current, dt) if current is not None else ():
        inside = sum(part.first <= top < part.last for top in every)
        if inside > len(every) / 2 and part.size * dt >= STEADY_MS and quality.is_still(current, part, dt):
            return part.first
    return None
