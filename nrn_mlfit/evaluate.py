"""How good an ensemble is on simulated traces that it has not learned from: errors, their correlation, coverage, alarms."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from statistics import NormalDist
from typing import TYPE_CHECKING

import numpy as np

from nrn_mlfit import progress, shards, textfile

if TYPE_CHECKING:
    from nrn_mlfit.learn import Ensemble

UNKNOWN = 0.1  # R2 below which a parameter counts as not constrained
TIED = 0.3  # |correlation| of residuals from which on two parameters are named as traded for each other
BINS = 10  # of the true value, in which the error is told


@dataclass(frozen=True, eq=False)
class Evaluation:
    """What came of N traces: `truth` and `middle` (N, K) in unit parameters, `members` (M, N, K), `bounds` a level -> ends
    (2, N, K) of its interval, `constant` a level -> half the width (K,) of one that is as wide for all traces, `score` (N,), and
    the alarm's `threshold`; `augmentation`, what was done to the traces, as JSON-ready values."""

    names: list[str]
    widths: np.ndarray  # (K,) of the ranges, in physical units; of a log range in decades
    units: list[str]
    truth: np.ndarray
    members: np.ndarray
    bounds: dict[float, np.ndarray]
    constant: dict[float, np.ndarray]
    score: np.ndarray
    threshold: float
    augmentation: dict = field(default_factory=dict)

    @property
    def middle(self):
        return np.clip(self.members.mean(axis=0), -1, 1)

    @property
    def residuals(self):
        """Answer less truth (N, K), in unit parameters."""
        return self.middle - self.truth

    @property
    def mse(self):
        """Mean square errors (K,) in unit parameters; 1/3 for the middle of the range."""
        return (self.residuals**2).mean(axis=0)

    @property
    def r2(self):
        """1 - MSE / (1/3), (K,): 0 is no better than the middle of the range, 1 is exact."""
        return 1 - 3 * self.mse

    @property
    def rms_percent(self):
        """The rms error (K,) in % of the range, which is 2 wide; 28.9 for the middle."""
        return 50 * np.sqrt(self.mse)

    @property
    def rms(self):
        """The rms error (K,) in physical units, of a log range in decades."""
        return 0.5 * np.sqrt(self.mse) * self.widths

    @property
    def correlation(self):
        """The correlation (K, K) of the residuals; 0 where they do not vary, as those of one trace."""
        centred = self.residuals - self.residuals.mean(axis=0)
        size = np.sqrt((centred**2).sum(axis=0))
        centred = centred / np.where(size > 0, size, 1)
        return centred.T @ centred

    @property
    def pairs(self) -> list[tuple[str, str, float]]:
        """Parameters whose residuals go together, the strongest first."""
        held = self.correlation
        found = [(i, j) for i in range(len(held)) for j in range(i) if abs(held[i, j]) >= TIED]
        ordered = sorted(found, key=lambda pair: -abs(held[pair]))
        return [(self.names[j], self.names[i], float(held[i, j])) for i, j in ordered]

    @property
    def unconstrained(self) -> list[str]:
        """The parameters that this stimulus does not constrain, as far as these networks can tell."""
        return [name for name, r2 in zip(self.names, self.r2, strict=True) if r2 < UNKNOWN]

    @property
    def coverage(self) -> dict[float, np.ndarray]:
        """level -> the share (K,) of traces whose truth lies within the interval."""
        inside = {level: (low <= self.truth) & (self.truth <= high) for level, (low, high) in self.bounds.items()}
        return {level: held.mean(axis=0) for level, held in inside.items()}

    @property
    def raw(self) -> dict[float, np.ndarray]:
        """level -> the share (K,) of traces whose truth lies within the Gaussian interval of the raw spread of the members."""
        distance, spread = np.abs(self.residuals), self.members.std(axis=0)
        return {
            level: (distance <= NormalDist().inv_cdf((1 + level) / 2) * spread).mean(axis=0) for level in self.bounds
        }

    @property
    def width_percent(self) -> dict[float, np.ndarray]:
        """level -> the mean width (K,) of the intervals in % of the range."""
        return {level: 50 * (high - low).mean(axis=0) for level, (low, high) in self.bounds.items()}

    @property
    def against_constant(self) -> dict[float, np.ndarray]:
        """level -> the mean width (K,) of the intervals, 1 being that of intervals of one width, within the range like them."""
        held = {}
        for level, (low, high) in self.bounds.items():
            ends = np.clip([self.middle - self.constant[level], self.middle + self.constant[level]], -1, 1)
            held[level] = (high - low).mean(axis=0) / np.maximum((ends[1] - ends[0]).mean(axis=0), 1e-12)
        return held

    @property
    def alarms(self) -> float:
        """The share of traces that give the alarm."""
        return float((self.score > self.threshold).mean())

    def by_truth(self):
        """centres (B,) and rms error (B, K) in unit parameters, by the true value; NaN where there is none."""
        edges = np.linspace(-1, 1, BINS + 1)
        where = np.clip(np.digitize(self.truth, edges) - 1, 0, BINS - 1)
        squares = self.residuals**2
        with np.errstate(invalid="ignore"):
            sums = np.stack([np.where(where == b, squares, 0).sum(axis=0) for b in range(BINS)])
            counts = np.stack([(where == b).sum(axis=0) for b in range(BINS)])
            return (edges[:-1] + edges[1:]) / 2, np.sqrt(sums / counts)


def evaluate(
    ensemble: "Ensemble",
    folders: Sequence[Path | str],
    report: progress.Report = progress.silent,
    clean: bool = False,
) -> Evaluation:
    """Ask an ensemble about all good sets of runs of its own cell; one shard's traces are in memory at a time.

    To the traces is done what was done to those that it learned from (noise, offset, ...), since intervals and alarm are
    made for such; `clean` takes them as they are.
    Raises EnsembleError for runs of another cell, whose parameters mean something else, or under another stimulus.
    """
    runs = [shards.open_run(Path(folder)) for folder in folders]
    for run in runs:
        ensemble.check_own_run(run)
    meter = progress.Meter(sum(count for run in runs for _, count in run.spans), "traces", report)
    answers, truth, score, done = [], [], [], 0
    for owner, path in ((run, path) for run in runs for path in run.shards):
        shard = owner.read(path)
        if shard.ok.any():
            counts = shard.volts[shard.ok]
            volts = shards.to_millivolts(counts) if clean else ensemble.as_recorded(counts, shard.attributes["first"])
            look = ensemble.look(volts, shard.injected[shard.ok])
            answers.append(look.answers)
            truth.append(shard.unit_par[shard.ok])
            score.append(ensemble.score(look))
        done += len(shard.status)
        meter.at(done)
    if not truth:
        raise shards.nothing_good(runs[0])
    members, space = np.concatenate(answers, axis=1), ensemble.space
    log = np.array([p.scale == "log" for p in space.parameters])
    low, high = (np.array([getattr(p, end) for p in space.parameters], float) for end in ("low", "high"))
    widths = np.where(log, np.log10(np.where(log, high, 1) / np.where(log, low, 1)), high - low)
    units = ["decades" if p.scale == "log" else p.unit for p in space.parameters]
    bounds = ensemble.intervals(members)
    return Evaluation(
        space.names,
        widths,
        units,
        np.concatenate(truth),
        members,
        bounds,
        dict(zip(bounds, ensemble.calibration.constant, strict=True)),
        np.concatenate(score),
        ensemble.alarm.threshold,
        {} if clean else ensemble.augmentation.to_json(),
    )


def write(found: Evaluation, folder: Path):
    """Write evaluation.json into `folder`: every figure, a parameter a row."""
    centres, by_truth = found.by_truth()
    rows = {
        name: {
            "r2": float(found.r2[k]),
            "mse": float(found.mse[k]),
            "rms": float(found.rms[k]),
            "rms_percent": float(found.rms_percent[k]),
            "unit": found.units[k],
            **{
                key: {str(level): float(row[k]) for level, row in getattr(found, key).items()}
                for key in ("coverage", "raw", "width_percent", "against_constant")
            },
            "rms_by_truth": [float(x) if np.isfinite(x) else None for x in by_truth[:, k]],
        }
        for k, name in enumerate(found.names)
    }
    held = {
        "traces": len(found.truth),
        "mse": float(found.mse.mean()),
        "alarms": found.alarms,
        "augmentation": found.augmentation,
        "unconstrained": found.unconstrained,
        "truth_bins": centres.tolist(),
        "correlation": found.correlation.tolist(),
        "parameters": rows,
    }
    textfile.write_atomic(folder / "evaluation.json", textfile.to_json(held))
