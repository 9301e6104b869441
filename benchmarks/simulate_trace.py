"""The parts `trace` and `shards` of simulate.py: one trace the usual way against ours, and ways to pack the volts."""

import hashlib
import io
import itertools
import time
from collections import defaultdict
from pathlib import Path
from statistics import median

import h5py
import numpy as np
from simulate_clock import SEED
from simulate_jobs import run_child, turns

from nrn_mlfit import cells, shards

LEAST_SETS, MOST_SETS = 2, 32
PACKINGS = {
    "none": {},
    "lzf + shuffle": {"compression": "lzf", "shuffle": True},
    "gzip-1": {"compression": "gzip", "compression_opts": 1},
    "gzip-1 + shuffle (shards)": {"compression": "gzip", "compression_opts": 1, "shuffle": True},
    "gzip-4 + shuffle": {"compression": "gzip", "compression_opts": 4, "shuffle": True},
}


# A trace: the usual way against ours


def part_trace(asked, _folder):
    """How much does a trace cost that is simulated the usual way, in units of ours? CPU time of one process."""
    model = cells.load(asked.cell)
    rows = min(MOST_SETS, max(LEAST_SETS, asked.samples // 8))
    rows = model.space.to_phys(model.space.draw(SEED, 0, rows)).tolist()
    given = [asked.cell, rows, asked.engine, asked.precision]
    told = [turns(k, "trace", ["usual", *given], ["ours", *given]) for k in range(asked.repeats)]
    usual, ours = zip(*told, strict=True)
    if asked.engine == "neuron" and usual[0]["traces"] != ours[0]["traces"]:
        raise SystemExit("the two ways do not give the same traces")
    ratios = [u["seconds"] / o["seconds"] for u, o in told]
    per_step = [ratio * ours[0]["work"] / usual[0]["work"] for ratio in ratios]
    way = "the reused cell" if asked.engine == "neuron" else ours[0]["engine"]
    yield f"CPU time of a trace, ours ({way}, the time needed)", f"{1e3 * cost(ours):.3g} ms", ""
    yield "the usual way (plain NEURON, a cell built for each, the whole stimulus)", f"{median(ratios):.2f} x", ""
    yield "the same per segment and step", f"{median(per_step):.2f} x", ""


def cost(told) -> float:
    """Seconds a trace."""
    return median(one["seconds"] for one in told)


def child_trace(way, cell, rows, engine, precision):
    """Simulate sets `rows` (n, K) one `way`: CPU seconds of a trace, the steps of one, and a hash of the windows."""
    model = cells.load(cell)
    run, name = _usual_way(model) if way == "usual" else _our_way(model, engine, precision, rows)
    steps = (model.protocol.stop if way == "ours" else model.protocol.stimuli[0].current.size) - 1
    run(rows[:1])
    began = time.process_time()
    volts = run(rows)
    seconds = time.process_time() - began
    return {
        "seconds": seconds / len(rows) / len(model.protocol.stimuli),
        "work": steps * model.substeps,  # the cell has as many segments either way
        "traces": hashlib.sha256(np.ascontiguousarray(volts)).hexdigest(),
        "engine": name,
    }


def _usual_way(model):
    """(a function from rows to volts (n, P, S, T), name): a cell and a whole stimulus for each trace."""
    from nrn_mlfit.simulator import Session

    protocol = model.protocol

    def one(row, stimulus):
        session = Session(model)  # of this trace alone: NEURON simulates all cells that there are
        session.set(row)
        return session.run(stimulus, stimulus.current.size)[:, protocol.start : protocol.stop]

    return lambda rows: np.array([np.stack([one(r, s) for s in protocol.stimuli], axis=1) for r in rows]), "neuron"


def _our_way(model, engine, precision, rows):
    """The same by one of our engines, in chunks as a worker gets them; it must agree with plain NEURON."""
    from nrn_mlfit.simulator import engines

    made, _ = engines.make(engine, precision, model)
    if (checked := made.check(np.array(rows[:LEAST_SETS]))) and (found := checked.disagreement):
        raise SystemExit(f"engine {made.name} differs from plain NEURON: {found.began}")

    def run(rows):
        chunks = [np.array(rows[low : low + made.lanes]) for low in range(0, len(rows), made.lanes)]
        return np.concatenate([made.run(chunk)[0] for chunk in chunks])

    return run, made.name


# Compression


def part_shards(asked, folder):
    """How small, and how fast, are the volts of a shard packed in other ways? CPU time, HDF5 images in memory."""
    run_child("run", [asked.cell, asked.engine, asked.precision, str(folder), 0, min(asked.samples, 100), 100])
    volts = shards.load_runs([Path(folder, "run")]).volts
    told = defaultdict(list)
    for _, (name, packing) in itertools.product(range(max(asked.repeats, 3)), PACKINGS.items()):
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
