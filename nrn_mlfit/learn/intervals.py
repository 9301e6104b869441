"""Error bars that hold: split conformal intervals, wider where errors are larger.

The error of a parameter is taken in units of what it is likely to be (widths.py). The quantiles of these scores on sets that
neither the members nor the widths have learned from make intervals that hold the truth of another such set with the wanted
probability, whatever the networks are like (Lei et al., J. Am. Stat. Assoc. 113:1094, 2018, section 5.2). They promise nothing
for a trace of another kind.
"""

from dataclasses import asdict, dataclass, fields

import numpy as np

from nrn_mlfit.learn.widths import Widths, learn_widths, same_for_all

LEVELS = (0.5, 0.68, 0.9, 0.95)
WHOLE = 2.0  # half the width, in unit parameters, of an interval that is sure to hold all


@dataclass(frozen=True, eq=False)
class Calibration:
    """`widths`, up to a factor; `quantiles` (L, K) of the scores at LEVELS, of so many `sets`; to compare with, `constant`
    (L, K): half the widths, in unit parameters, of intervals of one width for all traces."""

    widths: Widths
    quantiles: np.ndarray
    sets: int
    constant: np.ndarray

    def half_widths(self, answers):
        """Half the widths (L, N, K), in unit parameters, of intervals for the members' answers (M, N, K)."""
        return np.minimum(self.quantiles[:, None] * self.widths.of(answers), WHOLE)

    def bounds(self, answers):
        """The ends (L, 2, N, K), in unit parameters and within [-1, 1], of the members' answers (M, N, K)."""
        middle, half = _middle(answers), self.half_widths(answers)
        return np.clip(np.stack([middle - half, middle + half], axis=1), -1, 1)

    def arrays(self) -> dict[str, np.ndarray]:
        """All of it as arrays by name; the inverse of `calibration_from`."""
        own = {"levels": np.array(LEVELS), "quantiles": self.quantiles, "constant": self.constant}
        return (
            own | {"sets": np.array(self.sets)} | {f"widths.{name}": part for name, part in asdict(self.widths).items()}
        )


NO_BOUND = np.full((len(LEVELS), 1), np.inf)
UNCALIBRATED = Calibration(same_for_all(1), NO_BOUND, 0, NO_BOUND)  # all that is known is the range


def calibration_from(held: dict[str, np.ndarray]) -> Calibration:
    """The inverse of `arrays`; raises ValueError for other levels, LookupError where one is missing."""
    if held["levels"].tolist() != list(LEVELS):
        raise ValueError(f"levels {held['levels'].tolist()} in place of {list(LEVELS)}")
    widths = Widths(*(held[f"widths.{part.name}"] for part in fields(Widths)))
    return Calibration(widths, held["quantiles"], int(held["sets"]), held["constant"])


def calibrate(answers, truth) -> Calibration:
    """The calibration by the members' answers (M, N, K) for sets whose unit parameters truth (N, K) are known.

    The widths learn from a third of the sets, the others make the quantiles: what was learned from must not judge.
    """
    errors, third = np.abs(_middle(answers) - truth), len(truth) // 3
    widths = learn_widths(answers[:, :third], errors[:third])
    scores = errors[third:] / np.maximum(widths.of(answers[:, third:]), 1e-9)
    quantiles, constant = (np.stack([_quantile(x, level) for level in LEVELS]) for x in (scores, errors[third:]))
    return Calibration(widths, quantiles, len(scores), np.minimum(constant, WHOLE))


def _middle(answers):
    """The mean answer (N, K), within the range: the truth lies there."""
    return np.clip(answers.mean(axis=0), -1, 1)


def _quantile(scores, level):
    """What a further score exceeds with a probability of 1 - level at most (K,), by scores (n, K) of the same kind."""
    rank = int(np.ceil((len(scores) + 1) * level))
    if rank > len(scores):  # too few to say
        return np.full(scores.shape[1], 1e9)
    return np.sort(scores, axis=0)[rank - 1]


def coverage(bounds, truth):
    """The share (L, K) of sets whose truth (N, K) lies within bounds (L, 2, N, K)."""
    return ((bounds[:, 0] <= truth) & (truth <= bounds[:, 1])).mean(axis=1)
