"""Serial or MPI behind one `map` over numbered pieces of work; the only import of mpi4py.

Ranks take the next number from one shared counter (an MPI-3 one-sided window on rank 0), so none waits for another
and rank 0 works too. Results go to rank 0, which hands them to `on_result` as they come.
"""

import os
import sys

from nrn_mlfit.errors import MachineError, MlfitError

LAUNCHED = ("PMI_SIZE", "OMPI_COMM_WORLD_SIZE", "SLURM_STEP_NUM_TASKS")
RANKS = ("PMI_RANK", "OMPI_COMM_WORLD_RANK", "SLURM_PROCID")
RESULT = 7  # message tag


def launched_size() -> int:
    """How many processes the MPI launcher that started us says there are; 1 without a launcher."""
    return max([int(os.environ[name]) for name in LAUNCHED if os.environ.get(name, "").isdigit()], default=1)


class Serial:
    """One process: the work in order."""

    rank, size = 0, 1

    def map(self, work, numbers, on_result):
        for number in numbers:
            on_result(0, work(number, lambda: None))

    def once(self, act):
        return act()

    everywhere = once


class Mpi:
    """The ranks of MPI_COMM_WORLD."""

    def __init__(self):
        from mpi4py import MPI

        self._mpi = MPI
        self._comm = MPI.COMM_WORLD
        self.rank, self.size = self._comm.rank, self._comm.size

    def map(self, work, numbers, on_result):
        """Do `work(number, serve)` for all numbers, shared out one by one; rank 0 gets `on_result(rank, result)`.

        `work` calls `serve()` now and then, so that rank 0 answers the others while it works.
        """
        numbers = list(numbers)
        left = len(numbers)

        def take(rank, result):
            nonlocal left
            left -= 1
            on_result(rank, result)

        def serve():
            while self.rank == 0 and self._comm.iprobe(tag=RESULT):
                take(*self._comm.recv(tag=RESULT))

        counter = _Counter(self._mpi, self._comm)
        while (turn := counter.next()) < len(numbers):
            result = work(numbers[turn], serve)
            if self.rank:
                self._comm.send((self.rank, result), 0, RESULT)
            else:
                take(0, result)
        while self.rank == 0 and left:
            take(*self._comm.recv(tag=RESULT))
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
    return workers


def _agreed(problem: str) -> MachineError:
    """An error that every rank comes to by itself."""
    error = MachineError(problem)
    error.agreed = True
    return error


def launched_rank() -> int:
    """Our rank by the launcher's word, known before MPI starts."""
    return max([int(os.environ[name]) for name in RANKS if os.environ.get(name, "").isdigit()], default=0)


def met() -> bool:
    """Whether MPI has been started in this process."""
    return "mpi4py.MPI" in sys.modules


def abort(reason: str, code: int):
    """End the whole MPI job when this rank alone cannot go on, so that the others do not wait for ever."""
    if launched_size() == 1 or not met():
        return
    from mpi4py import MPI

    print(f"rank {MPI.COMM_WORLD.rank} ends the job: {reason}", file=sys.stderr, flush=True)
    MPI.COMM_WORLD.Abort(code)
