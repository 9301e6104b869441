"""Do dendritic probes tell the ball's channels apart? The same sets, design and processor time with one probe and with three.

    python benchmarks/probes.py -n 40000 --minutes 4 -j 2 --work probes
    python benchmarks/probes.py -n 40000 --minutes 4 --work probes --sets soma "soma, apical" "soma, apical, basal"

The ball with two sticks is simulated once, with three probes; a network is given those of them that are asked for. Errors are
those on sets of another seed. What is there is not done again: traces, finished trainings (probes.jsonl in the folder), and a
training that was broken off goes on.
"""

import argparse
import json
import math
import os
import subprocess
import sys
import time
from dataclasses import dataclass, fields, replace
from pathlib import Path

import numpy as np
import torch
from learning import Clock

from nrn_mlfit import cells
from nrn_mlfit.learn import open_corpus
from nrn_mlfit.learn.corpus import Corpus, count
from nrn_mlfit.learn.devices import pick_precision
from nrn_mlfit.learn.folds import sample
from nrn_mlfit.learn.networks import load_design
from nrn_mlfit.learn.scaling import fit_scaler
from nrn_mlfit.learn.training import Budget, Task, train_member

CELL = "ball_two_sticks"
PROBES = {"soma": "soma(0.5)", "apical": "apic(0.9)", "basal": "dend[0](0.5)"}  # the ends of the sticks
SETS = ("soma", "soma, apical, basal")
CHOOSING = 2000  # sets that choose a training's best weights
JUDGING, JUDGING_SEED = 5000, 2
PAIRS = (("soma", "apic"), ("soma", "basal"), ("apic", "basal"))
CHANNELS = ("gna", "gkv", "gca")


@dataclass(frozen=True, eq=False)
class Chosen(Corpus):
    """A corpus of which only some channels are read: the probes `kept`, by their places."""

    kept: tuple[int, ...] = (0,)

    @classmethod
    def of(cls, corpus: Corpus, kept):
        return cls(**{field.name: getattr(corpus, field.name) for field in fields(Corpus)}, kept=tuple(kept))

    def _counts(self, shard):
        return np.ascontiguousarray(super()._counts(shard)[:, list(self.kept)])


def main():
    asked = arguments()
    if asked.child:
        print(json.dumps(trained(asked, asked.child)))
        return
    simulated(asked)
    path = asked.work / "probes.jsonl"
    there = {line["probes"]: line for line in lines_of(path) if same(line, asked)}
    left = [name for name in asked.sets if name not in there]
    for low in range(0, len(left), asked.processes):
        jobs = [start(asked, name) for name in left[low : low + asked.processes]]
        for job in jobs:
            told, _ = job.communicate()
            if job.returncode:
                sys.exit("a training failed; the same command again goes on from here")
            line = json.loads(told.splitlines()[-1])
            there[line["probes"]] = line
            with path.open("a") as file:
                file.write(json.dumps(line) + "\n")
    print(table([there[name] for name in asked.sets]))


def arguments(words=None):
    parser = argparse.ArgumentParser(
        description=__doc__.splitlines()[0], formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("-n", "--samples", type=int, default=40_000)
    parser.add_argument("--judging", type=int, default=JUDGING)
    parser.add_argument("--minutes", type=float, default=4, help="of one core, each training")
    parser.add_argument("--design", default="residual")
    parser.add_argument("--sets", nargs="+", default=SETS, help=f"of probes, of {', '.join(PROBES)}")
    parser.add_argument("-j", "--processes", type=int, default=1)
    parser.add_argument("--work", type=Path, default=Path("probes"))
    parser.add_argument("--child", help=argparse.SUPPRESS)
    return parser.parse_args(words)


def simulated(asked):
    """The runs to learn from and to judge by, in the folder for work."""
    cell = asked.work / "cell"
    if not cell.is_dir():
        cells.bundle(replace(cells.load(CELL), probes=PROBES), cell)
    for name, sets, seed in (("learn", asked.samples, 1), ("judge", asked.judging, JUDGING_SEED)):
        words = ["simulate", cell, "-n", sets, "--seed", seed, "-o", asked.work / name]
        words += ["-j", asked.processes] if asked.processes > 1 else []
        if subprocess.run([sys.executable, "-m", "nrn_mlfit", *map(str, words)]).returncode:
            sys.exit("the simulation failed; the same command again goes on from here")


def start(asked, name):
    """A training in a process of one thread."""
    words = [sys.executable, __file__, "--child", name, "--work", asked.work, "--design", asked.design]
    words += ["-n", asked.samples, "--judging", asked.judging, "--minutes", asked.minutes]
    return subprocess.Popen(
        list(map(str, words)), stdout=subprocess.PIPE, text=True, env=os.environ | {"OMP_NUM_THREADS": "1"}
    )


def chosen(folder, name, limit) -> Chosen:
    """The traces of a run at the probes that `name` lists."""
    places = [list(PROBES).index(probe.strip()) for probe in name.split(",")]
    return Chosen.of(open_corpus([folder], limit), places)


def trained(asked, name) -> dict:
    """What a network makes of those probes after so many minutes of one core."""
    corpus, device = chosen(asked.work / "learn", name, asked.samples), torch.device("cpu")
    held = min(len(corpus.pieces) // 5, max(1, CHOOSING // len(corpus.pieces[0].rows)))
    scaler = fit_scaler(sample(corpus)[0].numpy())
    task = Task(
        design=load_design(asked.design),
        corpus=corpus,
        scaler=scaler,
        learn=list(corpus.pieces[:-held]),
        validate=list(corpus.pieces[-held:]),
        seed=1,
        device=device,
        precision=pick_precision("auto", device),
    )
    word = "".join(letter if letter.isalnum() else "-" for letter in f"{name} {asked.minutes} {asked.design}")
    clock = Clock(asked.work / f".{word}.pt")
    budget = Budget(math.inf, 60 * asked.minutes)
    done = train_member(task, budget, clock.tell, clock.keep, clock.kept, clock=time.process_time)
    residuals = judged(lambda counts: done.network(scaler.from_counts(counts)), asked, name)
    return {
        "probes": name,
        "minutes": asked.minutes,
        "design": asked.design,
        "samples": asked.samples,
        "judging": len(residuals),
        "seen": round(done.history.epochs[-1] * count(task.learn)),
        "names": [p["name"] for p in corpus.manifest["cell"]["parameters"]],
        "mse": (residuals**2).mean(axis=0).tolist(),
        "correlation": np.corrcoef(residuals.T).tolist(),
    }


def judged(predict, asked, name):
    """Answer less truth (N, K), in unit parameters, on the sets for judging."""
    corpus, held = chosen(asked.work / "judge", name, asked.judging), []
    with torch.inference_mode():
        for piece in corpus.pieces:
            counts, targets = corpus.read([piece])
            held.append(torch.as_tensor(predict(counts)).clamp(-1, 1) - targets)
    return torch.cat(held).double().numpy()


def lines_of(path) -> list[dict]:
    return [json.loads(line) for line in path.read_text().splitlines()] if path.is_file() else []


def same(line, asked) -> bool:
    """Whether a finished training is one of those that are asked for."""
    return all(line[key] == getattr(asked, key) for key in ("minutes", "design", "samples"))


def table(lines) -> str:
    """R2 of each parameter and the correlation of the errors of pairs, a column a set of probes, as Markdown."""
    first, last = lines[0], lines[-1]
    heads = [line["probes"] for line in lines]
    rows = [["R2 of", *heads, "mean square error, last to first"]]
    for k, name in enumerate(first["names"]):
        rows.append(
            [name, *(f"{1 - 3 * line['mse'][k]:.3f}" for line in lines), f"{last['mse'][k] / first['mse'][k]:.2f}"]
        )
    means = [np.mean(line["mse"]) for line in lines]
    rows.append(["mean", *(f"{1 - 3 * mean:.3f}" for mean in means), f"{means[-1] / means[0]:.2f}"])
    rows.append(["traces seen", *(f"{line['seen']:,}" for line in lines), ""])
    rows.append(["correlation of the errors of", *[""] * len(lines), ""])
    for channel in CHANNELS:
        for pair in PAIRS:
            one, other = (first["names"].index(f"{channel}_{part}") for part in pair)
            found = [f"{line['correlation'][one][other]:+.2f}" for line in lines]
            rows.append([f"{channel}_{pair[0]}, {channel}_{pair[1]}", *found, ""])
    rows.insert(1, ["---"] * len(rows[0]))
    return "\n".join("| " + " | ".join(row) + " |" for row in rows)


if __name__ == "__main__":
    main()
