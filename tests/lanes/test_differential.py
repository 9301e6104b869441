"""Random cells under the lane engine and under NEURON, and what the comparison lets through and what not.

`make test` runs a dozen cells, NRN_MLFIT_CHAOS=1 two hundred; `python tests/lanes/test_differential.py --cells 200` the
same outside of pytest, in steps that can be broken off (benchmarks/differential.py).
"""

import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

SCRIPT = Path(__file__).parents[2] / "benchmarks" / "differential.py"
CELLS = 200 if os.environ.get("NRN_MLFIT_CHAOS") else 12
MOST_CHAOTIC = 0.05  # of all sets
SPIKE_MS, SILENT_MV = {"lanes": 1e-6, "mixed": 1e-3}, {"lanes": 1e-6, "mixed": 1e-2}


def differential(output, engine, cells, first=0):
    """The lines of some cells by seed, and what was printed."""
    words = ["--cells", cells, "--first", first, "--engine", engine, "-o", output]
    done = subprocess.run([sys.executable, SCRIPT, *map(str, words)], capture_output=True, text=True)
    assert output.is_file(), done.stderr
    lines = [json.loads(text) for text in output.read_text().splitlines()]
    return {line["seed"]: line for line in lines}, done


@pytest.mark.parametrize(("engine", "cells"), [("lanes", CELLS), ("mixed", max(4, CELLS // 4))])
def test_random_cells_agree_with_neuron(tmp_path, engine, cells):
    lines, done = differential(tmp_path / "lines.jsonl", engine, cells)
    print(done.stdout)
    assert done.returncode == 0, done.stdout
    assert len(lines) == cells
    assert max(line["shift"] for line in lines.values()) <= SPIKE_MS[engine]
    assert max(line["apart_silent"] for line in lines.values()) <= SILENT_MV[engine]
    sets = sum(line["sets"] for line in lines.values())
    assert sum(line["verdicts"].get("chaotic", 0) for line in lines.values()) <= MOST_CHAOTIC * sets


def test_neuron_agrees_with_itself_to_the_last_bit(tmp_path):
    lines, done = differential(tmp_path / "lines.jsonl", "neuron", 2, first=11)
    assert done.returncode == 0, done.stdout
    assert all(line["beyond"] == line["shift"] == line["apart_silent"] == 0 for line in lines.values())


def test_an_engine_that_is_off_by_a_millionth_is_found(tmp_path):
    """Also in cells with many spikes: none is taken for chaotic."""
    lines, done = differential(tmp_path / "lines.jsonl", "wrong:1e-6", 2, first=11)
    assert done.returncode == 1
    verdicts = [line["verdicts"] for line in lines.values()]
    assert all(v.get("differs") and not v.get("chaotic") for v in verdicts), done.stdout


def test_a_crash_and_a_finished_cell_do_not_end_a_run(tmp_path):
    """What the output file has is kept; a cell that dies is one line."""
    output = tmp_path / "lines.jsonl"
    output.write_text(json.dumps({"seed": 0, "engine": "wrong:x", "crash": "kept"}) + "\n")
    lines, done = differential(output, "wrong:x", 2)
    assert done.returncode == 1
    assert lines[0]["crash"] == "kept" and "could not convert" in lines[1]["crash"]
    assert "crashed                              2" in done.stdout


def trace(*spikes, shift=0.0, dt=0.02):
    """A trace (1, 1, T) in mV with a Gaussian spike of 1 ms at each of some times in ms."""
    time = np.arange(5000) * dt
    return (-70 + 100 * sum(np.exp(-(((time - s - shift) / 0.5) ** 2)) for s in spikes) + 0 * time)[None, None]


def test_a_shift_within_bounds_agrees_with_all_voltages_that_it_explains():
    from nrn_mlfit.simulator.agreement import compare

    found = compare(trace(20, 50), trace(20, 50, shift=5e-7), 0.02)
    assert found.verdict == "agrees" and found.spikes == 2
    assert found.shift == pytest.approx(5e-7, rel=0.02)  # crossings are interpolated
    assert found.apart == pytest.approx(
        5e-7 * 100 * np.sqrt(2 / np.e) / 0.5, rel=1e-3
    )  # the steepest slope of a Gaussian
    assert compare(trace(20, 50), trace(20, 50, shift=2e-6), 0.02).verdict == "differs"


def test_a_missing_spike_and_a_silent_offset_differ():
    from nrn_mlfit.simulator.agreement import compare

    found = compare(trace(20, 50), trace(20), 0.02)
    assert (found.verdict, found.same_counts, found.shift) == ("differs", False, np.inf)
    silent = trace() + 2e-6
    assert compare(trace(), silent, 0.02).verdict == "differs"
    assert compare(trace(), trace() + 5e-7, 0.02).verdict == "agrees"


def test_where_the_truth_is_no_trace_the_other_needs_the_same_status():
    from nrn_mlfit.simulator.agreement import compare

    good, high = trace(20), trace(20) + 1000
    lost = np.full_like(good, np.nan)
    assert compare(lost, lost, 0.02).verdict == "agrees"
    assert compare(high, high + 3, 0.02).verdict == "agrees"
    for truth, other in [(lost, good), (good, lost), (high, lost), (good, high)]:
        assert compare(truth, other, 0.02).verdict == "differs"


def test_only_what_neuron_does_itself_by_then_is_let_through():
    """Runs that part late do not excuse an error that is there from the start."""
    from nrn_mlfit.simulator.agreement import DOUBLE, excess

    truth, grown = trace(), 1e-13 * np.exp(np.arange(5000) / 150)
    rounding, error = truth + 3 * grown, truth + grown + 1e-7
    assert excess(truth, rounding, [truth + grown, truth - grown]) == pytest.approx(3, rel=0.3)
    assert excess(truth, error, [truth + grown]) > DOUBLE.amplification


BISTABLE_HOC = """\
begintemplate Bistable
public soma, cell
create soma
objref cell
proc init() {
    soma cell = new RAdex(0.5)
    cell.a = 0
    cell.b = 0
}
endtemplate Bistable
"""
BISTABLE_YAML = f"""\
name: bistable
hoc: bistable.hoc
template: Bistable
mod: {Path(__file__).parent / "pool"}
dt: 0.02
probes: {{V: V@cell}}
inject: I@cell
stimulus: {{kind: step, scale: 0.4, delay: 5, duration: 20, total: 250, dt: 0.02}}
parameters: {{C@cell: {{low: 0.1, high: 2}}}}
"""


@pytest.fixture(scope="module")
def edge(tmp_path_factory):
    """(session, C): a cell that a pulse leaves on the edge between a spike and none; C decides, to its last digit."""
    from nrn_mlfit import cells
    from nrn_mlfit.simulator import Session

    folder = tmp_path_factory.mktemp("bistable")
    (folder / "bistable.hoc").write_text(BISTABLE_HOC)
    (folder / "bistable.yaml").write_text(BISTABLE_YAML)
    session, low, high = Session(cells.load(folder)), 0.1, 2.0
    assert run(session, low).max() == 20 and run(session, high).max() < 0
    while (middle := (low + high) / 2) not in (low, high):
        low, high = (middle, high) if run(session, middle).max() > 0 else (low, middle)
    return session, low


def run(session, value):
    session.set([value])
    return session.run(session.model.protocol.stimuli[0])[:, None]


def test_what_hangs_on_the_last_digit_is_chaotic(edge):
    from nrn_mlfit.simulator.agreement import examine

    session, value = edge
    found = examine(session, [value], run(session, value), run(session, value * (1 + 2**-51)))
    assert found.verdict == "chaotic" and not found.same_counts and found.own_shift == np.inf


@pytest.mark.parametrize("error", [1e-6, 1e-8, -1e-8])
def test_an_error_is_found_in_a_chaotic_set_too(edge, error):
    from nrn_mlfit.simulator.agreement import examine

    session, value = edge
    found = examine(session, [value], run(session, value), run(session, value * (1 + error)))
    assert found.verdict == "differs" and found.own_shift == np.inf


if __name__ == "__main__":
    sys.exit(subprocess.run([sys.executable, SCRIPT, *sys.argv[1:]]).returncode)
