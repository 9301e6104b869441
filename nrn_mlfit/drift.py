"""Drift: a straight line through a parameter's values in the sweeps of a series. N sweeps.

The line is a weighted regression, each value with half its 68 % interval as its error (of a log range in the logarithm). Its
slope has two errors: the one that these intervals give it, and the one by which the values scatter about the line. A slope
differs from none where it lies beyond the larger of 1.96 times the first and Student's t (95 %, N - 2) times the second.
"""

from dataclasses import dataclass

import numpy as np

FEWEST = 3  # through two points any line goes
NORMAL_95 = 1.96
SMALLEST_SHARE = 1e-3  # of the range: no value is known better


@dataclass(frozen=True, eq=False)
class Course:
    """A parameter in N sweeps: values and ends of the 68 % intervals (N,) in `unit`; scale linear or log, range low to high."""

    name: str
    unit: str
    scale: str
    low: float
    high: float
    values: np.ndarray
    lo68: np.ndarray
    hi68: np.ndarray

    def straight(self, values):
        """Values as the line goes through them: of a log range the natural logarithm."""
        return np.log(values) if self.scale == "log" else np.asarray(values, float)

    @property
    def errors(self):
        half = (self.straight(self.hi68) - self.straight(self.lo68)) / 2
        return np.maximum(half, SMALLEST_SHARE * float(np.diff(self.straight([self.low, self.high]))[0]))


@dataclass(frozen=True)
class Trend:
    """A slope in `unit`, its error (one sigma), the ends of what it may be (95 %), and whether none lies outside."""

    name: str
    slope: float
    error: float
    lo95: float
    hi95: float
    unit: str
    differs: bool


def trend(times, course: Course, per: str) -> Trend | None:
    """The slope of a parameter over times (N,), in `unit` (of a log range in %) a `per`; None below three sweeps."""
    times, values = np.asarray(times, float), course.straight(course.values)
    if times.size < FEWEST or not np.ptp(times) > 0:
        return None
    weights = course.errors**-2
    away = times - np.average(times, weights=weights)
    spread = float(weights @ away**2)
    slope = float(weights @ (away * values)) / spread
    rest = values - np.average(values, weights=weights) - slope * away
    allowed = spread**-0.5
    scattered = allowed * float(np.sqrt(weights @ rest**2 / (times.size - 2)))
    half = max(NORMAL_95 * allowed, _student_95(times.size - 2) * scattered)
    scale, unit = (100.0, "%") if course.scale == "log" else (1.0, course.unit)
    slope, half, error = scale * slope, scale * half, scale * max(allowed, scattered)
    return Trend(course.name, slope, error, slope - half, slope + half, f"{unit}/{per}", abs(slope) > half)


def _student_95(freedom: int) -> float:
    from scipy.stats import t  # slow to load

    return float(t.ppf(0.975, freedom))


def one_way(values) -> bool:
    """Whether (N,) rises or falls throughout, as steps of growing current do: then a trend may be theirs, not time's."""
    steps = np.diff(values)
    return bool(steps.size and (np.all(steps >= 0) or np.all(steps <= 0)) and np.any(steps))
