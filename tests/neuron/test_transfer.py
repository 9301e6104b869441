"""A fitted cell under another recording: what plain NEURON gives for that current, and sentences where it cannot be run."""

import json
from dataclasses import replace

import numpy as np
import pytest
from click.testing import CliRunner

from nrn_mlfit import cells, export, stimuli, transfer
from nrn_mlfit.cli import cli
from nrn_mlfit.errors import FitError, MachineError
from nrn_mlfit.fit import Fit, Value
from nrn_mlfit.recordings import Recording
from nrn_mlfit.simulator import Session


@pytest.fixture(scope="module")
def fitted(tmp_path_factory):
    """(model, values, folder) of a fit of izhikevich_slice to its chirp."""
    model = cells.load("izhikevich_slice")
    values = model.space.to_phys(model.space.draw(11, 0, 1))[0]
    pairs = zip(model.space.parameters, values, strict=True)
    about = {"dt": model.protocol.dt, "substeps": model.substeps, "start": model.protocol.start, "current_unit": "nA"}
    fit = Fit(
        tuple(
            Value(p.name, float(x), *[float(x)] * 4, 0.0, p.low, p.high, p.unit, 0.0, scale=p.scale) for p, x in pairs
        ),
        (),
        {"name": "chirp"},
        {"cell": model.name, "simulation": about},
        score=0.0,
    )
    folder = tmp_path_factory.mktemp("transfer") / "fit"
    export.write(fit, model, model.protocol, folder)
    fit.save(folder / "fit.json")
    window = model.protocol.windows
    Recording(np.full(window.shape, -70.0)[None], window, model.protocol.dt).save(folder / "recording.npz")
    return model, values, folder


@pytest.mark.parametrize("dt", [0.02, 0.1, 0.25])
def test_the_trace_is_that_of_a_live_cell_under_that_current(fitted, tmp_path, dt):
    """A ramp, sampled as recordings are; the same current as a stimulus of the cell, in a session of its own."""
    model, values, folder = fitted
    ramp = 0.01 + np.linspace(0, 0.12, round(400 / dt))
    session = Session(replace(model, protocol=stimuli.Protocol((stimuli.samples(ramp, dt),))))
    session.set(values)
    live = session.run(session.model.protocol.stimuli[0])[0][round(100 / dt) :]
    assert live.max() > 0 and live.size == ramp.size
    other = Recording(live + 2.0, ramp, dt, "ramp", {"current": "measured"})
    found = transfer.run(folder, other, tmp_path / "out")
    assert found.rms == pytest.approx(2, abs=1e-9) and found.spikes_recorded == found.spikes_simulated > 0
    with np.load(tmp_path / "out" / "simulated.npz") as held:
        assert np.abs(held["volts"][0, 0] - live).max() < 1e-9
    assert json.loads((tmp_path / "out" / "comparison.json").read_text())["rms"] == found.rms
    assert (tmp_path / "out" / "transfer.png").stat().st_size > 10_000


def test_what_cannot_be_run_is_said_and_nothing_is_written(fitted, tmp_path):
    _, _, folder = fitted
    out, blind = tmp_path / "out", Recording(np.zeros(1000), None, 0.1, "cell7")
    with pytest.raises(FitError) as error:
        transfer.run(folder, blind, out)
    assert str(error.value) == "cell7: holds no current to run the cell under; give it with --stim-from"
    two = Recording(np.zeros((2, 1, 1000)), np.zeros(1000), 0.1, "pair")
    with pytest.raises(FitError) as error:
        transfer.run(folder, two, out)
    assert str(error.value) == (
        "pair: holds 2 probes, the cell was fitted to 1 (probe 1); give their voltages, in this order, as volts (P, S, T) "
        "(docs/recordings.md)"
    )
    with pytest.raises(FitError) as error:
        transfer.run(folder, Recording(np.zeros((1, 2, 1000)), np.zeros((2, 1000)), 0.1, "steps"), out)
    assert str(error.value) == "steps: holds responses to 2 stimuli; give one of them at a time, as volts (P, 1, T)"
    with pytest.raises(FitError, match="holds no fit"):
        transfer.run(tmp_path, blind, out)
    with pytest.raises(MachineError, match="already there and not empty"):
        transfer.run(folder, blind, folder)
    assert not out.exists()


def test_a_changed_file_is_refused(fitted, tmp_path):
    _, _, folder = fitted
    stimulus = stimuli.samples(np.ones(100), 0.1)
    (tmp_path / "fit.hoc").write_text((folder / "fit.hoc").read_text().replace("tstop = ", "tstop = 2*"), "utf-8")
    text = (tmp_path / "fit.hoc").read_text()
    assert export.under(tmp_path, stimulus, 0.02)[0] != text  # a changed value is no harm: it is replaced
    (tmp_path / "fit.hoc").write_text(text.replace("times.indgen", "times.fill"), "utf-8")
    with pytest.raises(FitError, match="was changed by hand, so its stimulus cannot be; fit again"):
        export.under(tmp_path, stimulus, 0.02)


def test_where_the_file_has_repeats_the_command_tells_of_them(fitted, command, tmp_path):
    """Other cells under one stimulus stand for repeats of a sweep."""
    assert command("simulate", "izhikevich_slice", "-n", 4, "-o", tmp_path / "run").returncode == 0
    words = ["transfer", fitted[2], next((tmp_path / "run").glob("*.h5")), "--sweep", 1, "-o", tmp_path / "out"]
    done = CliRunner().invoke(cli, list(map(str, words)))
    assert done.exit_code == 0, done.output
    assert "4 repeats under this current: rms difference " in done.output
    assert json.loads((tmp_path / "out" / "repeats.json").read_text())["count"] == 4
