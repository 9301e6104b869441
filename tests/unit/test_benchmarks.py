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


# ---- learning.py ----


def spiky(times, dt=0.02):
    """A trace of 8000 samples at -70 mV: from each time on up by 50 mV/ms for 2 ms, down by 100 mV/ms for 1.2 ms, then at -90."""
    volts = np.full(8000, -70.0)
    for begin in np.round(np.array(times) / dt).astype(int):
        volts[begin : begin + 101] = volts[begin] + np.arange(101) * 50 * dt
        volts[begin + 100 : begin + 161] = volts[begin + 100] - np.arange(61) * 100 * dt
        volts[begin + 161 :] = volts[begin + 160]
    return volts


def test_features_of_a_trace_that_was_made(part):
    features = part("features")
    silent, held = features.features_of(np.array([spiky([]), spiky([20.0, 100.0])]), 0.02, spikes=3)
    assert held.shape == silent.shape == (2 + 6 * 3 + 40,)
    assert (silent[0], silent[1], held[0], held[1]) == (0, -70, 2, -110)
    first, second, third = held[2:20].reshape(3, 6)
    # -70 to 30 and down to -90 mV; the first crosses -20 mV 1 ms after its start, where the rise is at once 50 mV/ms
    assert first == pytest.approx([20.98, 30, 50, -70, -90, 1.5], abs=0.021)
    # -90 to 10 and down to -110 mV; -20 mV after 1.4 ms, left again after 0.3 ms of the fall; widths to a sample
    assert second == pytest.approx([101.38, 10, 50, -90, -110, 0.9], abs=0.021)
    assert np.isnan(third).all() and np.isnan(silent[2:20]).all()
    assert held[20] == pytest.approx(np.log10(43)) and held[-1] == pytest.approx(np.log10(3))  # floor -112 mV
    assert held[features.spike_columns(3)] == pytest.approx([2, 20.98, 101.38, np.nan], nan_ok=True)


def test_features_do_not_hang_on_the_other_traces_nor_on_later_spikes(part):
    features, random = part("features"), np.random.default_rng(1)
    volts = np.cumsum(random.normal(0, 4, (20, 8000)), axis=1) * 0.2 - 20
    together = features.features_of(volts, 0.02, 5)
    alone = np.concatenate([features.features_of(row[None], 0.02, 5) for row in volts])
    assert np.array_equal(together, alone, equal_nan=True)
    more = features.features_of(volts, 0.02, 9)
    assert np.array_equal(more[:, :32], together[:, :32], equal_nan=True)


def test_beta_nll_has_the_gradients_of_its_paper(part):
    """Seitzer et al. (ICLR 2022), eqs. 6 and 7: (mean - y) / s2^(1-b) and (s2 - (y - mean)^2) / (2 s2^(2-b))."""
    torch = pytest.importorskip("torch")
    networks = part("learning_networks")
    mean, targets = torch.tensor([[0.3, -0.5]]).requires_grad_(), torch.tensor([[0.1, 0.7]])
    variance = torch.tensor([[0.2, 1.7]]).requires_grad_()
    networks.beta_nll(mean, variance, targets, 0.3).backward()
    off, s2 = (mean - targets).detach(), variance.detach()
    assert torch.allclose(2 * mean.grad, off / s2**0.7)  # of 2 numbers, over which the loss is the mean
    assert torch.allclose(2 * variance.grad, (s2 - off**2) / (2 * s2**1.7))


def test_a_network_with_variances_is_judged_by_its_means(part):
    torch = pytest.importorskip("torch")
    networks = part("learning_networks")
    candidate = networks.CANDIDATES["beta-NLL"]
    network = networks.WithVariance(candidate.design("it"), 1, 2000, 3)
    x = torch.randn(4, 1, 2000)
    answer = network(x)
    assert answer.shape == (4, 6) and (answer[:, 3:] > 0).all()
    network.eval()
    means, targets = network(x), torch.zeros(4, 3)
    assert means.shape == (4, 3) and torch.allclose(network.loss(means, targets), means.square().mean())


def test_side_inputs_are_the_features_standardised(part):
    torch = pytest.importorskip("torch")
    from nrn_mlfit.learn.scaling import TraceScaler

    networks, features = part("learning_networks"), part("features")
    volts, scaler = np.array([spiky([t, 2 * t]) for t in (20.0, 30.0, 40.0, 60.0)]), TraceScaler(-112.0)
    x = scaler.from_millivolts(torch.from_numpy(volts)).unsqueeze(1)
    sides = networks.Sides(x, scaler, 0.02, features.spike_columns(networks.SPIKES))
    held = sides(x).numpy()
    assert held.shape == (4, 1 + networks.SPIKES) and len(sides) == 1 + networks.SPIKES
    assert held[:, 1] == pytest.approx(held[:, 2]) and held[:, 1] == pytest.approx(
        np.array([-1.18, -0.51, 0.17, 1.52]), abs=0.01
    )
    assert not held[:, 3:].any(), "spikes that no trace has"
    network = networks.Beside(networks.CANDIDATES["residual"].design("it"), 1, 8000, 3, sides).eval()
    assert network.flat(x).shape[1] == network.flat_size + len(sides)
    network.head[0].weight.data[:, network.flat_size :] = 0
    without = network(x)
    network.head[0].weight.data[:, network.flat_size :] = 1
    assert not torch.allclose(without, network(x))


def test_ridge_by_parts_is_ridge(part):
    """Against least squares of the features with the penalty's rows below them."""
    random, penalties = np.random.default_rng(1), (0.01, 30.0, 1e6)
    x = random.normal(3, 2, (300, 20)) * random.uniform(0.1, 5, 20)
    y = x @ random.normal(size=(20, 2)) + random.normal(size=(300, 2))
    ridge = part("learning_baselines").Ridge([(x[:100], y[:100]), (x[100:], y[100:])])
    scaled, middle = (x - x.mean(0)) / x.std(0), y.mean(0)
    for penalty in penalties:
        ridge.choose(x, y, [penalty])
        stacked = np.vstack([scaled, penalty**0.5 * np.eye(20)])
        weights = np.linalg.lstsq(stacked, np.vstack([y - middle, np.zeros((20, 2))]), rcond=None)[0]
        assert np.allclose(ridge(x), middle + scaled @ weights)
    ridge.choose(x, y, penalties)
    assert ridge.penalty == 0.01, "on the sets it has learned from, the smallest one"
    wider = np.column_stack([x, np.full((300, 2), 0.3)])
    same = part("learning_baselines").Ridge([(wider, y)])
    same.choose(wider, y, [0.01])
    assert np.allclose(same(wider), ridge(x)), "what is the same for all says nothing"


def race_row(name, seed, choosing, seconds, curve=(), minutes=45.0):
    row = {"name": name, "seed": seed, "minutes": minutes, "seconds": seconds, "parameters": 10, "seen": 100}
    return row | {"choosing": choosing, "judging": [choosing, choosing + 0.02], "curve": curve}


def test_the_table_says_when_golden_203_is_overtaken(part):
    learning = part("learning")
    found = [
        race_row("golden203, batch 64", 1, 0.3, 600, [[1, 600, 0.3]]),
        race_row("golden203, batch 16", 1, 0.2, 600, [[1, 300, 0.25], [2, 600, 0.2]]),
        race_row("residual", 1, 0.1, 600, [[1, 150, 0.3], [2, 240, 0.19], [3, 600, 0.1]]),
        race_row("residual", 2, 0.22, 600, [[1, 600, 0.22]]),
        race_row("residual", 1, 0.05, 6000, [[1, 6000, 0.05]], minutes=None),
        race_row("trees", 1, 0.15, 60, minutes=None) | {"parameters": None},
    ]
    lines = [[cell.strip() for cell in line.split("|")[1:-1]] for line in learning.table(found)]
    assert lines[3] == ["golden203, batch 16", "10", "100", "10.0", "0.2000 (0.2000)", "0.2100", ""]
    assert lines[4] == ["residual", "10", "100", "10.0", "0.1600 (0.1000, 0.2200)", "0.1700", "40 %, never"]
    assert lines[5] == ["residual, until it stops", "10", "100", "100.0", "0.0500 (0.0500)", "0.0600", ""]
    assert lines[6] == ["trees", "", "100", "1.0", "0.1500 (0.1500)", "0.1600", ""]


def test_the_clock_of_a_training_goes_on_where_it_was_broken_off(part, tmp_path, monkeypatch):
    from nrn_mlfit.learn import checkpoint
    from nrn_mlfit.learn.training import History

    learning, history = part("learning"), History()
    monkeypatch.setattr(checkpoint, "SECONDS_BETWEEN", 0.0)
    clock = learning.Clock(tmp_path / "kept.pt")
    assert clock.kept is None
    clock.tell(0.5, 0.1, history)
    busy(0.05)
    history.add(1.0, 0.3, 0.3)
    clock.tell(1.0, 0.2, history)
    clock.keep(lambda: {"step": 3})
    again = learning.Clock(tmp_path / "kept.pt")
    assert again.kept == {"step": 3} and again.seconds == clock.seconds
    assert 0.05 <= clock.seconds[0] <= again.spent
    busy(0.05)
    history.add(2.0, 0.2, 0.2)
    again.tell(2.0, 0.4, history)
    assert again.seconds[1] >= clock.seconds[0] + 0.05


# ---- probes.py ----


def test_a_table_of_probes_has_the_errors_and_their_correlations(part):
    names = [f"{channel}_{place}" for channel in ("gna", "gkv", "gca") for place in ("soma", "apic", "basal")]
    correlation = np.eye(9)
    correlation[0, 2] = correlation[2, 0] = -0.94
    lines = [
        {"probes": "soma", "names": names, "mse": [0.1] * 9, "seen": 1000, "correlation": correlation.tolist()},
        {"probes": "both", "names": names, "mse": [0.05] + [0.1] * 8, "seen": 900, "correlation": np.eye(9).tolist()},
    ]
    told = part("probes").table(lines).splitlines()
    assert told[2] == "| gna_soma | 0.700 | 0.850 | 0.50 |" and told[3].endswith("| 1.00 |")
    assert "| gna_soma, gna_basal | -0.94 | +0.00 |  |" in told


def test_a_network_is_given_the_probes_that_are_asked_for(part, tmp_path):
    """Of three probes the first and the third, in that order."""
    probes = part("probes")
    counts = np.arange(2 * 3 * 4, dtype=np.int16).reshape(2, 3, 1, 4)
    shard = type("Held", (), {"volts": counts})
    made = probes.Chosen((), {}, tmp_path, kept=(0, 2))
    assert (made._counts(shard) == counts[:, [0, 2], 0]).all()
