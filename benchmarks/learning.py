"""Candidates for the network against each other: equal data, equal time, one core each; the table of docs/learning.md.

    python benchmarks/learning.py RUN --test RUN --minutes 15 --seeds 1 2 -j 2 -o learning.jsonl

RUN is a folder of `nrn-mlfit simulate`. Of the first one 2,000 sets are held out for choosing; the second one is for
judging, and nothing is chosen by it. What the file holds already is not trained again. Time is that of the processor: it is the
same whoever else is at work on the machine.
"""

import argparse
import json
import subprocess
import sys
import time
from pathlib import Path

CHOOSING = 2000  # sets held out of the first run
JUDGING = 10_000
BASE = "residual"
CANDIDATES = {  # name -> (shipped design, what is changed)
    "golden203, batch 16": ("golden203", {}),
    "golden203, batch 64": ("golden203", {"batch_size": 64}),
    "residual": (BASE, {}),
    "AdamW": (BASE, {"optimizer": "adamw", "batch_size": 64}),
    "no normalisation": (BASE, {"norm": "none"}),
    "no derivative": (BASE, {"derivative": False}),
    "1.2 tanh": (BASE, {"last_activation": "tanh"}),
    "batch 64": (BASE, {"batch_size": 64}),
    "batch 256": (BASE, {"batch_size": 256}),
    "rate 0.01": (BASE, {"learning_rate": 0.01}),
    "rate 0.04": (BASE, {"learning_rate": 0.04}),
    "stem 15/5": (BASE, {"stem": [15, 5]}),
    "stem 41/20": (BASE, {"stem": [41, 20], "conv_filter": [64, 64, 96, 128, 160]}),
    "64 channels first": (BASE, {"conv_filter": [64, 64, 96, 128, 160]}),
    "32 to 160 channels": (BASE, {"conv_filter": [32, 48, 64, 96, 128, 160]}),
    "32 to 256 channels": (BASE, {"conv_filter": [32, 64, 96, 128, 192, 256]}),
    "16 to 96 channels": (BASE, {"conv_filter": [16, 24, 32, 48, 64, 96]}),
    "two blocks a stage": (BASE, {"conv_repeat": 2}),
    "kernel 3": (BASE, {"conv_kernel": 3}),
    "kernel 7": (BASE, {"conv_kernel": 7}),
    "neck 64, head 512": (BASE, {"neck": 64, "fc_dims": [512]}),
}


def main():
    asked = arguments()
    if asked.child:
        name, seed = asked.child
        print(json.dumps(trained(asked, name, int(seed))))
        return
    known = {(row["name"], row["seed"]) for row in rows(asked.output)}
    todo = [(n, s) for s in asked.seeds for n in asked.candidates or CANDIDATES if (n, s) not in known]
    running: list = []
    while todo or running:
        while todo and len(running) < asked.processes:
            running.append(start(asked, *todo.pop(0)))
        child = running.pop(0)
        said, _ = child.communicate()
        if child.returncode:
            raise SystemExit(f"a candidate failed with exit code {child.returncode}")
        with asked.output.open("a") as file:
            file.write(said.splitlines()[-1] + "\n")
        print(line(json.loads(said.splitlines()[-1])), flush=True)
    print(*table(rows(asked.output)), sep="\n")


def arguments():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("run", type=Path)
    parser.add_argument("--test", type=Path, required=True)
    parser.add_argument("--minutes", type=float, default=15)
    parser.add_argument("--limit", type=int, help="of the first run's sets")
    parser.add_argument("--seeds", type=int, nargs="+", default=[1, 2])
    parser.add_argument("--candidates", nargs="+", choices=CANDIDATES)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("-j", "--processes", type=int, default=1)
    parser.add_argument("-o", "--output", type=Path, default=Path("learning.jsonl"))
    parser.add_argument("--child", nargs=2, help=argparse.SUPPRESS)
    return parser.parse_args()


def start(asked, name, seed):
    words = [sys.executable, __file__, asked.run, "--test", asked.test, "--minutes", asked.minutes]
    words += ["--threads", asked.threads, "--child", name, seed]
    words += ["--limit", asked.limit] if asked.limit else []
    return subprocess.Popen(list(map(str, words)), stdout=subprocess.PIPE, text=True)


def trained(asked, name, seed) -> dict:
    """One candidate, trained for so many minutes; what it came to."""
    import math

    import torch

    from nrn_mlfit.learn import open_corpus
    from nrn_mlfit.learn.corpus import count
    from nrn_mlfit.learn.devices import pick_precision
    from nrn_mlfit.learn.folds import sample
    from nrn_mlfit.learn.networks import load_design, make_design
    from nrn_mlfit.learn.scaling import fit_scaler
    from nrn_mlfit.learn.training import Budget, Task, train_member

    torch.set_num_threads(asked.threads)
    base, change = CANDIDATES[name]
    design = make_design({**load_design(base).to_json(), "name": name, **change})
    corpus, device = open_corpus([asked.run], asked.limit), torch.device("cpu")
    held = max(1, CHOOSING // len(corpus.pieces[0].rows))
    task = Task(
        design=design,
        corpus=corpus,
        scaler=fit_scaler(sample(corpus)[0]),
        learn=list(corpus.pieces[:-held]),
        validate=list(corpus.pieces[-held:]),
        seed=seed,
        device=device,
        precision=pick_precision("auto", device),
    )
    done = train_member(task, Budget(math.inf, 60 * asked.minutes), clock=time.process_time)
    epochs = done.history.epochs[-1]
    return {
        "name": name,
        "seed": seed,
        "parameters": done.network.parameter_count,
        "seen": round(epochs * count(task.learn)),
        "train": done.history.train[-1],
        "choosing": float(done.errors.mean()),
        "judging": judged(done.network, task.scaler, asked.test),
        "curve": [[e, v] for e, v in zip(done.history.epochs, done.history.validation, strict=True)],
    }


def judged(network, scaler, folder) -> list[float]:
    """Mean square errors (K,) on the run for judging."""
    import torch

    from nrn_mlfit.learn import open_corpus

    corpus = open_corpus([folder], JUDGING)
    errors = []
    with torch.inference_mode():
        for piece in corpus.pieces:
            counts, targets = corpus.read([piece])
            errors.append((network(scaler.from_counts(counts)) - targets).square())
    return torch.cat(errors).mean(0).tolist()


def rows(path) -> list[dict]:
    return [json.loads(line) for line in path.read_text().splitlines()] if path.is_file() else []


def line(row) -> str:
    mean = sum(row["judging"]) / len(row["judging"])
    return f"{row['name']}, seed {row['seed']}: choosing {row['choosing']:.4f}, judging {mean:.4f}, {row['seen']} seen"


def table(found):
    """A row a candidate, as Markdown: its mean over the seeds, and each seed's."""
    yield "| candidate | weights | traces seen | MSE, choosing (each seed) | MSE, judging |"
    yield "|---|---|---|---|---|"
    for name in dict.fromkeys(row["name"] for row in found):
        mine = [row for row in found if row["name"] == name]
        seen = sum(row["seen"] for row in mine) / len(mine)
        each = ", ".join(f"{row['choosing']:.4f}" for row in mine)
        mean = sum(sum(row["judging"]) / len(row["judging"]) for row in mine) / len(mine)
        choosing = sum(row["choosing"] for row in mine) / len(mine)
        yield f"| {name} | {mine[0]['parameters']} | {seen:.0f} | {choosing:.4f} ({each}) | {mean:.4f} |"


if __name__ == "__main__":
    main()
