"""A search on from what an ensemble says: simulations around its answer, towards the cell that does what the recording does.

An ensemble answers with the mean over all cells that could have given a trace. Where a stimulus tells some parameters only
together, that mean need not be one of these cells, and its own trace may be another one. The search is CMA-ES (Hansen, The CMA
evolution strategy: a tutorial, arXiv 1604.00772), by the package `cma`, in unit parameters, within the ranges.
"""

from dataclasses import replace
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

AT_ONCE = 32  # cells of a generation: some for every lane of two cores
NEAREST, FARTHEST = 0.1, 0.5  # standard deviations of the first generation, in unit parameters


def refined(
    found: Fit,
    ensemble: "Ensemble",
    recording: "Recording",
    simulations: int,
    seed: int = 1,
    report: progress.Report = progress.silent,
) -> Fit:
    """The fit with the values of that cell, among `simulations` in all, whose trace is the nearest to the recording.

    The first one is the ensemble's answer, which each value keeps as `answer`; intervals, verdict and signals stay the
    ensemble's. `provenance` gets `search`: simulations, seed, and the distance of the first and of the nearest cell.

    Raises FitError where no cell of the first generation gives a sound trace, and what the construction of the cell raises.
    """
    model = cells.load(ensemble.cell_folder).under(*ensemble.protocol.rescaled_to(recording.currents).stimuli)
    target = Target.of(recording)

    def far(unit):
        """The distances (n,) of sets (n, K); those that fail are as far as can be."""
        distances, status = batch.run(model.space.to_phys(unit), reduce=lambda volts: (_all_far(target, volts),))
        return np.where(status == Status.OK, distances, target.largest())

    start = np.clip([value.unit_par for value in found.values], -1.0, 1.0)
    with Batch(model, report=report) as batch:
        first = float(far(start[None])[0])
        meter = progress.Meter(simulations - 1, "simulations", report)
        best, nearest, done = _search(far, (start, first), _steps(found), (simulations, seed), meter)
    if nearest >= target.largest():
        raise FitError(
            f"{recording.name}: no cell near the ensemble's answer gives a sound trace; fit without --refine"
        )
    kept = zip(found.values, model.space.to_phys(best[None])[0], strict=True)
    told = {"simulations": done, "seed": seed, "distance": [first, nearest]}
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


def _search(far, begin, steps, asked, meter):
    """The nearest set (K,), its distance, and how many were simulated; `begin` is the first one and its distance."""
    from cma import CMAEvolutionStrategy  # here: it takes a second to load, and most fits do without

    (best, nearest), (simulations, seed), done = begin, asked, 1
    numbers = np.random.default_rng(seed)
    options = {"popsize": AT_ONCE, "bounds": [-1, 1], "CMA_stds": list(steps), "verbose": -9}
    # Numbers of its own in place of numpy's, which are others', too.
    options |= {"seed": np.nan, "randn": lambda *shape: numbers.standard_normal(shape)}
    strategy = CMAEvolutionStrategy(list(best), 1.0, options)
    while done < simulations and not strategy.stop():
        sets = np.array(strategy.ask())[: simulations - done]
        distances = far(sets)
        done += len(sets)
        meter.at(done - 1)
        if distances.min() < nearest:
            best, nearest = sets[distances.argmin()], float(distances.min())
        if len(sets) == AT_ONCE:
            strategy.tell(list(sets), distances.tolist())
    return best, nearest, done
