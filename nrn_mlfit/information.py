"""What a trace tells about parameters: Fisher information in its derivatives to them, and how far to trust it.

The trace is taken for linear in the parameters, with Gaussian noise of sd 0.3 in each bin. Then F = J^T J / sd^2 (Kay,
Fundamentals of Statistical Signal Processing: Estimation Theory, 1993, section 3.9), and with the prior's variance 1/3 in
unit space the posterior's covariance is (F + 3 I)^-1. That is local: it does not see another point, far off, that gives
the same trace.
"""

from dataclasses import dataclass

import numpy as np

NOISE = 0.3  # standard deviation in a bin, in log10 units: room for what a network overlooks
PRIOR = 3.0  # 1 / variance of a uniform draw from [-1, 1]
AGREED = 0.05  # the largest difference between the R2 of two steps that agree
FEWEST = 8  # points that make a median
MEDIAN_ERROR = 0.93  # sqrt(pi / 2) / 1.349: a median's standard error, in quartile distances / sqrt(m)
NAMED = 0.3  # the least weight of a parameter that is named in a direction of unit length


def fisher(jacobian, noise: float = NOISE):
    """Fisher information (..., K, K) in a trace with derivatives (..., K, D) and independent Gaussian noise."""
    scaled = np.asarray(jacobian, float) / noise
    return scaled @ np.swapaxes(scaled, -1, -2)


def posterior(information):
    """The posterior covariance (..., K, K) in unit space, (F + 3 I)^-1, for a prior uniform in [-1, 1]."""
    return np.linalg.inv(information + PRIOR * np.eye(information.shape[-1]))


def explained(covariance):
    """The R2 (..., K) to expect with a posterior covariance (..., K, K): 1 - 3 C_kk; 0 is no better than the prior."""
    return 1 - PRIOR * np.diagonal(covariance, axis1=-2, axis2=-1)


@dataclass(frozen=True)
class Information:
    """What a trace tells about K parameters. Its arrays are over the m of M points that count.

    `r2` (m, K) and `log_det` (m,) of F + 3 I; `covariance` (K, K), the mean posterior's; `other_r2` (n, K) with the
    other step, at the n points that count there. `jumps` and `failed` (M, K): differences that are no derivative, since
    the number of spikes changes, and those that could not be simulated. `unlike`: the share of points at which an R2
    changes by more than 0.05 from step to step (NaN where none counts with both).
    """

    names: list[str]
    r2: np.ndarray
    other_r2: np.ndarray
    log_det: np.ndarray
    covariance: np.ndarray
    jumps: np.ndarray
    failed: np.ndarray
    unlike: float

    @property
    def quartiles(self):
        """The R2 (3, K) below which a quarter, half and three quarters of the points lie; NaN without points."""
        return _percentiles(self.r2, [25, 50, 75])

    @property
    def median(self):
        return self.quartiles[1]

    @property
    def mean(self) -> float:
        """The mean over the parameters of their median R2."""
        return float(np.mean(self.median))

    @property
    def other_median(self):
        """The median R2 (K,) with the other step."""
        return _percentiles(self.other_r2, [50])[0]

    @property
    def other_mean(self) -> float:
        return float(np.mean(self.other_median))

    @property
    def typical_log_det(self) -> float:
        return float(_percentiles(self.log_det[:, None], [50])[0, 0])

    @property
    def is_reliable(self) -> bool:
        """Whether 8 points and half of them all count, and half of those have the same R2 with both steps."""
        return len(self.r2) >= max(FEWEST, len(self.jumps) / 2) and self.unlike <= 0.5

    @property
    def unlike_in_words(self) -> str:
        return "-" if np.isnan(self.unlike) else f"{self.unlike:.0%}"

    @property
    def doubt(self) -> float:
        """How far the mean R2 may be off: by what lies between the two steps or by the standard error of the medians,
        whichever is more, and at least by 0.005, the last digit told."""
        if not (len(self.r2) and len(self.other_r2)):
            return np.inf
        low, _, high = self.quartiles
        of_points = MEDIAN_ERROR * float(np.mean(high - low)) / np.sqrt(len(self.r2))
        return max(abs(self.mean - self.other_mean), of_points, 0.005)

    @property
    def weakest(self) -> list[tuple[str, float]]:
        """The parameters with their median R2, the least known one first."""
        return sorted(zip(self.names, self.median.tolist(), strict=True), key=lambda pair: pair[1])

    @property
    def worst(self) -> tuple[np.ndarray, float]:
        """The direction (K,) of unit length in which the mean posterior is widest, and the R2 along it.

        Of the posteriors' mean, not of the F's: there one point with many spikes would outweigh all others.
        """
        values, vectors = np.linalg.eigh(self.covariance)
        vector = vectors[:, -1]
        return vector * np.sign(vector[np.argmax(np.abs(vector))]), 1 - PRIOR * float(values[-1])

    @property
    def worst_in_words(self) -> tuple[str, float]:
        direction, along = self.worst
        return in_words(direction, self.names), along


def judge(names, jacobian, jumps, failed) -> Information:
    """The information in derivatives (M, 2, K, D) at M points, taken with two steps of which the first one counts.

    `jumps` (M, 2, K): the number of spikes is not the same at both ends of the difference, so it is no derivative.
    `failed` (M, 2, K): an end could not be simulated. A point with such a difference does not count: without one
    parameter the others would seem better known than they are.
    """
    jumps = jumps & ~failed
    whole = ~(jumps | failed).any(axis=2)
    covariance = posterior(fisher(np.where(whole[..., None, None], jacobian, 0)))
    r2, both, counted = explained(covariance), whole.all(axis=1), covariance[whole[:, 0], 0]
    apart = np.abs(r2[both, 0] - r2[both, 1]).max(axis=1) > AGREED
    return Information(
        names=list(names),
        r2=r2[whole[:, 0], 0],
        other_r2=r2[whole[:, 1], 1],
        log_det=-np.linalg.slogdet(counted)[1],
        covariance=counted.mean(axis=0) if len(counted) else np.eye(len(names)) / PRIOR,
        jumps=jumps[:, 0],
        failed=failed[:, 0],
        unlike=float(apart.mean()) if len(apart) else np.nan,
    )


def _percentiles(values, which):
    return np.percentile(values, which, axis=0) if len(values) else np.full((len(which), values.shape[1]), np.nan)


def in_words(direction, names) -> str:
    """A direction (K,) of parameter space: `g_a up with g_b down`."""
    order = [k for k in np.argsort(-np.abs(direction)) if abs(direction[k]) >= NAMED]
    if len(order) == 1:
        return f"{names[order[0]]} alone"
    up, down = ([names[k] for k in order if sign * direction[k] > 0] for sign in (1, -1))
    return " with ".join(f"{' and '.join(some)} {way}" for some, way in ((up, "up"), (down, "down")) if some)
