"""The main job, end to end: random parameters -> NEURON -> shards -> networks -> fits -> NEURON again -> how close.

    python examples/01_demo/demo.py [--output demo]

With the ensemble of the Mainen cell that comes with the package it fits cells that the networks have never seen, and runs each
fit in plain NEURON. For two other cells it first simulates a training set and trains a small ensemble. Then, with a real
recording at hand, one try at that.
"""

import os
import shutil
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path

import click
import numpy as np

from nrn_mlfit import Ensemble, fit_recording, read, results, shards

HERE = Path(__file__).parent
FITTED = 3  # unseen cells that are fitted, exported and re-simulated, each with a page of its own
GUESS = 100 / np.sqrt(12)  # rms error in % of the range of always saying the middle


@dataclass(frozen=True)
class Part:
    """How much of what the demo does for one cell; without traces the ensemble is the one that comes with the package."""

    cell: str
    traces: int = 0
    minutes: float = 0.0
    design: str = "model1"
    folds: int = 2


PARTS = (Part("mainen"), Part("izhikevich", 3000, 1.2, "residual"), Part("ball_two_sticks", 3000, 1.6))
REAL = Part("mainen", 400, 0.8)


def nrn_mlfit(*words):
    """Run one command of the package as a user would type it, showing it first."""
    words = [str(word) for word in words]
    print("\n$ nrn-mlfit " + " ".join(words), flush=True)
    subprocess.run([sys.executable, "-m", "nrn_mlfit", *words], check=True)


def learn(part: Part, folder: Path, *stimulus):
    """Simulate a training set under MPI and train an ensemble on it."""
    nrn_mlfit("simulate", part.cell, "-n", part.traces, "-j", 2, *stimulus, "-o", folder / "training")
    budget = ["--folds", part.folds, "--minutes", part.minutes]
    nrn_mlfit("train", folder / "training", "-o", folder / "ensemble", "--design", part.design, *budget)


def demonstrate(part: Part, folder: Path):
    """One cell: learn, unless that has been done, then fit cells that were never seen."""
    if part.traces:
        learn(part, folder)
    trained = folder / "ensemble" if part.traces else part.cell
    nrn_mlfit("simulate", part.cell, "-n", 100, "--seed", 2, "-j", 2, "-o", folder / "unseen")
    shard = folder / "unseen" / shards.name_of(0)
    nrn_mlfit("fit", shard, "--sweep", 0, "-e", trained, "-o", folder / "fits" / "0")
    ensemble = Ensemble.load(trained)
    fits = [results.again(folder / "fits" / "0")]
    for row in range(1, FITTED):
        recording = read(shard, row)
        found = fit_recording(ensemble, recording)
        fits.append(results.write(found, ensemble, recording, folder / "fits" / str(row)))
    show(part, fits, unseen_errors(ensemble, shard))


def unseen_errors(ensemble, shard):
    """rms error (K,) in % of the range over all unseen cells."""
    unseen = shards.read(shard)
    answers = ensemble.predict(shards.to_millivolts(unseen.volts[unseen.ok])).mean(axis=0)
    return 50 * np.sqrt(np.mean((np.clip(answers, -1, 1) - unseen.unit_par[unseen.ok]) ** 2, axis=0))


def show(part: Part, fits, rms):
    """The table of true against fitted values."""
    print(f"\n{part.cell}: true and fitted values of cells the networks never saw (error in % of the range)")
    heads = [f"{f'cell {k}: true':>14}{'fitted':>11}{'error':>9}" for k in range(len(fits))]
    print(f"{'':<10} " + "".join(heads) + f"{'rms over 100':>16}")
    for k, value in enumerate(fits[0].fit.values):
        row = [r.fit.values[k] for r in fits]
        cells = "".join(f"{v.truth:>14.4g}{v.value:>11.4g}{v.error:>+8.1f}%" for v in row)
        print(f"{value.name:<10} {cells}{rms[k]:>15.1f}%")
    print(f"always saying the middle would be off by {GUESS:.1f}% (rms)")
    for r in fits:
        c = r.comparison
        print(
            f"  cell {r.folder.name}: {r.fit.verdict}; re-simulated in NEURON: rms {c.rms:.1f} mV, "
            f"{c.spikes_simulated} spikes for {c.spikes_recorded}, coincidence {c.coincidence:.2f}"
        )
    print(f"look at {fits[0].folder / 'fit.png'}")
    print(f"open in NEURON: cd {fits[0].folder} && nrnivmodl mod && nrngui fit.hoc")


def real_recording(folder: Path):
    """One real sweep: its own current is the stimulus of a small training set of Mainen cells."""
    recording = find_recording()
    if not recording:
        print("\nWith a recording of your own: see README, 'Fit your own recording'.")
        return
    piece = folder / "sweep.npz"
    nrn_mlfit("recording", recording, "--sweep", 5, "-o", piece)
    learn(REAL, folder, "--stimulus", piece)
    nrn_mlfit("fit", piece, "-e", folder / "ensemble", "-o", folder / "fit")
    print("\nA small training set and a cell of another shape than the recorded one: see the verdict above.")


def find_recording() -> Path | None:
    """The mouse cortex sweeps of Lantyer et al. (GigaScience 2018) in the folder that NRN_MLFIT_RECORDINGS names."""
    named = os.environ.get("NRN_MLFIT_RECORDINGS")
    return next(iter(sorted(Path(named).rglob("Lantyer*.nwb"))), None) if named else None


@click.command()
@click.option(
    "--output",
    type=click.Path(path_type=Path),
    default=Path("demo"),
    help="What an earlier demo left there is replaced.",
)
def main(output):
    """Run the whole way for three cells, and for a real recording where there is one."""
    began = time.monotonic()
    for name in (*(part.cell for part in PARTS), "recording"):
        shutil.rmtree(output / name, ignore_errors=True)
    for part in PARTS:
        demonstrate(part, output / part.cell)
    real_recording(output / "recording")
    print(f"\nthe demo took {(time.monotonic() - began) / 60:.1f} minutes; everything lies in {output}/")


if __name__ == "__main__":
    main()
