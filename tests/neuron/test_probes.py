"""Two probes and two stimuli on the whole way: no probe or stimulus is dropped or takes another's place."""

import shutil
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from pytest import approx

from nrn_mlfit import cells, fit, recordings, results, simulator, stimuli, transfer
from nrn_mlfit.errors import EnsembleError
from nrn_mlfit.learn import Design, Settings, open_corpus, train
from nrn_mlfit.recordings import Recording
from nrn_mlfit.simulator import Session

HOC = """begintemplate Pair
public soma, dend, all
create soma, dend
objref all
proc init() {
    all = new SectionList()
    soma { L = 30  diam = 30  all.append() }
    dend { L = 600  diam = 2  nseg = 5  all.append() }
    connect dend(0), soma(1)
    forsec all { insert pas  e_pas = -65  Ra = 150 }
}
endtemplate Pair
"""
CELL = """name: pair
hoc: pair.hoc
template: Pair
dt: 0.1
v_init: -65
probes: {soma: "soma(0.5)", tip: "dend(1)"}
stimulus:
  - {kind: step, scale: 0.1, delay: 10, duration: 50, total: 80, dt: 0.1}
  - {kind: ramp, scale: -0.2, delay: 10, duration: 50, total: 80, dt: 0.1}
parameters:
  leak: {low: 2.0e-5, high: 2.0e-4, unit: S/cm2, scale: log, sets: [g_pas.all]}
  axial: {low: 80, high: 300, unit: ohm cm, sets: [Ra.all]}
"""
SMALL = Design("small", (8, 12), 5, 1, 5, (24, 12), drop_frac=0.01)


@pytest.fixture(scope="module")
def model(tmp_path_factory):
    folder = tmp_path_factory.mktemp("pair")
    (folder / "pair.hoc").write_text(HOC)
    (folder / "pair.yaml").write_text(CELL)
    return cells.load(folder)


@pytest.fixture(scope="module")
def runs(model, tmp_path_factory):
    """A run to learn from, and one row of another as a recording."""
    folder = tmp_path_factory.mktemp("runs")
    simulator.simulate(model, 400, folder / "many")
    simulator.simulate(model, 4, folder / "few", seed=9)
    return folder / "many", recordings.read(folder / "few" / "shard-0000000000.h5", sweep=1)


@pytest.fixture(scope="module")
def ensemble(runs, tmp_path_factory):
    folder = tmp_path_factory.mktemp("ensembles") / "pair"
    return train(open_corpus([runs[0]]), folder, SMALL, Settings(folds=2, epochs=40, device="cpu"))


@pytest.fixture(scope="module")
def fitted(ensemble, runs, tmp_path_factory):
    folder = tmp_path_factory.mktemp("fits") / "fit"
    return results.write(fit.fit_recording(ensemble, runs[1]), ensemble, runs[1], folder)


def test_a_shard_has_each_probe_under_each_stimulus(model, runs):
    """The tip sees less of a current into the soma, and the second current goes the other way."""
    volts = runs[1].volts
    assert volts.shape == (2, 2, 800)
    session = Session(model)
    session.set([runs[1].truth[name] for name in model.space.names])
    for s, stimulus in enumerate(model.protocol.stimuli):
        assert volts[:, s] == approx(session.run(stimulus), abs=0.006)  # a shard counts in 0.01 mV
    rise = volts + 65
    assert rise[0, 0].max() > rise[1, 0].max() > 1 and rise[0, 1].min() < rise[1, 1].min() < -1


def test_swapped_probes_are_another_recording(ensemble, runs):
    _, recording = runs
    ours = fit.fit_recording(ensemble, recording)
    swapped = fit.fit_recording(ensemble, replace(recording, volts=recording.volts[::-1]))
    assert not ours.warnings and all(abs(value.error) < 25 for value in ours.values)
    assert swapped.warnings and swapped.score > ours.score + 1
    assert abs(swapped.values[1].value - ours.values[1].value) > 30  # the axial resistance


def test_one_that_is_missing_or_has_another_place_is_refused(ensemble, runs):
    _, recording = runs
    held = {
        "holds 1 probe x 2 stimuli x 800 samples, the ensemble needs 2 probes x 2 stimuli x 800 samples; give the voltages of "
        "those probes, in this order (soma, tip), as volts (P, S, T) (docs/recordings.md), or take an ensemble of the probes "
        "that were recorded": replace(recording, volts=recording.volts[:1]),
        "holds 2 probes x 1 stimulus x 800 samples, the ensemble needs 2 probes x 2 stimuli x 800 samples; give a response to "
        "each of step, ramp, in this order, as volts (P, S, T) (docs/recordings.md)": replace(
            recording, volts=recording.volts[:, :1], currents=recording.currents[:1]
        ),
    }
    for told, other in held.items():
        with pytest.raises(EnsembleError) as error:
            fit.fit_recording(ensemble, other)
        assert str(error.value) == f"{recording.name}: {told}"
    turned = replace(recording, volts=recording.volts[:, ::-1], currents=recording.currents[::-1])
    with pytest.raises(EnsembleError, match="its current is not the ensemble's stimulus step, ramp"):
        fit.fit_recording(ensemble, turned)


def test_the_fit_of_a_file_is_that_of_the_row(ensemble, runs, tmp_path):
    _, recording = runs
    recording.save(tmp_path / "both.npz")
    again = fit.fit_recording(ensemble, recordings.read(tmp_path / "both.npz"))
    assert [v.value for v in again.values] == [v.value for v in fit.fit_recording(ensemble, recording).values]


def test_each_probe_is_compared_and_named(fitted, runs):
    simulated = recordings.read(fitted.folder / "simulated.npz").volts
    rms = np.sqrt(np.mean((runs[1].volts - simulated) ** 2, axis=(1, 2)))
    assert [one.name for one in fitted.comparison.probes] == ["soma", "tip"]
    assert [one.rms for one in fitted.comparison.probes] == approx(rms)
    assert fitted.comparison.rms == approx(np.sqrt(np.mean(rms**2))) and fitted.comparison.rms < 2
    results.show(fitted.folder, fitted.folder / "fit.html")
    page = (fitted.folder / "fit.html").read_text()
    assert "soma (mV)" in page and "tip (mV)" in page and "Stimulus 2 of 2" in page


def test_neuron_verifies_every_trace(fitted, tmp_path):
    """The last trace is the tip's under the second stimulus: 1 mV off there is found."""
    folder = Path(shutil.copytree(fitted.folder, tmp_path / "fit"))
    assert _verified(folder) == "0 mV"
    expected = np.loadtxt(folder / "expected.txt")
    expected[-1] += 1
    np.savetxt(folder / "expected.txt", expected, "%.17g")
    assert _verified(folder) == "1 mV"


def _verified(folder) -> str:
    (folder / "verify.hoc").write_text('{load_file("fit.hoc")}\nverify()\nquit()\n')
    command = [str(Path(sys.executable).with_name("nrniv")), "-nogui", "-nobanner", "verify.hoc"]
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True, timeout=60, stdin=subprocess.DEVNULL)
    return done.stdout.rsplit("of the fit: ", 1)[-1].strip()


def test_a_cell_fitted_to_two_stimuli_runs_under_a_third(model, fitted, tmp_path):
    current = 0.05 * np.sin(np.arange(600) / 40)
    session = Session(replace(model, protocol=stimuli.Protocol((stimuli.samples(current, 0.1),))))
    session.set([value.value for value in fitted.fit.values])
    live = session.run(session.model.protocol.stimuli[0])[:, 1000:]
    offsets = np.array([[1.0], [3.0]])
    other = Recording((live + offsets)[:, None], current, 0.1, "third")
    found = transfer.run(fitted.folder, other, tmp_path / "out")
    assert [one.rms for one in found.probes] == approx([1, 3], abs=1e-6) and found.rms == approx(np.sqrt(5), abs=1e-6)
