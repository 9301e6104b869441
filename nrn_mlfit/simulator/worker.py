"""The rank's side of its worker: chunks of parameter sets go out, traces and statuses come back, whatever happens there."""

import contextlib
import json
import os
import pickle
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import replace
from multiprocessing import Pipe

import numpy as np

from nrn_mlfit import workers
from nrn_mlfit.cells import CellModel
from nrn_mlfit.errors import CellError, MachineError, MlfitError
from nrn_mlfit.shards import Status
from nrn_mlfit.simulator import keeper
from nrn_mlfit.simulator.engines import MOST_LANES
from nrn_mlfit.simulator.keeper import CHECK, RUN, Died, Done, Failed, Ready, Task
from nrn_mlfit.simulator.lanes import Checked

CODE = (
    "import json, sys; sys.path[:] = json.loads(sys.argv.pop(1)); from nrn_mlfit.simulator.keeper import main; main()"
)
FIRST_LIMIT = 600.0  # CPU seconds for the first chunk; after it there is experience:
# Sets' limits for a check: 8 of them, each in two engines, and 8 times more where NEURON is perturbed.
CHECK_TIMES = 100
TIMES_LONGEST = 30  # a chunk may take so many times the longest one so far,
SHORTEST_LIMIT = 10.0  # but at least so long
WALL_TIMES, WALL_EXTRA = 20, 60.0  # a worker that waits instead of computing is given up after 20 limits and a minute
KILLED_AT_MOST = 3  # times that a kill -9 of a worker is put up with
SECONDS_TO_SERVE = 0.005  # in which rank 0 answers the others: they wait for it at a shard's end
SECONDS_A_LOOK = 0.5  # at the clock, where nobody is to be served


class Worker:
    """A process that runs an engine; use it in a `with`. Make it before MPI is met, `begin` it when there is work.

    `engine` and `precision` are those of engines.make; once begun, `made` says what came of them. `limit`: CPU seconds
    that one set may take; by default a chunk may take 30 times the longest so far and at least 10 s. Sets are rows of
    CellModel.rows, parameters (n, K) and what a bank adds.
    """

    made: Ready

    def __init__(self, model: CellModel, engine: str = "auto", limit: float | None = None, precision: str = "double"):
        protocol = model.protocol
        shape = (MOST_LANES, len(model.probes), len(protocol.stimuli), protocol.length)
        self.model, self._limit, self._longest = model, limit, 0.0
        self._pid, self._fresh = 0, True
        memory = os.memfd_create("volts")
        os.truncate(memory, 8 * int(np.prod(shape)))
        self._volts = keeper.shared(memory, shape)
        self._connection, theirs = Pipe()
        self._keeper = _start_keeper(theirs.fileno(), memory)
        theirs.close()
        os.close(memory)
        self._task = pickle.dumps(Task(engine, precision, model, model.digest(), shape))

    def __enter__(self):
        return self

    def __exit__(self, *_):
        if self._keeper.stdin:
            with contextlib.suppress(OSError):  # it may be dead
                self._keeper.stdin.write(keeper.FAREWELL)
                self._keeper.stdin.close()
        self._connection.close()
        try:
            self._keeper.wait(10)
        except subprocess.TimeoutExpired:
            self._keeper.kill()

    def begin(self):
        """Build the engine; raises what its construction raises."""
        self._connection.send_bytes(self._task)
        self._await_ready(None, FIRST_LIMIT)

    @property
    def lanes(self) -> int:
        """How many sets a chunk may have."""
        return self.made.lanes

    def check(self, rows) -> Checked:
        """Sets held against plain NEURON, up to the first that is not the same there."""
        answer = self._ask(rows, None, CHECK)
        if isinstance(answer, Done) and answer.answer:
            return answer.answer
        if len(rows) == 1:  # what it does to a worker is told when it runs
            return Checked(0, failed=1)
        compared, failed = 0, 0
        for number, row in enumerate(rows):
            alone = self.check(row[None])
            compared, failed = compared + alone.compared, failed + alone.failed
            if alone.disagreement:
                return Checked(compared, replace(alone.disagreement, number=number), failed)
        return Checked(compared, failed=failed)

    def run(self, rows, serve: Callable[[], object] | None = None):
        """volts (n, P, S, T) float mV and status (n,) of n <= lanes sets; `serve` is called meanwhile.

        The traces are valid until the next call. A set that takes the worker along has the status crashed or timeout.
        """
        answer = self._ask(rows, serve)
        if isinstance(answer, Done) and answer.answer is not None:
            return self._volts[: len(rows)], answer.answer
        if len(rows) > 1:
            return self._one_by_one(rows, serve)
        self._volts[:1] = 0
        return self._volts[:1], np.array([answer], np.uint8)

    def _one_by_one(self, rows, serve):
        """The sets of a chunk that cannot be run together, each alone: one of them takes the worker along."""
        pairs = []
        for row in rows:
            volts, status = self.run(row[None], serve)
            pairs.append((volts.copy(), status))  # the next one writes over it
        volts, status = (np.concatenate(part) for part in zip(*pairs, strict=True))
        return volts, status

    def _ask(self, rows, serve, question=RUN) -> Done | Status:
        """The answer to a chunk, or the status of its sets.

        A crash counts only in a worker that has done nothing before, since what a set leaves behind is not the next
        one's; and a kill -9 only if it comes again and again, since it comes from outside.
        """
        killed = 0
        while True:
            fresh, limit = self._fresh, self._chunk_limit(len(rows)) if question == RUN else self._check_limit()
            self._connection.send((self._pid, question, np.asarray(rows), limit))
            answer = self._receive(serve, WALL_EXTRA + WALL_TIMES * limit)
            if isinstance(answer, Done):
                self._longest, self._fresh = max(self._longest, answer.seconds if question == RUN else 0.0), False
            if not isinstance(answer, Done) or answer.leaving:
                self._await_ready(serve, FIRST_LIMIT, isinstance(answer, Done))
            if not isinstance(answer, Died):
                return answer
            killed += answer.code == -signal.SIGKILL
            if fresh and (answer.code != -signal.SIGKILL or killed > KILLED_AT_MOST):
                return Status.CRASHED

    def _chunk_limit(self, count) -> float:
        if self._limit:
            return self._limit * max(count, self.made.lanes)  # side by side, one set takes as long as all
        return max(SHORTEST_LIMIT, TIMES_LONGEST * self._longest) if self._longest else FIRST_LIMIT

    def _check_limit(self) -> float:
        return CHECK_TIMES * self._limit if self._limit else FIRST_LIMIT

    def _receive(self, serve, wall: float) -> Done | Died | Status:
        """What comes of a chunk: traces, a death, or the status timeout."""
        overdue = False
        patience = _Patience(wall)
        while not self._arrived(serve):
            if not overdue and patience.is_over():
                overdue = True
                os.kill(self._pid, signal.SIGKILL)
        answer = self._message()
        if isinstance(answer, Died) and (overdue or answer.code == -signal.SIGPROF):
            return Status.TIMEOUT
        return answer

    def _await_ready(self, serve, wall, leaving=False):
        """Wait for a new worker; `leaving` if the last one ends by itself first."""
        patience, killed = _Patience(wall), 0
        while True:
            while not self._arrived(serve):
                if patience.is_over():
                    raise CellError(
                        f"the cell is not built after {wall:.0f} s; see whether its HOC file comes to an end"
                    )
            answer = self._message()
            if not isinstance(answer, Died):
                break
            if leaving and answer.code == keeper.LEFT:
                leaving = False
                continue
            killed += 1
            if answer.code != -signal.SIGKILL or killed > KILLED_AT_MOST:
                raise CellError(
                    f"the process that builds the cell died ({_cause(answer.code)}); look at its HOC and MOD files"
                )
        if self._pid and not answer.is_like(self.made):
            raise MachineError(
                f"the worker was built again as another engine ({answer.told}; it was {self.made.told}); see what has "
                "changed on this machine, then give the same command again to go on"
            )
        self.made, self._pid, self._fresh = answer, answer.pid, True

    def _arrived(self, serve) -> bool:
        """Whether there is an answer now or soon; whoever else waits for us is served meanwhile."""
        if serve:
            serve()
        return self._connection.poll(SECONDS_TO_SERVE if serve else SECONDS_A_LOOK)

    def _message(self):
        try:
            answer = self._connection.recv()
        except (EOFError, OSError):
            raise MachineError(
                f"the worker process of this rank is gone (exit code {self._keeper.poll()}); "
                "give the same command again to go on"
            ) from None
        if isinstance(answer, Failed):
            raise answer.error if isinstance(answer.error, MlfitError) else RuntimeError(answer.error)
        return answer


class _Patience:
    """A span of time that passes only while we look: not while the whole job is put to sleep."""

    def __init__(self, seconds: float):
        self._left, self._last = seconds, time.monotonic()

    def is_over(self) -> bool:
        now = time.monotonic()
        self._left -= min(now - self._last, 2 * SECONDS_A_LOOK)
        self._last = now
        return self._left < 0


def _cause(code: int) -> str:
    return signal.Signals(-code).name if code < 0 else f"exit code {code}"


def _start_keeper(connection: int, memory: int) -> subprocess.Popen:
    command = [
        sys.executable,
        "-P",
        "-c",
        CODE,
        json.dumps(sys.path),
        str(connection),
        str(memory),
        *workers.whereabouts(),
    ]
    one_thread = dict.fromkeys(("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"), "1")
    env = workers.without_launcher(os.environ) | one_thread
    # In a session of its own: a launcher that kills the processes of a rank leaves it the time for a last word.
    return subprocess.Popen(
        command, stdin=subprocess.PIPE, pass_fds=(connection, memory), env=env, start_new_session=True
    )
