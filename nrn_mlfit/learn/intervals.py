"""Error bars that hold: split conformal intervals, wider where the members disagree.

The error of a parameter is taken in units of (spread + offset), where the spread is that of the members and the offset
stands for what they have in common. The quantiles of these scores on sets that no member has learned from make intervals
that hold the truth of another such set with the wanted probability, whatever the networks are like (Lei et al., J. Am. Stat.
Assoc. 113:1094, 2018, section 5.2). They promise nothing for a trace of another kind.
"""

from dataclasses import dataclass

import numpy as np

LEVELS = (0.5, 0.68, 0.9, 0.95)
OFFSETS = (
    0.0,
    0.1,
    0.2,
    0.5,
    1.0,
    2.0,
    5.0,
    20.0,
)  # times the mean spread; what gives the narrowest intervals is taken
JUDGED_BY = 0.9  # the level at which they are compared
WHOLE = 2.0  # half the width, in unit parameters, of an interval that is sure to hold all


@dataclass(frozen=True, eq=False)
class Calibration:
    """`offset` (K,) in unit parameters, `quantiles` (L, K) of the scores at LEVELS, of so many `sets`; to compare with,
    `constant` (L, K): half the widths, in unit parameters, of intervals of one width for all traces."""

    offset: np.ndarray
    quantiles: np.ndarray
    sets: int
    constant: np.ndarray

    def half_widths(self, spread):
        """Half the widths (L, N, K), in unit parameters, of intervals for answers with a spread (N, K) over the members."""
        with np.errstate(invalid="ignore"):  # infinity times nothing
            return np.fmin(self.quantiles[:, None] * (spread + self.offset), WHOLE)

    def bounds(self, answers):
        """The ends (L, 2, N, K), in unit parameters and within [-1, 1], of the members' answers (M, N, K)."""
        middle, half = _middle(answers), self.half_widths(answers.std(axis=0))
        return np.clip(np.stack([middle - half, middle + half], axis=1), -1, 1)

    def to_json(self) -> dict:
        return {
            "levels": list(LEVELS),
            "offset": self.offset.tolist(),
            "quantiles": self.quantiles.tolist(),
            "sets": self.sets,
            "constant": self.constant.tolist(),
        }


NO_BOUND = np.full((len(LEVELS), 1), np.inf)
UNCALIBRATED = Calibration(np.zeros(1), NO_BOUND, 0, NO_BOUND)  # all that is known is the range


def calibration_from(held: dict) -> Calibration:
    """The inverse of `to_json`; raises ValueError for other levels."""
    if held["levels"] != list(LEVELS):
        raise ValueError(f"levels {held['levels']} in place of {list(LEVELS)}")
    offset, quantiles, constant = (np.array(held[key], float) for key in ("offset", "quantiles", "constant"))
    return Calibration(offset, quantiles, int(held["sets"]), constant)


def calibrate(answers, truth) -> Calibration:
    """The calibration by the members' answers (M, N, K) for sets whose unit parameters truth (N, K) are known.

    A tenth of the sets choose the offset, the others make the quantiles: what is chosen by the scores must not be judged by
    them.
    """
    errors, spread = np.abs(_middle(answers) - truth), answers.std(axis=0)
    few = max(1, len(truth) // 10)
    offset = _offset(errors[:few], spread[:few])
    scores = errors[few:] / np.maximum(spread[few:] + offset, 1e-6)
    quantiles, constant = (np.stack([_quantile(x, level) for level in LEVELS]) for x in (scores, errors[few:]))
    return Calibration(offset, quantiles, len(scores), np.minimum(constant, WHOLE))


def _middle(answers):
    """The mean answer (N, K), within the range: the truth lies there."""
    return np.clip(answers.mean(axis=0), -1, 1)


def _offset(errors, spread):
    """The offset (K,) with which intervals that hold the errors (n, K) are the narrowest."""
    candidates = np.maximum(np.multiply.outer(np.array(OFFSETS), spread.mean(axis=0)), 1e-6)  # (C, K)
    scales = spread + candidates[:, None]
    widths = np.quantile(errors / scales, JUDGED_BY, axis=1) * scales.mean(axis=1)
    return candidates[np.argmin(widths, axis=0), np.arange(widths.shape[1])]


def _quantile(scores, level):
    """What a further score exceeds with a probability of 1 - level at most (K,), by scores (n, K) of the same kind."""
    rank = int(np.ceil((len(scores) + 1) * level))
    if rank > len(scores):  # too few to say
        return np.full(scores.shape[1], 1e9)
    return np.sort(scores, axis=0)[rank - 1]


def coverage(bounds, truth):
    """The share (L, K) of sets whose truth (N, K) lies within bounds (L, 2, N, K)."""
    return ((bounds[:, 0] <= truth) & (truth <= bounds[:, 1])).mean(axis=1)
