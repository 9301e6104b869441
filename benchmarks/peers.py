"""How fast are our engines beside Arbor and Jaxley, on the shipped cell mainen? Prints a Markdown table.

    python benchmarks/peers.py [--python PYTHON] [--engine NAME ...] [--cells NAME=N ...] [-o FILE]

PYTHON (or PEERS_PYTHON in the environment) is one with arbor and jaxley installed; by default the one that runs this.
Arbor's mechanisms are compiled: it needs cmake, make and a C++ compiler, too.

Every engine runs in a process of its own, all on one core, in turns, one at a time: CPU time of the whole process for
a trace of 290 ms, start-up and compiling left out. All simulate the same parameter sets, and their traces are compared
with NEURON's. `arbor exact` and `jaxley f64` are there to show that the cells are the same: the one has NEURON's
exponential for a gate's step, the other NEURON's precision.
"""

import argparse
import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path
from statistics import median

import numpy as np
from peers_child import serve

HERE = Path(__file__).resolve().parent
CELL, SEED = "mainen", 1
MOST_CELLS, CHECKED = 512, 16  # sets in the problem; sets whose traces are compared
REFERENCE = "neuron"
HEAD = [
    "engine",
    "version",
    "precision",
    "vector",
    "cells",
    "CPU ms a trace (min - max)",
    "NEURON / this",
    "building, ms a trace",
    "sets with as many spikes",
    "spike shift, ms: median (most)",
    "rms, mV: median (most)",
]


# The engines: each is a function (asked) -> words of the command that serves it


def own(name):
    """An engine of this package."""
    return lambda asked: [sys.executable, HERE / "peers.py", "--child", name]


def peer(script):
    return lambda asked: [asked.python, HERE / script]


ENGINES = {  # name: (command, cells in a batch, options)
    REFERENCE: (own(REFERENCE), 8, []),
    "lanes": (own("lanes"), 32, []),
    "lanes mixed": (own("lanes mixed"), 32, []),
    "arbor": (peer("peers_arbor.py"), 16, []),
    "arbor exact": (peer("peers_arbor.py"), 16, ["exact"]),
    "jaxley": (peer("peers_jaxley.py"), 64, []),
    "jaxley f64": (peer("peers_jaxley.py"), 64, ["f64"]),
}


def neuron(model):
    from nrn_mlfit.simulator.neuron import NeuronEngine

    return NeuronEngine(model), {"package": "neuron", "precision": "f64", "lanes": 1}


def lanes(precision):
    def make(model):
        from nrn_mlfit.simulator.lanes import LaneEngine

        engine = LaneEngine(model, precision)
        words = {"double": "f64", "mixed": "f64, gates f32"}
        return engine, {"package": "nrn_mlfit", "precision": words[precision], "lanes": engine.width}

    return make


# name: function (model) -> (engine with a method run, what the table says of it)
OWN = {REFERENCE: neuron, "lanes": lanes("double"), "lanes mixed": lanes("mixed")}


def prepare_own(name):
    """What `serve` asks for, for an engine of this package."""

    def prepare(_problem, _folder, _options, _cells):
        from importlib.metadata import version

        from nrn_mlfit import cells

        model = cells.load(CELL)
        engine, about = OWN[name](model)
        sets, taken = drawn(model), {}

        def load(rows):
            taken["sets"] = sets[rows]

        def run():
            return engine.run(taken["sets"])[0][:, 0, 0]

        return {"version": version(about.pop("package")), **about}, load, run

    return prepare


def main():
    if sys.argv[1:2] == ["--child"]:
        name = sys.argv.pop(2)
        del sys.argv[1]
        return serve(prepare_own(name))
    asked = arguments()
    with tempfile.TemporaryDirectory(prefix="peers-") as folder:
        subprocess.run([sys.executable, __file__, "--child-export", folder], check=True)
        children = [start(asked, folder, name, cells) for name, cells in wanted(asked)]
        rows = measure(children, asked.repeats, Path(folder))
    print(as_row(HEAD), as_row("---" for _ in HEAD), sep="\n")
    for row in rows:
        print(line(row))
    if asked.output:
        asked.output.write_text(json.dumps({"cell": CELL, "repeats": asked.repeats, "rows": rows}, indent=1) + "\n")


def arguments():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--python", default=os.environ.get("PEERS_PYTHON", sys.executable))
    parser.add_argument("--engine", action="append", choices=ENGINES, help="may be given more than once; default: all")
    parser.add_argument("--cells", action="append", default=[], metavar="NAME=N", help="a row with N cells a batch")
    parser.add_argument("--repeats", type=int, default=7)
    parser.add_argument("--core", type=int, default=max(os.sched_getaffinity(0)))
    parser.add_argument("-o", "--output", type=Path, help="the table as JSON, too")
    return parser.parse_args()


def wanted(asked):
    """(engine, cells in a batch) of each row, NEURON first."""
    given = [(name, int(count)) for name, count in (text.split("=") for text in asked.cells)]
    rows = [(REFERENCE, ENGINES[REFERENCE][1])]
    for name in asked.engine or ENGINES:
        if name != REFERENCE:
            rows += [pair for pair in given if pair[0] == name] or [(name, ENGINES[name][1])]
    return rows


# The problem


def drawn(model):
    return model.space.to_phys(model.space.draw(SEED, 0, MOST_CELLS))


def export(folder):
    """Write what the peers need to know of the cell, as NEURON has it."""
    from nrn_mlfit import cells
    from nrn_mlfit.simulator.door import hoc
    from nrn_mlfit.simulator.session import Session

    model = cells.load(CELL)
    session, h = Session(model), hoc()
    sections = list(session.cell.all)
    keys = ("cm", "g_pas", "gbar_na", "gbar_kv", "gbar_km", "gbar_kca", "gbar_ca")
    values = {key: np.zeros((MOST_CELLS, len(sections))) for key in keys}
    for k, row in enumerate(drawn(model)):
        session.set(row)
        for key, table in values.items():
            table[k] = [getattr(section(0.5), key, 0) for section in sections]
    protocol = model.protocol
    stimulus = protocol.stimuli[0]
    np.savez(
        Path(folder) / "problem.npz",
        sections=json.dumps([described(h, sections, section) for section in sections]),
        current=stimulus.current[: stimulus.stop],
        start=protocol.start,
        dt=model.dt,
        celsius=model.celsius,
        v_init=model.v_init,
        **values,
    )


def described(h, sections, section):
    parent = section.parentseg()
    return {
        "L": section.L,
        "nseg": section.nseg,
        "Ra": section.Ra,
        "diameters": [segment.diam for segment in section],
        "parent": sections.index(parent.sec) if parent else -1,
        "at": parent.x if parent else -1,
        "mechanisms": [name for name in ("na", "kv", "km", "kca", "ca") if h.ismembrane(name, sec=section)],
    }


# Measuring


class Child:
    """A process that serves an engine (peers_child.serve)."""

    def __init__(self, words, name, cells):
        self.row = {"engine": name, "cells": cells}
        try:
            self._process = subprocess.Popen(
                list(map(str, words)), stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
            )
        except OSError as error:
            self._process, self.row["failed"] = None, str(error)

    def ready(self):
        """Has it started? If not, its row says why."""
        if self._process:
            self.row |= self._answer()
        return "failed" not in self.row

    def ask(self, *words):
        print(*words, file=self._process.stdin, flush=True)
        return self._answer()

    def _answer(self):
        said = self._process.stdout.readline()
        if not said:
            return {"failed": f"ended: {self._process.stderr.read()[-2000:]}"}
        return json.loads(said)

    def end(self):
        if self._process:
            self._process.communicate()


def start(asked, folder, name, cells):
    command, _, options = ENGINES[name]
    child = Child([*command(asked), folder, asked.core, cells, *options], name, cells)
    child.ready()  # one after the other: start-up is not to disturb
    return child


def measure(children, repeats, folder):
    """The rows of the table."""
    told = {}
    for child in (c for c in children if "failed" not in c.row):
        child.ask("trace", CHECKED, folder / "volts.npy")
        told[child] = np.load(folder / "volts.npy"), []
    for _ in range(repeats):
        for child, (_, turns) in told.items():
            turns.append(child.ask("turn"))
    truth, plain = next(iter(told.values()))
    for child, (volts, turns) in told.items():
        child.row |= timing(turns, plain) | agreement(volts, truth)
    for child in children:
        child.end()
    return [child.row for child in children]


def timing(turns, plain):
    ran = [turn["run"] for turn in turns]
    return {
        "ms": median(ran),
        "ms_min": min(ran),
        "ms_max": max(ran),
        "times_neuron": median(p["run"] / ours for p, ours in zip(plain, ran, strict=True)),
        "building_ms": median(turn["load"] for turn in turns),
    }


def agreement(volts, truth):
    """Spike counts, shifts of spikes (of sets with equal counts) in ms, and rms difference in mV by set."""
    spikes = [(spike_times(v), spike_times(t)) for v, t in zip(volts, truth, strict=True)]
    shifts = [np.abs(ours - theirs) for ours, theirs in spikes if ours.size == theirs.size > 0]
    rms = np.sqrt(np.mean((volts - truth) ** 2, axis=1))
    together = np.concatenate(shifts) if shifts else np.array([np.nan])
    return {
        "sets": len(spikes),
        "same_count": sum(ours.size == theirs.size for ours, theirs in spikes),
        "shift_ms": [float(np.median(together)), float(together.max())],
        "rms_mv": [float(np.median(rms)), float(rms.max())],
    }


def spike_times(v, dt=0.02):
    """Upward crossings of -20 mV in ms, by linear interpolation."""
    k = np.flatnonzero((v[:-1] < -20) & (v[1:] >= -20))
    return dt * (k + (-20 - v[k]) / (v[k + 1] - v[k]))


def line(row):
    if "failed" in row:
        return as_row([row["engine"], " ".join(row["failed"].split())])
    cells = [row["engine"], row["version"], row["precision"], row["lanes"], row["cells"]]
    cells += [f"{row['ms']:.1f} ({row['ms_min']:.1f} - {row['ms_max']:.1f})", f"{row['times_neuron']:.2f}"]
    cells += [f"{row['building_ms']:.1f}", f"{row['same_count']}/{row['sets']}"]
    cells += [f"{low:.1g} ({most:.1g})" for low, most in (row["shift_ms"], row["rms_mv"])]
    return as_row(cells)


def as_row(cells):
    return f"| {' | '.join(map(str, cells))} |"


if __name__ == "__main__":
    if sys.argv[1:2] == ["--child-export"]:
        export(sys.argv[2])
    else:
        main()
