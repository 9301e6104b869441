"""The ensembles that come with the package: simulate, train, judge, and put them into nrn_mlfit/ensembles.

    python benchmarks/ensembles.py --work FOLDER [CELL...]

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
JUDGING, JUDGING_SEED = 20_000, 2
SHIFTED = 300  # traces of each shift


@dataclass(frozen=True)
class Recipe:
    """How many traces an ensemble learns from, how long, and how many networks it has."""

    traces: int = 200_000
    minutes: float = 13
    folds: int = 4
    design: str = "residual"


RECIPES = {"mainen": Recipe(minutes=44), "ball_two_sticks": Recipe(minutes=40), "izhikevich": Recipe(minutes=15)}


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("cells", nargs="*", metavar="CELL", help=f"of {', '.join(RECIPES)}; all if none is named")
    parser.add_argument("--work", type=Path, default=Path("ensembles"), help="for traces and what is not finished")
    parser.add_argument("-j", "--ranks", type=int, default=2)
    asked = parser.parse_args()
    for cell in asked.cells or RECIPES:
        make(cell, RECIPES[cell], asked.work / cell, asked.ranks)


def make(cell: str, recipe: Recipe, work: Path, ranks: int):
    """Whatever is missing of an ensemble, from its traces to its card."""
    simulate = ["simulate", cell, "-j", ranks]
    budget = ["--design", recipe.design, "--folds", recipe.folds, "--minutes", recipe.minutes, "--weights", "float16"]
    nrn_mlfit(*simulate, "-n", recipe.traces, "-o", work / "training")
    nrn_mlfit(*simulate, "-n", JUDGING, "--seed", JUDGING_SEED, "-o", work / "judging")
    if not (work / "ensemble").is_dir():
        nrn_mlfit("train", work / "training", *budget, "-j", ranks, "-o", work / "ensemble")
    words = f"simulate {cell} -n {recipe.traces}", shlex.join(map(str, ["train", *budget, "-j", ranks]))
    ship(cell, work, "\n".join(f"    nrn-mlfit {line}" for line in words), ranks)


def ship(cell: str, work: Path, made: str, ranks: int):
    """Judge the ensemble in a folder for work, and put it among those that come with the package; `made` says how it was."""
    ensemble = Ensemble.load(work / "ensemble")
    if not (work / "evaluation" / "evaluation.json").is_file():
        nrn_mlfit("evaluate", work / "judging", "-e", work / "ensemble", "-o", work / "evaluation")
    judged = {
        "evaluation": json.loads((work / "evaluation" / "evaluation.json").read_text()),
        "shifts": study(ensemble, work / "judging", work / "shifts", SHIFTED, work / "alarm.jsonl", ranks=ranks),
        "made": made,
    }
    shutil.rmtree(SHIPPED / cell, ignore_errors=True)
    replace(ensemble, record={**ensemble.record, "judged": judged}).save(SHIPPED / cell)
    print(f"{SHIPPED / cell}: {sum(f.stat().st_size for f in (SHIPPED / cell).rglob('*')) / 1e6:.1f} MB")


def nrn_mlfit(*words):
    command = [sys.executable, "-m", "nrn_mlfit", *map(str, words)]
    print("\n$", shlex.join(["nrn-mlfit", *map(str, words)]), flush=True)
    if subprocess.run(command).returncode:
        raise SystemExit(f"nrn-mlfit {words[0]} failed; the same command again goes on from here")


if __name__ == "__main__":
    main()
