"""How many CPU threads a training step gets: found by trying, again and again.

On idle cores more are better. But where another program holds one of the cores, every parallel loop of a step waits for
the thread that does not run: two threads were measured 40 times slower than one on two cores with a load of 4.
"""

import contextlib
import math
import time

import torch

STEPS_TO_TRY = 4  # with each count; the first is not judged closely, it builds what the others use
HOPELESS = 3.0  # times slower than the best so far: one such step is enough
FIRST_WAIT, LONGEST_WAIT = 15.0, 600.0  # seconds between trials; each that changes nothing doubles the wait


class Threads:
    """Chooses among 1, 2, 4, ... and all the threads that PyTorch was given; a step that is tried is a step trained."""

    def __init__(self):
        self._most = torch.get_num_threads()
        self.counts = sorted({self._most, *(2**k for k in range(self._most.bit_length()))})
        self.best, self._wait = self._most, FIRST_WAIT
        self._next_trial = math.inf
        self._begin_trial()

    def _begin_trial(self):
        self._waiting = [count for count in self.counts for _ in range(STEPS_TO_TRY)] if len(self.counts) > 1 else []
        self._seconds: dict[int, list[float]] = {count: [] for count in self.counts}

    @contextlib.contextmanager
    def step(self):
        """A `with` around one step."""
        if time.monotonic() > self._next_trial:
            self._begin_trial()
            self._next_trial = math.inf
        if not self._waiting:
            yield
            return
        count = self._waiting.pop(0)
        torch.set_num_threads(count)
        began = time.monotonic()
        yield
        self._note(count, time.monotonic() - began)

    def _note(self, count: int, seconds: float):
        self._seconds[count].append(seconds)
        others = [self._mean(other) for other in self.counts if other < count]
        if seconds > HOPELESS * min(others, default=math.inf):
            self._seconds[count] = [math.inf] * 2
            self._waiting = [waiting for waiting in self._waiting if waiting != count]
        if not self._waiting:
            self._settle()

    def _settle(self):
        found = min(self.counts, key=self._mean)
        self._wait = FIRST_WAIT if found != self.best else min(2 * self._wait, LONGEST_WAIT)
        self.best = found
        torch.set_num_threads(found)
        self._next_trial = time.monotonic() + self._wait

    def _mean(self, count: int) -> float:
        judged = self._seconds[count][1:]
        return sum(judged) / len(judged)

    def restore(self):
        """Give PyTorch back all its threads."""
        torch.set_num_threads(self._most)
