"""Serial or MPI behind one `map` over numbered pieces of work; the only import of mpi4py.

Ranks take the next number from one shared counter (an MPI-3 one-sided window on rank 0), so none waits for another
and rank 0 works too. Results go to rank 0, which hands them to `on_result` as they come. No rank waits for ever: those
that cannot begin say so at the roll call, those that fail later end the job, and each rank's pulse is watched by its
neighbour (`pulse.py`).
"""

import functools
import os
import shutil
import socket
import sys
import time
from collections.abc import Mapping
from contextlib import contextmanager
from importlib.util import find_spec
from pathlib import Path

from nrn_mlfit import lastword
from nrn_mlfit.errors import MachineError, MlfitError
from nrn_mlfit.pulse import Pulse

LAUNCHED = ("PMI_SIZE", "OMPI_COMM_WORLD_SIZE", "SLURM_STEP_NUM_TASKS")
RANKS = ("PMI_RANK", "OMPI_COMM_WORLD_RANK", "SLURM_PROCID")
LAUNCHERS_OWN = ("PMI", "OMPI_", "MPI_", "HYDRA_", "HYDI_", *LAUNCHED, *RANKS)  # beginnings of names
RESULT = 7  # message tag
SECONDS_A_LOOK = 0.01


def launched_size() -> int:
    """How many processes the MPI launcher that started us says there are; 1 without a launcher."""
    return max([int(os.environ[name]) for name in LAUNCHED if os.environ.get(name, "").isdigit()], default=1)


def launched_rank() -> int:
    """Our rank by the launcher's word, known before MPI starts."""
    return max([int(os.environ[name]) for name in RANKS if os.environ.get(name, "").isdigit()], default=0)


def mpiexec() -> str | None:
    """The launcher that starts ranks: the one beside Python, else one on the PATH; None without one."""
    beside = Path(sys.executable).with_name("mpiexec")
    return str(beside) if beside.exists() else shutil.which("mpiexec")


def can_share() -> bool:
    """Whether a command can start ranks and share its work among them (-j)."""
    return mpiexec() is not None and find_spec("mpi4py") is not None


def whereabouts() -> list[str]:
    """For the last word of this rank: the process that started it, and its name. Nothing in a process of its own."""
    if launched_size() == 1:
        return []
    return [str(os.getppid()), f"rank {launched_rank()} (process {os.getpid()} on {socket.gethostname()})"]


def without_launcher(environment: Mapping[str, str]) -> dict[str, str]:
    """An environment in which a child process does not take itself for a rank."""
    return {name: value for name, value in environment.items() if not name.startswith(LAUNCHERS_OWN)}


class Serial:
    """One process: the work in order."""

    rank, size, neighbours = 0, 1, 1

    def census(self):
        return []

    def map(self, work, numbers, on_result):
        for number in numbers:
            on_result(0, work(number, None))

    def once(self, act):
        return act()

    everywhere = once

    def alike(self, held):
        pass

    @contextmanager
    def watched(self):
        yield


class Mpi:
    """The ranks of MPI_COMM_WORLD, `neighbours` of them on this host; `problem` is why this one cannot take part."""

    def __init__(self, problem: str = ""):
        from mpi4py import MPI

        self._mpi = MPI
        self._comm = MPI.COMM_WORLD
        self.rank, self.size = self._comm.rank, self._comm.size
        called = self._comm.allgather((problem, os.getpid(), socket.gethostname()))
        self.absent = {rank: said for rank, (said, _, _) in enumerate(called) if said}
        self._processes = [(pid, host) for _, pid, host in called]
        self.neighbours = sum(host == socket.gethostname() for _, host in self._processes)
        self.places = [f"process {pid} on {host}" for pid, host in self._processes]

    def census(self) -> list[str]:
        """A line a host: which rank is which process there, since launchers name the process when one is killed."""
        hosts = dict.fromkeys(host for _, host in self._processes)
        at = {h: [f"{r} is process {p}" for r, (p, host) in enumerate(self._processes) if host == h] for h in hosts}
        return [f"{host}: rank {', '.join(ranks)}" for host, ranks in at.items()]

    def map(self, work, numbers, on_result):
        """Do `work(number, serve)` for all numbers, shared out one by one; rank 0 gets `on_result(rank, result)`.

        On rank 0 `work` calls `serve()` now and then, to answer the others while it works; elsewhere `serve` is None.
        """
        numbers = list(numbers)
        left = len(numbers)

        def take(rank, result):
            nonlocal left
            left -= 1
            on_result(rank, result)

        def serve():
            while self._comm.iprobe(tag=RESULT):
                take(*self._comm.recv(tag=RESULT))

        counter = _Counter(self._mpi, self._comm)
        while (turn := counter.next()) < len(numbers):
            result = work(numbers[turn], None if self.rank else serve)
            if self.rank:
                self._comm.send((self.rank, result), 0, RESULT)
            else:
                take(0, result)
        while self.rank == 0 and left:
            serve()
            time.sleep(SECONDS_A_LOOK)
        self._together()
        counter.free()

    def once(self, act):
        """`act()` on rank 0 while the others wait; its value, or its error, on every rank."""
        value, problem = self._comm.bcast(_attempt(act) if self.rank == 0 else None)
        if problem is not None:
            problem.agreed = True
            raise problem
        return value

    def everywhere(self, act):
        """`act()` on rank 0 and, if that went well, on the others; an error of rank 0 is everybody's."""
        held = []
        self.once(lambda: held.append(act()))
        return held[0] if held else act()

    def alike(self, held: dict):
        """Raises MachineError on every rank unless `held` is the same on all."""
        everybody = self._comm.allgather(held)
        for rank, other in enumerate(everybody):
            key = next((key for key in held if other[key] != everybody[0][key]), None)
            if key:
                raise _agreed(
                    f"rank {rank} ({self.places[rank]}) has {key} {other[key]}, rank 0 has {everybody[0][key]}; give all "
                    "ranks one command and one installation, on machines of one kind"
                )

    @contextmanager
    def watched(self):
        """For the length of a `with`: the job ends if a rank stops answering."""
        pulse = Pulse(self._mpi, self._comm, self.places, _end)
        try:
            yield
        finally:
            pulse.stop()

    def _together(self):
        """Wait until all ranks are here, leaving the processor to those that still work."""
        request = self._comm.Ibarrier()
        while not request.Test():
            time.sleep(SECONDS_A_LOOK)


def _attempt(act) -> tuple[object, MlfitError | None]:
    try:
        return act(), None
    except MlfitError as error:
        return None, error


class _Counter:
    """A number all ranks may take and raise by one."""

    def __init__(self, mpi, comm):
        import numpy as np

        self._mpi = mpi
        self._window = mpi.Win.Allocate(8 if comm.rank == 0 else 0, 8, comm=comm)
        if comm.rank == 0:
            np.frombuffer(self._window, "i8")[0] = 0
        self._one, self._got = np.ones(1, "i8"), np.zeros(1, "i8")
        comm.Barrier()

    def next(self) -> int:
        self._window.Lock(0)
        self._window.Fetch_and_op(self._one, self._got, 0, 0, self._mpi.SUM)
        self._window.Unlock(0)
        return int(self._got[0])

    def free(self):
        self._window.Free()


@functools.cache
def connect():
    """The workers of this process: all MPI ranks if a launcher started us, else this process alone."""
    wanted = launched_size()
    if wanted == 1:
        return Serial()
    try:
        workers = Mpi()
    except ImportError as error:
        raise _agreed(
            f"started by an MPI launcher, but mpi4py does not load ({error}); install nrn_mlfit[mpi]"
        ) from None
    if workers.size != wanted:
        raise _agreed(
            f"the launcher started {wanted} processes but mpi4py sees {workers.size}: they belong to different MPIs; "
            "use the mpiexec of the MPI that mpi4py was built with (`nrn-mlfit doctor` names it)"
        )
    if workers.absent:
        rank, problem = next(iter(workers.absent.items()))
        raise _agreed(
            f"rank {rank} cannot take part: {problem}; every rank needs the same command, files and installation"
        )
    return workers


def stay_away(problem: str) -> bool:
    """Tell the other ranks, who may be waiting to begin, that this one cannot; whether all of them cannot."""
    if launched_size() == 1 or met():
        return True
    try:
        workers = Mpi(problem)
    except ImportError:
        return True
    return len(workers.absent) == workers.size


def _agreed(problem: str) -> MachineError:
    """An error that every rank comes to by itself."""
    error = MachineError(problem)
    error.agreed = True
    return error


def met() -> bool:
    """Whether MPI has been started in this process."""
    return "mpi4py.MPI" in sys.modules


def abort(reason: str, code: int):
    """End the whole MPI job when this rank alone cannot go on, so that the others do not wait for ever.

    Returns only where there is no job to end: in one process, or before the ranks have met.
    """
    if launched_size() == 1 or not met():
        return
    from mpi4py import MPI

    if MPI.Is_initialized():
        _end(f"rank {MPI.COMM_WORLD.rank} ends the job: {reason}", code)


def _end(said: str, code: int):
    from mpi4py import MPI

    lastword.say(os.getppid(), said)
    MPI.COMM_WORLD.Abort(code)
    os._exit(code)  # Abort may return before the launcher has ended us
