"""Does the lane engine agree with NEURON? Random cells under both, one line of JSON a cell, and a table at the end.

    python benchmarks/differential.py --cells 200 -j 2 -o differential.jsonl
    python benchmarks/differential.py --cells 12 --engine mixed
    python benchmarks/differential.py --first 17 --cells 1 --folder cell17      # keep the cell's files, to look at

Cells that the output file has already are not run again. Each cell has a process of its own: a crash is that cell's
failure. `--engine neuron` compares NEURON with itself, `--engine wrong:1e-6` with NEURON whose parameters are off by
that factor: it has to fail. Exit code 1 if a cell crashed, was refused, or differs.
"""

import argparse
import json
import subprocess
import sys
import tempfile
import time
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np

LANES = Path(__file__).parents[1] / "tests" / "lanes"
SECONDS_A_CELL = 900
FEWEST, MOST = 8, 20  # sets a cell
ENOUGH = 3  # sets of a cell that differ


def main():
    if sys.argv[1:2] == ["--child"]:
        print(json.dumps(one_cell(*json.loads(sys.argv[2]))))
        return
    asked = arguments()
    there = lines_of(asked.output)
    seeds = [s for s in range(asked.first, asked.first + asked.cells) if (s, asked.engine) not in there]
    with ThreadPoolExecutor(asked.processes) as pool:
        for line in pool.map(lambda seed: run(seed, asked.engine, asked.folder), seeds):
            there[line["seed"], asked.engine] = line
            print(told(line), flush=True)
            with asked.output.open("a") as file:
                file.write(json.dumps(line) + "\n")
    wanted = range(asked.first, asked.first + asked.cells)
    lines = [line for (seed, engine), line in there.items() if engine == asked.engine and seed in wanted]
    print(table(lines))
    sys.exit(any(failed(line) for line in lines))


def arguments():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--cells", type=int, default=200)
    parser.add_argument("--first", type=int, default=0, help="the first cell's seed")
    parser.add_argument("--engine", default="lanes", help="lanes, mixed, neuron or wrong:FACTOR")
    parser.add_argument("-j", "--processes", type=int, default=2)
    parser.add_argument("--folder", type=Path, help="where to keep the files of the cells")
    parser.add_argument("-o", "--output", type=Path, default=Path("differential.jsonl"))
    return parser.parse_args()


def lines_of(path) -> dict[tuple[int, str], dict]:
    """What an output file has: (seed, engine) -> its line."""
    if not path.is_file():
        return {}
    held = [json.loads(text) for text in path.read_text().splitlines()]
    return {(line["seed"], line["engine"]): line for line in held}


def run(seed, engine, folder) -> dict:
    """A cell in a process of its own: its line, or one that says how the process ended."""
    with tempfile.TemporaryDirectory(prefix="differential-") as own:
        place = str((folder or Path(own)).resolve())
        words = [sys.executable, __file__, "--child", json.dumps([seed, engine, place])]
        try:
            done = subprocess.run(words, capture_output=True, text=True, timeout=SECONDS_A_CELL)
        except subprocess.TimeoutExpired:
            return {"seed": seed, "engine": engine, "crash": f"no end in {SECONDS_A_CELL} s"}
    if done.returncode:
        cause = (done.stderr.strip().splitlines() or ["no word"])[-1]
        return {"seed": seed, "engine": engine, "crash": f"exit code {done.returncode}: {cause}"}
    return json.loads(done.stdout.splitlines()[-1])


def one_cell(seed, engine, folder) -> dict:
    """The line of a cell: NEURON's traces, the engine's, and what lies between them."""
    sys.path.insert(0, str(LANES))
    from random_cells import random_cell

    from nrn_mlfit.simulator.neuron import NeuronEngine
    from nrn_mlfit.simulator.session import Session

    model = random_cell(seed, Path(folder))
    count = int(np.random.Generator(np.random.Philox(key=seed, counter=[1, 0, 0, 0])).integers(FEWEST, MOST + 1))
    rows = model.space.to_phys(model.space.draw(seed, 0, count))
    truth, line = timed(NeuronEngine, model, rows)
    line = {"seed": seed, "engine": engine, "sets": count, "neuron": line, "traces": list(truth[0].shape[1:])}
    try:
        other, line["other"] = timed(maker(engine), model, rows)
    except refusal() as reason:
        return line | {"outside": str(reason)}
    session = Session(model)
    line["compartments"] = sum(section.nseg for section in session.cell.all)
    line["steady"] = alone_as_together(other[2], rows, other)
    return line | compared(session, rows, truth, other, engine)


def timed(engine, model, rows):
    """(volts, status, engine) of the rows, and how long the engine took to build and to run, s."""
    begin = time.perf_counter()
    made = engine(model)
    built = time.perf_counter()
    volts, status = made.run(rows)
    times = {"build": round(built - begin, 3), "run": round(time.perf_counter() - built, 3)}
    return (np.array(volts, float), np.array(status), made), times


def maker(engine):
    """The engine that a word of the command line means: a function of the model."""
    from nrn_mlfit.simulator.neuron import NeuronEngine

    if engine == "neuron":
        return NeuronEngine
    if engine.startswith("wrong:"):
        return lambda model: Wrong(NeuronEngine(model), float(engine.partition(":")[2]))
    from nrn_mlfit.simulator.lanes import LaneEngine

    return lambda model: LaneEngine(model, precision="mixed" if engine == "mixed" else "double")


class Wrong:
    """NEURON with every parameter off by a factor."""

    def __init__(self, engine, factor):
        self._engine, self._factor = engine, 1 + factor

    def run(self, phys_par):
        return self._engine.run(phys_par * self._factor)


def refusal():
    """What the lane engine raises for what it does not know."""
    try:
        from nrn_mlfit.simulator.lanes import Outside
    except ImportError:
        return ()
    return Outside


def alone_as_together(engine, rows, together) -> bool:
    """Whether a set alone has the bits that it has among the others."""
    volts, status = engine.run(rows[3:4])
    return bool(np.array_equal(volts[0], together[0][3], equal_nan=True) and status[0] == together[1][3])


def compared(session, rows, truth, other, engine) -> dict:
    """The verdicts of all sets, and the largest differences among those that agree."""
    from nrn_mlfit.simulator.agreement import DOUBLE, MIXED, compare, examine

    bounds = MIXED if engine == "mixed" else DOUBLE
    found: list = []
    for row, one, two in zip(rows, truth[0], other[0], strict=True):
        if sum(f.verdict == "differs" for f in found) < ENOUGH:
            found.append(examine(session, row, one, two, bounds))
        else:  # the cell has failed; NEURON need not run again
            found.append(compare(one, two, session.model.protocol.dt, bounds))
    same = truth[1] == other[1]
    fine = [f for f in found if f.verdict == "agrees"] or found
    far = [{"set": k, **vars(f)} for k, f in enumerate(found) if f.verdict != "agrees"]
    return {
        "statuses": [int(s) for s in truth[1]],
        "other_statuses": [k for k in np.flatnonzero(~same).tolist()],
        "verdicts": Counter(f.verdict for f in found),
        "spikes": sum(f.spikes for f in found),
        "shift": max(f.shift for f in fine),
        "apart_silent": max([f.apart for f in fine if not f.spikes], default=0.0),
        "beyond": max(f.beyond for f in fine),
        "far": far,
    }


def failed(line) -> bool:
    return (
        "crash" in line
        or "outside" in line
        or not line["steady"]
        or bool(line["verdicts"].get("differs") or line["other_statuses"])
    )


def told(line) -> str:
    """A cell's line as a person reads it."""
    head = f"cell {line['seed']:4d}"
    for word in ("crash", "outside"):
        if word in line:
            return f"{head}  {word}: {line[word]}"
    verdicts = ", ".join(f"{n} {v}" for v, n in sorted(line["verdicts"].items()))
    steady = "" if line["steady"] else "; NOT STEADY"
    return (
        f"{head}  {line['compartments']:3d} compartments  {verdicts}; {line['spikes']} spikes, shift {line['shift']:.1e} ms, "
        f"silent {line['apart_silent']:.1e} mV, beyond {line['beyond']:.1e} mV; "
        f"NEURON {line['neuron']['run']:.1f} s, other {line['other']['build']:.1f} + {line['other']['run']:.1f} s{steady}"
    )


def table(lines) -> str:
    """The counts over all cells, and the reasons of refusals and crashes."""
    done = [line for line in lines if "verdicts" in line]
    total = sum((Counter(line["verdicts"]) for line in done), Counter())
    rows = {
        "cells": len(lines),
        "compared": len(done),
        "sets": sum(line["sets"] for line in done),
        **{f"sets, {verdict}": total[verdict] for verdict in ("agrees", "chaotic", "differs")},
        "sets with another status": sum(len(line["other_statuses"]) for line in done),
        "cells whose sets hang on each other": sum(not line["steady"] for line in done),
        "spikes": sum(line["spikes"] for line in done),
        "largest shift of a spike, ms": max((line["shift"] for line in done), default=0.0),
        "largest |dV| without spikes, mV": max((line["apart_silent"] for line in done), default=0.0),
        "largest |dV| beyond the shift, mV": max((line["beyond"] for line in done), default=0.0),
        "refused": sum("outside" in line for line in lines),
        "crashed": sum("crash" in line for line in lines),
    }
    reasons = Counter(f"{word}: {line[word]}" for line in lines for word in ("outside", "crash") if word in line)
    return "\n".join(
        ["", *(f"{name:36s} {value:g}" for name, value in rows.items()), *(f"{n} x {r}" for r, n in reasons.items())]
    )


if __name__ == "__main__":
    main()
