"""Candidates for the network against each other and against baselines: equal data, equal time; the table of docs/learning.md.

    pip install scikit-learn aeon                                                     # for two of the baselines only
    python benchmarks/learning.py RUN --test RUN --minutes 15 --seeds 1 2 -j 2 -o learning.jsonl
    python benchmarks/learning.py RUN --test RUN --minutes 90 --candidates "golden203, batch 16" residual -o learning.jsonl
    python benchmarks/learning.py RUN --test RUN --until-stop --candidates "golden203, batch 16" -o learning.jsonl

RUN is a folder of `nrn-mlfit simulate`. Of the first one 2,000 sets are held out for choosing; the second one is for
judging, and nothing is chosen by it. Time is that of the processor, which others at work on the machine make up to twice
as slow (they share its caches and cores): look at the traces seen. A baseline takes what time it needs. With --until-stop
nothing but early stop ends a training.

What the file holds already is not trained again, and a training that was broken off goes on. The last column says after
which share of golden 203's time a candidate is as good as golden 203 at its end, on the sets for choosing: both were given
the same time, so the candidate's learning rate has not cooled down by then, and a training of that length would do better.
"""

import argparse
import importlib.util
import json
import math
import os
import subprocess
import sys
import time
from pathlib import Path

import torch
from learning_baselines import BASELINES, NEEDED
from learning_networks import CANDIDATES

from nrn_mlfit.learn import open_corpus
from nrn_mlfit.learn.checkpoint import Member
from nrn_mlfit.learn.corpus import count
from nrn_mlfit.learn.devices import pick_precision
from nrn_mlfit.learn.folds import sample
from nrn_mlfit.learn.training import Budget, Task, train_member

CHOOSING = 2000  # sets held out of the first run
JUDGING = 10_000
TALK = "golden203"  # whose time the others' is a share of
NAMES = [*BASELINES, *CANDIDATES]


def main():
    asked = arguments()
    if asked.child:
        name, seed = asked.child
        print(json.dumps((baseline if name in BASELINES else trained)(asked, name, int(seed))))
        return
    known = {(row["name"], row["seed"], row["minutes"]) for row in rows(asked.output)}
    todo = [(n, s) for s in asked.seeds for n in asked.candidates if (n, s, minutes(asked, n)) not in known]
    running: list = []
    while todo or running:
        while todo and len(running) < asked.processes:
            running.append((*todo[0], start(asked, *todo.pop(0))))
        name, seed, child = running.pop(0)
        said, _ = child.communicate()
        if child.returncode:
            raise SystemExit(f"{name}, seed {seed}: failed with exit code {child.returncode}")
        with asked.output.open("a") as file:
            file.write(said.splitlines()[-1] + "\n")
        unfinished(asked, name, seed).unlink(missing_ok=True)
        print(line(json.loads(said.splitlines()[-1])), flush=True)
    print(*table(rows(asked.output)), sep="\n")


def arguments():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("run", type=Path)
    parser.add_argument("--test", type=Path, required=True)
    length = parser.add_mutually_exclusive_group()
    length.add_argument("--minutes", type=float, default=15.0)
    length.add_argument("--until-stop", dest="minutes", action="store_const", const=None)
    parser.add_argument("--limit", type=int, help="of the first run's sets")
    parser.add_argument("--seeds", type=int, nargs="+", default=[1, 2])
    parser.add_argument("--candidates", nargs="+", choices=NAMES, default=NAMES, metavar="NAME", help="; ".join(NAMES))
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("-j", "--processes", type=int, default=1)
    parser.add_argument("-o", "--output", type=Path, default=Path("learning.jsonl"))
    parser.add_argument("--child", nargs=2, help=argparse.SUPPRESS)
    asked = parser.parse_args()
    for name in asked.candidates:
        if not all(map(importlib.util.find_spec, NEEDED.get(name, ()))):
            parser.error(
                f"{name}: needs scikit-learn and aeon; pip install scikit-learn aeon, or name others with --candidates"
            )
    return asked


def minutes(asked, name) -> float | None:
    """What a training may take; None where that is not limited."""
    return None if name in BASELINES else asked.minutes


def start(asked, name, seed):
    words = [sys.executable, __file__, asked.run, "--test", asked.test, "--child", name, seed, "-o", asked.output]
    words += ["--until-stop"] if asked.minutes is None else ["--minutes", asked.minutes]
    words += ["--candidates", name] + (["--limit", asked.limit] if asked.limit else [])
    threads = {f"{library}_NUM_THREADS": str(asked.threads) for library in ("OMP", "NUMBA")}
    return subprocess.Popen(list(map(str, words)), stdout=subprocess.PIPE, text=True, env=os.environ | threads)


def unfinished(asked, name, seed) -> Path:
    """Where a training that is broken off is kept."""
    word = "".join(letter if letter.isalnum() else "-" for letter in f"{name} {seed} {asked.minutes}")
    return asked.output.with_name(f".{asked.output.name}-{word}.pt")


def dealt(asked):
    """The corpus, its pieces to learn from and to choose by."""
    corpus = open_corpus([asked.run], asked.limit)
    held = max(1, CHOOSING // len(corpus.pieces[0].rows))
    return corpus, list(corpus.pieces[:-held]), list(corpus.pieces[-held:])


def baseline(asked, name, seed) -> dict:
    corpus, learn, choose = dealt(asked)
    began = time.process_time()
    made = BASELINES[name](corpus, learn, choose, seed)
    return {
        "name": name,
        "seed": seed,
        "minutes": None,
        "seconds": time.process_time() - began,
        "parameters": made.weights,
        "seen": made.seen,
        "choosing": sum(errors(made, corpus, choose)) / corpus.read(choose[:1])[1].shape[1],
        "judging": judged(made, asked.test),
    }


def trained(asked, name, seed) -> dict:
    """One candidate, trained for so many minutes; what it came to."""
    corpus, learn, choose = dealt(asked)
    candidate, device = CANDIDATES[name], torch.device("cpu")
    scaler, make = candidate.of(sample(corpus)[0], corpus.manifest["dt"])
    task = Task(
        design=candidate.design(name),
        corpus=corpus,
        scaler=scaler,
        learn=learn,
        validate=choose,
        seed=seed,
        device=device,
        precision=pick_precision("auto", device),
        make=make,
    )
    budget = Budget(math.inf, math.inf if asked.minutes is None else 60 * asked.minutes)
    clock = Clock(unfinished(asked, name, seed))
    done = train_member(task, budget, clock.tell, clock.keep, clock.kept, clock=time.process_time)
    history = done.history
    return {
        "name": name,
        "seed": seed,
        "minutes": asked.minutes,
        "seconds": clock.spent,
        "parameters": done.network.parameter_count,
        "seen": round(history.epochs[-1] * count(learn)),
        "train": history.train[-1],
        "choosing": float(done.errors.mean()),
        "judging": judged(lambda counts: done.network(scaler.from_counts(counts)), asked.test),
        "curve": list(zip(history.epochs, clock.seconds, history.validation, strict=True)),
    }


class Clock:
    """The processor's seconds at each validation of a training, which may be broken off and gone on with."""

    def __init__(self, path):
        self._member = Member(path)
        held = self._member.load() or {"kept": None, "seconds": [], "spent": 0.0}
        self.kept, self.seconds = held["kept"], held["seconds"]
        self._began = time.process_time() - held["spent"]

    @property
    def spent(self):
        return time.process_time() - self._began

    def tell(self, epochs, used, history):
        if len(history.epochs) > len(self.seconds):
            self.seconds.append(self.spent)

    def keep(self, state):
        self._member.keep(lambda: {"kept": state(), "seconds": self.seconds, "spent": self.spent})


def judged(predict, folder) -> list[float]:
    """Mean square errors (K,) on the run for judging."""
    corpus = open_corpus([folder], JUDGING)
    return errors(predict, corpus, corpus.pieces)


def errors(predict, corpus, pieces) -> list[float]:
    """Mean square errors (K,) of what `predict` makes of counts."""
    held = []
    with torch.inference_mode():
        for piece in pieces:
            counts, targets = corpus.read([piece])
            held.append((torch.as_tensor(predict(counts)) - targets).square())
    return torch.cat(held).mean(0).tolist()


def rows(path) -> list[dict]:
    return [json.loads(line) for line in path.read_text().splitlines()] if path.is_file() else []


def line(row) -> str:
    told = f"choosing {row['choosing']:.4f}, judging {mean(row['judging']):.4f}"
    return f"{row['name']}, seed {row['seed']}: {told}, {row['seen']} seen in {row['seconds'] / 60:.1f} min"


def mean(numbers) -> float:
    held = list(numbers)
    return sum(held) / len(held)


def table(found):
    """A row a candidate and length, as Markdown: its mean over the seeds, and each seed's."""
    yield "| candidate | weights | traces seen | minutes | MSE, choosing (each seed) | MSE, judging | golden 203's after |"
    yield "|---|---|---|---|---|---|---|"
    for name, length in dict.fromkeys((row["name"], row["minutes"]) for row in found):
        mine = [row for row in found if (row["name"], row["minutes"]) == (name, length)]
        each = ", ".join(f"{row['choosing']:.4f}" for row in mine)
        cells = [
            name + ", until it stops" * (length is None and name not in BASELINES),
            "" if mine[0]["parameters"] is None else f"{mine[0]['parameters']}",
            f"{mean(row['seen'] for row in mine):.0f}",
            f"{mean(row['seconds'] for row in mine) / 60:.1f}",
            f"{mean(row['choosing'] for row in mine):.4f} ({each})",
            f"{mean(mean(row['judging']) for row in mine):.4f}",
            overtaking(mine, [row for row in found if row["minutes"] == length]),
        ]
        yield f"| {' | '.join(cells)} |"


def overtaking(mine, found) -> str:
    """After which share of its time golden 203, at its better batch, is overtaken; by each seed, in one given as much."""
    talks: dict[str, list] = {}
    for row in found:
        if row["name"].startswith(TALK):
            talks.setdefault(row["name"], []).append(row)
    if not talks or mine[0]["name"] in BASELINES or mine[0]["name"] in talks:
        return ""
    best = min(talks.values(), key=lambda held: mean(row["choosing"] for row in held))
    target, seconds = mean(row["choosing"] for row in best), mean(row["seconds"] for row in best)
    reached = [next((s for _, s, loss in row["curve"] if loss <= target), None) for row in mine]
    return ", ".join("never" if s is None else f"{100 * s / seconds:.0f} %" for s in reached)


if __name__ == "__main__":
    main()
