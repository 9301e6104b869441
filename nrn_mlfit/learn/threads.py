"""How many CPU threads a training step gets: found by trying, again and again.

On idle cores all of them are best. But where another program holds one of the cores, every parallel loop of a step waits
for the thread that does not run: two threads were measured 40 times slower than one on two cores with a load of 4.
"""

import contextlib
import time

import torch

STEPS_TO_TRY = 4  # with each count; the first is left out, it builds what the others use
SECONDS_BETWEEN_TRIALS = 15.0


class Threads:
    """Chooses among 1, 2, 4, ... and all the threads that PyTorch was given; a step that is tried is a step trained."""

    def __init__(self):
        self._most = torch.get_num_threads()
        self.counts = sorted({self._most, *(2**k for k in range(self._most.bit_length()) if 2**k <= self._most)})
        self._begin_trial()

    def _begin_trial(self):
        self._waiting = [count for count in self.counts for _ in range(STEPS_TO_TRY)] if len(self.counts) > 1 else []
        self._seconds: dict[int, list[float]] = {count: [] for count in self.counts}
        self._next_trial = float("inf")

    @contextlib.contextmanager
    def step(self):
        """A `with` around one step."""
        if time.monotonic() > self._next_trial:
            self._begin_trial()
        if not self._waiting:
            yield
            return
        count = self._waiting.pop(0)
        torch.set_num_threads(count)
        began = time.monotonic()
        yield
        self._seconds[count].append(time.monotonic() - began)
        if not self._waiting:
            torch.set_num_threads(self.best)
            self._next_trial = time.monotonic() + SECONDS_BETWEEN_TRIALS

    @property
    def best(self) -> int:
        """The count that was fastest in the last trial."""
        return min(self.counts, key=lambda count: sum(self._seconds[count][1:]))

    def restore(self):
        """Give PyTorch back all its threads."""
        torch.set_num_threads(self._most)
