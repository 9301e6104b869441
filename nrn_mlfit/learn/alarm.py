"""An alarm for traces that are not like any that the networks have learned from.

Several signals are each compared with what they are on simulated traces that no network has learned from: answers beyond
the range, networks that disagree, features of the last hidden layer far from all others, a voltage trace far from all
others. A signal's distance is 0 at its median there and 1 at its 99th percentile; the score is the largest distance. One
threshold lets 5 % of traces of the training kind give the alarm. Neither knows any trace of another kind.

Distances of features: Mahalanobis within the leading principal components, and what is left beside them (Lee et al., "A
simple unified framework for detecting out-of-distribution samples", NeurIPS 2018; the rest as in Moya & Hush's novelty
detection by PCA).
"""

from dataclasses import dataclass

import numpy as np

FALSE_ALARMS = 0.05
LEAST_REACH = np.array([1e-3, 1e-3, 0.1, 0.1, 0.1, 0.1])  # of the signals: what varies less is rounding, or nothing
MOST_COMPONENTS = 64
KEPT = 0.999  # of the variance
LEAST_REST = 1e-4  # of the variance, beside the components: what is less is rounding
NEAR = 0.05  # a distance so much smaller than the usual one is as good as none
SIGNALS = (
    "the answers lie",
    "the networks disagree,",
    "the features lie",
    "the features' rest lies",
    "the voltages lie",
    "the voltages' rest lies",
)


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
class Alarm:
    """`features`, a cloud a member, and `trace`; `centre`, `reach` (6,): the median of each signal and how far its 99th
    percentile lies above it; `threshold` of the score."""

    features: tuple[Cloud, ...]
    trace: Cloud
    centre: np.ndarray
    reach: np.ndarray
    threshold: float

    def score(self, answers, features, coarse):
        """Scores (N,) of traces by the members' answers (M, N, K) and features (M, N, D), and the coarse traces (N, C)."""
        return self.distances(answers, features, coarse).max(axis=1)

    def distances(self, answers, features, coarse):
        """How far each signal lies out, (N, 6)."""
        return (signals(self.features, self.trace, answers, features, coarse) - self.centre) / self.reach


SILENT = Alarm((), Cloud(np.zeros(1), np.zeros((1, 1)), np.ones(())), np.zeros(6), np.ones(6), float("inf"))


def signals(clouds, trace: Cloud, answers, features, coarse):
    """The signals (N, 6), each larger for a stranger trace."""
    far = np.mean([cloud.distances(points) for cloud, points in zip(clouds, features, strict=True)], axis=0)
    beyond = np.abs(answers.mean(axis=0)).max(axis=1)
    spread = answers.std(axis=0).max(axis=1)
    return np.column_stack([beyond, spread, np.log(far + NEAR), np.log(trace.distances(coarse) + NEAR)])


def make_alarm(answers, features, coarse) -> Alarm:
    """The alarm by traces of the training kind that no member has learned from: members' answers (M, N, K), features
    (M, N, D), coarse traces (N, C). Half of them make the clouds, the other half the distances and the threshold."""
    half = answers.shape[1] // 2
    first, second = slice(half or 1), slice(half, None)  # a lone set is both: it can give no alarm, but must not fail
    clouds, trace = tuple(cloud_of(points[first]) for points in features), cloud_of(coarse[first])
    own = signals(clouds, trace, answers[:, second], features[:, second], coarse[second])
    centre, far = np.quantile(own, [0.5, 0.99], axis=0)
    reach = np.maximum(far - centre, LEAST_REACH)
    score = ((own - centre) / reach).max(axis=1)
    return Alarm(clouds, trace, centre, reach, _threshold(score))


def _threshold(score) -> float:
    """What the score of a further trace of the kind exceeds with a probability of 5 % at most, by those of others (N,)."""
    rank = int(np.ceil((len(score) + 1) * (1 - FALSE_ALARMS)))
    return float(np.sort(score)[rank - 1]) if rank <= len(score) else float("inf")  # too few to say
