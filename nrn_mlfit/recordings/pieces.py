"""A current in pieces: the stretches between its fast changes, and the noise on it. T samples, B blocks."""

from dataclasses import dataclass

import numpy as np

BLOCK_MS = 1.0  # what is slower than this counts as the current's own course, what is faster as noise
HALF_MS = 0.4  # a jump is seen in the means of so long before and after each sample
JUMP_SIGMAS = 6.0
JUMP_SHARE = 0.04  # of the current's whole range: smaller changes are none
SHORTEST_MS = 2.0  # of a stretch
LEVEL_SHARE = 0.05  # of the whole range: how far a level may stray
SUSTAINED_MS = 20.0  # a step lasts so long: test pulses are shorter


@dataclass(frozen=True, eq=False)
class Stretch:
    """The samples [first, last) in which a current of level `level` (its median, nA) does not jump."""

    first: int
    last: int
    level: float

    @property
    def size(self) -> int:
        return self.last - self.first


def sample_noise(current) -> float:
    """The noise of one sample of (..., T), robust against steps: from the median step; at least rounding."""
    rounding = 1e-9 * float(np.abs(current).max())
    return max(rounding, 1.05 * float(np.median(np.abs(np.diff(current)))))  # 0.6745 sqrt 2 = 1 / 1.05


def blocks(values, dt: float, span_ms: float = BLOCK_MS):
    """Means (B,) of pieces `span_ms` long of values (T,), and how many samples each holds."""
    width = max(1, round(span_ms / dt))
    count = values.size // width
    return values[: count * width].reshape(count, width).mean(axis=1), width


def span(current, dt: float) -> float:
    """The whole range of a current (T,) in nA, noise averaged away."""
    means, _ = blocks(current, dt)
    return float(np.ptp(means)) if means.size else 0.0


def stretches(current, dt: float) -> list[Stretch]:
    """The stretches of (T,) between jumps, in order; those shorter than 2 ms are left out."""
    half = max(1, round(HALF_MS / dt))
    moves = np.abs(_steps(current, half))
    least = max(JUMP_SIGMAS * sample_noise(current) * np.sqrt(2 / half), JUMP_SHARE * float(np.ptp(current)))
    if not np.ptp(current) > 0:
        return [Stretch(0, current.size, float(current[0]))]
    edges = list(_edges(moves > least, moves, half))
    bounds = zip([0, *(end for _, end in edges)], [*(begin for begin, _ in edges), current.size], strict=True)
    shortest = max(2, round(SHORTEST_MS / dt))
    found = [Stretch(a, b, float(np.median(current[a:b]))) for a, b in bounds if b - a >= shortest]
    return _joined(found, current, dt, least)


def _joined(found, current, dt, least) -> list[Stretch]:
    """Neighbours of one level are one stretch, where the current does not leave it between them: noise is no jump, nor is a
    single odd sample."""
    joined: list[Stretch] = []
    for part in found:
        before = joined[-1] if joined else None
        if before and abs(before.level - part.level) < least and _stays(current, dt, before, part):
            joined[-1] = Stretch(before.first, part.last, float(np.median(current[before.first : part.last])))
        else:
            joined.append(part)
    return joined


def _stays(current, dt, before, after) -> bool:
    """Whether the 1 ms means between two stretches of (T,) stay at their level."""
    between = current[before.last : after.first]
    means, _ = blocks(between, dt)
    if between.size and not means.size:  # shorter than one block
        means = between.mean(keepdims=True)
    return bool((np.abs(means - before.level) <= tolerance(current, dt)).all())


def _steps(current, half):
    """Mean of `half` samples from each sample on minus mean of `half` before it: (T,) -> (T,)."""
    held = np.pad(current, half, mode="edge")
    sums = np.concatenate([[0.0], np.cumsum(held - held[0])])
    means = (sums[half:] - sums[:-half]) / half
    return means[half : half + current.size] - means[: current.size]


def _edges(moving, moves, half):
    """[begin, end) of each change: a sharp one is one sample wide although the means see it `half` samples around."""
    ends = np.flatnonzero(np.diff(np.concatenate([[False], moving, [False]])))
    for first, last in zip(ends[::2], ends[1::2], strict=True):
        if last - first <= 2 * half:
            at = int(first + np.argmax(moves[first:last]))
            yield at, at
        else:
            yield int(first + half), int(last - half + 1)


def steps(current, dt: float) -> list[Stretch]:
    """The stretches of (T,) away from the level that it begins with; without those below 20 ms where longer ones are left."""
    parts, least = stretches(current, dt), tolerance(current, dt)
    away = [part for part in parts[1:] if abs(part.level - parts[0].level) > least]
    return [part for part in away if part.size * dt >= SUSTAINED_MS] or away


def levels(parts: list[Stretch], least: float) -> list[float]:
    """The levels of stretches in order, nA; of those that differ by less than `least` the first."""
    found: list[float] = []
    for part in parts:
        if all(abs(part.level - level) > least for level in found):
            found.append(part.level)
    return found


def strays(means) -> float:
    """The rms of block means (B,) about their level."""
    return float(np.std(means)) if means.size else 0.0


def tolerance(current, dt: float) -> float:
    """How far the 1 ms means of a level may stray and it is still one, nA."""
    _, width = blocks(current, dt)
    return max(LEVEL_SHARE * span(current, dt), 4 * sample_noise(current) / np.sqrt(width))
