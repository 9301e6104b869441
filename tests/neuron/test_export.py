"""A fit in plain NEURON: the same trace to the last bit from anywhere, and files that check themselves."""

import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from nrn_mlfit import cells, export
from nrn_mlfit.errors import FitError
from nrn_mlfit.fit import Fit, Value
from nrn_mlfit.simulator import Session, load_cell

BIN = Path(sys.executable).parent
NAMES = ("izhikevich", "ball_two_sticks", "mainen")


def fit_of(model, values, name="test"):
    pairs = zip(model.space.parameters, values, strict=True)
    return Fit(
        tuple(Value(p.name, float(x), 0.0, 0.0, p.low, p.high, p.unit, 0.0) for p, x in pairs), (), {"name": name}
    )


@pytest.fixture(scope="module")
def models():
    return {name: cells.load(name) for name in NAMES}


def values_of(model):
    return model.space.to_phys(model.space.draw(11, 0, 1))[0]


def plain_neuron(folder, words, libraries="x86_64/libnrnmech.so", cwd=None):
    library = next(folder.rglob("libnrnmech.so"))
    command = [BIN / "nrniv", "-nogui", "-nobanner", "-dll", library, *words]
    return subprocess.run(command, cwd=cwd or folder, capture_output=True, text=True, errors="replace", timeout=60)


@pytest.fixture(scope="module")
def folders(models, tmp_path_factory):
    """A fit of each cell, moved to a folder with a space and an umlaut, its channels compiled there by nrnivmodl."""
    top = tmp_path_factory.mktemp("fits") / "Zürich lab"
    top.mkdir()
    first = top / NAMES[0]
    for name, model in models.items():
        export.write(fit_of(model, values_of(model)), model, model.protocol, top / name)
    subprocess.run([BIN / "nrnivmodl", "mod"], cwd=first, check=True, capture_output=True)
    for name in NAMES[1:]:  # the shipped cells share their MOD files
        shutil.copytree(first / "x86_64", top / name / "x86_64", symlinks=True)
    return {name: top / name for name in NAMES}


@pytest.mark.parametrize("name", NAMES)
def test_fit_hoc_in_plain_neuron_from_another_folder_gives_the_same_trace(name, models, folders, tmp_path):
    words = []
    out = tmp_path / "trace.txt"
    for hoc in (
        f'load_file("{folders[name].name}/fit.hoc")',
        "run()",
        "objref out",
        f'{{out = new File() out.wopen("{out}") traces[0].printf(out, "%.17g\\n") out.close()}}',
        "quit()",
    ):
        words += ["-c", hoc]
    done = plain_neuron(folders[name], words, cwd=folders[name].parent)
    assert out.is_file(), done.stderr
    session = Session(models[name])
    session.set(values_of(models[name]))
    own = session.run(models[name].protocol.stimuli[0])[0]
    assert np.abs(np.loadtxt(out) - own).max() == 0


def test_fit_hoc_opens_on_the_command_line_in_its_own_folder(folders):
    done = plain_neuron(folders["izhikevich"], ["fit.hoc", "-c", 'printf("a is %g\\n", fitted.cell.a)', "-c", "quit()"])
    assert "a is " in done.stdout, done.stderr


def test_without_its_channels_it_says_what_to_type(folders):
    command = [BIN / "nrniv", "-nogui", "-nobanner", "-c", 'load_file("ball_two_sticks/fit.hoc")', "-c", "quit()"]
    done = subprocess.run(command, cwd=folders["mainen"].parent, capture_output=True, text=True, errors="replace")
    assert "the channels are not loaded: type  nrnivmodl mod  in this folder first" in done.stderr + done.stdout


def test_a_value_that_does_not_arrive_stops_it(folders, tmp_path):
    broken = tmp_path / "broken"
    shutil.copytree(folders["ball_two_sticks"], broken, symlinks=True)
    script = broken / "fitted_cell.hoc"
    # a template that takes what it is given and changes it, as another version of the cell might
    script.write_text(script.read_text().replace("gbar_kv = x", "gbar_kv = 1.01*x", 1))
    done = plain_neuron(broken, ["fit.hoc", "-c", "quit()"])
    assert "gkv_soma" in done.stderr + done.stdout and "is not as fitted" in done.stderr + done.stdout


@pytest.mark.parametrize("name", NAMES)
def test_load_cell_gives_as_many_fitted_cells_as_asked_for(name, models, folders):
    one, other = load_cell(folders[name] / "fit.json"), load_cell(folders[name])
    assert one != other
    first = models[name].space.parameters[0]
    wanted = values_of(models[name])[0]
    spot = cells.place(first.sets[0])
    where = getattr(one, spot.where)
    found = getattr(where, spot.name) if spot.kind == "point" else next(iter(where))(0.5).__getattribute__(spot.name)
    assert found == wanted


def test_what_is_no_number_is_never_written(models, tmp_path):
    with pytest.raises(FitError, match="a: nan cannot be written for NEURON"):
        export.write(
            fit_of(models["izhikevich"], [np.nan, 1, 1, 1]),
            models["izhikevich"],
            models["izhikevich"].protocol,
            tmp_path,
        )
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("name", ['x\nsystem("touch owned")', "x */ quit() /*", "/* x", "a\\\nquit()", "\x00"])
def test_a_recording_s_name_stays_in_its_comment(name, models, folders, tmp_path):
    model = models["izhikevich"]
    export.write(fit_of(model, values_of(model), name), model, model.protocol, tmp_path / "fit")
    shutil.copytree(folders["izhikevich"] / "x86_64", tmp_path / "fit" / "x86_64", symlinks=True)
    done = plain_neuron(tmp_path / "fit", ["fit.hoc", "-c", 'print "still here"', "-c", "quit()"])
    assert "still here" in done.stdout, done.stderr
    assert not (tmp_path / "fit" / "owned").exists()
