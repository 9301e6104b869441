"""What does a trace cost with each engine? CPU time, all in one run, in turns; medians of several repeats.

    python benchmarks/engines.py mainen ball_two_sticks izhikevich -o engines.json
    python benchmarks/engines.py mainen --end-to-end 20000         # from the shell, 2 processes, to disk

Plain NEURON reuses one cell, and its channels are built with nrnivmodl's default flags; beside it the same with -O3
-march=native. The lane engine runs in both precisions, for this machine's instruction set and for lesser ones. Of the
first, the multiplications of a step are counted in the machine code and held against what this core does of it at best:
multiplication (fused with an addition or not) is what there is most of.
"""

import argparse
import json
import os
import re
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np

LANE_SETS, NEURON_SETS = 32, 4  # a repeat
NATIVE = "-O3 -march=native"
LEVELS = ("x86_64-v4", "x86_64-v3", "x86_64-v2")
MULTIPLYING = re.compile(r"\bv(?:fn?m(?:add|sub)\w*|mul)pd\b")  # what the multipliers do; other units do the rest beside
PEAK = """
typedef double f64 __attribute__((vector_size(64)));
extern "C" double peak(long n) {
    f64 x[16], y = f64{} + 1.0000001, z = f64{} + 1e-9;
    for (int k = 0; k < 16; k++) x[k] = f64{} + k;
    for (long i = 0; i < n; i++)
        for (int k = 0; k < 16; k++) { x[k] = x[k] * y + z; asm("" : "+v"(x[k])); }
    double sum = 0;
    for (int k = 0; k < 16; k++) sum += x[k][0];
    return sum;
}
"""


def main():
    if sys.argv[1:2] == ["--neuron"]:
        return neuron(*sys.argv[2:])
    asked = arguments()
    if asked.end_to_end:
        return print(end_to_end(asked.cells[0], asked.end_to_end, asked.processes))
    found = {}
    for cell in asked.cells:
        found[cell] = one_cell(cell, asked.repeats)
        print(f"\n{cell}\n\n{table(found[cell])}", flush=True)
    if asked.output:
        asked.output.write_text(json.dumps(found, indent=1))


def arguments():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("cells", nargs="+")
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--end-to-end", type=int, metavar="SETS")
    parser.add_argument("-j", "--processes", type=int, default=2)
    parser.add_argument("-o", "--output", type=Path)
    return parser.parse_args()


def one_cell(cell, repeats) -> dict:
    from nrn_mlfit import cells, machine
    from nrn_mlfit.simulator.lanes import LaneEngine
    from nrn_mlfit.simulator.session import Session

    model = cells.load(cell)
    session = Session(model)
    rows = model.space.to_phys(model.space.draw(3, 0, LANE_SETS))
    levels = LEVELS[LEVELS.index(machine.instruction_set()) :]
    lanes = {
        f"lanes, {p}, {level}": LaneEngine(model, p, level, session) for level in levels for p in ("double", "mixed")
    }
    best = next(iter(lanes.values()))
    runs = {
        "plain NEURON": lambda: child(cell, ""),
        f"plain NEURON, channels with {NATIVE}": lambda: child(cell, NATIVE),
    }
    for name, made in lanes.items():
        runs[name] = lambda made=made: per_set(lambda n: made.run(rows[:n]), LANE_SETS)
    starts = read(best, rows)
    runs["of the first: reading from NEURON"] = lambda: per_set(lambda n: read(best, rows[:n]), LANE_SETS)
    runs["of the first: the program"] = lambda: per_set(lambda n: program(best, starts[:n]), LANE_SETS)
    for run in runs.values():
        run()
    times = {name: [] for name in runs}
    for _ in range(repeats):
        for name, run in runs.items():
            times[name].append(run())
    return {"times": times, "compile_s": compile_time(best.source), **limit(model, best)}


def read(engine, rows):
    """What the program starts from."""
    return engine.starts(rows, engine.model.protocol.stimuli[0], np.zeros(len(rows), np.uint8))


def program(engine, starts):
    for low in range(0, len(starts), engine.width):
        engine.traces(starts[low : low + engine.width], engine.played[0])


def per_set(run, count) -> float:
    """CPU ms a set."""
    begin = time.process_time()
    run(count)
    return 1e3 * (time.process_time() - begin) / count


def child(cell, flags) -> float:
    """Plain NEURON's ms a set, in a process of its own: all cells of a process are simulated together."""
    done = subprocess.run(
        [sys.executable, __file__, "--neuron", cell, flags], capture_output=True, text=True, check=True
    )
    return float(done.stdout.splitlines()[-1])


def neuron(cell, flags):
    """Print plain NEURON's ms a set; with channels built with `flags`, if any, and kept in a cache of their own."""
    from nrn_mlfit import cells

    model = cells.load(cell)
    if flags:
        build(model, flags)
    from nrn_mlfit.simulator.neuron import NeuronEngine

    engine, rows = NeuronEngine(model), model.space.to_phys(model.space.draw(3, 0, NEURON_SETS))
    engine.run(rows[:1])
    print(per_set(lambda n: engine.run(rows[:n]), NEURON_SETS))


def build(model, flags):
    from nrn_mlfit.simulator import mechanisms

    os.environ["NRN_MLFIT_CACHE"] = str(Path(tempfile.gettempdir()) / f"nrn_mlfit-native-{os.getuid()}")
    library = mechanisms.cache_folder() / "mechanisms" / mechanisms.key_of(model.mod) / mechanisms.LIBRARY
    if not library.is_file():
        with tempfile.TemporaryDirectory() as work:
            words = [mechanisms.nrnivmodl(), "-incflags", flags, str(model.mod)]
            subprocess.run(words, cwd=work, check=True, capture_output=True)
            library.parent.mkdir(parents=True)
            shutil.copy(next(Path(work).glob(f"*/{mechanisms.LIBRARY}")), library)


def compile_time(source) -> float:
    from nrn_mlfit.simulator.lanes import compiling

    with tempfile.TemporaryDirectory() as place:
        os.environ["NRN_MLFIT_CACHE"] = place
        begin = time.perf_counter()
        compiling.library_of(source, "double")
        del os.environ["NRN_MLFIT_CACHE"]
        return time.perf_counter() - begin


def limit(model, engine) -> dict:
    """The multiplications of a step of all lanes, in instructions, and the ms a trace that they take at this core's best."""
    from nrn_mlfit.simulator.lanes import compiling

    flags = compiling.FLAGS
    compiling.FLAGS = (
        *flags,
        "-fno-inline-functions-called-once",
        "-fno-inline-small-functions",
        "-fno-inline-functions",
    )
    with tempfile.TemporaryDirectory() as place:
        os.environ["NRN_MLFIT_CACHE"] = place
        library = compiling.library_of(engine.source, "double")
        code = subprocess.run(["objdump", "-d", str(library)], capture_output=True, text=True, check=True).stdout
        del os.environ["NRN_MLFIT_CACHE"]
    compiling.FLAGS = flags
    trips = {f"{phase}_{t.group.name}": len(t.group.sites) for t in engine.plan.tasks for phase in ("current", "state")}
    trips |= {"solve": len(engine.plan.cable)}
    bodies = re.findall(r"<_Z\w*?\d+(\w+?)R5Cells[\w.]*>:\n(.*?)\n\n", code + "\n\n", re.DOTALL)
    count = sum(trips.get(name, 0) * len(MULTIPLYING.findall(body)) for name, body in bodies)
    nanoseconds = peak()
    steps = engine.steps * len(model.protocol.stimuli)
    return {
        "instructions": count,
        "peak_ns": nanoseconds,
        "limit_ms": 1e-6 * count * nanoseconds * steps / engine.width,
    }


def peak() -> float:
    """ns an independent fused multiply-add of a whole register takes."""
    import ctypes

    with tempfile.TemporaryDirectory() as place:
        Path(place, "peak.cpp").write_text(PEAK)
        subprocess.run(
            ["g++", "-O3", "-march=native", "-shared", "-fPIC", "peak.cpp", "-o", "peak.so"], cwd=place, check=True
        )
        code = ctypes.CDLL(f"{place}/peak.so")
    code.peak.restype, code.peak.argtypes = ctypes.c_double, [ctypes.c_long]
    held = []
    for _ in range(7):
        begin = time.process_time()
        code.peak(2_000_000)
        held.append(1e9 * (time.process_time() - begin) / 32e6)
    return min(held)


def table(found) -> str:
    reference = statistics.median(found["times"]["plain NEURON"])
    rows = ["| engine | ms CPU a trace, median (least, most) | plain NEURON over it |", "|---|---|---|"]
    for name, times in found["times"].items():
        middle = statistics.median(times)
        rows.append(f"| {name} | {middle:.3g} ({min(times):.3g}, {max(times):.3g}) | {reference / middle:.2f} |")
    share = found["limit_ms"] / statistics.median(found["times"]["of the first: the program"])
    rows.append(
        f"\n{found['instructions']} multiplying vector instructions a step; at {found['peak_ns']:.3f} ns each "
        f"{found['limit_ms']:.2f} ms a trace, {100 * share:.0f} % of what the program takes. Compiled in "
        f"{found['compile_s']:.1f} s."
    )
    return "\n".join(rows)


def end_to_end(cell, sets, processes) -> str:
    """A run from the shell against the program's own time."""
    from nrn_mlfit import cells
    from nrn_mlfit.simulator.lanes import LaneEngine

    model = cells.load(cell)
    engine = LaneEngine(model)
    starts = read(engine, model.space.to_phys(model.space.draw(3, 0, LANE_SETS)))
    alone = statistics.median(per_set(lambda n: program(engine, starts[:n]), LANE_SETS) for _ in range(5))
    with tempfile.TemporaryDirectory() as place:
        words = ["-m", "nrn_mlfit", "simulate", cell, "-n", str(sets), "-j", str(processes), "-o", f"{place}/run"]
        begin = time.perf_counter()
        subprocess.run([sys.executable, *words], check=True)
        seconds = time.perf_counter() - begin
        size = sum(path.stat().st_size for path in Path(place).rglob("*.h5"))
    wanted = 1e-3 * alone * sets / processes
    return (
        f"{sets} traces of {cell}, {processes} processes: {seconds:.0f} s, {sets / seconds:.0f}/s, {size / 1e6:.0f} MB; the "
        f"program alone takes {alone:.2f} ms a trace, so {wanted:.0f} s; ratio {seconds / wanted:.2f}"
    )


if __name__ == "__main__":
    main()
