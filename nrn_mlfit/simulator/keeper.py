"""The process beside a rank: a keeper that knows neither NEURON nor MPI, and the worker that it forks.

An engine runs in the worker. If a set takes the worker along (a segmentation fault, abort() in a MOD file, a loop
without end), the keeper says so to the rank and forks a new one. It is started before MPI, since to fork a process
that MPI lives in is not safe everywhere.
"""

import contextlib
import ctypes
import mmap
import os
import pickle
import resource
import select
import signal
import sys
import time
import traceback
from dataclasses import dataclass
from multiprocessing.connection import Connection
from typing import Any

import numpy as np

from nrn_mlfit import lastword
from nrn_mlfit.cells import CellModel
from nrn_mlfit.errors import CellError, MlfitError
from nrn_mlfit.simulator import engines
from nrn_mlfit.simulator.lanes import AnotherCell
from nrn_mlfit.simulator.neuron import NeuronEngine

LEAK_BYTES = 500 * 2**20  # a worker that has grown by this much since its first set makes room for a new one
MEMORY_BYTES = 4 * 2**30  # and none may hold more: beyond it malloc fails, before the machine runs out of memory
RUN, CHECK = "run", "check"  # what a worker may be asked
FAREWELL = b"."  # what a rank that ends in good order says on our standard input
LEFT = 75  # the exit code of a worker that has made room
OUTSIDE = (signal.SIGINT, signal.SIGTERM)  # sent to all processes of a job; the rank decides what comes of it
DEADLY = (signal.SIGSEGV, signal.SIGBUS, signal.SIGFPE, signal.SIGILL, signal.SIGABRT, signal.SIGPROF)


@dataclass(frozen=True)
class Task:
    """What a worker needs to begin: which engine, the cell and its digest, the shape of the memory that it shares."""

    engine: str
    precision: str
    model: CellModel
    digest: str
    shape: tuple[int, ...]


@dataclass(frozen=True)
class Ready:
    """A worker has built its engine: `name`, `lanes` and `made_with` are the engine's, `why` is why it is plain NEURON
    where a faster one was asked for."""

    pid: int
    name: str
    lanes: int
    made_with: dict[str, str]
    why: str

    def is_like(self, other: "Ready") -> bool:
        """Whether the engine gives the same bytes."""
        return (self.name, self.lanes, self.made_with) == (other.name, other.lanes, other.made_with)

    @property
    def told(self) -> str:
        """The engine's name, and why it is not the fast one."""
        return f"{self.name}, as lanes cannot be used ({self.why})" if self.why else self.name


@dataclass(frozen=True)
class Failed:
    """A worker could not build its engine, or met an error of ours; `error` is a MlfitError or what happened."""

    error: MlfitError | str


@dataclass(frozen=True)
class Done:
    """A question is answered: with the status (n,) of the sets it was asked to run, or with what a check found, and the
    CPU time it took; with None if the sets must be asked for one by one. `leaving`: a fresh worker comes next."""

    answer: Any
    seconds: float
    leaving: bool


@dataclass(frozen=True)
class Died:
    """A worker ended without an answer: the signal's number, negated, or its exit code."""

    code: int


def shared(descriptor: int, shape: tuple[int, ...]) -> np.ndarray:
    """The memory that rank and worker share, as float64 of a shape."""
    return np.frombuffer(mmap.mmap(descriptor, 0), np.float64)[: int(np.prod(shape))].reshape(shape)


def main():
    """`keeper CONNECTION MEMORY [JOB RANK]`: fork workers until the rank closes our standard input.

    CONNECTION and MEMORY are file descriptors; JOB and RANK say which rank of which job this is, if one of many.
    """
    connection, memory = Connection(int(sys.argv[1])), int(sys.argv[2])
    for number in OUTSIDE:
        signal.signal(number, signal.SIG_IGN)
    os.dup2(2, 1)  # what MOD and HOC files print must not mix with what the command prints
    try:
        task = connection.recv_bytes()
    except EOFError:  # the rank ended before it had work
        return
    while (code := _one_worker(connection, memory, task)) is not None:
        with contextlib.suppress(OSError):  # the rank is about to end, too
            connection.send(Died(code))


def _one_worker(connection, memory, task) -> int | None:
    """Fork a worker and wait for it to end: the code it ended with, or None once the rank is gone."""
    awake, wake = os.pipe2(os.O_NONBLOCK | os.O_CLOEXEC)
    signal.signal(signal.SIGCHLD, lambda *_: None)
    before = signal.set_wakeup_fd(wake)
    keeper = os.getpid()
    if not (pid := os.fork()):
        signal.set_wakeup_fd(-1)
        _live(connection, memory, task, keeper)
    try:
        while True:
            ready, _, _ = select.select([sys.stdin.fileno(), awake], [], [])
            with contextlib.suppress(BlockingIOError):
                os.read(awake, 64)  # before looking: a death after the look wakes us again
            found, status = os.waitpid(pid, os.WNOHANG)
            if found:
                return os.waitstatus_to_exitcode(status)
            if sys.stdin.fileno() in ready:
                _tell_of_the_rank()
                os.kill(pid, signal.SIGKILL)
                os.waitpid(pid, 0)
                return None
    finally:
        signal.set_wakeup_fd(before)
        os.close(awake)
        os.close(wake)


def _tell_of_the_rank():
    """The rank is gone. If it did not say farewell somebody killed it: say so, since the launcher may name another one."""
    if os.read(sys.stdin.fileno(), 1) != FAREWELL and len(sys.argv) > 3:
        job, rank = sys.argv[3:]
        kept = "what is finished is kept, and the same command goes on"
        lastword.say(int(job), f"{rank} was killed, the first on its host; {kept}")


def _live(connection, memory, task, keeper):
    """The life of a worker; it does not return."""
    _die_with(keeper)
    os.dup2(os.open(os.devnull, os.O_RDONLY), 0)
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))  # a core file a crashed set would fill the disk
    try:
        _serve(connection, memory, pickle.loads(task))
    except EOFError:  # the rank is gone
        pass
    except BaseException as error:
        told = error if isinstance(error, MlfitError) else "".join(traceback.format_exception(error))
        with contextlib.suppress(OSError):
            connection.send(Failed(told))
            connection.poll(None)  # there is nothing more to do; the rank ends us
    os._exit(LEFT)


def _die_with(parent):
    """Have Linux kill this process when its parent dies, so that a loop in a MOD file does not outlive the job."""
    pr_set_pdeathsig = 1
    with contextlib.suppress(OSError, AttributeError):
        ctypes.CDLL(None).prctl(pr_set_pdeathsig, signal.SIGKILL)
    if os.getppid() != parent:
        os._exit(0)


def _serve(connection, memory, task: Task):
    volts = shared(memory, task.shape)
    engine, why = engines.make(task.engine, task.precision, task.model)
    if task.model.digest() != task.digest:  # a later worker reads the files again
        raise CellError(f"{task.model.name}: its files changed since the run began; put them back, or begin a new run")
    for number in DEADLY:  # NEURON's own handlers would go on after a fault
        signal.signal(number, signal.SIG_DFL)
    hard = resource.getrlimit(resource.RLIMIT_DATA)[1]  # a scheduler's, which we may not raise
    soft = MEMORY_BYTES if hard == resource.RLIM_INFINITY else min(MEMORY_BYTES, hard)
    resource.setrlimit(resource.RLIMIT_DATA, (soft, hard))
    connection.send(Ready(os.getpid(), engine.name, engine.lanes, engine.made_with, why))
    first = None
    while True:
        addressee, question, chunk, limit = connection.recv()
        if addressee != os.getpid():  # asked of a worker that died before it read that; the rank asks again
            continue
        began = time.process_time()
        signal.setitimer(signal.ITIMER_PROF, limit)
        answer, usable = _answer(engine, task.model, question, chunk, volts)
        signal.setitimer(signal.ITIMER_PROF, 0)
        first = first or _peak_bytes()
        leaving = not usable or _peak_bytes() - first > LEAK_BYTES
        connection.send(Done(answer, time.process_time() - began, leaving))
        if leaving:
            return


def _answer(engine, model, question, chunk, volts) -> tuple[Any, bool]:
    """The answer to a question about a chunk of sets (n, K), traces into volts; and whether the engine is usable after it."""
    try:
        if question == CHECK:
            return engine.check(chunk), True
        usable, (traces, status) = True, engine.run(chunk)
    except AnotherCell:
        if question == CHECK or len(chunk) > 1:
            return None, False
        # In a new cell: what a procedure does twice may not be what it does once.
        usable, (traces, status) = False, NeuronEngine(model).run(chunk)
    volts[: len(traces)] = traces
    return status, usable


def _peak_bytes() -> int:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
