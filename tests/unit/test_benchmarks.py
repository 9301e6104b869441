"""The benchmarks run with the code as it is, and what they add up is right. How fast anything is, is not asked here."""

import importlib
import json
import os
import shutil
import subprocess
import sys
import time
from collections import Counter
from pathlib import Path

import numpy as np
import pytest

from nrn_mlfit import machine

FOLDER = Path(__file__).parents[2] / "benchmarks"
IN_WORKER = {"neuron": ("solver", "setting parameters", "reading out")}
IN_WORKER["lanes"] = (*IN_WORKER["neuron"], "starting from NEURON")
IN_RANK = ("drawing", "counting", "compressing", "writing", "the trip")

counting = pytest.mark.skipif(
    machine.instruction_set() not in ("x86_64-v3", "x86_64-v4") or not shutil.which("objdump"),
    reason="instructions are counted on x86-64 with AVX2 or more, and with objdump",
)


@pytest.fixture
def part(monkeypatch):
    """A file of benchmarks/, imported: part("simulate_limit")."""
    monkeypatch.syspath_prepend(str(FOLDER))

    return importlib.import_module


def benchmark(name, *words, timeout=120):
    line = [sys.executable, FOLDER / name, *map(str, words)]
    done = subprocess.run(line, capture_output=True, text=True, timeout=timeout)
    assert done.returncode == 0, done.stderr[-2000:]
    return done.stdout


def skip_without_ptrace(told):
    if "ptrace" in told:
        pytest.skip("no process may be stepped through here")


@pytest.mark.parametrize("engine", ["lanes", "neuron"])
def test_simulate_tells_where_the_time_goes(engine):
    parts = ["--part", "trace", "--part", "share", "--part", "shards"]
    out = benchmark("simulate.py", "izhikevich", "-n", 4, "--repeats", 1, "--engine", engine, *parts)
    rows = [[cell.strip() for cell in line.split("|")[1:4]] for line in out.splitlines() if line.startswith("|")]
    assert {row[0] for row in rows[2:]} == {"trace", "share", "shards"}
    shares = {what[9:]: float(value.split(" %")[0]) for _, what, value in rows if what.startswith("share of ")}
    total = sum(share for name, share in shares.items() if "time" not in name)
    assert total == pytest.approx(100, abs=0.1), shares
    missing = [name for name in (*IN_WORKER[engine], *IN_RANK) if not shares[name] > 0]
    assert not missing, "a clock that does not run: what it is put around has gone"


def test_ranks_beside_runs_apart_and_their_memory(mpiexec):
    out = benchmark("simulate.py", "izhikevich", "-n", 4, "--repeats", 1, "--part", "ranks", "--part", "memory")
    assert "2 ranks together" in out and "memory of one of 2 ranks" in out
    held = [float(line.split("|")[3].split()[0]) for line in out.splitlines() if line.startswith("| memory")]
    assert all(20 < megabytes < 4000 for megabytes in held)


def test_engines_side_by_side(tmp_path):
    output = tmp_path / "engines.json"
    words = ["izhikevich", "--sets", 4, "--repeats", 1, "--no-limit", "-o", output]
    out = benchmark("engines.py", *words)
    found = json.loads(output.read_text())["cells"]["izhikevich"]
    plain = found["times"]["plain NEURON"][0]
    assert any("-march=native" in name for name in found["times"])
    for name, parts in found["parts"].items():
        assert found["times"][name][0] == pytest.approx(sum(held[0] for held in parts.values()))
        assert found["ratio"][name] == pytest.approx(plain / found["times"][name][0])
        assert name in out and found["compiling_s"][name] > 0


def test_a_whole_run_against_the_program(tmp_path, mpiexec):
    output = tmp_path / "whole.json"
    benchmark("engines.py", "izhikevich", "--sets", 4, "--repeats", 1, "--end-to-end", 8, "-o", output)
    found = json.loads(output.read_text())["cells"]["izhikevich"]
    assert found["wanted_s"] == pytest.approx(1e-3 * found["program_ms"] * 8 / 2)
    assert found["ratio"] == pytest.approx(found["wall_s"] / found["wanted_s"])
    assert found["cpu_s"] > 0.1 and found["bytes"] > 0


@counting
def test_a_program_has_a_limit():
    found = json.loads(benchmark("simulate_limit.py", "izhikevich"))
    skip_without_ptrace(found.get("why_not", ""))
    assert found["limit_ms"] > 0 and found["share"] > 0
    assert sum(found["by_kind"].values()) == found["arithmetic_instructions"]
    assert found["arithmetic_instructions"] < found["vector_instructions"] <= found["instructions"]


@counting
def test_a_step_is_counted_instruction_by_instruction(part, tmp_path):
    """Against a program whose instructions are known: a step of it divides 7 times, and a run once more."""
    limit = part("simulate_limit")
    source = tmp_path / "known.cpp"
    source.write_text(
        'extern "C" int lanes_count() { return 4; }\n'
        'extern "C" void lanes_read(double *) {}\n'
        'extern "C" void lanes_run(const double *, double, const double *, const double *, long steps, long, long, double *) {\n'
        '    asm volatile("vdivpd %%ymm0, %%ymm1, %%ymm2" ::: "xmm2");\n'
        "    for (long k = 0; k < steps; k++) for (int i = 0; i < 7; i++)\n"
        '        asm volatile("vdivpd %%ymm0, %%ymm1, %%ymm2\\n vmulps %%ymm0, %%ymm1, %%ymm3" ::: "xmm2", "xmm3");\n'
        "}\n"
    )
    library = tmp_path / "known.so"
    subprocess.run(["g++", "-O1", "-mavx2", "-shared", "-fPIC", source, "-o", library], check=True)
    try:
        counted = limit.count_a_step(library, np.zeros((4, 1)), (0.0, np.zeros(1), np.zeros(1)), probes=1)
    except subprocess.CalledProcessError as error:
        skip_without_ptrace(error.stderr)
        raise
    assert counted["vdivpd ymm"] == counted["vmulps ymm"] == 7


def test_kinds_of_instructions_and_their_mixture(part):
    limit = part("simulate_limit")
    kinds = {"vfmadd132pd": 0, "vfnmsub231ps": 0, "vmulpd": 0, "vaddps": 1, "vsubpd": 1, "vdivpd": 2}
    assert {name: limit.KINDS.index(limit.kind_of(name)) for name in kinds} == kinds
    assert not any(map(limit.kind_of, ["vmulsd", "vaddsubpd", "vmovapd", "vminpd", "vpaddq", "mulpd"]))
    body = limit.mixed(Counter(vmulpd=600, vaddpd=300, vdivpd=100))
    assert Counter(body) == {"vmulpd": 600, "vaddpd": 300, "vdivpd": 100}
    places = [k for k, name in enumerate(body) if name == "vdivpd"]
    assert max(b - a for a, b in zip(places, places[1:], strict=False)) <= 12


def test_time_inside_another_part_counts_once(part):
    clock = part("simulate_clock").Clock()

    class Parts:
        def inner(self):
            busy(0.02)

        def outer(self):
            busy(0.01)
            self.inner()

    clock.wrap(Parts, "inner", "inner")
    clock.wrap(Parts, "outer", "outer")
    Parts().outer()
    assert clock.seconds["inner"][0] == pytest.approx(0.02, rel=0.2)
    assert clock.seconds["outer"][0] == pytest.approx(0.01, rel=0.2)


def busy(seconds):
    """CPU time of this thread."""
    end = time.thread_time() + seconds
    while time.thread_time() < end:
        pass


def test_a_rank_without_work(part):
    idle = part("simulate_ranks").idle
    ranks = [{"spans": [[0, 4], [5, 10]]}, {"spans": [[0, 6]]}]
    assert idle(ranks) == pytest.approx((1 / 20, 4 / 20))


def test_processes_below(part):
    jobs = part("simulate_jobs")
    child = subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE)
    try:
        assert child.pid in jobs.family(os.getpid())
        assert jobs.parent(child.pid) == os.getpid()
    finally:
        child.communicate(b"\n")
