"""The parts `ranks`, `uneven` and `memory` of simulate.py: do ranks add up, and what does one hold?"""

import json
import subprocess
import time
from pathlib import Path
from statistics import median

import numpy as np
from simulate_clock import SEED, around_shards
from simulate_jobs import family, pss, start, start_child, turns
from simulate_trace import cost

from nrn_mlfit import cells, workers

SHARDS_A_RANK = 20
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


# Memory


def part_memory(asked, folder):
    """How much memory does a rank need, with its keeper and worker? The largest sum of their PSS while they work."""
    a_shard = max(2, asked.samples // SHARDS_A_RANK)
    for ranks in (0, 2):
        words = ["-m", "nrn_mlfit", "simulate", asked.cell, "-n", max(4, asked.samples // 2), "--sets-a-shard", a_shard]
        words += ["--engine", asked.engine, "--precision", asked.precision]
        most = [largest(ranks, [*words, "-o", folder / f"{ranks}-{k}"]) for k in range(min(asked.repeats, 3))]
        label = f"one of {ranks} ranks" if ranks else "a run without MPI"
        yield f"memory of {label}", f"{median(most) / 2**20 / max(ranks, 1):.0f} MB", "< 400 MB"


def largest(ranks, words) -> int:
    """The largest sum of PSS in bytes of all Python processes of a run."""
    job, most = start(ranks, words), 0
    while job.poll() is None:
        most = max(most, sum(map(pss, family(job.pid))))
        time.sleep(0.1)
    if job.returncode:
        raise SystemExit(f"a run ended with exit code {job.returncode}")
    return most


# Ranks


def part_ranks(asked, folder):
    """Do two ranks together do as much as two runs apart that start together? Wall time, start-up left out.

    The ratio is the time the two runs apart took, over the time that the two ranks took for the same 2n sets: the
    throughput of a rank in units of that of a run of its own. Without work is a rank that has no shard to make, from
    the first shard's start to the last one's end.
    """
    pairs = [together_and_apart(k, asked, folder / str(k)) for k in range(asked.repeats)]
    ratio = median(sum(run["seconds"] for run in apart) / (2 * ranks[0]["seconds"]) for ranks, apart in pairs)
    with_start = median(sum(run["wall"] for run in apart) / (2 * ranks[0]["wall"]) for ranks, apart in pairs)
    yield "2 ranks together, throughput over 2 runs apart", f"{ratio:.3f}", ">= 0.95"
    yield "the same, with start-up", f"{with_start:.3f}", ""
    for k, where in enumerate(("between two shards", "at the end")):
        share = 100 * median(idle(ranks)[k] for ranks, _ in pairs)
        yield f"share of the ranks' time without work, {where} ({SHARDS_A_RANK} shards a rank)", f"{share:.1f} %", ""


def part_uneven(asked, folder):
    """The same with a cell whose sets take very different times: its number of segments is drawn log-uniformly.

    That is for plain NEURON: the lane engine does not draw nseg, and no set of it takes longer than another.
    """
    if asked.engine != "neuron":
        yield "for --engine neuron: a lane takes as long as every other", "none", ""
        return
    (folder / "uneven.hoc").write_text(UNEVEN_HOC)
    path = folder / "uneven.yaml"
    path.write_text(UNEVEN_YAML)
    asked.cell, before = str(path), asked.cell
    grain = cells.load(path).space.parameters[0]
    one, other = ([asked.cell, [[grain_]] * 3, asked.engine, asked.precision] for grain_ in (grain.high, grain.low))
    long, short = turns(0, "trace", ["ours", *one], ["ours", *other])
    yield "run time of the longest set over the shortest", f"{cost([long]) / cost([short]):.1f} x", "about 10 x"
    yield from part_ranks(asked, folder)
    asked.cell = before


def together_and_apart(turn, asked, folder):
    """What the ranks of a run of 2n sets told, and what two runs of n sets each did."""
    samples, a_shard = asked.samples, max(1, asked.samples // SHARDS_A_RANK)

    def together():
        return finish([begin(2, asked, folder / "both", 0, 2 * samples, a_shard)])

    def apart():
        return finish([begin(0, asked, folder / str(k), k * samples, samples, a_shard) for k in range(2)])

    if turn % 2:
        alone = apart()
        return together(), alone
    return together(), apart()


def begin(ranks, asked, folder, *numbers):
    """A started run, and the folder where it will tell about itself."""
    folder.mkdir(parents=True)
    given = [str(asked.cell), asked.engine, asked.precision, str(folder), *numbers]
    return start_child(ranks, "run", given, subprocess.DEVNULL), folder


def finish(jobs) -> list[dict]:
    """Wait for runs to end; what their ranks told, in order."""
    if any([job.wait() for job, _ in jobs]):
        raise SystemExit("a run failed")
    return [json.loads(path.read_text()) for _, folder in jobs for path in sorted(folder.glob("rank*.json"))]


def child_run(cell, engine, precision, folder, first, samples, sets_a_shard):
    """Simulate as a rank or alone, and write to rank<R>.json how long that took and when there were shards to make."""
    entered = time.monotonic()
    from nrn_mlfit.simulator import bulk

    spans = []

    def around(work, *given):
        spans.append([time.monotonic(), 0.0])
        done = work(*given)
        spans[-1][1] = time.monotonic()
        return done

    around_shards(around)
    run = Path(folder) / "run"
    done = bulk.simulate(cells.load(cell), samples, run, SEED, sets_a_shard, first, engine=engine, precision=precision)
    told = {"seconds": done.seconds, "wall": time.monotonic() - entered, "spans": spans}
    Path(folder, f"rank{workers.launched_rank()}.json").write_text(json.dumps(told))


def idle(ranks) -> tuple[float, float]:
    """The shares of the ranks' time in which one had no shard to make: before its last one, and after."""
    spans = [np.array(rank["spans"]) for rank in ranks if rank["spans"]]
    began, ended = min(own[0, 0] for own in spans), max(own[-1, 1] for own in spans)
    end = sum(ended - own[-1, 1] for own in spans) + (len(ranks) - len(spans)) * (ended - began)
    work = sum(np.diff(own).sum() for own in spans)
    whole = len(ranks) * (ended - began)
    return float((whole - work - end) / whole), float(end / whole)
