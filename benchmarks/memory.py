"""How much memory does a training take on shards of many GB, and does it wait for its data? One line.

    python benchmarks/memory.py RUN --gigabytes 5 --minutes 3

RUN is a folder of `nrn-mlfit simulate`. Where it is smaller, its shards are named as often as it takes: what is read in an
epoch, and what must be kept of it, is that of a run of the wanted size.
"""

import argparse
import math
import resource
import time
from dataclasses import replace
from pathlib import Path

import torch

from nrn_mlfit.learn import open_corpus
from nrn_mlfit.learn import training as trainings
from nrn_mlfit.learn.corpus import count
from nrn_mlfit.learn.devices import pick_precision
from nrn_mlfit.learn.folds import sample
from nrn_mlfit.learn.networks import load_design
from nrn_mlfit.learn.scaling import fit_scaler
from nrn_mlfit.learn.stream import Stream
from nrn_mlfit.learn.training import Budget, Task, train_member

VALIDATED = 40  # pieces


class TimedStream(Stream):
    """A stream that counts the seconds that its batches were waited for."""

    waited = 0.0

    def batches(self, step: int = 0):
        coming = super().batches(step)
        while True:
            began = time.monotonic()
            batch = next(coming)
            TimedStream.waited += time.monotonic() - began
            yield batch


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("run", type=Path)
    parser.add_argument("--gigabytes", type=float, default=5.0)
    parser.add_argument("--minutes", type=float, default=3.0)
    parser.add_argument("--design", default="residual")
    asked = parser.parse_args()
    corpus = open_corpus([asked.run])
    held = sum(path.stat().st_size for path in {piece.path for piece in corpus.pieces}) / 1e9
    times = max(1, math.ceil(asked.gigabytes / held))
    large = replace(corpus, pieces=corpus.pieces * times)
    trainings.Stream = TimedStream
    device = torch.device("cpu")
    task = Task(
        design=load_design(asked.design),
        corpus=large,
        scaler=fit_scaler(sample(corpus)[0]),
        learn=list(large.pieces[VALIDATED:]),
        validate=list(large.pieces[:VALIDATED]),
        seed=1,
        device=device,
        precision=pick_precision("auto", device),
    )
    began = time.monotonic()
    done = train_member(task, Budget(math.inf, 60 * asked.minutes))
    seconds = time.monotonic() - began
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e6
    seen = done.history.epochs[-1] * count(task.learn)
    print(
        f"{held * times:.1f} GB of shards, {count(task.learn)} traces: peak memory {peak:.2f} GB, {seen / seconds:.0f} traces/s, "
        f"{TimedStream.waited / seconds:.1%} of the time waiting for data"
    )


if __name__ == "__main__":
    main()
