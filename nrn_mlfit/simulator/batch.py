"""Sets for a question about a cell: on the cores of this machine, in memory, reduced as they come. `bulk` is for data."""

import threading
from collections import deque
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor, as_completed

import numpy as np

from nrn_mlfit import machine, progress
from nrn_mlfit.cells import CellModel
from nrn_mlfit.simulator.mechanisms import tell_if_new
from nrn_mlfit.simulator.truth import check_engine
from nrn_mlfit.simulator.worker import Worker

ENGINE = "auto"  # of engines.make: what all questions are asked of, unless told otherwise
Reduce = Callable[[np.ndarray], tuple[np.ndarray, ...]]
Tick = Callable[[int], object]


def single_precision(volts) -> tuple[np.ndarray, ...]:
    """Traces (n, P, S, T) as float32: a tenth of a microvolt, in half the memory."""
    return (volts.astype(np.float32),)


def simulate_sets(
    model: CellModel,
    phys_par,
    engine: str = ENGINE,
    workers: int | None = None,
    report: progress.Report = progress.silent,
    reduce: Reduce = single_precision,
) -> tuple[np.ndarray, ...]:
    """volts (N, P, S, T) float32 in mV and status (N,) of the sets phys_par (N, K), each column in its unit; with a bank the
    rows of CellModel.rows.

    Where N is large, `reduce` takes the place of the traces: it gets those of a few sets, (n, P, S, T) float64 in mV,
    and gives a tuple of arrays (n, ...), which come back joined, (N, ...), with the status as the last one. The order is
    that of `phys_par`, and neither it nor the values depend on `workers` (by default all cores we may use).
    """
    meter = progress.Meter(len(phys_par), "sets", report)
    done = 0

    def tick(count):
        nonlocal done
        done += count
        meter.at(done)

    with Batch(model, engine, workers, report) as batch:
        return batch.run(phys_par, reduce, tick)


class Batch:
    """Some workers of this process with one cell, for more than one call; use it in a `with`. Without MPI.

    Raises what the construction of the cell raises, when the `with` begins.
    """

    def __init__(
        self,
        model: CellModel,
        engine: str = ENGINE,
        workers: int | None = None,
        report: progress.Report = progress.silent,
    ):
        self._model, self._report = model, report
        self._stop, self._tell = threading.Event(), threading.Lock()
        self._workers = [Worker(model, engine) for _ in range(workers or machine.cores())]
        self._begun: set[Worker] = set()
        self._checked = False

    def __enter__(self):
        tell_if_new(self._model.mod, self._report)
        try:
            self._begin(self._workers[0])
        except BaseException:
            self.__exit__()
            raise
        return self

    def __exit__(self, *_):
        for worker in self._workers:
            worker.__exit__()

    @property
    def engine(self) -> str:
        """The name of the engine that came of the choice."""
        return self._workers[0].made.name

    @property
    def why(self) -> str:
        """Why it is plain NEURON where a faster one was sought; empty else."""
        return self._workers[0].made.why

    @property
    def lanes(self) -> int:
        """How many sets a worker takes at once."""
        return self._workers[0].lanes

    @property
    def memory(self) -> int:
        """The bytes that a worker has held at most."""
        return max(machine.peak_bytes(worker.made.pid) for worker in self._begun)

    def run(self, phys_par, reduce: Reduce = single_precision, tick: Tick = lambda _: None) -> tuple[np.ndarray, ...]:
        """As `simulate_sets`; `tick(n)` is called when n more sets are done, by one thread at a time.

        Raises EngineError where plain NEURON does not agree with the engine on the first sets of the first call.
        """
        if not self._checked:
            check_engine(self._workers[0], phys_par)
            self._checked = True
        lanes = self._workers[0].lanes
        chunks = [slice(low, low + lanes) for low in range(0, len(phys_par), lanes)]
        todo, results = deque(enumerate(chunks)), [()] * len(chunks)

        def work(worker):
            while todo and not self._stop.is_set():
                try:
                    number, rows = todo.popleft()
                except IndexError:  # another thread was faster
                    return
                results[number] = self._chunk(worker, phys_par[rows], reduce)
                with self._tell:
                    tick(len(phys_par[rows]))

        self._together(work, len(chunks))
        return tuple(np.concatenate(part) for part in zip(*results, strict=True))

    def _chunk(self, worker, phys_par, reduce):
        self._begin(worker)
        volts, status = worker.run(phys_par, self._check)
        return (*reduce(volts), status.copy())

    def _begin(self, worker):
        if worker not in self._begun:
            worker.begin()
            self._begun.add(worker)

    def _check(self):
        """Called while a worker is waited for: an error or Ctrl-C elsewhere ends the waiting here."""
        if self._stop.is_set():
            raise _Stopped

    def _together(self, work, most):
        """`work(worker)` in a thread a worker; the first error ends them all and is raised."""
        workers = self._workers[: max(1, most)]
        with ThreadPoolExecutor(len(workers)) as pool:
            try:
                for future in as_completed([pool.submit(work, worker) for worker in workers]):
                    future.result()
            except BaseException:
                self._stop.set()
                raise


class _Stopped(Exception):
    """Another thread has failed, or the user wants no more."""
