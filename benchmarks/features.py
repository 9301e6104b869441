"""What an electrophysiologist would measure in a trace: spikes and their shapes, and the course in between; and trees on it."""

import numpy as np

SPIKES, WINDOWS = 7, 40  # whose times and shapes, and how many means, are features
SHAPES = 6  # of a spike: time, height, steepest rise, threshold, trough, width
THRESHOLD, STEEP = -20.0, 10.0  # mV, of a spike; mV/ms, where one takes off
FLOOR = -112.0  # mV, for curated traces
BEFORE, NEAR, TOP, WIDE = 250, 50, 150, 250  # samples around a crossing: take-off, steepest rise, peak, width


def features_of(volts, dt, spikes=SPIKES):
    """Of traces (N, T) in mV, features (N, 2 + 6 S + 40): number of spikes and lowest voltage; of the first S spikes time,
    height, steepest rise, the voltage where the rise passes 10 mV/ms, trough after it, and width; 40 window means of the
    curated trace. What is not there is no number."""
    rows, at, end, number = crossings(volts)
    first = number < spikes
    held = np.full((len(volts), spikes, SHAPES), np.nan)
    held[rows[first], number[first]] = shapes(volts, dt, rows[first], at[first], end[first])
    windows = np.log10(np.maximum(volts, FLOOR) - FLOOR + 1).reshape(len(volts), WINDOWS, -1).mean(axis=2)
    count = np.bincount(rows, minlength=len(volts))
    return np.column_stack([count, volts.min(axis=1), held.reshape(len(volts), -1), windows])


def spike_columns(spikes=SPIKES):
    """Where `features_of` has the number of spikes and their times."""
    return [0, *range(2, 2 + SHAPES * spikes, SHAPES)]


def crossings(volts):
    """(row, last sample below, end, number in its row) of each spike; it ends where the next one begins, or the trace."""
    rows, at = np.nonzero((volts[:, :-1] < THRESHOLD) & (volts[:, 1:] >= THRESHOLD))
    last = np.append(rows[1:] != rows[:-1], True)[: len(rows)]
    end = np.where(last, volts.shape[1], np.roll(at, -1))
    return rows, at, end, np.arange(len(rows)) - np.searchsorted(rows, rows)


def shapes(volts, dt, rows, at, end):
    """Time, height, steepest rise, take-off, trough and width (M, 6) of spikes."""
    top = around(volts, rows, at, 0, TOP, end)
    peak = at + np.nanargmax(top, axis=1) if len(at) else at
    rise = np.diff(around(volts, rows, at, -NEAR, NEAR + 1, volts.shape[1])) / dt
    width = np.count_nonzero(around(volts, rows, at, 0, WIDE, end) >= THRESHOLD, axis=1) * dt
    trough = least(volts, rows, peak, end)
    return np.column_stack(
        [
            at * dt,
            volts[rows, peak],
            np.nanmax(rise, axis=1, initial=-np.inf),
            take_off(volts, dt, rows, at),
            trough,
            width,
        ]
    )


def around(volts, rows, at, begin, stop, end):
    """The samples (M, stop - begin) from at + begin to at + stop; no numbers before the trace, and from `end` on."""
    places = np.asarray(at)[:, None] + np.arange(begin, stop)
    there = (places >= 0) & (places < np.broadcast_to(end, len(at))[:, None])
    return np.where(there, volts[np.asarray(rows)[:, None], np.clip(places, 0, volts.shape[1] - 1)], np.nan)


def take_off(volts, dt, rows, at):
    """The voltage (M,) at the last sample before the crossing from which the rise was below 10 mV/ms."""
    before = around(volts, rows, at, -BEFORE, 2, volts.shape[1])
    slow = np.diff(before) / dt < STEEP
    last = slow.shape[1] - 1 - np.argmax(slow[:, ::-1], axis=1)
    return np.where(slow.any(axis=1), before[np.arange(len(at)), last], np.nan)


def least(volts, rows, begin, end):
    """The lowest voltages (M,) of samples begin..end of traces."""
    flat = np.append(volts.ravel(), np.inf)
    places = np.column_stack([rows * volts.shape[1] + begin, rows * volts.shape[1] + end])
    return np.minimum.reduceat(flat, places.ravel())[::2] if len(places) else np.empty(0)


def fitted_trees(features, column, seed=0):
    """Gradient-boosted trees that map features (N, F) to a parameter (N,); a tenth of the sets says when to stop."""
    from sklearn.ensemble import HistGradientBoostingRegressor

    trees = HistGradientBoostingRegressor(max_iter=400, learning_rate=0.06, early_stopping=True, random_state=seed)
    return trees.fit(features, column)
