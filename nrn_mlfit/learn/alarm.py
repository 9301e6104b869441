"""An alarm for traces that are not like any that the networks have learned from.

Several signals are each compared with what they are on simulated traces that no network has learned from: answers beyond
the range, networks that disagree, features of the last hidden layer far from all others, a trace whose shape or roughness is
far from all others, that rests longer than others do there, or that goes where none goes in the phase plane. A signal's
distance is measured by its own tail, above its 95th percentile there, in units of the mean excess (Pickands, Ann. Stat. 3:119,
1975: an exponential tail), so that 1 is exp(-1) as rare as 0 for each of them; the score is the largest distance. One threshold
lets 5 % of traces of the training kind give the alarm. Neither knows any trace of another kind.

Distances of features, shapes and roughness: Mahalanobis within the leading principal components, and what is left beside them
(Lee et al., "A simple unified framework for detecting out-of-distribution samples", NeurIPS 2018; the rest as in Moya & Hush's
novelty detection by PCA).
"""

from dataclasses import dataclass

import numpy as np

from nrn_mlfit.learn.look import Look
from nrn_mlfit.learn.traits import LEVELS, PLANE

FALSE_ALARMS = 0.05
TAIL = 0.95  # the quantile from which on a signal's tail is measured
MOST_COMPONENTS = 64
KEPT = 0.999  # of the variance
LEAST_REST = 1e-4  # of the variance, beside the components: what is less is rounding
NEAR = 0.05  # a distance so much smaller than the usual one is as good as none
WORST = 50  # places of a path, those where the fewest others are: some ms of a trace
STILLEST = 10  # bins, those with the least usual rests
SIGNALS = {  # what is said of them -> the least unit of the distance: what varies less is rounding, or nothing
    "the answers lie far out": 1e-3,
    "the networks disagree": 1e-3,
    "the networks' features are unusual": 0.1,
    "the networks' features are unusual beside their components": 0.1,
    "the voltage's course is unusual": 0.1,
    "the voltage's course is unusual beside its components": 0.1,
    "the voltage's roughness is unusual": 0.1,
    "the voltage's roughness is unusual beside its components": 0.1,
    "the voltage rests longer than usual": 0.02,
    "voltage and slope are unusual": 0.02,
}


@dataclass(frozen=True, eq=False)
class Cloud:
    """A cloud of points by its `mean` (D,), the directions `basis` (D, R) in which it extends, scaled to unit variance,
    and `rest`, the mean square of what is beside them."""

    mean: np.ndarray
    basis: np.ndarray
    rest: np.ndarray  # ()

    def distances(self, points):
        """(N, 2) of points (N, D): the mean square within the directions, and beside them, 1 for the cloud's own on average."""
        centred = points - self.mean
        within = centred @ self.basis
        # basis = V / s: what lies in the directions is within * s * V
        scale = np.linalg.norm(self.basis, axis=0)
        beside = (centred**2).sum(axis=1) - ((within / scale) ** 2).sum(axis=1)
        return np.stack([(within**2).mean(axis=1), np.maximum(beside, 0) / self.rest], axis=1)


def cloud_of(points) -> Cloud:
    """The cloud of points (N, D)."""
    points = np.asarray(points, float)
    mean = points.mean(axis=0)
    _, sizes, directions = np.linalg.svd(points - mean, full_matrices=False)
    variance = sizes**2 / max(1, len(points) - 1)
    share = np.cumsum(variance) / max(variance.sum(), 1e-30)
    most = max(1, min(MOST_COMPONENTS, len(points) // 10))
    count = min(int(np.searchsorted(share, KEPT)) + 1, most, len(variance))
    rest = variance[count:].sum()
    basis = directions[:count].T / np.sqrt(np.maximum(variance[:count], 1e-12))
    return Cloud(mean, basis, np.array(max(rest, LEAST_REST * variance.sum(), 1e-12)))


@dataclass(frozen=True, eq=False)
class Known:
    """What traces of the training kind are like: clouds of the members' `features`, of `shape` and `roughness`; `patience`
    (C, LEVELS), -log of the share that rests as long or longer in a bin; `rarity` (R, PLANE), -log of the density of paths."""

    features: tuple[Cloud, ...]
    shape: Cloud
    roughness: Cloud
    patience: np.ndarray
    rarity: np.ndarray

    def signals(self, look: Look):
        """The signals (N, 10) of a look, each larger for a stranger trace."""
        pairs = zip(self.features, look.features, strict=True)
        far = [
            np.mean([cloud.distances(points) for cloud, points in pairs], axis=0),
            self.shape.distances(look.traits.shape),
            self.roughness.distances(look.traits.roughness),
        ]
        beyond = np.abs(look.answers.mean(axis=0)).max(axis=1)
        spread = look.answers.std(axis=0).max(axis=1)
        rests = self.patience[np.arange(len(self.patience)), look.traits.rests]
        path = self.rarity[np.arange(len(self.rarity))[:, None], look.traits.path].reshape(len(beyond), -1)
        rare = _highest(rests, STILLEST), _highest(path, WORST)
        return np.column_stack([beyond, spread, np.log(np.concatenate(far, axis=1) + NEAR), *rare])


def _highest(values, count):
    """The mean of the highest `count` of each row's values (N, C), (N,)."""
    count = min(count, values.shape[1])
    return np.partition(values, -count, axis=1)[:, -count:].mean(axis=1)


def known_of(look: Look) -> Known:
    """What the traces of a look are like."""
    clouds = tuple(cloud_of(points) for points in look.features)
    traits = look.traits
    return Known(
        clouds, cloud_of(traits.shape), cloud_of(traits.roughness), _patience(traits.rests), _rarity(traits.path)
    )


def _patience(rests):
    """-log of the share of rests (N, C) that are of a level or a higher one, (C, LEVELS); one more is of the highest."""
    counts = np.stack([np.bincount(column, minlength=LEVELS) for column in rests.T])
    counts[:, -1] += 1
    longer = counts[:, ::-1].cumsum(axis=1)[:, ::-1]
    return (np.log(longer[:, :1]) - np.log(longer)).astype(np.float32)


def _rarity(path):
    """-log of the density of paths (N, R, Q), (R, PLANE); one visit more counts for each cell, so that none is impossible."""
    counts = np.stack([np.bincount(path[:, row].ravel(), minlength=PLANE) for row in range(path.shape[1])])
    return (np.log(counts.sum(axis=1, keepdims=True) + PLANE) - np.log(counts + 1)).astype(np.float32)


@dataclass(frozen=True, eq=False)
class Alarm:
    """What is `known`; `start`, `unit` (10,): from where on a signal counts as far out, and the unit of its distance;
    `threshold` of the score."""

    known: Known
    start: np.ndarray
    unit: np.ndarray
    threshold: float

    def score(self, look: Look):
        """Scores (N,) of a look: the largest distance."""
        return self.distances(look).max(axis=1)

    def distances(self, look: Look):
        """How far each signal lies out, (N, 10)."""
        return (self.known.signals(look) - self.start) / self.unit


NOTHING = Cloud(np.zeros(1), np.zeros((1, 1)), np.ones(()))
SILENT = Alarm(
    Known((), NOTHING, NOTHING, np.zeros((1, LEVELS)), np.zeros((1, PLANE))), np.zeros(1), np.ones(1), float("inf")
)


def make_alarm(look: Look) -> Alarm:
    """The alarm by a look at traces of the training kind that no member has learned from. Half of them say what is known, a
    quarter the distances, the last quarter the threshold: what distances are made of lies nearer than others do."""
    sets = look.answers.shape[1]
    known = known_of(look[: (sets // 2) or 1])
    own = known.signals(look[sets // 2 :])  # a lone set is all of them: it can give no alarm, but must not fail
    quarter = len(own) // 2
    start, unit = _tails(own[: quarter or 1])
    return Alarm(known, start, unit, _threshold(((own[quarter:] - start) / unit).max(axis=1)))


def _tails(own):
    """From where on signals (N, 10) count as far out, and their mean excess there, (10,) each."""
    start = np.quantile(own, TAIL, axis=0)
    excess = [
        column[column > low].mean() - low if (column > low).any() else 0
        for column, low in zip(own.T, start, strict=True)
    ]
    return start, np.maximum(excess, list(SIGNALS.values()))


def _threshold(score) -> float:
    """What the score of a further trace of the kind exceeds with a probability of 5 % at most, by those of others (N,)."""
    rank = int(np.ceil((len(score) + 1) * (1 - FALSE_ALARMS)))
    return float(np.sort(score)[rank - 1]) if rank <= len(score) else float("inf")  # too few to say
