"""What does bulk simulation cost beside the solver, and do ranks add up? Prints a Markdown table, mostly of ratios.

    python benchmarks/simulate.py mainen                       # the lane engine, all parts
    python benchmarks/simulate.py mainen --engine neuron       # plain NEURON
    python benchmarks/simulate.py izhikevich -n 64000 --part share --part ranks

Each number is the median over the repeats. What is compared takes turns, so that the noise of a shared machine hits all
alike. Each measured run is a fresh process, since NEURON lets a template be defined once. On 2 cores the shipped
cells take less than 10 minutes each.
"""

import argparse
import json
import os
import sys
import tempfile
from importlib.metadata import version
from pathlib import Path

from simulate_clock import child_share, part_share
from simulate_ranks import child_run, part_memory, part_ranks, part_uneven
from simulate_trace import child_trace, part_shards, part_trace

from nrn_mlfit import machine

PARTS = {
    "trace": part_trace,
    "share": part_share,
    "memory": part_memory,
    "ranks": part_ranks,
    "uneven": part_uneven,
    "shards": part_shards,
}
CHILDREN = {"trace": child_trace, "share": child_share, "run": child_run}
SAMPLES = {"neuron": 60, "lanes": 640}  # sets that a rank simulates in a run; of lanes 20 shards with a full chunk each


def main():
    if sys.argv[1:2] == ["--child"]:
        print(json.dumps(CHILDREN[sys.argv[2]](*json.loads(sys.argv[3]))))
        return
    asked = arguments()
    print(about(asked), "\n\n| part | what | measured | target |\n|---|---|---|---|", sep="", flush=True)
    for name in asked.part or PARTS:
        with tempfile.TemporaryDirectory(prefix="benchmark-") as folder:
            for row in PARTS[name](asked, Path(folder)):
                print(f"| {name} |", " | ".join(row), "|", flush=True)


def arguments():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("cell", nargs="?", default="mainen")
    parser.add_argument("-n", "--samples", type=int, help=f"sets that a rank simulates in a run; default: {SAMPLES}")
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--engine", choices=SAMPLES, default="lanes")
    parser.add_argument("--precision", choices=["double", "mixed"], default="double")
    parser.add_argument("--part", action="append", choices=PARTS, help="may be given more than once; default: all")
    asked = parser.parse_args()
    asked.samples = asked.samples or SAMPLES[asked.engine]
    return asked


def about(asked) -> str:
    held = ", ".join(f"{name} {version(name)}" for name in ("nrn_mlfit", "neuron", "numpy", "h5py"))
    return (
        f"{asked.cell}, engine {asked.engine}, {asked.precision}, n = {asked.samples}, {asked.repeats} repeats; "
        f"{os.cpu_count()} cores, {machine.instruction_set()}, Python {sys.version.split()[0]}, {held}"
    )


if __name__ == "__main__":
    main()
