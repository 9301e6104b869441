"""Which protocol a current follows: step, ramp, chirp, noise, or none where it does not change."""

import numpy as np

from nrn_mlfit.recordings import pieces

PROTOCOLS = ("step", "ramp", "chirp", "noise", "none")
COVERED = 0.8  # of the time lies in stretches, if a current is made of levels or ramps
FAINTEST_NA = 1e-4  # 0.1 pA
NOISE_SIGMAS = 8.0  # of a 1 ms mean: no noise ranges so wide in a recording of minutes
LEGS = 100  # pieces of a stretch, whose means are to rise or to fall
FEWEST_PERIODS = 3
STEADY = 0.25  # by how much a chirp's period may change from one to the next, in the median; noise changes by far more
BAND = 0.1  # of the range: a crossing counts when the current has gone so far to both sides


def recognised(current, dt: float) -> str:
    """The protocol of a current (T,) in nA, or None, sampled every `dt` ms."""
    if current is None:
        return "none"
    means, width = pieces.blocks(current, dt)
    least = max(FAINTEST_NA, NOISE_SIGMAS * pieces.sample_noise(current) / np.sqrt(width))
    if means.size < 2 or np.ptp(means) <= least:
        return "none"
    parts, allowed = pieces.stretches(current, dt), pieces.tolerance(current, dt)
    if sum(part.size for part in parts) >= COVERED * current.size:
        held = [current[part.first : part.last] for part in parts]
        if all(pieces.strays(pieces.blocks(values, dt)[0]) <= allowed for values in held):
            return "step"
        if all(_rises_or_falls(values, dt, allowed) for values in held):
            return "ramp"
    return "chirp" if _swings_steadily(current, dt) else "noise"


def _rises_or_falls(values, dt, allowed) -> bool:
    """Whether (T,) goes one way only, or one way to its farthest point and then back."""
    means, _ = pieces.blocks(values, dt, max(pieces.BLOCK_MS, values.size * dt / LEGS))
    turn = int(np.argmax(np.abs(means - means[0]))) if means.size else 0
    return all(_is_one_way(leg, allowed) for leg in (means[: turn + 1], means[turn:]) if leg.size)


def _is_one_way(means, allowed) -> bool:
    upwards = np.sign(means[-1] - means[0]) * means
    return bool((np.maximum.accumulate(upwards) - upwards).max() <= allowed)


def _swings_steadily(current, dt) -> bool:
    """Whether periods follow on each other that are about equally long."""
    times = _upward_crossings(current)
    if times.size <= FEWEST_PERIODS:
        return False
    periods = np.diff(times)
    return bool(np.median(np.abs(np.diff(np.log(periods)))) < STEADY)


def _upward_crossings(current):
    """Samples at which (T,) rises through its moving part's middle, each once from below the band to above it."""
    low, high = np.percentile(current, [2, 98])
    middle, margin = (low + high) / 2, BAND * (high - low)
    side = np.where(current > middle + margin, 1, np.where(current < middle - margin, -1, 0))
    known = np.flatnonzero(side)
    rises = np.flatnonzero((side[known[:-1]] < 0) & (side[known[1:]] > 0))
    return known[rises + 1]
