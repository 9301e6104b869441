"""The mainen cell in Arbor, for benchmarks/peers.py, run by the Python that has Arbor.

All cells of a batch are in one cell group of one thread; the mechanisms are compiled for this machine. The control
volumes are NEURON's segments, with one of no volume where both basal dendrites meet the soma, as in NEURON. A cell's
parameters cannot be changed: each batch is built anew, which is timed apart.

With the option `exact` a gate's step has the exponential that NEURON's cnexp has, where modcc writes its approximation
(2 + x)/(2 - x). That is no setting of Arbor, but shows that nothing else differs.
"""

import os
import re
import shutil
import subprocess
import sys
from importlib.metadata import version
from pathlib import Path

from peers_child import serve, vector_bits

APPROXIMATION = r"assign\((\w+), S::div\(S::add\(\(double\)2\.0, (ll\d+_)\), S::sub\(\(double\)2\.0, \2\)\)\)"


def prepare(problem, folder, options, cells):
    import arbor

    engine = Engine(arbor, problem, build_catalogue(folder, "exact" in options), cells)
    about = {"version": version("arbor"), "precision": "f64", "lanes": vector_bits() // 64}
    return about, engine.load, engine.run


def build_catalogue(folder, exact):
    """Compile the mechanisms and return the library."""
    name, made = f"peers{exact:d}", folder / f"generated{exact:d}"
    shutil.rmtree(made, ignore_errors=True)
    compiler = folder / "native"  # the catalogue's own option is the architecture of the wheel
    compiler.write_text(f'#!/bin/sh\nexec {os.environ.get("CXX", "c++")} "$@" -march=native\n')
    compiler.chmod(0o755)
    beside = Path(sys.executable).parent
    mods = Path(__file__).resolve().parent / "peers_mod"
    words = ["arbor-build-catalogue", "--cxx", compiler, "--debug", made, name, mods]
    found = os.environ | {"PATH": f"{beside}:{os.environ['PATH']}"}
    ran = subprocess.run(words, cwd=folder, env=found, capture_output=True, text=True)
    if ran.returncode:
        raise RuntimeError(f"arbor-build-catalogue (needs cmake, make and a C++ compiler): {ran.stdout}{ran.stderr}")
    if exact:
        make_exact(made / "build", name)
    return made / "build" / f"{name}-catalogue.so"


def make_exact(build, name):
    changed = 0
    for path in (build / "generated" / name).glob("*_cpu.cpp"):
        text, count = re.subn(APPROXIMATION, r"assign(\1, S::exp(\2))", path.read_text())
        path.write_text(text)
        changed += count
    if not changed:
        raise RuntimeError("this modcc writes a gate's step in another way")
    subprocess.run(["make"], cwd=build, check=True, capture_output=True)


class Engine:
    def __init__(self, arbor, problem, catalogue, cells):
        self.arbor, self.problem, self.cells = arbor, problem, cells
        self.context = arbor.context(threads=1)
        self.properties = arbor.neuron_cable_properties()
        self.properties.catalogue = arbor.load_catalogue(str(catalogue))
        self.morphology, self.policy, self.middle = shape(arbor, problem)
        self.clamp = clamp(arbor, problem)

    def load(self, rows):
        arbor, problem, unit = self.arbor, self.problem, self.arbor.units
        recipe = recipe_class(arbor)(self, [self.cell(row) for row in rows])
        hint = {arbor.cell_kind.cable: arbor.partition_hint(cpu_group_size=self.cells, prefer_gpu=False)}
        parts = arbor.partition_load_balance(recipe, self.context, hint)
        self.simulation = arbor.simulation(recipe, self.context, parts)
        self.steps = len(problem.current) - 1
        end = (self.steps + 0.5) * problem.dt * unit.ms
        when = arbor.regular_schedule(problem.start * problem.dt * unit.ms, problem.dt * unit.ms, end)
        self.handles = [self.simulation.sample((k, "v"), when) for k in range(len(rows))]
        self.end = end

    def run(self):
        self.simulation.run(self.end, self.problem.dt * self.arbor.units.ms)
        return [self.simulation.samples(handle)[0][0][:, 1] for handle in self.handles]

    def cell(self, row):
        arbor, problem, unit = self.arbor, self.problem, self.arbor.units
        decor = arbor.decor()
        decor.set_property(Vm=-70 * unit.mV, rL=problem.sections[0]["Ra"] * unit.Ohm * unit.cm)
        gbar = {name: problem.siemens(name, row) for name in ("na", "kv", "km", "kca", "ca")}
        for k, section in enumerate(problem.sections):
            where = f"(tag {k + 1})"
            decor.paint(where, cm=problem.values["cm"][row, k] * 1e-2 * unit.F / unit.m2)
            decor.paint(where, arbor.density("na", gbar=gbar["na"][k], g=problem.values["g_pas"][row, k]))
            if "kv" in section["mechanisms"]:
                decor.paint(where, arbor.density("kv", gbar=gbar["kv"][k]))
            if "ca" in section["mechanisms"]:
                calcium = {f"g{name}": gbar[name][k] for name in ("km", "kca", "ca")}
                decor.paint(where, arbor.density("calcium", **calcium))
        decor.place(self.middle, self.clamp)
        return arbor.cable_cell(self.morphology, decor, arbor.label_dict(), self.policy)


def recipe_class(arbor):
    class Recipe(arbor.recipe):
        def __init__(self, engine, cells):
            super().__init__()
            self.engine, self.cells = engine, cells

        def num_cells(self):
            return len(self.cells)

        def cell_kind(self, gid):
            return arbor.cell_kind.cable

        def cell_description(self, gid):
            return self.cells[gid]

        def probes(self, gid):
            return [arbor.cable_probe_membrane_voltage(self.engine.middle, "v")]

        def global_properties(self, kind):
            return self.engine.properties

    return Recipe


def shape(arbor, problem):
    """Morphology, control volumes, and the middle of the soma: each of NEURON's segments a cylinder of its own.

    The soma is two halves, so that the axon can leave from its middle, and one control volume.
    """
    tree, starts, ends, half = arbor.segment_tree(), [], [], None
    for k, section in enumerate(problem.sections):
        pieces = [(section["L"] / section["nseg"], diameter) for diameter in section["diameters"]]
        parent = arbor.mnpos
        if section["parent"] > 0 or section["at"] == 1:
            parent = ends[section["parent"]]
        elif section["at"] == 0.5:
            parent = half
        x, ids = 0, []
        for length, diameter in [(pieces[0][0] / 2, pieces[0][1])] * 2 if k == 0 else pieces:
            ahead = (arbor.mpoint(x, 0, 0, diameter / 2), arbor.mpoint(x + length, 0, 0, diameter / 2))
            parent = tree.append(parent, *ahead, tag=k + 1)
            x, ids = x + length, [*ids, parent]
        half = ids[0] if k == 0 else half
        starts += ids[:1] if k == 0 else ids
        ends.append(ids[-1])
    cuts = " ".join(f"(proximal (segment {k}))" for k in starts)
    return arbor.morphology(tree), arbor.cv_policy_explicit(f"(sum {cuts})"), f"(distal (segment {half}))"


def clamp(arbor, problem):
    """The stimulus half a step early: Arbor takes the current at a step's start, NEURON in its middle."""
    unit, dt = arbor.units, problem.dt
    points = enumerate(problem.midway())
    return arbor.i_clamp([(k * dt * unit.ms, float(current) * unit.nA) for k, current in points])


if __name__ == "__main__":
    serve(prepare)
