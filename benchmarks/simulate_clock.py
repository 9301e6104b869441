"""The part `share` of simulate.py: clocks in the rank and in the worker of a bulk run, and what share is not the solver.

The clocks are put around public functions and methods (Clock.wrap fails where one is gone), in the rank by `clock_rank`,
in the worker by `clock_worker`, which the process calls that the workers are forked from.
"""

import functools
import os
import time
from collections import defaultdict
from pathlib import Path
from statistics import median

import numpy as np
from simulate_jobs import parent, run_child

from nrn_mlfit import cells, parameters, shards, textfile, workers

SEED = 1
FILE = "NRN_MLFIT_BENCHMARK_CLOCK"  # names the file through which a worker tells where its time goes
IN_WORKER = ("solver", "starting from NEURON", "setting parameters", "reading out")
IN_RANK = ("drawing", "counting", "compressing", "writing", "waiting for the worker")


class Clock:
    """(CPU, wall) seconds by name; what is timed inside another is not counted there, too.

    By the clock of the thread: while a timer of the process runs, as in a worker, Linux brings the clock of the process
    up to date at its ticks only, milliseconds late.
    """

    def __init__(self):
        self.seconds = defaultdict(lambda: np.zeros(2))
        self._open = [np.zeros(2)]

    def start(self):
        self._open.append(np.zeros(2))
        return np.array([time.thread_time(), time.perf_counter()])

    def stop(self, name, began):
        took = np.array([time.thread_time(), time.perf_counter()]) - began
        self.seconds[name] += took - self._open.pop()
        self._open[-1] += took

    def wrap(self, owner, function, name, after=lambda *_: None):
        """Time a function of a class or module under a name; `after(*arguments)` is called when it is done."""
        act = getattr(owner, function)

        @functools.wraps(act)
        def timed(*given, **named):
            began = self.start()
            try:
                return act(*given, **named)
            finally:
                self.stop(name, began)
                after(*given)

        setattr(owner, function, timed)

    def wrap_context(self, owner, name):
        """The same for all between the beginning and the end of a `with` of a class."""
        enter, leave = owner.__enter__, owner.__exit__

        def begin(held):
            enter(held)
            held.began = self.start()

        def end(held, *error):
            self.stop(name, held.began)
            leave(held, *error)

        owner.__enter__, owner.__exit__ = begin, end


# In the rank


def part_share(asked, folder):
    """What share of a bulk run is not the solver? CPU time of rank, keeper and worker from first to last shard.

    The solver is finitialize and psolve of plain NEURON, or the program of the lane engine, timed inside the worker of
    that very run; so are the other parts. The lane engine's starts are made by finitialize: they are none of its solver.
    """
    given = [asked.cell, asked.samples, asked.engine, asked.precision]
    told = [run_child("share", [*given, str(folder / str(k))]) for k in range(asked.repeats)]
    traces = asked.samples * len(cells.load(asked.cell).protocol.stimuli)
    total = median(sum(one["cpu"].values()) for one in told)
    yield "CPU time of a trace, all", f"{1e3 * total / traces:.3g} ms", ""
    shares = {name: median(one["cpu"][name] / sum(one["cpu"].values()) for one in told) for name in told[0]["cpu"]}
    beside = median(1 - one["cpu"]["solver"] / sum(one["cpu"].values()) for one in told)
    yield "share of CPU time that is not the solver", f"{100 * beside:.2f} %", "< 10 %"
    for name, share in shares.items():
        yield f"share of {name}", f"{100 * share:.2f} %, {1e6 * share * total / traces:.0f} us a trace", ""
    yield "share of wall time without the solver", f"{100 * median(one['idle'] for one in told):.2f} %", "< 10 %"
    if asked.engine != "neuron":
        yield "lanes that repeat another one, in chunks that are not full", f"{100 * told[0]['unused']:.2f} %", ""


def child_share(cell, samples, engine, precision, folder):
    """Simulate with clocks in rank and worker: CPU seconds of each part, and the share of wall time beside the solver."""
    from nrn_mlfit.simulator import bulk

    let_worker_tell(f"{folder}.clock")
    clock, begun, total = clock_rank(), note_worker(), np.zeros((3, 2))
    sums = defaultdict(lambda: np.zeros(2))
    lanes = np.zeros(2)

    def around(work, *given):
        pid, before = begun[0].made.pid, in_worker().copy()
        pids = (os.getpid(), parent(pid), pid)  # rank, keeper, worker
        began = now(*pids)
        clock.seconds.clear()
        done = work(*given)
        total[...] += now(*pids) - began
        told = in_worker() - before
        lanes[...] += told[-1]
        for name, seconds in [*zip(IN_WORKER, told, strict=False), *clock.seconds.items()]:
            sums[name] += seconds
        return done

    around_shards(around)
    bulk.simulate(cells.load(cell), samples, folder, SEED, engine=engine, precision=precision)
    return shares_of(sums, total) | {"unused": 1 - lanes[0] / lanes[1] if lanes[1] else 0.0}


def shares_of(sums, total):
    """CPU seconds by part from `sums`, the (CPU, wall) seconds by clock, and `total`, those of rank, keeper, worker."""
    cpu = {name: sums[name][0] for name in (*IN_WORKER, *IN_RANK[:-1])}
    in_rank = sum(sums[name][0] for name in IN_RANK)
    cpu["the trip"] = sums[IN_RANK[-1]][0] + total[1, 0] + total[2, 0] - sum(sums[name][0] for name in IN_WORKER)
    cpu["all else"] = total[0, 0] - in_rank
    return {"cpu": cpu, "idle": 1 - sums["solver"][1] / total[0, 1]}


def around_shards(around):
    """Have every shard made by around(work, number, serve), where work(number, serve) makes it."""

    def through(act):
        def map_(team, work, numbers, on_result):
            return act(team, lambda *given: around(work, *given), numbers, on_result)

        return map_

    for team in (workers.Serial, workers.Mpi):
        team.map = through(team.map)


def note_worker() -> list:
    """A list that takes the Worker when it has begun."""
    from nrn_mlfit.simulator.worker import Worker

    begin, begun = Worker.begin, []

    def noted(worker):
        begin(worker)
        begun.append(worker)

    Worker.begin = noted
    return begun


def now(*pids):
    """CPU seconds of processes and wall seconds, (n, 2)."""
    wall = time.perf_counter()
    return np.array([(time.clock_gettime(~pid << 3 | 2), wall) for pid in pids])  # Linux' clock of another process


def clock_rank() -> Clock:
    from nrn_mlfit.simulator import bulk, worker

    clock = Clock()
    clock.wrap(parameters.ParameterSpace, "draw", "drawing")
    clock.wrap(parameters.ParameterSpace, "to_phys", "drawing")
    clock.wrap(worker.Worker, "run", "waiting for the worker")
    clock.wrap(shards, "to_counts", "counting")
    clock.wrap(bulk.Summary, "add_traces", "counting")
    clock.wrap(shards, "write", "compressing")
    clock.wrap(textfile, "write_atomic", "writing")
    return clock


# In the worker


def let_worker_tell(path):
    """Have workers that start from now on keep their clocks in a file."""
    from nrn_mlfit.simulator import worker

    os.environ[FILE] = path
    Path(path).write_bytes(bytes(16 * (len(IN_WORKER) + 1)))
    code = worker.CODE.replace(
        "from nrn_mlfit", "import simulate_clock; simulate_clock.clock_worker(); from nrn_mlfit", 1
    )
    if code == worker.CODE:
        raise SystemExit(
            "worker.CODE, which a worker's process begins with, has no `from nrn_mlfit` to put clocks before"
        )
    worker.CODE = code


def clock_worker():
    """In the process that forks the workers: put clocks into the engines."""
    from nrn_mlfit.simulator.lanes import LaneEngine
    from nrn_mlfit.simulator.neuron import NeuronEngine
    from nrn_mlfit.simulator.session import Session, conditions

    clock, told, lanes = Clock(), in_worker(), np.zeros(2)

    def tell(engine, *_):
        if engine.name != "neuron":  # there NEURON makes starts only
            clock.seconds["starting from NEURON"] += clock.seconds.pop("NEURON", 0.0)
        told[:-1] = [clock.seconds[name] + clock.seconds["NEURON"] * (name == "solver") for name in IN_WORKER]
        told[-1] = lanes

    def count(engine, starts, *_):
        lanes[...] += len(starts), engine.width

    clock.wrap_context(conditions, "NEURON")
    clock.wrap(Session, "set", "setting parameters")
    clock.wrap(LaneEngine, "traces", "solver", count)
    clock.wrap(LaneEngine, "starts", "starting from NEURON")
    for engine in (NeuronEngine, LaneEngine):
        clock.wrap(engine, "run", "reading out", tell)
    clock.wrap(LaneEngine, "check", "checking", tell)


def in_worker():
    """The (CPU, wall) seconds of IN_WORKER in the worker so far, and (sets, lanes); in memory that rank and worker share."""
    return np.memmap(os.environ[FILE], np.float64, "r+", shape=(len(IN_WORKER) + 1, 2))
