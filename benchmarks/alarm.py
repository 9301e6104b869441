"""What does the alarm of an ensemble hear? Traces of other kinds, each against traces of the training kind; a table.

    python benchmarks/alarm.py ENSEMBLE RUN --work FOLDER --sets 2000 -o alarm.jsonl --recordings FOLDER

RUN is a folder of `nrn-mlfit simulate`, of the ensemble's own cell and of another seed than what it has learned from. The
other cells are simulated into the folder for work. Nothing of the alarm may be chosen by these figures. What the file holds
already is not done again; a file is of one ensemble.
"""

import argparse
import json
import re
import subprocess
import sys
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path

import numpy as np
from alarm_shifts import CHANGES, DROPPED, FLAT, LATER, variants

from nrn_mlfit import cells, recordings
from nrn_mlfit.errors import RecordingError
from nrn_mlfit.learn.alarm import SIGNALS
from nrn_mlfit.learn.ensemble import Ensemble
from nrn_mlfit.shards import load_runs, open_run, to_counts, to_millivolts

SEED = 2718  # of the variants' sets
OWN = "none (false alarms)"
WANTED = 0.99  # AUROC, of the other cells and of these
JUDGED = (FLAT, DROPPED, LATER)
RECORDED = "recordings, other currents"


def main():
    asked = arguments()
    ensemble = Ensemble.load(asked.ensemble)
    found = study(ensemble, asked.run, asked.work, asked.sets, asked.output, asked.recordings, asked.ranks)
    print(*table(found), sep="\n")


def arguments():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("ensemble", type=Path)
    parser.add_argument("run", type=Path)
    parser.add_argument("--work", type=Path, required=True, help="for the other cells and their runs")
    parser.add_argument("--sets", type=int, default=2000, help="of each shift")
    parser.add_argument("--recordings", type=Path, help="folder of recordings, for one more row")
    parser.add_argument("-j", "--ranks", type=int, default=1, help="of the simulations")
    parser.add_argument("-o", "--output", type=Path, default=Path("alarm.jsonl"))
    return parser.parse_args()


def study(ensemble: Ensemble, run: Path, work: Path, sets=2000, output=None, folder=None, ranks=1) -> list[dict]:
    """The rows of all shifts: name, sets, auroc, detected (share), signal. `output`, if given, keeps them between calls,
    `folder` holds recordings.

    Raises EnsembleError if `run` is not of the ensemble's cell and stimulus. That no network has learned from it is for the
    caller to see to: an ensemble does not keep the seeds of what it has learned from.
    """
    ensemble.check_own_run(open_run(run))
    held = load_runs([run], sets)
    own = ensemble.as_recorded(held.volts, 0)  # with what the ensemble was trained to take, if anything
    currents = held.injected if ensemble.protocol.is_bank else None
    distances = distances_of(ensemble, own, currents)
    known = rows(output)
    there = {row["name"] for row in known}
    shifts = {OWN: lambda: own, **dict(changed(ensemble, own))}
    if currents is None:  # other cells have other stimuli than their sets': of a bank only the voltages are changed
        shifts |= dict(simulated(ensemble, work, sets, ranks))
    if folder and currents is None:
        shifts[RECORDED] = partial(recorded, ensemble, folder)
    for name in (name for name in shifts if name not in there):
        known.append(judged(name, ensemble, distances, distances_of(ensemble, shifts[name](), currents)))
        if output:
            with output.open("a") as file:
                file.write(json.dumps(known[-1]) + "\n")
        print(line(known[-1]), file=sys.stderr, flush=True)
    return known


def millivolts(folders, sets):
    """The first so many good sets of runs, (N, P, S, T) in mV."""
    return to_millivolts(load_runs(folders, sets).volts)


def stored(volts):
    """Voltages in mV as a shard holds them. Training traces are: one that is not rounded would differ by that alone."""
    return to_millivolts(to_counts(volts))


def changed(ensemble, own) -> Iterator[tuple[str, Callable]]:
    """Name, and what gives the windows, of each change of the voltages `own` (N, P, S, T)."""
    flat = own.reshape(-1, own.shape[-1])
    for name, change in CHANGES.items():
        yield name, lambda change=change: stored(change(flat, ensemble.protocol.dt)).reshape(own.shape)


def simulated(ensemble, work, sets, ranks) -> Iterator[tuple[str, Callable]]:
    """Name, and what gives the windows, of each change of the cell; its variants share the sets."""
    model = cells.load(ensemble.cell_folder).under(*ensemble.protocol.stimuli)
    for name, models in variants(model).items():
        if len(models[0].probes) == len(ensemble.probes):
            yield name, partial(_simulated, models, work, re.sub(r"\W+", "-", name), -(-sets // len(models)), ranks)


def _simulated(models, work, name, sets, ranks):
    volts = []
    for number, model in enumerate(models):
        cell, run = work / "cells" / f"{name}-{number}", work / "runs" / f"{name}-{number}"
        cells.bundle(model, cell)
        words = [sys.executable, "-m", "nrn_mlfit", "simulate", cell, "-n", sets, "--seed", SEED, "-o", run]
        words += ["-j", ranks] if ranks > 1 else []
        done = subprocess.run(list(map(str, words)), capture_output=True, text=True)
        if done.returncode:
            raise SystemExit(f"{run}: {done.stderr.strip()}")
        volts.append(millivolts([run], sets))
    return np.concatenate(volts)


def recorded(ensemble, folder):
    """Windows (N, 1, 1, T) in mV of all sweeps in `folder` that can be read and are long enough, at the ensemble's step."""
    time = np.arange(ensemble.protocol.length) * ensemble.protocol.dt
    windows = []
    for path in recordings.files(folder):
        for sweep in recordings.sweeps(path):
            if not sweep.problem and sweep.duration > time[-1] + 2 * sweep.dt:
                piece = piece_of(recordings.read(path, sweep.number), time[-1] + 2 * sweep.dt)
                windows.append(np.interp(time, np.arange(piece.volts.shape[-1]) * piece.dt, piece.volts[0, 0]))
    return stored(windows)[:, None, None]


def piece_of(recording, length_ms):
    """So many ms around a step of the current, where there is one, else from the first sample on."""
    try:
        return recordings.around_change(recording, length_ms, recording.volts.shape[-1])
    except RecordingError:
        return recording.cut(0, length_ms)


def distances_of(ensemble, volts, currents=None):
    """Distances (N, 10) of windows (N, P, S, T) in mV, by signal; of a bank with their currents (N, S, T) in nA."""
    look = ensemble.look(volts, currents)
    return ensemble.alarm.distances(look)


def judged(name, ensemble, own, strange) -> dict:
    """The row of traces with distances `strange` (N, 10) beside the training kind's `own` (n, 10)."""
    scores = strange.max(axis=1)
    return {
        "name": name,
        "sets": len(strange),
        "auroc": auroc(own.max(axis=1), scores),
        "detected": float((scores > ensemble.alarm.threshold).mean()),
        "signal": list(SIGNALS)[int(np.bincount(strange.argmax(axis=1), minlength=len(SIGNALS)).argmax())],
    }


def auroc(known, strange) -> float:
    """The probability that a score of `strange` (N,) is above one of `known` (n,); ties count half (Mann & Whitney)."""
    known = np.sort(known)
    below = (np.searchsorted(known, strange, side) for side in ("left", "right"))
    return float(np.mean([place.mean() for place in below]) / len(known))


def rows(path) -> list[dict]:
    return [json.loads(line) for line in path.read_text().splitlines()] if path and path.is_file() else []


def line(row) -> str:
    return f"{row['name']}: AUROC {row['auroc']:.4f}, {100 * row['detected']:.1f} % detected, {row['sets']} sets"


def verdict(row) -> str:
    """Whether a row meets its bar, if it has one."""
    if row["name"] not in JUDGED and not row["name"].startswith("cell "):
        return ""
    return "pass" if row["auroc"] >= WANTED else "FAIL"


def table(found) -> Iterator[str]:
    """A row a shift, as Markdown."""
    yield f"| shift | traces | AUROC | detected, % | told most often by | AUROC >= {WANTED} |"
    yield "|---|---|---|---|---|---|"
    for row in found:
        figures = f"{row['sets']} | {row['auroc']:.4f} | {100 * row['detected']:.1f}"
        yield f"| {row['name']} | {figures} | {row['signal']} | {verdict(row)} |"


if __name__ == "__main__":
    main()
