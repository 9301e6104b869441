"""What an ensemble says about whole runs of simulated traces: values, intervals, score and warning, a row a trace."""

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from nrn_mlfit import progress, shards
from nrn_mlfit.shards.table import check_table, write_table

if TYPE_CHECKING:
    from nrn_mlfit.learn import Ensemble

SIDES = [(f"{side}{level:.0f}", level / 100, k) for level in (68, 90) for k, side in enumerate(("lo", "hi"))]


def columns(ensemble: "Ensemble") -> list[str]:
    """The names of a table's columns: index, then NAME, NAME_lo68, NAME_hi68, NAME_lo90, NAME_hi90 of each parameter, then
    score and warn."""
    names = [[name, *(f"{name}_{suffix}" for suffix, _, _ in SIDES)] for name in ensemble.space.names]
    return ["index", *(column for group in names for column in group), "score", "warn"]


def rows(ensemble: "Ensemble", volts, currents=None):
    """Rows (N, 5 K + 2) for windows volts (N, P, S, T) in mV, under currents (N, S, T) in nA: what `columns` names, the index
    apart, in physical units."""
    found = ensemble.fit(volts, currents)
    ends = [found.bounds[level][side] for _, level, side in SIDES]
    values = np.stack([found.values, *ends], axis=2).reshape(len(volts), -1)
    return np.column_stack([values, found.score, found.warn])


def predict(
    ensemble: "Ensemble",
    folders: Sequence[Path | str],
    path: Path | str,
    report: progress.Report = progress.silent,
) -> int:
    """Write a table (.csv or .h5) of all good sets of runs, of whatever cell, under the ensemble's stimulus; returns how many.

    Sets come in the order of their index, run by run; one shard is in memory at a time. Raises EnsembleError for a run under
    another stimulus or of another window.
    """
    path = Path(path)
    check_table(path)
    runs = [shards.open_run(Path(folder)) for folder in folders]
    for run in runs:
        ensemble.check_run(run)
    if ensemble.augmentation:
        report(f"traces are taken as they are; the ensemble was trained for {ensemble.augmentation.told()}")
    meter = progress.Meter(sum(count for run in runs for _, count in run.spans), "traces", report)
    return write_table(path, columns(ensemble), _blocks(ensemble, runs, meter))


def _blocks(ensemble, runs, meter) -> Iterator[np.ndarray]:
    done = 0
    for run in runs:
        for path in run.shards:
            shard = run.read(path)
            if shard.ok.any():
                index = shard.attributes["first"] + np.flatnonzero(shard.ok)
                volts = shards.to_millivolts(shard.volts[shard.ok])
                yield np.column_stack([index, rows(ensemble, volts, shard.injected[shard.ok])])
            done += len(shard.status)
            meter.at(done)
