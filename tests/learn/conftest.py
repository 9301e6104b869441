"""Fixtures: one thread, a real cell folder, and traces from a relation that is known: a decaying exponential."""

import numpy as np
import pytest
import torch

from nrn_mlfit import cells, shards
from nrn_mlfit.learn import Design, Settings, train

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
def decay_traces(decay_cell):
    """make(N, seed) -> Traces (N, 1, 1, 600) of V = -75 + amplitude exp(-t / tau) with 0.1 mV of noise."""
    model = cells.load(decay_cell)
    protocol = model.protocol
    manifest = {
        "cell": model.settings(),
        "cell_hash": model.digest(),
        **{key: f"{key} of a test" for key in ("protocol_hash", "content_hash")},
        **{"dt": protocol.dt, "start": protocol.start, "stop": protocol.stop, "versions": {"neuron": "none"}},
    }

    def make(sets, seed=1):
        unit_par = model.space.draw(seed, 0, sets)
        phys_par = model.space.to_phys(unit_par)
        tau, amplitude = phys_par.T[:, :, None]
        noise = np.random.default_rng(seed).normal(0, 0.1, (sets, protocol.length))
        volts = -75 + amplitude * np.exp(-protocol.dt * np.arange(protocol.length) / tau) + noise
        counts = shards.to_counts(volts)[:, None, None]
        return shards.Traces(phys_par, unit_par, counts, protocol.currents, manifest, decay_cell)

    return make


@pytest.fixture(scope="session")
def small_ensemble(decay_traces, small_design):
    """Three small networks after one epoch."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    ensemble = train(decay_traces(60), small_design, Settings(folds=3, epochs=1, precision="f32", device="cpu"))
    torch.set_num_threads(before)
    return ensemble


@pytest.fixture
def window(small_ensemble):
    """Two voltage windows (2, 1, 1, 600) in mV."""
    time = np.arange(small_ensemble.protocol.length) * small_ensemble.protocol.dt
    return np.stack([-75 + 40 * np.exp(-time / tau) for tau in (4, 12)])[:, None, None]
