"""How often does the fit of a simulated cell not do what its trace does? For the limits of comparison.py; a table.

    python benchmarks/disagreements.py ENSEMBLE RUN [-n 150] [-j 2] [--refine N]

RUN holds traces that ENSEMBLE has not learned from (benchmarks/ensembles.py makes one, `judging`). Of its first fits in range
each is simulated with the fitted values, under its own stimulus, and compared as `nrn-mlfit fit` does; with --refine also after a
search on by N simulations.
"""

import argparse
from collections import Counter
from pathlib import Path

import numpy as np

from nrn_mlfit import cells, comparison, fit, recordings
from nrn_mlfit.learn import Ensemble
from nrn_mlfit.refine import refined
from nrn_mlfit.shards import Status, open_run
from nrn_mlfit.simulator.batch import simulate_sets

REASONS = {  # by what a sentence of comparison.py holds
    "spikes and none": "has none",
    "counts": "spike counts differ",
    "coincidence": "few spikes coincide",
    "first spike": "first spike",
    "spike peak": "spike peak",
    "spike width": "spike width",
    "between spikes": "between spikes",
}


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("ensemble")
    parser.add_argument("run", type=Path)
    parser.add_argument("-n", "--fits", type=int, default=150)
    parser.add_argument("-j", "--workers", type=int, default=2)
    parser.add_argument("--refine", type=int, default=0, metavar="N")
    asked = parser.parse_args()
    ensemble = Ensemble.load(asked.ensemble)
    found = in_range(ensemble, asked.run, asked.fits)
    show(asked.ensemble, disagreements(ensemble, found, asked.workers))
    if asked.refine:
        searched = [(one[0], refined(one[1], ensemble, one[0], asked.refine), *one[2:]) for one in found]
        show(
            f"{asked.ensemble}, after {asked.refine} simulations each", disagreements(ensemble, searched, asked.workers)
        )


def show(title, told):
    count = Counter(
        reason for lines in told for reason, words in REASONS.items() if any(words in line for line in lines)
    )
    print(f"{title}: {len(told)} fits in range")
    for reason in REASONS:
        print(f"  {reason:<16}{100 * count[reason] / len(told):5.1f} %")
    print(f"  any             {100 * np.mean([bool(lines) for lines in told]):5.1f} %")


def in_range(ensemble, folder, wanted):
    """(recording, fit, index, factor) of the first traces of a run whose fit is in range."""
    found = []
    for path in open_run(folder).shards:
        shard = open_run(folder).read(path)
        for row in np.flatnonzero(shard.ok):
            recording = recordings.read(path, sweep=int(row))
            fitted = fit.fit_recording(ensemble, recording)
            if not fitted.warnings:
                bank = shard.stim_index is not None
                found.append(
                    (recording, fitted, *((shard.stim_index[row], shard.stim_scale[row]) if bank else (0, 1.0)))
                )
            if len(found) == wanted:
                return found
    return found


def disagreements(ensemble, found, workers):
    model = cells.load(ensemble.cell_folder)
    phys_par = np.array([[value.value for value in fitted.values] for _, fitted, _, _ in found])
    index, factor = (np.array([one[k] for one in found]) for k in (2, 3))
    volts, status = simulate_sets(model, model.rows(phys_par, index, factor), workers=workers)
    pairs = zip(found, volts, status, strict=True)
    return [
        comparison.compare(one[0], trace, model.current_unit).disagreements for one, trace, s in pairs if s == Status.OK
    ]


if __name__ == "__main__":
    main()
