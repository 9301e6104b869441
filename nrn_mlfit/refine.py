"""A search on from what an ensemble says: simulations around its answer, towards the cell that does what the recording does.

An ensemble answers with the mean over all cells that could have given a trace. Where a stimulus tells some parameters only
together, that mean need not be one of these cells, and its own trace may be another one. The search is CMA-ES (Hansen, The CMA
evolution strategy: a tutorial, arXiv 1604.00772), by the package `cma`, in unit parameters, within the ranges.
"""

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np

from nrn_mlfit import cells, progress
from nrn_mlfit.distance import Target
from nrn_mlfit.errors import FitError
from nrn_mlfit.fit import Fit
from nrn_mlfit.shards import Status
from nrn_mlfit.simulator.batch import Batch

if TYPE_CHECKING:
    from nrn_mlfit.learn import Ensemble
    from nrn_mlfit.recordings import Recording

AT_ONCE = 64  # cells of a generation: the 32 lanes of two cores
NEAREST, FARTHEST = 0.1, 0.5  # standard deviations of the first generation, in unit parameters


def refined(
    found: Fit,
    ensemble: "Ensemble",
    recording: "Recording",
    simulations: int,
    seed: int = 1,
    report: progress.Report = progress.silent,
) -> Fit:
    """The fit with the values of that cell, among up to `simulations`, whose trace is the nearest to the recording.

    The first one is the ensemble's answer, which each value keeps as `answer`; intervals, verdict and signals stay the
    ensemble's. `provenance` gets `search`: simulations, seed, and the distance of the first and of the nearest cell.

    Raises FitError where none of them gives a sound trace, and what the construction of the cell raises.
    """
    model = cells.load(ensemble.cell_folder).under(*ensemble.protocol.rescaled_to(recording.currents).stimuli)
    target = Target.of(recording)

    def far(unit):
        """The distances (n,) of sets (n, K); those that fail are as far as can be."""
        distances, status = batch.run(model.space.to_phys(unit), reduce=lambda volts: (_all_far(target, volts),))
        return np.where(status == Status.OK, distances, target.largest())

    start = np.clip([value.unit_par for value in found.values], -1.0, 1.0)
    with Batch(model, report=report) as batch:
        tried = _search(far, start, _steps(found), (simulations, seed), report)
    if tried.nearest >= target.largest():
        raise FitError(
            f"{recording.name}: no cell near the ensemble's answer gives a sound trace; fit without --refine"
        )
    kept = zip(found.values, model.space.to_phys(tried.best[None])[0], strict=True)
    told = {"simulations": tried.count, "seed": seed, "distance": [tried.first, tried.nearest]}
    return replace(
        found,
        values=tuple(replace(value, value=float(number), answer=value.value) for value, number in kept),
        provenance={**found.provenance, "search": told},
    )


def _all_far(target, volts):
    return np.array([target.distance(trace) for trace in volts])


def _steps(found):
    """Where to look first (K,): as far as the true value is likely to be, by the 68 % intervals."""
    half = [value.share(value.hi68) - value.share(value.lo68) for value in found.values]  # of a range of 2
    return np.clip(half, NEAREST, FARTHEST)


@dataclass(eq=False)
class _Tried:
    """The nearest set (K,), its distance and that of the first one, and how many were simulated."""

    best: np.ndarray
    nearest: float = np.inf
    first: float = np.inf
    count: int = 0

    def add(self, sets, distances):
        if not self.count:
            self.first = float(distances[0])
        self.count += len(sets)
        if distances.min() < self.nearest:
            self.best, self.nearest = sets[distances.argmin()], float(distances.min())


def _search(far, start, steps, asked, report) -> _Tried:
    """Go down `far` from the set `start` (K,), which is the first of the first generation."""
    from cma import CMAEvolutionStrategy  # here: it takes a second to load, and most fits do without

    (simulations, seed), tried = asked, _Tried(start)
    strategy = CMAEvolutionStrategy(list(_padded(start)), 1.0, _options(_padded(steps), seed))
    meter = progress.Meter(simulations, "simulations", report)
    while tried.count < simulations and not strategy.stop():
        sets = np.array(strategy.ask())[: simulations - tried.count]
        if not tried.count:
            sets[0] = _padded(start)
        distances = far(sets[:, : len(start)])
        tried.add(sets[:, : len(start)], distances)
        meter.at(tried.count)
        if len(sets) == AT_ONCE:
            strategy.tell(list(sets), distances.tolist())
    return tried


def _padded(row):
    """A row (K,), with a second number that means nothing if K is 1: `cma` knows no single one."""
    return row if len(row) > 1 else np.append(row, 0.5)


def _options(steps, seed) -> dict:
    """For `cma`: quiet, without a look at a file of settings in the folder that one is in, with numbers of its own in place of
    numpy's."""
    numbers = np.random.default_rng(seed)
    held = {"popsize": AT_ONCE, "bounds": [-1, 1], "CMA_stds": list(steps), "verbose": -10}
    return held | {"seed": np.nan, "randn": lambda *shape: numbers.standard_normal(shape)}
