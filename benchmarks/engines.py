"""What does a trace cost with each engine? CPU time, all in one run, in turns; medians of several repeats.

    python benchmarks/engines.py mainen ball_two_sticks izhikevich -o engines.json
    python benchmarks/engines.py mainen --end-to-end 20000         # from the shell, 2 processes, to disk

Plain NEURON reuses one cell, and its channels are built with nrnivmodl's default flags; beside it the same with -O3
-march=native. The lane engine runs in both precisions, for this machine's instruction set and for lesser ones. For this
machine's the floating point instructions of the program are counted and held against what this core does of them at best
(simulate_limit.py). A cell may be a cell file, too.
"""

import argparse
import contextlib
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

from simulate_limit import children_seconds, compile_time, limit_of, limit_text

SETS = 32  # a repeat; whole registers of every instruction set
NATIVE = "-O3 -march=native"
LEVELS = ("x86_64-v4", "x86_64-v3", "x86_64-v2")
PRECISIONS = ("double", "mixed")
PLAIN = "plain NEURON"
PARTS = ("program", "reading from NEURON", "rest")
MOST_TIMES = 1.3  # a whole run over the program's own time
SEED = 3


def main():
    if sys.argv[1:2] == ["--neuron"]:
        return serve_neuron(sys.argv[2], sys.argv[3], int(sys.argv[4]))
    asked = arguments()
    found = {"about": about(asked), "cells": {}}
    for cell in asked.cells:
        if asked.end_to_end:
            found["cells"][cell] = whole = end_to_end(cell, asked)
            print(whole["text"], flush=True)
            continue
        found["cells"][cell] = one_cell(cell, asked)
        print(f"\n{cell}\n\n{report(found['cells'][cell])}", flush=True)
    if asked.output:
        asked.output.write_text(json.dumps(found, indent=1))


def arguments():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("cells", nargs="+")
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--sets", type=int, default=SETS, help="a repeat has so many, the same ones for all")
    parser.add_argument(
        "--no-limit", action="store_true", help="do not count instructions, which takes a minute a cell"
    )
    parser.add_argument("--end-to-end", type=int, metavar="SETS", help="a whole run by `nrn-mlfit simulate` instead")
    parser.add_argument("-j", "--processes", type=int, default=2, help="of the whole run")
    parser.add_argument("--precision", choices=PRECISIONS, default="double", help="of the whole run")
    parser.add_argument("--sets-a-shard", type=int, help="of the whole run")
    parser.add_argument("-o", "--output", type=Path)
    return parser.parse_args()


def about(asked) -> dict:
    from nrn_mlfit import machine
    from nrn_mlfit.simulator.lanes import compiling

    names = ("nrn_mlfit", "neuron", "numpy")
    held = {"repeats": asked.repeats, "sets": asked.sets, "compiler": compiling.compiler(), "cores": os.cpu_count()}
    return {**held, "instruction_set": machine.instruction_set(), **{name: version(name) for name in names}}


# ---- The engines of one cell, in turns ----


def one_cell(cell, asked) -> dict:
    """ms CPU a trace by engine and repeat, what they are made of, how long they take to make, and the limit."""
    from nrn_mlfit import cells, machine

    model = cells.load(cell)
    lanes, made_as, planned = make_lanes(model, levels_here())
    rows = model.space.to_phys(model.space.draw(SEED, 0, asked.sets))
    traces = len(rows) * len(model.protocol.stimuli)
    with contextlib.ExitStack() as held:
        runs = {PLAIN: held.enter_context(neuron(cell, "", asked.sets))}
        if model.mod:
            runs[f"{PLAIN}, channels with {NATIVE}"] = held.enter_context(neuron(cell, NATIVE, asked.sets))
        runs |= {name: timed(engine, rows, traces) for name, engine in lanes.items()}
        told = take_turns(runs, asked.repeats)
    found = summed_up(told) | {"planning_s": planned}
    found["compiling_s"] = {n: compile_time(e.source, *made_as[n]) for n, e in lanes.items()}
    best = [n for n in lanes if machine.instruction_set() in n]
    found["limits"] = (
        {}
        if asked.no_limit
        else {n: limit_of(lanes[n], *made_as[n], median(found["parts"][n][PARTS[0]])) for n in best}
    )
    return found


def levels_here() -> list[str]:
    """This machine's instruction set and the lesser ones that programs are compiled for."""
    from nrn_mlfit import machine

    here = machine.instruction_set()
    return list(LEVELS[LEVELS.index(here) :]) if here in LEVELS else [here]


def make_lanes(model, levels):
    """(name -> lane engine, name -> (precision, instruction set), CPU seconds of planning); all of one live cell."""
    from nrn_mlfit.simulator.lanes import LaneEngine
    from nrn_mlfit.simulator.session import Session

    session = Session(model)
    made_as = {f"lanes, {p}, {level}": (p, level) for level in levels for p in PRECISIONS}
    lanes, planned = {}, []
    for name, words in made_as.items():
        began = time.process_time()
        lanes[name] = LaneEngine(model, *words, session)
        planned.append(time.process_time() - began)
    return lanes, made_as, planned[0]  # the later ones find the MOD files parsed


def take_turns(runs, repeats) -> dict:
    """What each run tells, a list by name, after one that warms up."""
    for run in runs.values():
        run()
    told = defaultdict(list)
    for _ in range(repeats):
        for name, run in runs.items():
            told[name].append(run())
    return told


def summed_up(told) -> dict:
    times = {name: [one["all"] for one in held] for name, held in told.items()}
    reference = median(times[PLAIN])
    return {
        "times": times,
        "ratio": {name: reference / median(held) for name, held in times.items()},
        "parts": {n: {p: [one[p] for one in held] for p in PARTS} for n, held in told.items() if PARTS[0] in held[0]},
    }


def timed(engine, rows, traces):
    """A function that runs the rows and tells the ms CPU a trace: all, the program, reading from NEURON, the rest."""
    spent = dict.fromkeys(PARTS, 0.0)

    def clocked(part, act):
        def run(*given):
            began = time.process_time()
            done = act(*given)
            spent[part] += time.process_time() - began
            return done

        return run

    engine.traces, engine.starts = clocked(PARTS[0], engine.traces), clocked(PARTS[1], engine.starts)

    def run():
        spent.update(dict.fromkeys(PARTS, 0.0))
        began = time.process_time()
        engine.run(rows)
        total = time.process_time() - began
        spent["rest"] = total - sum(spent.values())
        return {name: 1e3 * seconds / traces for name, seconds in {"all": total, **spent}.items()}

    return run


# ---- Plain NEURON, each build of the channels in a process of its own ----


@contextlib.contextmanager
def neuron(cell, flags, sets):
    """A function that has a process run the sets and tells the ms CPU a trace."""
    with tempfile.TemporaryDirectory(prefix="benchmark-") as place:
        env = os.environ | ({"NRN_MLFIT_CACHE": place} if flags else {})
        words = [sys.executable, __file__, "--neuron", cell, flags, str(sets)]
        job = subprocess.Popen(words, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, env=env)

        def run():
            job.stdin.write("\n")
            job.stdin.flush()
            for line in job.stdout:
                if line.startswith("ms "):  # NEURON says other things
                    return {"all": float(line.split()[1])}
            raise SystemExit(f"plain NEURON with {flags or 'default flags'} ended")

        try:
            yield run
        finally:
            job.stdin.close()
            job.wait()


def serve_neuron(cell, flags, sets):
    """For each line that comes, run the sets and print the ms CPU a trace; with channels built with `flags`, if any."""
    from nrn_mlfit import cells

    model = cells.load(cell)
    if flags:
        build(model.mod, flags)
    from nrn_mlfit.simulator.neuron import NeuronEngine

    engine, rows = NeuronEngine(model), model.space.to_phys(model.space.draw(SEED, 0, sets))
    for _ in sys.stdin:
        began = time.process_time()
        engine.run(rows)
        print("ms", 1e3 * (time.process_time() - began) / sets / len(model.protocol.stimuli), flush=True)


def build(mod, flags):
    """Put channels built with other flags where the package looks for its own; NRN_MLFIT_CACHE must be a fresh folder."""
    from nrn_mlfit.simulator import mechanisms

    library = mechanisms.cache_folder() / "mechanisms" / mechanisms.key_of(mod) / mechanisms.LIBRARY
    with tempfile.TemporaryDirectory() as work:
        words = [mechanisms.nrnivmodl(), "-incflags", f"{flags} -frecord-gcc-switches", str(mod)]
        subprocess.run(words, cwd=work, check=True, capture_output=True)
        made = next(Path(work).glob(f"*/**/{mechanisms.LIBRARY}"))
        if flags.split()[0].encode() not in made.read_bytes():
            raise SystemExit(f"nrnivmodl did not compile with {flags}")
        library.parent.mkdir(parents=True)
        shutil.copy(made, library)


# ---- What is printed ----


def report(found) -> str:
    return "\n\n".join([table(found), parts_table(found), *(limit_text(*pair) for pair in found["limits"].items())])


def table(found) -> str:
    rows = ["| engine | ms CPU a trace, median (least, most) | plain NEURON over it |", "|---|---|---|"]
    for name, times in found["times"].items():
        rows.append(f"| {name} | {spread(times)} | {found['ratio'][name]:.2f} |")
    return "\n".join(rows)


def spread(times) -> str:
    return f"{median(times):.3g} ({min(times):.3g}, {max(times):.3g})"


def parts_table(found) -> str:
    rows = [f"| of it, ms | {' | '.join(PARTS)} | compiled in, s CPU |", "|---" * (len(PARTS) + 2) + "|"]
    for name, parts in found["parts"].items():
        cells = [spread(parts[part]) for part in PARTS]
        rows.append(f"| {name} | {' | '.join(cells)} | {found['compiling_s'][name]:.1f} |")
    return "\n".join([*rows, "", f"Planning and writing a program: {found['planning_s']:.2f} s CPU."])


# ---- A whole run ----


def end_to_end(cell, asked) -> dict:
    """A run from the shell into a temporary folder, wall and CPU time, against the program's own time."""
    from nrn_mlfit import cells
    from nrn_mlfit.simulator.lanes import LaneEngine

    model = cells.load(cell)
    engine = LaneEngine(model, asked.precision)  # compiled now, and the channels
    alone = timed(engine, model.space.to_phys(model.space.draw(SEED, 0, asked.sets)), asked.sets)
    alone()
    before = [alone()["program"] for _ in range(asked.repeats)]
    found = whole_run(cell, asked)
    program = median(before + [alone()["program"] for _ in range(asked.repeats)])
    wanted = 1e-3 * program * asked.end_to_end / asked.processes
    found |= {"program_ms": program, "wanted_s": wanted, "ratio": found["wall_s"] / wanted}
    found["cpu_ratio"] = found["cpu_s"] / wanted / asked.processes
    found["text"] = (
        f"{asked.end_to_end} sets of {cell}, {asked.precision}, {asked.processes} processes: {found['wall_s']:.1f} s, "
        f"{asked.end_to_end / found['wall_s']:.0f} sets/s, {found['cpu_s']:.1f} s CPU, {found['bytes'] / 1e6:.0f} MB; the "
        f"program alone takes {program:.3g} ms a set, so {wanted:.1f} s on each core: {found['ratio']:.2f} times that in "
        f"wall time, {found['cpu_ratio']:.2f} times in CPU time (at most {MOST_TIMES} wanted)"
    )
    return found


def whole_run(cell, asked) -> dict:
    """Wall and CPU seconds of `nrn-mlfit simulate`, and how many bytes it wrote."""
    with tempfile.TemporaryDirectory(prefix="benchmark-") as place:
        beside = Path(sys.executable).with_name("nrn-mlfit")
        words = [beside, "simulate", cell, "-n", asked.end_to_end, "-j", asked.processes, "-o", f"{place}/run"]
        words += ["--precision", asked.precision]
        words += ["--sets-a-shard", asked.sets_a_shard] if asked.sets_a_shard else []
        began, used = time.perf_counter(), children_seconds()
        subprocess.run(list(map(str, words)), check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        wall, cpu = time.perf_counter() - began, children_seconds() - used
        size = sum(path.stat().st_size for path in Path(place).rglob("*.h5"))
    return {"sets": asked.end_to_end, "processes": asked.processes, "wall_s": wall, "cpu_s": cpu, "bytes": size}


if __name__ == "__main__":
    main()
