"""Fixtures: one thread, a real cell folder, and traces from a relation that is known: a decaying exponential."""

import functools

import numpy as np
import pytest
import torch

from nrn_mlfit import cells, shards, textfile
from nrn_mlfit.learn import Design, Settings, open_corpus, train
from nrn_mlfit.shards import manifest

CELL = """name: decay
hoc: decay.hoc
template: Decay
stimulus: {kind: step, scale: 0.1, delay: 10, duration: 40, total: 60, dt: 0.1}
parameters:
  tau: {low: 2, high: 20, unit: ms, sets: [set_tau()]}
  amplitude: {low: 10, high: 60, unit: mV, sets: [set_amplitude()]}
"""


@pytest.fixture(autouse=True)
def one_thread():
    """The machine is shared, and on one thread the same seed gives the same bits."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


@pytest.fixture(scope="session")
def small_design():
    """Two blocks, enough for 600 samples, fast."""
    return Design("small", (8, 12), 5, 1, 5, (24, 12), drop_frac=0.01)


@pytest.fixture(scope="session")
def decay_cell(tmp_path_factory):
    """The folder of a cell with two parameters, tau and amplitude (its HOC is never run)."""
    folder = tmp_path_factory.mktemp("decay")
    (folder / "decay.yaml").write_text(CELL)
    (folder / "decay.hoc").write_text("// a cell that is never built\n")
    return folder


@pytest.fixture(scope="session")
def decay_run(decay_cell, tmp_path_factory):
    """make(N, seed) -> the folder of a run, in shards of 10 sets, of V = -75 + amplitude exp(-t / tau) with 0.1 mV of noise.

    `change(unit_par)` gives what is written as the truth in place of what made the traces.
    """
    model = cells.load(decay_cell)

    @functools.cache
    def make(sets, seed=1, change=None):
        folder = tmp_path_factory.mktemp("runs") / "run"
        about = manifest.describe(model, seed, 10, "none")
        cells.bundle(model, folder / "cell")
        textfile.write_atomic(folder / manifest.NAME, textfile.to_json(about))
        unit_par = model.space.draw(seed, 0, sets)
        counts = decays(model, seed, sets)
        told = change(unit_par) if change else unit_par
        for low in range(0, sets, 10):
            rows = slice(low, low + 10)
            status = np.zeros(len(unit_par[rows]), np.uint8)
            attributes = shards.attributes_of(about, low)
            held = shards.Shard(told[rows], told[rows], counts[rows], status, model.protocol.currents, attributes)
            shards.write(folder / shards.name_of(low), held)
        return folder

    return make


def decays(model, seed, sets):
    """counts (N, 1, 1, 600) of the first sets of a seed."""
    tau, amplitude = model.space.to_phys(model.space.draw(seed, 0, sets)).T[:, :, None]
    noise = np.random.default_rng(seed).normal(0, 0.1, (sets, model.protocol.length))
    volts = -75 + amplitude * np.exp(-model.protocol.dt * np.arange(model.protocol.length) / tau) + noise
    return shards.to_counts(volts)[:, None, None]


@pytest.fixture(scope="session")
def small_ensemble(decay_run, small_design, tmp_path_factory):
    """Three small networks after one epoch."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    settings = Settings(folds=3, epochs=1, precision="f32", device="cpu")
    ensemble = train(
        open_corpus([decay_run(60)]), tmp_path_factory.mktemp("small") / "ensemble", small_design, settings
    )
    torch.set_num_threads(before)
    return ensemble


@pytest.fixture
def window(small_ensemble):
    """Two voltage windows (2, 1, 1, 600) in mV."""
    time = np.arange(small_ensemble.protocol.length) * small_ensemble.protocol.dt
    return np.stack([-75 + 40 * np.exp(-time / tau) for tau in (4, 12)])[:, None, None]
