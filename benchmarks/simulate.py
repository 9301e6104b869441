"""What does bulk simulation cost beside the solver, and do ranks add up? Prints a Markdown table, mostly of ratios.

    python benchmarks/simulate.py [CELL] [-n SETS] [--repeats R] [--part trace|share|memory|ranks|uneven|shards ...]

Each number is the median over the repeats. What is compared takes turns, so that the noise of a shared machine hits all
alike. Each measured run is a fresh process, since NEURON lets a template be defined once. On 2 cores the shipped
cells take less than 10 minutes each.
"""

import argparse
import functools
import hashlib
import io
import itertools
import json
import os
import shutil
import subprocess
import sys
import tempfile
import time
from collections import defaultdict
from importlib.metadata import version
from pathlib import Path
from statistics import median

import h5py
import numpy as np

from nrn_mlfit import cells, machine, parameters, shards, textfile, workers

SHARDS_A_RANK = 20
SEED = 1
CLOCK = "NRN_MLFIT_BENCHMARK_CLOCK"  # the file through which a worker tells where its time goes
IN_WORKER = ("solver", "setting parameters", "reading out")
IN_RANK = ("drawing", "counting", "compressing", "writing", "waiting for the worker")
PACKINGS = {
    "none": {},
    "lzf + shuffle": {"compression": "lzf", "shuffle": True},
    "gzip-1": {"compression": "gzip", "compression_opts": 1},
    "gzip-1 + shuffle (shards)": {"compression": "gzip", "compression_opts": 1, "shuffle": True},
    "gzip-4 + shuffle": {"compression": "gzip", "compression_opts": 4, "shuffle": True},
}
UNEVEN_HOC = """\
begintemplate Uneven
public soma, dend, all, grain
create soma, dend
objref all
proc init() {
    all = new SectionList()
    connect dend(0), soma(1)
    soma { L = 20  diam = 20  all.append() }
    dend { L = 500  diam = 2  all.append() }
    forsec all { insert hh }
}
proc grain() { dend.nseg = int($1) }
endtemplate Uneven
"""
UNEVEN_YAML = """\
name: uneven
hoc: uneven.hoc
template: Uneven
celsius: 6.3
dt: 0.02
stimulus: {kind: step, scale: 0.1, total: 300}
parameters:
  grain: {low: 14, high: 280, scale: log, sets: ["grain()"]}
"""


def main():
    if sys.argv[1:2] == ["--child"]:
        print(json.dumps(CHILDREN[sys.argv[2]](*json.loads(sys.argv[3]))))
        return
    asked = arguments()
    print(about(asked), "\n\n| part | what | measured | target |\n|---|---|---|---|", sep="", flush=True)
    for name in asked.part or PARTS:
        with tempfile.TemporaryDirectory(prefix="benchmark-") as folder:
            for row in PARTS[name](asked.cell, asked.samples, asked.repeats, Path(folder)):
                print(f"| {name} |", " | ".join(row), "|", flush=True)


def arguments():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("cell", nargs="?", default="mainen")
    parser.add_argument("-n", "--samples", type=int, default=60, help="sets that a rank simulates in a run")
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--part", action="append", choices=PARTS, help="may be given more than once; default: all")
    return parser.parse_args()


def about(asked) -> str:
    held = ", ".join(f"{name} {version(name)}" for name in ("nrn_mlfit", "neuron", "numpy", "h5py"))
    return (
        f"{asked.cell}, n = {asked.samples}, {asked.repeats} repeats; {os.cpu_count()} cores, "
        f"{machine.instruction_set()}, Python {sys.version.split()[0]}, {held}"
    )


# A trace: the usual way against ours


def part_trace(cell, samples, repeats, _folder):
    """How much does a trace cost that is simulated the usual way, in units of ours? CPU time of one process."""
    model = cells.load(cell)
    rows = model.space.to_phys(model.space.draw(SEED, 0, max(2, samples // 8))).tolist()
    usual, ours = zip(
        *(turns(k, "trace", [cell, "usual", rows], [cell, "ours", rows]) for k in range(repeats)), strict=True
    )
    if usual[0]["traces"] != ours[0]["traces"]:
        raise SystemExit("the two ways do not give the same traces")
    ratios = [sum(u["seconds"]) / sum(o["seconds"]) for u, o in zip(usual, ours, strict=True)]
    per_step = [ratio * ours[0]["work"] / usual[0]["work"] for ratio in ratios]
    yield "CPU time of a trace, ours (the reused cell, the time needed)", f"{1e3 * cost(ours):.3g} ms", ""
    yield (
        "CPU time of a trace, the usual way (a cell built for each, the whole stimulus)",
        f"{median(ratios):.2f} x",
        "",
    )
    yield "the same per segment and step", f"{median(per_step):.2f} x", ""


def cost(told) -> float:
    """Seconds a trace."""
    return median(np.mean(one["seconds"]) for one in told)


def child_trace(cell, way, rows):
    """Simulate sets `rows` (n, K) one `way`: CPU seconds of each, segments x steps of one, and a hash of the windows."""
    from nrn_mlfit.simulator import Session
    from nrn_mlfit.simulator.door import hoc

    model = cells.load(cell)
    protocol, reused = model.protocol, Session(model) if way == "ours" else None
    seconds, traces, work = [], hashlib.sha256(), 0
    for row in [rows[0], *rows]:  # the first one twice: it warms up
        began = time.process_time()
        for stimulus in protocol.stimuli:
            session, stop = reused or Session(model), stimulus.stop if reused else stimulus.current.size
            session.set(row)
            volts = session.run(stimulus, stop)
            work = sum(sec.nseg for sec in hoc().allsec()) * (stop - 1) * model.substeps
            session = None  # or the next run would simulate this cell, too
            traces.update(volts[:, protocol.start : protocol.stop].tobytes())
        seconds.append((time.process_time() - began) / len(protocol.stimuli))
    return {"seconds": seconds[1:], "work": work, "traces": traces.hexdigest()}


# What is not the solver


def part_share(cell, samples, repeats, folder):
    """What share of a bulk run is not the solver? CPU time of rank, keeper and worker from first to last shard.

    The solver is finitialize and psolve, timed inside the worker of that very run; so are the other parts.
    """
    told = [run_child("share", [cell, samples, str(folder / str(k))]) for k in range(repeats)]
    traces = samples * len(cells.load(cell).protocol.stimuli)
    total = median(sum(one["cpu"].values()) for one in told)
    yield "CPU time of a trace, all", f"{1e3 * total / traces:.3g} ms", ""
    shares = {name: median(one["cpu"][name] / sum(one["cpu"].values()) for one in told) for name in told[0]["cpu"]}
    beside = median(1 - one["cpu"]["solver"] / sum(one["cpu"].values()) for one in told)
    yield "share of CPU time that is not the solver", f"{100 * beside:.2f} %", "< 10 %"
    for name, share in shares.items():
        yield f"share of {name}", f"{100 * share:.2f} %, {1e6 * share * total / traces:.0f} us a trace", ""
    yield "share of wall time without the solver", f"{100 * median(one['idle'] for one in told):.2f} %", "< 10 %"


def child_share(cell, samples, folder):
    """Simulate with clocks in rank and worker: CPU seconds of each part, and the share of wall time beside the solver."""
    from nrn_mlfit.simulator import bulk, worker

    os.environ[CLOCK] = f"{folder}.clock"
    Path(os.environ[CLOCK]).write_bytes(bytes(16 * len(IN_WORKER)))
    worker.CODE = worker.CODE.replace("from nrn_mlfit", "import simulate; simulate.clock_worker(); from nrn_mlfit", 1)
    clock, total = clock_rank(), np.zeros((3, 2))
    make = bulk._Maker.make

    def timed(maker, *given):
        pids, before = (os.getpid(), maker.worker._keeper.pid, maker.worker._pid), in_worker().copy()
        began = now(*pids)
        clock.seconds.clear()
        done = make(maker, *given)
        total[...] += now(*pids) - began
        for name, seconds in zip(IN_WORKER, in_worker() - before, strict=True):
            sums[name] += seconds
        for name, seconds in clock.seconds.items():
            sums[name] += seconds
        return done

    sums = defaultdict(lambda: np.zeros(2))
    bulk._Maker.make = timed
    bulk.simulate(cells.load(cell), samples, folder, SEED)
    return shares_of(sums, total)


def shares_of(sums, total):
    """CPU seconds by part from `sums`, the (CPU, wall) seconds by clock, and `total`, those of rank, keeper, worker."""
    cpu = {name: sums[name][0] for name in (*IN_WORKER, *IN_RANK[:-1])}
    in_rank = sum(sums[name][0] for name in IN_RANK)
    cpu["the trip"] = sums[IN_RANK[-1]][0] + total[1, 0] + total[2, 0] - sum(sums[name][0] for name in IN_WORKER)
    cpu["all else"] = total[0, 0] - in_rank
    return {"cpu": cpu, "idle": 1 - sums["solver"][1] / total[0, 1]}


def now(*pids):
    """CPU seconds of processes and wall seconds, (n, 2)."""
    wall = time.perf_counter()
    return np.array([(time.clock_gettime(~pid << 3 | 2), wall) for pid in pids])  # Linux' clock of another process


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

    def wrap(self, owner, function, name):
        act = getattr(owner, function)

        @functools.wraps(act)
        def timed(*given, **named):
            began = self.start()
            try:
                return act(*given, **named)
            finally:
                self.stop(name, began)

        setattr(owner, function, timed)


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


def clock_worker():
    """In the process that forks the workers: put clocks into the engine."""
    from nrn_mlfit.simulator import neuron, session

    clock, told = Clock(), in_worker()
    enter, leave, run = session.conditions.__enter__, session.conditions.__exit__, neuron.NeuronEngine.run

    def begin(conditions):
        enter(conditions)
        conditions.began = clock.start()

    def end(conditions, *error):
        clock.stop("solver", conditions.began)
        leave(conditions, *error)

    def tell(engine, phys_par):
        done = run(engine, phys_par)
        told[:] = [clock.seconds[name] for name in IN_WORKER]
        return done

    session.conditions.__enter__, session.conditions.__exit__ = begin, end
    clock.wrap(session.Session, "set", "setting parameters")
    clock.wrap(neuron.NeuronEngine, "run", "reading out")
    run, neuron.NeuronEngine.run = neuron.NeuronEngine.run, tell


def in_worker():
    """The (CPU, wall) seconds of IN_WORKER in the worker so far, in memory that rank and worker share."""
    return np.memmap(os.environ[CLOCK], np.float64, "r+", shape=(len(IN_WORKER), 2))


# Memory


def part_memory(cell, samples, repeats, folder):
    """How much memory does a rank need, with its keeper and worker? The largest sum of their PSS while they work."""
    for ranks in (0, 2):
        words = ["-m", "nrn_mlfit", "simulate", cell, "-n", max(4, samples // 2), "--sets-a-shard", 2]
        most = [largest(ranks, [*words, "-o", folder / f"{ranks}-{k}"]) for k in range(min(repeats, 3))]
        label = f"one of {ranks} ranks" if ranks else "a run without MPI"
        yield f"memory of {label}", f"{median(most) / 2**20 / max(ranks, 1):.0f} MB", "< 400 MB"


def largest(ranks, words) -> int:
    """The largest sum of PSS in bytes of all Python processes of a run."""
    job, most = start(ranks, words), 0
    while job.poll() is None:
        most = max(most, sum(map(pss, family(job.pid))))
        time.sleep(0.2)
    if job.returncode:
        raise SystemExit(f"a run ended with exit code {job.returncode}")
    return most


def family(pid) -> list[int]:
    """The process and all below it."""
    try:
        below = Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
    except OSError:  # it ended while we looked
        below = []
    return [pid, *(p for child in below for p in family(int(child)))]


def pss(pid) -> int:
    """Memory in bytes, a shared page divided by those who share it; 0 of what is not Python."""
    try:
        if "python" not in os.readlink(f"/proc/{pid}/exe"):
            return 0
        lines = Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines()
    except OSError:
        return 0
    return 1024 * sum(int(line.split()[1]) for line in lines if line.startswith("Pss:"))


# Ranks


def part_ranks(cell, samples, repeats, folder):
    """Do two ranks together do as much as two runs apart that start together? Wall time, start-up left out.

    The ratio is the time the two runs apart took, over the time that the two ranks took for the same 2n sets: the
    throughput of a rank in units of that of a run of its own. Without work is a rank that has no shard to make, from
    the first shard's start to the last one's end.
    """
    pairs = [together_and_apart(k, cell, samples, folder / str(k)) for k in range(repeats)]
    ratio = median(sum(run["seconds"] for run in apart) / (2 * ranks[0]["seconds"]) for ranks, apart in pairs)
    with_start = median(sum(run["wall"] for run in apart) / (2 * ranks[0]["wall"]) for ranks, apart in pairs)
    yield "2 ranks together, throughput over 2 runs apart", f"{ratio:.3f}", ">= 0.95"
    yield "the same, with start-up", f"{with_start:.3f}", ""
    for k, where in enumerate(("between two shards", "at the end")):
        share = 100 * median(idle(ranks)[k] for ranks, _ in pairs)
        yield f"share of the ranks' time without work, {where} ({SHARDS_A_RANK} shards a rank)", f"{share:.1f} %", ""


def part_uneven(_cell, samples, repeats, folder):
    """The same with a cell whose sets take very different times: its number of segments is drawn log-uniformly."""
    (folder / "uneven.hoc").write_text(UNEVEN_HOC)
    path = folder / "uneven.yaml"
    path.write_text(UNEVEN_YAML)
    grain = cells.load(path).space.parameters[0]
    long, short = turns(0, "trace", [str(path), "ours", [[grain.high]] * 3], [str(path), "ours", [[grain.low]] * 3])
    yield "run time of the longest set over the shortest", f"{cost([long]) / cost([short]):.1f} x", "about 10 x"
    yield from part_ranks(str(path), samples, repeats, folder)


def together_and_apart(turn, cell, samples, folder):
    """What the ranks of a run of 2n sets told, and what two runs of n sets each did."""
    a_shard = max(1, samples // SHARDS_A_RANK)

    def together():
        return finish([begin(2, cell, folder / "both", 0, 2 * samples, a_shard)])

    def apart():
        return finish([begin(0, cell, folder / str(k), k * samples, samples, a_shard) for k in range(2)])

    if turn % 2:
        alone = apart()
        return together(), alone
    return together(), apart()


def begin(ranks, cell, folder, *numbers):
    """A started run, and the folder where it will tell about itself."""
    folder.mkdir(parents=True)
    given = json.dumps([str(cell), str(folder), *numbers])
    return start(ranks, [__file__, "--child", "run", given], stdout=subprocess.DEVNULL), folder


def finish(jobs) -> list[dict]:
    """Wait for runs to end; what their ranks told, in order."""
    if any([job.wait() for job, _ in jobs]):
        raise SystemExit("a run failed")
    return [json.loads(path.read_text()) for _, folder in jobs for path in sorted(folder.glob("rank*.json"))]


def child_run(cell, folder, first, samples, sets_a_shard):
    """Simulate as a rank or alone, and write to rank<R>.json how long that took and when there were shards to make."""
    entered = time.monotonic()
    from nrn_mlfit.simulator import bulk

    make, spans = bulk._Maker.make, []

    def timed(*given):
        spans.append([time.monotonic(), 0.0])
        done = make(*given)
        spans[-1][1] = time.monotonic()
        return done

    bulk._Maker.make = timed
    seconds = bulk.simulate(cells.load(cell), samples, Path(folder) / "run", SEED, sets_a_shard, first).seconds
    told = {"seconds": seconds, "wall": time.monotonic() - entered, "spans": spans}
    Path(folder, f"rank{workers.launched_rank()}.json").write_text(json.dumps(told))


def idle(ranks) -> tuple[float, float]:
    """The shares of the ranks' time in which one had no shard to make: before its last one, and after."""
    spans = [np.array(rank["spans"]) for rank in ranks if rank["spans"]]
    began, ended = min(own[0, 0] for own in spans), max(own[-1, 1] for own in spans)
    end = sum(ended - own[-1, 1] for own in spans) + (len(ranks) - len(spans)) * (ended - began)
    work = sum(np.diff(own).sum() for own in spans)
    whole = len(ranks) * (ended - began)
    return float((whole - work - end) / whole), float(end / whole)


# Compression


def part_shards(cell, samples, repeats, folder):
    """How small, and how fast, are the volts of a shard packed in other ways? CPU time, HDF5 images in memory."""
    run_child("run", [cell, str(folder), 0, min(samples, 100), 100])
    volts = shards.load_runs([folder / "run"]).volts
    told = defaultdict(list)
    for _, (name, packing) in itertools.product(range(max(repeats, 3)), PACKINGS.items()):
        told[name].append(packed(volts, packing))
    for name, (sizes, writes, reads) in ((name, zip(*held, strict=True)) for name, held in told.items()):
        rates = [f"{volts.nbytes / 1e6 / median(seconds):.0f}" for seconds in (writes, reads)]
        yield f"{name}: size, write, read", f"1/{volts.nbytes / sizes[0]:.2f}, {rates[0]} MB/s, {rates[1]} MB/s", ""


def packed(volts, packing):
    """Bytes, and the CPU seconds of writing and reading."""
    image, began = io.BytesIO(), time.process_time()
    with h5py.File(image, "w", libver=("v110", "v110")) as file:
        file.create_dataset("volts", data=volts, chunks=(1, *volts.shape[1:]), fletcher32=True, **packing)
    written = time.process_time()
    with h5py.File(image, "r") as file:
        same = np.array_equal(file["volts"][()], volts)
    done = time.process_time()
    if not same:
        raise SystemExit(f"{packing}: the volts come back changed")
    return len(image.getvalue()), written - began, done - written


# Processes


def start(ranks, words, stdout=subprocess.DEVNULL) -> subprocess.Popen:
    """Python with arguments, on so many ranks; 0 for no MPI."""
    beside = Path(sys.executable).with_name("mpiexec")
    mpiexec = str(beside) if beside.exists() else shutil.which("mpiexec")
    if ranks and not mpiexec:
        raise SystemExit("no mpiexec beside Python or on the PATH; choose other parts with --part")
    launcher = [mpiexec, "-n", str(ranks)] if ranks else []
    return subprocess.Popen([*launcher, sys.executable, *map(str, words)], stdout=stdout)


def run_child(name, given):
    """What one of CHILDREN returns, run in a process of its own."""
    job = start(0, [__file__, "--child", name, json.dumps(given)], stdout=subprocess.PIPE)
    told, _ = job.communicate()
    if job.returncode:
        raise SystemExit(f"{name} failed")
    return json.loads(told.splitlines()[-1])


def turns(turn, name, one, other):
    """(what one returns, what the other returns): one after the other, the order changing with the turn."""
    if turn % 2:
        last = run_child(name, other)
        return run_child(name, one), last
    return run_child(name, one), run_child(name, other)


PARTS = {
    "trace": part_trace,
    "share": part_share,
    "memory": part_memory,
    "ranks": part_ranks,
    "uneven": part_uneven,
    "shards": part_shards,
}
CHILDREN = {"trace": child_trace, "share": child_share, "run": child_run}

if __name__ == "__main__":
    main()
