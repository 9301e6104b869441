"""The pulse of an MPI rank: a thread that sends a beat to the next rank every second and listens to the one before.

A ring, so that 10,000 ranks cost each one message a second. A thread of its own, so that a rank that waits for a slow
file system still beats, while one that is stopped, swapped out or gone does not.
"""

import threading
from collections.abc import Callable
from typing import Any

SECONDS_A_BEAT = 1.0
BEATS_MISSED = 15  # counted in our own beats: if the whole job is put to sleep, nobody has missed any
BEAT = 1  # message tag


class Pulse:
    """Beats until `stop`; calls `end(sentence, exit code)` once the rank before is silent.

    Does nothing if the MPI library cannot be called from two threads.
    """

    def __init__(self, mpi, world, places: list[str], end: Callable[[str, int], object]):
        self._places, self._end = places, end
        self._over = threading.Event()
        self._comm = world.Dup()
        self._before, self._next = (world.rank - 1) % world.size, (world.rank + 1) % world.size
        self._thread = threading.Thread(target=self._beat, name="pulse", daemon=True)
        if mpi.Query_thread() == mpi.THREAD_MULTIPLE:
            self._thread.start()

    def stop(self):
        """End the thread; this rank may then finish MPI."""
        self._over.set()
        if self._thread.is_alive():
            self._thread.join()

    def _beat(self):
        missed, sent = 0, list[Any]()
        while not self._over.wait(SECONDS_A_BEAT):
            sent = [request for request in sent if not request.Test()]
            if not sent:  # a neighbour that takes nothing in needs no second one
                sent.append(self._comm.isend(None, self._next, BEAT))
            missed = 0 if self._heard() else missed + 1
            if missed > BEATS_MISSED:
                self._end(
                    f"rank {self._before} ({self._places[self._before]}) has not answered for {BEATS_MISSED} s; "
                    "the job ends, what is finished is kept",
                    1,
                )
                return

    def _heard(self) -> bool:
        heard = False
        while self._comm.iprobe(self._before, BEAT):
            self._comm.recv(source=self._before, tag=BEAT)
            heard = True
        return heard
