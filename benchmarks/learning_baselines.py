"""What a network of learning.py must beat: the range's middle, gradient-boosted trees, MiniRocket with ridge regression.

Each is made of (corpus, pieces to learn from, pieces to choose by, seed), reads a few pieces at a time, so that memory does
not hold all traces, and maps counts (n, P*S, T) to unit parameters (n, K).
"""

import numpy as np
from features import features_of, fitted_trees
from learning_networks import SPIKES

from nrn_mlfit.learn.corpus import count
from nrn_mlfit.learn.folds import sample
from nrn_mlfit.learn.scaling import fit_scaler
from nrn_mlfit.shards import MV_PER_COUNT

AT_ONCE = 20  # pieces
KERNELS = 10_000  # rounded down to a multiple of 84
ROCKET_SETS = 25_000  # to learn from; at 15 ms a trace, 98,000 would take half an hour
SAME = 1e-4  # a standard deviation of shares in 0..1
PENALTIES = (1.0, 10.0, 100.0, 1e3, 1e4)


class Middle:
    """Says 0, the middle of each range, to whatever trace."""

    def __init__(self, corpus, learn, choose, seed):
        self.seen, self.weights = 0, 0
        self._outputs = corpus.read(learn[:1])[1].shape[1]

    def __call__(self, counts):
        return np.zeros((len(counts), self._outputs))


class Trees:
    """Gradient-boosted trees, one regression for each parameter, on spikes, their shapes, and window means."""

    weights = None

    def __init__(self, corpus, learn, choose, seed):
        self._dt = corpus.manifest["dt"]
        parts = [(self._features(counts), targets.numpy()) for counts, targets in some_at_once(corpus, learn)]
        features, targets = map(np.concatenate, zip(*parts, strict=True))
        self.seen = len(features)
        self._trees = [fitted_trees(features, column, seed) for column in targets.T]

    def _features(self, counts):
        volts = counts.numpy() * np.float32(MV_PER_COUNT)
        return np.concatenate([features_of(row, self._dt, SPIKES) for row in volts.swapaxes(0, 1)], axis=1)

    def __call__(self, counts):
        features = self._features(counts)
        return np.column_stack([trees.predict(features) for trees in self._trees])


class Rocket:
    """MiniRocket (Dempster et al., KDD 2021) on curated traces, and ridge regression; on the first 25,000 sets only."""

    def __init__(self, corpus, learn, choose, seed):
        from aeon.transformations.collection.convolution_based import MiniRocket

        looked_at, _ = sample(corpus)
        self._scaler = fit_scaler(looked_at)
        self._rocket = MiniRocket(n_kernels=KERNELS, random_state=seed)
        self._rocket.fit(self._scaler.from_counts(looked_at).numpy())
        some = [piece for k, piece in enumerate(learn) if count(learn[: k + 1]) <= ROCKET_SETS]
        self._ridge = Ridge((self._features(counts), targets.numpy()) for counts, targets in some_at_once(corpus, some))
        counts, targets = corpus.read(choose)
        self._ridge.choose(self._features(counts), targets.numpy())
        self.seen, self.weights = count(some), self._ridge.weights.size

    def _features(self, counts):
        return np.asarray(self._rocket.transform(self._scaler.from_counts(counts).numpy()), float)

    def __call__(self, counts):
        return self._ridge(self._features(counts))


class Ridge:
    """Ridge regression of standardised features, by normal equations that are summed up over (features, targets): scikit-learn's
    RidgeCV would need several times the 2 GB of all features."""

    def __init__(self, parts):
        total = x_sum = y_sum = squares = products = 0
        for x, y in parts:
            total, x_sum, y_sum = total + len(x), x_sum + x.sum(0), y_sum + y.sum(0)
            squares, products = squares + x.T @ x, products + x.T @ y
        self._mean, self._middle = x_sum / total, y_sum / total
        squares -= total * np.outer(self._mean, self._mean)
        sd = np.sqrt(np.diag(squares).clip(0) / total)
        self._sd = np.where(
            sd > SAME, sd, np.inf
        )  # what is the same for all tells nothing, and would make the matrix singular
        self._squares = squares / np.outer(self._sd, self._sd)
        self._products = (products - total * np.outer(self._mean, self._middle)) / self._sd[:, None]

    def choose(self, features, targets, penalties=PENALTIES):
        """Take that one of `penalties` with the lowest mean square error on some sets."""
        held = [self._solved(penalty) for penalty in penalties]
        errors = [np.square(self.said(features, weights) - targets).mean() for weights in held]
        self.penalty, self.weights = penalties[int(np.argmin(errors))], held[int(np.argmin(errors))]

    def _solved(self, penalty):
        from scipy.linalg import solve

        return solve(self._squares + penalty * np.eye(len(self._sd)), self._products, assume_a="pos")

    def said(self, features, weights):
        return self._middle + (features - self._mean) / self._sd @ weights

    def __call__(self, features):
        return self.said(features, self.weights)


def some_at_once(corpus, pieces):
    """counts and unit parameters of a few pieces after the other."""
    for low in range(0, len(pieces), AT_ONCE):
        yield corpus.read(pieces[low : low + AT_ONCE])


BASELINES = {"range's middle": Middle, "trees": Trees, "MiniRocket + ridge": Rocket}
NEEDED = {"trees": ("sklearn",), "MiniRocket + ridge": ("aeon", "scipy")}
