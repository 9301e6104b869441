"""MOD files that do the worst: each bad set ends in its status, and the others are as if there had been none."""

import re
import subprocess
import sys

import numpy as np
import pytest

from nrn_mlfit import cells, shards
from nrn_mlfit.shards import Status

HOC = """\
begintemplate BadCell
public soma, all
create soma
objref all
proc init() {
    all = new SectionList()
    soma { L = 20  diam = 20  insert bad  insert pas  all.append() }
}
endtemplate BadCell
"""
MOD = """\
NEURON { SUFFIX bad  RANGE kind, g  NONSPECIFIC_CURRENT i }
PARAMETER { kind = 999  g = 0.0001 }
ASSIGNED { v  i }
VERBATIM
#include <stdlib.h>
#include <string.h>
static char* volatile kept;
static void take(size_t bytes) { kept = (char*) malloc(bytes); memset(kept, 1, bytes); }
ENDVERBATIM
INITIAL {
VERBATIM
    if (kind >= 15 && kind < 20) { take(600000000); }  // a leak
    if (kind >= 30 && kind < 35) { take(6000000000); }  // more than a set may have
ENDVERBATIM
}
BREAKPOINT {
    i = g * (v + 70)
VERBATIM
    if (t > 1) {
        if (kind < 5) { i = 0. / (t - t); }
        else if (kind < 10) { volatile int forever = 1; while (forever) { } }
        else if (kind < 15) { abort(); }
        else if (kind >= 20 && kind < 25) { *(volatile int*) 8 = 1; }
        else if (kind >= 25 && kind < 30) { exit(75); }
    }
ENDVERBATIM
}
"""
BANDS = {  # of the parameter `kind`, 5 wide each: what becomes of its sets
    "NaN": Status.NON_FINITE,
    "loop": Status.TIMEOUT,
    "abort": Status.CRASHED,
    "leak": Status.OK,
    "fault": Status.CRASHED,
    "exit": Status.CRASHED,
    "greed": Status.CRASHED,
}


def write_cell(folder, bands, mod=MOD):
    (folder / "mod").mkdir(parents=True)
    (folder / "mod" / "bad.mod").write_text(mod)
    (folder / "bad.hoc").write_text(HOC)
    (folder / "bad.yaml").write_text(
        "name: bad\nhoc: bad.hoc\ntemplate: BadCell\nmod: mod\nstimulus: {kind: step, scale: 0.01, total: 5}\n"
        f"parameters:\n  kind_bad.all: {{low: 0, high: {bands}}}\n  g_bad.all: {{low: 1.0e-5, high: 1.0e-3}}\n"
    )
    return cells.load(folder / "bad.yaml")


def simulate(folder, samples, *words):
    line = [sys.executable, "-m", "nrn_mlfit", "simulate", folder / "bad.yaml", "-n", samples, "--timeout", 1, *words]
    return subprocess.run([*map(str, line), "-o", folder / "run"], capture_output=True, text=True, timeout=600)


def band_of(kind):
    return next((name for k, name in enumerate(BANDS) if 5 * k <= kind < 5 * k + 5), "good")


def held(folder):
    run = shards.open_run(folder / "run")
    found = [run.read(path) for path in run.shards]
    return [np.concatenate([getattr(s, key) for s in found]) for key in ("phys_par", "status", "volts")]


def seed_with_five_of_each(model, samples):
    """A seed whose sets fall into each band five times or more."""
    for seed in range(2000):
        kinds = [band_of(kind) for kind in model.space.to_phys(model.space.draw(seed, 0, samples))[:, 0]]
        if min(kinds.count(name) for name in BANDS) >= 5:
            return seed
    raise AssertionError("no seed found")


@pytest.fixture(scope="module")
def bad(tmp_path_factory, rounds):
    """A run of 1,000 sets (in short 150), with five or more of each kind of bad ones; and its good twin."""
    folder, twin = tmp_path_factory.mktemp("bad"), tmp_path_factory.mktemp("good")
    samples = rounds(1000, 150)
    seed = seed_with_five_of_each(write_cell(folder, samples), samples)
    write_cell(twin, samples, re.sub(r"VERBATIM\n    if.*?ENDVERBATIM\n", "", MOD, flags=re.DOTALL))
    for place in (folder, twin):
        done = simulate(place, samples, "--seed", seed)
        assert done.returncode == 0, done.stderr
    return folder, twin


def test_each_bad_set_has_its_status_and_no_voltage(bad):
    phys_par, status, volts = held(bad[0])
    for row, kind in enumerate(phys_par[:, 0]):
        assert status[row] == BANDS.get(band_of(kind), Status.OK), kind
    assert (volts[status != Status.OK] == shards.MISSING).all()


def test_all_other_sets_are_bit_identical_to_those_of_a_cell_without_the_bad_ones(bad):
    phys_par, status, volts = held(bad[0])
    other_par, other_status, wanted = held(bad[1])
    assert np.array_equal(phys_par, other_par)
    assert (other_status == Status.OK).all()
    assert np.array_equal(volts[status == Status.OK], wanted[status == Status.OK])


def test_a_leak_does_not_grow_the_job(tmp_path):
    """Five sets that leak 600 MB each, one after the other: nobody ever holds more than two of them."""
    write_cell(tmp_path, 35)
    text = (tmp_path / "bad.yaml").read_text()
    (tmp_path / "bad.yaml").write_text(text.replace("{low: 0, high: 35}", "{low: 15, high: 19.9}"))
    watch = (
        "import resource, subprocess, sys\nsubprocess.run(sys.argv[1:], check=True, stdout=subprocess.DEVNULL)\n"
        "print(resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss / 1024)"
    )
    line = [sys.executable, "-m", "nrn_mlfit", "simulate", tmp_path / "bad.yaml", "-n", 5, "-o", tmp_path / "run"]
    done = subprocess.run([sys.executable, "-c", watch, *map(str, line)], capture_output=True, text=True)
    assert 600 < float(done.stdout) < 1500, done.stderr  # MB
    assert (held(tmp_path)[1] == Status.OK).all()


def test_a_time_out_is_tried_once_more_and_then_left(bad):
    folder = bad[0]
    phys_par, status, _ = held(folder)
    words = ["--seed", str(shards.open_run(folder / "run").manifest["seed"])]
    late = int((status == Status.TIMEOUT).sum())
    again = simulate(folder, len(status), *words)
    assert f"{late} sets in " in again.stdout
    assert f"failed: {late} timeout" in again.stdout
    assert np.array_equal(held(folder)[1], status)
    assert simulate(folder, len(status), *words).stdout.startswith("nothing left to simulate")


def test_every_time_out_is_tried_twice_also_where_a_run_is_extended(tmp_path):
    write_cell(tmp_path, 35)
    text = (tmp_path / "bad.yaml").read_text()
    (tmp_path / "bad.yaml").write_text(text.replace("{low: 0, high: 35}", "{low: 5, high: 9.9}"))
    words = ["--timeout", 0.2]
    said = [simulate(tmp_path, sets, *words).stdout for sets in (1, 1, 1, 2, 2, 2)]
    assert [text.startswith("nothing left") for text in said] == [False, False, True, False, False, True]
    assert (held(tmp_path)[1] == Status.TIMEOUT).all()


def test_with_more_time_a_time_out_becomes_what_it_would_have_been(tmp_path):
    slow = MOD.replace("while (forever) { }", "for (long k = 0; k < 800000000; k++) { forever = 2; }").replace(
        "t > 1", "t > 4.94"
    )
    write_cell(tmp_path, 20, slow)
    assert simulate(tmp_path, 6, "--timeout", 0.3, "--seed", 3).returncode == 0
    phys_par, status, _ = held(tmp_path)
    late = (phys_par[:, 0] >= 5) & (phys_par[:, 0] < 10)
    assert late.any()
    assert (status[late] == Status.TIMEOUT).all()
    assert simulate(tmp_path, 6, "--timeout", 60, "--seed", 3).returncode == 0
    assert (held(tmp_path)[1][late] == Status.OK).all()


def test_a_cell_that_kills_whoever_builds_it_is_refused(tmp_path):
    write_cell(tmp_path, 20)
    deadly = MOD.replace("INITIAL {", "CONSTRUCTOR {\nVERBATIM\n abort();\nENDVERBATIM\n}\nINITIAL {")
    (tmp_path / "mod" / "bad.mod").write_text(deadly)
    done = simulate(tmp_path, 5)
    assert done.returncode == 2
    assert "nrn-mlfit: the process that builds the cell died (SIGABRT); look at its HOC and MOD files\n" in done.stderr
    assert not (tmp_path / "run").exists()


def test_a_cell_that_remembers_the_set_before_is_refused(tmp_path):
    counting = MOD.replace("kind = 999", "kind = 999  seen = 0").replace("RANGE kind,", "RANGE kind, seen,")
    write_cell(tmp_path, 10_000, counting.replace("INITIAL {", "INITIAL {\n    seen = seen + 1\n    g = g * seen"))
    done = simulate(tmp_path, 5)
    assert done.returncode == 2
    assert "bad: set 0 gave another trace after set 1 than before it, so the cell keeps something" in done.stderr
    assert not list(tmp_path.glob("run/shard-*"))
