"""The cells of examples/04_your_own_cell from `cells new` to fitted cells: how long each step takes, and how good the fits are.

    python benchmarks/own_cells.py --work FOLDER [CELL...]

Half an hour on two cores, in pieces: a step that is done is not done again. The table at the end goes into docs/your_own_cell.md.
"""

import argparse
import csv
import json
import re
import shlex
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path

import numpy as np

EXAMPLES = Path(__file__).parents[1] / "examples" / "04_your_own_cell"
JUDGING_SEED, FITTED = 2, 20
STRONGER = (r"scale: 10\.24, reset: 0\.4", "scale: 20, reset: 0.2")


@dataclass(frozen=True)
class Story:
    """What is given to `cells new`, what is edited in the cell file (patterns and what takes their place), how many sets are
    simulated, how many minutes are trained, and how many other sets judge."""

    options: tuple[str, ...]
    edits: tuple[tuple[str, str], ...]
    sets: int
    minutes: float
    judging: int


STORIES = {
    "squid": Story((), (STRONGER,), 20_000, 3, 1000),
    "squid_markov": Story((), (STRONGER, (r"dt: 0\.025", "dt: 0.01")), 2000, 2, 200),
    "pyramid": Story(
        ("--celsius", "36"),
        (
            (r"inject:", "origin: soma[0](0.5)\ninject:"),
            (r"  gbar_rs_m\.somatic:.*\n", ""),
            (r"gbar_rs_m\.dendritic:", "gbar_rs_m.all:"),
            (
                r"gbar_rs_na\.dendritic:.*",
                'na_near: {low: 0.004, high: 0.016, unit: S/cm2, sets: ["gbar_rs_na.dendritic = na_near*exp(-distance/200)"]}',
            ),
            (
                r"  g_pas\.all:.*",
                '  rm: {low: 12, high: 195, unit: kOhm cm2, scale: log, sets: ["g_pas.all = 1/(1000*rm)"]}',
            ),
        ),
        5000,
        3,
        500,
    ),
}


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("names", nargs="*", metavar="CELL", help=f"of {', '.join(STORIES)}; all if none is named")
    parser.add_argument("--work", type=Path, default=Path("own_cells"), help="for cells, traces and ensembles")
    parser.add_argument("-j", "--ranks", type=int, default=2)
    parser.add_argument("--small", action="store_true", help="a hundredth of it, to try this file")
    asked = parser.parse_args()
    rows = []
    for name in asked.names or STORIES:
        tell(name, STORIES[name], asked.work / name, asked.ranks, 100 if asked.small else 1)
        rows.append(figures(asked.work / name))
    print("\n" + "\n".join(markdown(rows)))


def tell(name: str, story: Story, work: Path, ranks: int, less: int):
    """Whatever is missing of a story, each step once; its seconds go into steps.json."""
    cell, shards = work / name, work / "judging"
    step(work, "cells new", cell, "cells", "new", EXAMPLES / name / f"{name}.hoc", *story.options, "-o", cell)
    edit(cell / f"{name}.yaml", story.edits)
    step(work, "cells check", work / "check.png", "cells", "check", cell, "-o", work / "check.png")
    sets, judging = story.sets // less, max(FITTED, story.judging // less)
    step(work, "simulate", work / "training", "simulate", cell, "-j", ranks, "-n", sets, "-o", work / "training")
    more = ["--seed", JUDGING_SEED, "-o", shards]
    step(work, "judging", shards, "simulate", cell, "-j", ranks, "-n", judging, *more)
    ensemble, budget = work / "ensemble", ["-j", ranks, "--folds", 2, "--minutes", story.minutes / less]
    step(work, "train", ensemble, "train", work / "training", *budget, "-o", ensemble)
    step(work, "evaluate", work / "evaluation", "evaluate", shards, "-e", ensemble, "-o", work / "evaluation")
    first, rows = shards / "shard-0000000000.h5", f"0-{FITTED - 1}"
    step(work, "fit", work / "fits", "fit", first, "--sweep", rows, "-e", ensemble, "-o", work / "fits")


def edit(path: Path, edits):
    """Change a cell file as its story does; a second time nothing is left to change."""
    before = path.with_suffix(".before")
    if not before.exists():
        before.write_text(path.read_text())
    text = before.read_text()
    for pattern, fresh in edits:
        text, count = re.subn(pattern, lambda _, fresh=fresh: fresh, text)
        if not count:
            raise SystemExit(f"{path}: has no {pattern} to change")
    if text != path.read_text():
        path.write_text(text)


def step(work: Path, name: str, made: Path, *words):
    """Run a command, unless what it makes is there from an earlier time, and keep how long it took."""
    kept = work / "steps.json"
    seconds = json.loads(kept.read_text()) if kept.exists() else {}
    if name in seconds and made.exists():
        return
    work.mkdir(parents=True, exist_ok=True)
    command = [sys.executable, "-m", "nrn_mlfit", *map(str, words)]
    print("\n$", shlex.join(["nrn-mlfit", *map(str, words)]), flush=True)
    began = time.monotonic()
    if subprocess.run(command).returncode:
        raise SystemExit(f"nrn-mlfit {words[0]} failed; the same command again goes on from here")
    kept.write_text(json.dumps(seconds | {name: time.monotonic() - began}, indent=1))


def figures(work: Path) -> dict:
    """Seconds of each step, R2 of each parameter on other cells, and how fitted cells compare with what they were fitted to."""
    judged = json.loads((work / "evaluation" / "evaluation.json").read_text())
    with open(work / "fits" / "fits.csv", newline="") as file:
        fits = list(csv.DictReader(file))
    return {
        "cell": work.name,
        "seconds": json.loads((work / "steps.json").read_text()),
        "r2": {name: one["r2"] for name, one in judged["parameters"].items()},
        "fits": len(fits),
        "agree": sum(not fit["disagreement"] for fit in fits),
        "in_range": sum(fit["verdict"] == "in range" for fit in fits),
        "rms": float(np.median([float(fit["rms_mV"]) for fit in fits])),
        "coincidence": float(np.median([float(fit["coincidence"]) for fit in fits])),
    }


def markdown(rows):
    yield "| cell | cells new | check | simulate | train | R2 | of the fits agree | rms, coincidence (median) |"
    yield "|---|---|---|---|---|---|---|---|"
    for row in rows:
        s = row["seconds"]
        times = " | ".join(f"{s[name]:.0f} s" for name in ("cells new", "cells check", "simulate", "train"))
        r2 = ", ".join(f"{name} {value:.2f}" for name, value in row["r2"].items())
        close = f"{row['rms']:.2f} mV, {row['coincidence']:.2f}"
        yield f"| {row['cell']} | {times} | {r2} | {row['agree']} of {row['fits']} | {close} |"


if __name__ == "__main__":
    main()
