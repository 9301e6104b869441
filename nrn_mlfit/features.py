"""Features of a trace as eFEL measures them, for a recording and the fitted cell alike. The only place that imports eFEL.

eFEL (Electrophys Feature Extraction Library) is an extra: `pip install "nrn_mlfit[efel]"`. Its settings are left as they
are: a spike is an upward crossing of -20 mV, and traces are interpolated to 0.1 ms.
"""

from dataclasses import dataclass
from importlib import metadata
from importlib.util import find_spec

import numpy as np

EDGE_MS = 1.0  # the current before and after the stimulus is the median of this long
LEAVES = 0.1  # of the current's range: where it is farther from such a level it has left it,
LOUD = 6.0  # and farther than so many standard deviations of its noise
ROUNDING = 1e-9  # of a mean
RISE_MS = 5.0  # what is shorter is the rise of a step that does not end
NAMES = {  # of eFEL -> in words; those of each spike are averaged over the spikes
    "voltage_base": "voltage before the stimulus",
    "steady_state_voltage_stimend": "voltage at the end of the stimulus",
    "minimum_voltage": "lowest voltage during the stimulus",
    "spike_count": "spikes",
    "mean_frequency": "firing rate",
    "time_to_first_spike": "first spike, from the stimulus' start",
    "time_to_last_spike": "last spike, from the stimulus' start",
    "inv_first_ISI": "rate of the first interval",
    "ISI_CV": "coefficient of variation of the intervals",
    "adaptation_index2": "adaptation index",
    "AP_begin_voltage": "threshold: voltage where dV/dt passes 10 mV/ms",
    "AP_amplitude": "spike height above its threshold",
    "peak_voltage": "voltage at the peak",
    "AP_duration_half_width": "width at half height",
    "AP_peak_upstroke": "steepest rise",
    "AP_peak_downstroke": "steepest fall",
    "min_AHP_values": "lowest voltage after a spike",
}


@dataclass(frozen=True)
class Feature:
    """One of eFEL's features: its `name` there, what it is in `words`, its `unit`, and its mean over the spikes of a
    recording and of the fitted cell; None where a trace has none."""

    name: str
    words: str
    unit: str
    recorded: float | None
    fitted: float | None

    @property
    def difference(self) -> float | None:
        """Fitted less recorded."""
        return None if self.recorded is None or self.fitted is None else self.fitted - self.recorded


@dataclass(frozen=True)
class Repeated:
    """One of eFEL's features over repeats of a sweep: how many of them have it (`count`), their `mean` and standard deviation
    `sd` (of two or more, with n - 1), and the fitted cell's value; None where there is none."""

    name: str
    words: str
    unit: str
    count: int
    mean: float | None
    sd: float | None
    fitted: float | None

    @property
    def z(self) -> float | None:
        """Fitted less mean, in standard deviations of the repeats; None where they do not differ."""
        if self.mean is None or self.fitted is None or not self.sd:
            return None
        return (self.fitted - self.mean) / self.sd


def is_there() -> bool:
    """Whether eFEL is installed."""
    return find_spec("efel") is not None


def version() -> str:
    """eFEL's version."""
    return metadata.version("efel")


def compare(recorded, fitted, current, dt: float) -> list[Feature]:
    """The features of two traces (T,) in mV under the same current (T,), samples `dt` ms apart. Needs eFEL."""
    from efel.units import get_unit

    interval = stimulus_interval(current, dt)
    one, other = (_values(trace, dt, interval) for trace in (recorded, fitted))
    return [Feature(name, words, _plain(get_unit(name)), one[name], other[name]) for name, words in NAMES.items()]


def over(repeats, fitted, current, dt: float) -> list[Repeated]:
    """The features of some traces (T,) in mV and of the fitted cell's under one current (T,), samples `dt` ms apart. Needs
    eFEL."""
    from efel.units import get_unit

    interval = stimulus_interval(current, dt)
    each, own = [_values(trace, dt, interval) for trace in repeats], _values(fitted, dt, interval)
    rows = {name: [values[name] for values in each if values[name] is not None] for name in NAMES}
    return [Repeated(n, words, _plain(get_unit(n)), *_moments(rows[n]), own[n]) for n, words in NAMES.items()]


def _moments(values) -> tuple[int, float | None, float | None]:
    """How many there are, their mean and their standard deviation; rounding is no difference."""
    mean = float(np.mean(values)) if values else None
    sd = float(np.std(values, ddof=1)) if len(values) > 1 else None
    return len(values), mean, 0.0 if sd is not None and sd <= ROUNDING * abs(mean or 0.0) else sd


def stimulus_interval(current, dt: float) -> tuple[float, float]:
    """From when to when, in ms, the stimulus is on.

    From where the current (T,) first leaves the level at which it begins to where it last reaches the one at which it ends,
    or to the end of a step that does not end. All of the time for a current that does not change.
    """
    current = np.asarray(current, float)
    edge, least = max(1, round(EDGE_MS / dt)), max(LEAVES * np.ptp(current), LOUD * _noise(current))
    left = np.flatnonzero(np.abs(current - np.median(current[:edge])) > least)
    back = np.flatnonzero(np.abs(current - np.median(current[-edge:])) > least)
    start = int(left[0]) if left.size else 0
    ends = back.size and dt * (back[-1] + 1 - start) > RISE_MS
    stop = int(back[-1]) + 1 if ends else len(current)
    return dt * start, dt * stop


def _noise(current) -> float:
    """The noise of one sample, robust against steps."""
    return 1.05 * float(np.median(np.abs(np.diff(current))))  # 0.6745 sqrt 2 = 1 / 1.05


def _values(volts, dt, interval) -> dict[str, float | None]:
    """The mean of each feature, None where eFEL finds none."""
    import efel

    volts = np.asarray(volts, float)
    trace = {"T": dt * np.arange(len(volts)), "V": volts, "stim_start": [interval[0]], "stim_end": [interval[1]]}
    (found,) = efel.get_feature_values([trace], list(NAMES), raise_warnings=False)
    return {name: _mean(held) for name, held in found.items()}


def _mean(values) -> float | None:
    held = np.asarray([] if values is None else values, float)
    return float(held.mean()) if held.size and np.isfinite(held).all() else None


def _plain(unit: str | None) -> str:
    return "" if unit in ("constant", None) else str(unit)
