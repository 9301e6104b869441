"""The ensembles that come with the package: simulate, train, judge, and put them into nrn_mlfit/ensembles.

    python benchmarks/ensembles.py --work FOLDER [ENSEMBLE...]

An hour or two on two cores, in pieces: what is there is not done again, a network that is finished is kept, one that was broken
off goes on. The traces that judge are of a seed of their own.
"""

import argparse
import json
import shlex
import shutil
import subprocess
import sys
from dataclasses import dataclass, replace
from pathlib import Path

from alarm import study

from nrn_mlfit.learn.ensemble import Ensemble

SHIPPED = Path(__file__).parents[1] / "nrn_mlfit" / "ensembles"
JUDGING_SEED = 2
SHIFTED = 300  # traces of each shift


@dataclass(frozen=True)
class Recipe:
    """Of which cell an ensemble is, under which stimulus (None: the cell's own); how many traces it learns from, how long,
    with what of a recording's faults, how many networks it has, and by how many other traces it is judged."""

    cell: str
    traces: int = 200_000
    minutes: float = 13
    folds: int = 4
    design: str = "residual"
    judging: int = 20_000
    stimulus: str | None = None
    faults: tuple[str, ...] = ()


# What recordings have: 0.03 to 0.3 mV of noise, an electrode's offset, 1 % of gain, alignment within a
# sample, a filter from 2 kHz on.
RECORDED = ("--noise", "0.3", "--offset", "1", "--gain", "1", "--jitter", "0.1", "--lowpass", "2")
RECIPES = {
    "mainen": Recipe("mainen", minutes=44),
    "ball_two_sticks": Recipe("ball_two_sticks", minutes=9),
    "izhikevich": Recipe("izhikevich", minutes=13),
    "mainen_steps": Recipe("mainen_wide", 72_000, 24, judging=10_000, stimulus="steps", faults=RECORDED),
    "izhikevich_steps": Recipe("izhikevich_slice", 60_000, 10, stimulus="steps", faults=RECORDED),
}


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("names", nargs="*", metavar="ENSEMBLE", help=f"of {', '.join(RECIPES)}; all if none is named")
    parser.add_argument("--work", type=Path, default=Path("ensembles"), help="for traces and what is not finished")
    parser.add_argument("-j", "--ranks", type=int, default=2)
    asked = parser.parse_args()
    for name in asked.names or RECIPES:
        make(name, RECIPES[name], asked.work / name, asked.ranks)


def make(name: str, recipe: Recipe, work: Path, ranks: int):
    """Whatever is missing of an ensemble, from its traces to its card."""
    simulate = ["simulate", recipe.cell, *(["--stimulus", recipe.stimulus] if recipe.stimulus else [])]
    budget = ["--design", recipe.design, "--folds", recipe.folds, "--minutes", recipe.minutes, "--weights", "float16"]
    budget += recipe.faults
    nrn_mlfit(*simulate, "-j", ranks, "-n", recipe.traces, "-o", work / "training")
    nrn_mlfit(*simulate, "-j", ranks, "-n", recipe.judging, "--seed", JUDGING_SEED, "-o", work / "judging")
    if not (work / "ensemble").is_dir():
        nrn_mlfit("train", work / "training", *budget, "-j", ranks, "-o", work / "ensemble")
    lines = [*simulate, "-n", recipe.traces], ["train", *budget, "-j", ranks]
    words = [shlex.join(map(str, line)) for line in lines]
    ship(name, work, "\n".join(f"    nrn-mlfit {line}" for line in words), ranks)


def ship(name: str, work: Path, made: str, ranks: int):
    """Judge the ensemble in a folder for work, and put it among those that come with the package; `made` says how it was."""
    ensemble = Ensemble.load(work / "ensemble")
    if not (work / "evaluation" / "evaluation.json").is_file():
        nrn_mlfit("evaluate", work / "judging", "-e", work / "ensemble", "-o", work / "evaluation")
    judged = {
        "evaluation": json.loads((work / "evaluation" / "evaluation.json").read_text()),
        "shifts": study(ensemble, work / "judging", work / "shifts", SHIFTED, work / "alarm.jsonl", ranks=ranks),
        "made": made,
    }
    shutil.rmtree(SHIPPED / name, ignore_errors=True)
    replace(ensemble, record={**ensemble.record, "judged": judged}).save(SHIPPED / name)
    print(f"{SHIPPED / name}: {sum(f.stat().st_size for f in (SHIPPED / name).rglob('*')) / 1e6:.1f} MB")


def nrn_mlfit(*words):
    command = [sys.executable, "-m", "nrn_mlfit", *map(str, words)]
    print("\n$", shlex.join(["nrn-mlfit", *map(str, words)]), flush=True)
    if subprocess.run(command).returncode:
        raise SystemExit(f"nrn-mlfit {words[0]} failed; the same command again goes on from here")


if __name__ == "__main__":
    main()
