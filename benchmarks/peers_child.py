"""The part of benchmarks/peers.py that every measured process runs: it knows no package but NumPy."""

import json
import math
import os
import sys
import time
from pathlib import Path

import numpy as np

TURN = 1.0  # CPU seconds that a turn takes at least


class Problem:
    """The cell as NEURON has it: sections with their mechanisms and, of each set, the parameters by section."""

    def __init__(self, folder):
        held = np.load(Path(folder) / "problem.npz")
        self.sections = json.loads(str(held["sections"]))
        self.current = held["current"]  # nA at t = k dt
        self.values = {
            key: held[key] for key in ("cm", "g_pas", *(f"gbar_{m}" for m in ("na", "kv", "km", "kca", "ca")))
        }
        self.dt, self.start = float(held["dt"]), int(held["start"])
        if (float(held["celsius"]), float(held["v_init"])) != (37, -70):
            raise SystemExit("the peers' mechanisms are written for 37 degC and a start at -70 mV")
        self.heat = 2.3 ** ((37 - 23) / 10)

    def siemens(self, mechanism, rows):
        """gbar (n, sections) in S/cm2 with the factor of temperature, where the MOD files have pS/um2 without."""
        return 1e-4 * self.heat * self.values[f"gbar_{mechanism}"][rows]

    def midway(self):
        """The current in the middle of each step, which is what NEURON takes."""
        return (self.current[:-1] + self.current[1:]) / 2

    def children(self, parent):
        return [k for k, section in enumerate(self.sections) if section["parent"] == parent]


def serve(prepare):
    """Measure what `prepare(problem, folder, options, cells)` makes, as the lines of standard input say.

    That is (about, load, run): `load(rows)` takes parameter sets in, untimed; run() simulates them and gives their
    volts (cells, T) in mV.
    """
    folder, core, cells, *options = sys.argv[1:]
    os.sched_setaffinity(0, {int(core)})
    answer = os.fdopen(os.dup(1), "w", buffering=1)
    os.dup2(2, 1)  # what libraries print is no answer
    try:
        about, load, run = prepare(Problem(folder), Path(folder), options, int(cells))
        run_once(load, run, 0, int(cells))
    except ModuleNotFoundError as error:
        return print(json.dumps({"failed": f"not installed: pip install {error.name}"}), file=answer)
    except Exception as error:
        return print(json.dumps({"failed": f"{type(error).__name__}: {error}"[-2000:]}), file=answer)
    print(json.dumps(about), file=answer)
    for line in sys.stdin:
        word, *rest = line.split()
        done = turn(load, run, int(cells)) if word == "turn" else trace(load, run, int(cells), *rest)
        print(json.dumps(done), file=answer)


def turn(load, run, cells):
    """CPU milliseconds a trace: of running, and of taking the sets in where an engine cannot change those of a cell."""
    running, loading, batches = 0.0, 0.0, 0
    while running < TURN:
        taken_in, ran, _ = run_once(load, run, 0, cells)
        running, loading, batches = running + ran, loading + taken_in, batches + 1
    return {"run": 1e3 * running / (batches * cells), "load": 1e3 * loading / (batches * cells)}


def trace(load, run, cells, count, path):
    """Write the volts of the first `count` sets."""
    parts = [run_once(load, run, k * cells, cells)[2] for k in range(math.ceil(int(count) / cells))]
    np.save(path, np.concatenate(parts)[: int(count)].astype(float))
    return {}


def run_once(load, run, first, cells):
    began = time.process_time()
    load(np.arange(first, first + cells))
    loaded = time.process_time()
    volts = run()
    return loaded - began, time.process_time() - loaded, volts


def vector_bits():
    """The widest vectors that this machine computes with."""
    flags = Path("/proc/cpuinfo").read_text().split()
    return 512 if "avx512f" in flags else 256 if "avx2" in flags else 128
