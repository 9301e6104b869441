"""Traces for training, read as they are needed: buffers of random pieces, shuffled within, the next one read meanwhile.

What comes when hangs on the pieces, the batch and the seed alone, so that a training that was broken off goes on with the
traces that it would have had.
"""

from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field

import numpy as np
import torch

from nrn_mlfit.learn.corpus import Corpus, Piece, count

BUFFER_BYTES = 64 * 2**20  # of traces in a buffer; two are held, and the one that is being read


@dataclass(frozen=True, eq=False)
class Stream:
    """The batches of a training on `pieces` of a corpus, in steps that are numbered through all epochs.

    In each epoch every set is met once, but for the rest of a buffer that fills no batch.
    """

    corpus: Corpus
    pieces: Sequence[Piece]
    batch: int
    seed: int
    trace_bytes: int
    steps_an_epoch: int = field(init=False)

    def __post_init__(self):
        object.__setattr__(self, "steps_an_epoch", sum(map(self._steps, self._buffers(0))))

    def batches(self, step: int = 0) -> Iterator[tuple[torch.Tensor, torch.Tensor]]:
        """counts (batch, P*S, T) int16 and unit parameters (batch, K) float32 of step `step` and all after it."""
        with ThreadPoolExecutor(1, "reading") as reader:
            places = self._places(step)
            (epoch, number, pieces), skipped = next(places)
            coming = reader.submit(self._read, epoch, number, pieces)
            while True:
                held, begin = coming.result(), skipped
                (epoch, number, pieces), skipped = next(places)
                coming = reader.submit(self._read, epoch, number, pieces)
                counts, targets = held
                size = min(self.batch, len(counts))
                for low in range(begin * size, len(counts) - size + 1, size):
                    yield counts[low : low + size], targets[low : low + size]

    def _places(self, step):
        """(epoch, number, pieces) of the buffers from the one with a step on, and how many steps of it are over."""
        epoch = 0
        while True:
            for number, pieces in enumerate(self._buffers(epoch)):
                steps = self._steps(pieces)
                if step < steps:
                    yield (epoch, number, pieces), step
                    step = steps
                step -= steps
            epoch += 1

    def _buffers(self, epoch) -> list[list[Piece]]:
        """The pieces of an epoch's buffers, those of one shard side by side."""
        order = self._random(epoch, 0).permutation(len(self.pieces))
        largest = max(self.batch, BUFFER_BYTES // self.trace_bytes)
        parts = np.array_split(order, -(-count(self.pieces) // largest))
        return [[self.pieces[k] for k in np.sort(part)] for part in parts if len(part)]

    def _steps(self, pieces) -> int:
        return max(1, count(pieces) // self.batch)

    def _read(self, epoch, number, pieces):
        counts, targets = self.corpus.read(pieces)
        order = torch.from_numpy(self._random(epoch, 1 + number).permutation(len(counts)))
        return counts[order], targets[order]

    def _random(self, epoch, number):
        return np.random.Generator(np.random.Philox(key=[self.seed, epoch << 32 | number]))
