"""How far is the lane engine from NEURON on a shipped cell? Many sets through both; a table, and a picture if asked.

    python benchmarks/agreement.py mainen --sets 1000 --precision mixed -j 2 -o agreement.jsonl
    python benchmarks/agreement.py mainen --sets 3 --picture engines.png

A set that differs by more than the bounds is held against NEURON with a last digit changed (agreement.examine). Chunks
that the output file has already are not run again.
"""

import argparse
import json
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path

import numpy as np

CHUNK = 20  # sets a task


def main():
    asked = arguments()
    there = [json.loads(line) for line in asked.output.read_text().splitlines()] if asked.output.is_file() else []
    done = {(c["cell"], c["precision"], c["first"]) for c in there}
    todo = [(asked.cell, asked.precision, first) for first in range(0, asked.sets, CHUNK)]
    with ProcessPoolExecutor(asked.processes) as pool:
        for chunk in (
            pool.map(one_chunk, *zip(*[t for t in todo if t not in done], strict=True)) if set(todo) - done else ()
        ):
            there.append(chunk)
            with asked.output.open("a") as file:
                file.write(json.dumps(chunk) + "\n")
            print(
                f"sets {chunk['first']} .. {chunk['first'] + CHUNK - 1}: {len(chunk['far'])} beyond the bounds",
                flush=True,
            )
    if todo:
        print(table([c for c in there if (c["cell"], c["precision"], c["first"]) in todo]))
    if asked.picture:
        draw(asked)


def arguments():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("cell")
    parser.add_argument("--sets", type=int, default=1000)
    parser.add_argument("--precision", choices=["double", "mixed"], default="double")
    parser.add_argument("-j", "--processes", type=int, default=2)
    parser.add_argument("-o", "--output", type=Path, default=Path("agreement.jsonl"))
    parser.add_argument("--picture", type=Path)
    return parser.parse_args()


def both(cell, precision, first, count):
    """The engine, the sets, and the traces of NEURON and of the engine, (n, P, S, T) mV."""
    from nrn_mlfit import cells
    from nrn_mlfit.simulator.lanes import LaneEngine
    from nrn_mlfit.simulator.neuron import NeuronEngine

    model = cells.load(cell)
    engine = LaneEngine(model, precision)
    rows = model.space.to_phys(model.space.draw(1, first, count))
    return engine, rows, NeuronEngine(model, engine.session).run(rows)[0], engine.run(rows)[0]


def one_chunk(cell, precision, first) -> dict:
    from nrn_mlfit.simulator.agreement import DOUBLE, MIXED, examine

    engine, rows, truth, other = both(cell, precision, first, CHUNK)
    bounds = {"double": DOUBLE, "mixed": MIXED}[precision]
    found = [examine(engine.session, row, a, b, bounds) for row, a, b in zip(rows, truth, other, strict=True)]
    return {
        "cell": cell,
        "precision": precision,
        "first": first,
        "spikes": sum(f.spikes for f in found),
        "shifts": [f.shift for f in found],
        "other_counts": sum(not f.same_counts for f in found),
        "far": [{"set": first + k, **vars(f)} for k, f in enumerate(found) if f.verdict != "agrees"],
    }


def table(chunks) -> str:
    shifts = np.array([s for c in chunks for s in c["shifts"]])
    far = [f for c in chunks for f in c["far"]]
    verdicts = {v: sum(f["verdict"] == v for f in far) for v in ("chaotic", "differs")}
    quantiles = ", ".join(f"{q:g}% {np.quantile(shifts, q / 100):.1e}" for q in (50, 90, 99, 100))
    lines = [
        f"{len(shifts)} sets, {sum(c['spikes'] for c in chunks)} spikes; sets with another count: "
        f"{sum(c['other_counts'] for c in chunks)}",
        f"largest shift of a spike in a set, ms: {quantiles}",
        f"beyond the bounds: {verdicts['chaotic']} as chaotic as NEURON itself, {verdicts['differs']} not",
    ]
    lines += [
        f"  set {f['set']}: {f['verdict']}, shift {f['shift']:.1e} ms; NEURON with a last digit changed "
        f"{f['own_shift']:.1e} ms; at worst {f['ratio']:.1f} times as far as NEURON's own"
        for f in far
    ]
    return "\n".join(lines)


def draw(asked):
    from nrn_mlfit import report

    engine, _, truth, other = both(asked.cell, asked.precision, 0, 3)
    protocol = engine.model.protocol
    traces = [held[:, 0, 0] for held in (truth, other)]
    title = f"{asked.cell}: three sets by both engines ({asked.precision} precision)"
    report.engines_picture(asked.picture, title, *traces, protocol.dt, protocol.t0, ("plain NEURON", "lanes"))


if __name__ == "__main__":
    main()
