"""A fit in plain NEURON: the same trace to the last bit from anywhere, and files that check themselves."""

import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from nrn_mlfit import cells, export, places, resimulate
from nrn_mlfit.errors import FitError
from nrn_mlfit.fit import Fit, Value
from nrn_mlfit.simulator import Session, load_cell
from nrn_mlfit.simulator.mechanisms import nrnivmodl

BIN = Path(sys.executable).parent
NAMES = (
    "izhikevich",
    "ball_two_sticks",
    "mainen",
    "mainen_slice",
    "mainen_wide",
    "izhikevich_slice",
    "mainen at 34 degC",
)


def fit_of(model, values, name="test"):
    pairs = zip(model.space.parameters, values, strict=True)
    return Fit(
        tuple(Value(p.name, float(x), *[0.0] * 5, p.low, p.high, p.unit, 0.0) for p, x in pairs), (), {"name": name}
    )


@pytest.fixture(scope="module")
def models():
    free = {name: cells.load(name) for name in NAMES[:-1]}
    return {**free, NAMES[-1]: cells.fixed(free["mainen_slice"], {"celsius": 34, "size": 0.8})}


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
    stimulus = models[name].protocol.stimuli[0]
    own = session.run(stimulus)[0]
    steps = round(stimulus.dt / models[name].dt)  # of integration a sample
    assert np.abs(np.loadtxt(out)[::steps] - own).max() == 0


@pytest.mark.parametrize("name", NAMES)
def test_with_other_values_the_files_are_those_of_another_fit(name, models, folders, tmp_path):
    model = models[name]
    other = model.space.to_phys(model.space.draw(12, 0, 1))[0]
    export.write(fit_of(model, other), model, model.protocol, tmp_path / name)
    made = export.with_values(folders[name], dict(zip(model.space.names, map(float, other), strict=True)))
    for text, file in zip(made, ("fitted_cell.hoc", "fit.hoc"), strict=True):
        wanted = (tmp_path / name / file).read_text()
        assert without_comments(text) == without_comments(wanted)
        assert without_comments((folders[name] / file).read_text()) != without_comments(wanted) or file == "fit.hoc"


def without_comments(text):
    """The head of a fitted_cell.hoc says at which temperature it was fitted."""
    return [line for line in text.splitlines() if not line.startswith("//")]


@pytest.mark.filterwarnings("ignore:.*NEURON has one celsius")
def test_a_known_value_is_in_the_hoc_beside_what_was_fitted(models, folders):
    model, folder = models["mainen at 34 degC"], folders["mainen at 34 degC"]
    assert "celsius = 34.0\n" in (folder / "fit.hoc").read_text()
    rest = float(values_of(model)[model.space.names.index("e_pas")])
    assert f"v_init = {rest!r}\n" in (folder / "fit.hoc").read_text()
    cell = load_cell(folder)
    assert (cell.soma.L, cell.apic.L, cell.soma.e_pas) == (16, 800, rest)
    assert "// size, not fitted: it was given\n" in (folder / "fitted_cell.hoc").read_text()


def test_the_gain_of_a_measured_current_is_in_the_hoc(tmp_path):
    np.savez(tmp_path / "piece.npz", current=np.full(500, 0.1), dt=0.1)
    model = cells.load("izhikevich", {"kind": "file", "path": str(tmp_path / "piece.npz")})
    export.write(fit_of(model, values_of(model)), model, model.protocol, tmp_path / "fit")
    assert set(np.loadtxt(tmp_path / "fit" / "stimulus0.txt")) == {0.1}
    session = Session(model)
    session.set(values_of(model))
    assert np.array_equal(resimulate.run(tmp_path / "fit", 1, 1)[0, 0, ::5], session.run(model.protocol.stimuli[0])[0])


def test_fit_hoc_opens_on_the_command_line_in_its_own_folder(folders):
    done = plain_neuron(folders["izhikevich"], ["fit.hoc", "-c", 'printf("a is %g\\n", fitted.cell.a)', "-c", "quit()"])
    assert "a is " in done.stdout, done.stderr


def test_without_its_channels_it_says_what_to_type(folders):
    command = [BIN / "nrniv", "-nogui", "-nobanner", "-c", 'load_file("ball_two_sticks/fit.hoc")', "-c", "quit()"]
    done = subprocess.run(command, cwd=folders["mainen"].parent, capture_output=True, text=True, errors="replace")
    assert "the channels are not loaded: type  nrnivmodl mod  in this folder first" in done.stderr + done.stdout


READS = """\
begintemplate Reads
public soma, all
objref all, file
create soma
proc init() {
    file = new File()
    if (!file.ropen("size.txt")) { execerror("no size.txt") }
    soma { L = file.scanvar() diam = 10 insert pas }
    all = new SectionList()
    soma all.append()
}
endtemplate Reads
"""
READS_FILE = """\
name: reads
hoc: reads.hoc
template: Reads
files: [size.txt]
stimulus: {kind: step, scale: 0.1}
parameters:
  g_pas.all: {low: 1e-5, high: 1e-3, unit: S/cm2}
"""


def test_a_file_may_be_read_in_init_while_a_fit_is_loaded(tmp_path):
    """From another folder, too; a cell that is made later reads where NEURON is then, as docs/cell_files.md says."""
    for name, text in (("reads.hoc", READS), ("reads.yaml", READS_FILE), ("size.txt", "42\n")):
        (tmp_path / name).write_text(text)
    model = cells.load(tmp_path / "reads.yaml")
    export.write(fit_of(model, [1e-4]), model, model.protocol, tmp_path / "fits" / "one")
    assert load_cell(tmp_path / "fits" / "one").soma.L == 42

    def said(*lines):
        words = [word for line in ('load_file("one/fit.hoc")', *lines, "quit()") for word in ("-c", line)]
        command = [BIN / "nrniv", "-nogui", "-nobanner", *words]
        done = subprocess.run(command, cwd=tmp_path / "fits", capture_output=True, text=True, timeout=60)
        return done.stdout + done.stderr

    assert "long 42" in said('{print "long ", fitted.soma.L}')
    assert "no size.txt" in said("fitted = fitted_cell()")
    assert "long 42" in said('{chdir("one")}', "fitted = fitted_cell()", '{print "long ", fitted.soma.L}')


def test_a_value_that_does_not_arrive_stops_it(folders, tmp_path):
    broken = tmp_path / "broken"
    shutil.copytree(folders["ball_two_sticks"], broken, symlinks=True)
    script = broken / "fitted_cell.hoc"
    # a template that takes what it is given and changes it, as another version of the cell might
    script.write_text(script.read_text().replace("gbar_kv = x", "gbar_kv = 1.01*x", 1))
    done = plain_neuron(broken, ["fit.hoc", "-c", "quit()"])
    assert "gkv_soma" in done.stderr + done.stdout and "is not as fitted" in done.stderr + done.stdout


@pytest.mark.filterwarnings("ignore:.*NEURON has one celsius")
@pytest.mark.parametrize("name", NAMES)
def test_load_cell_gives_as_many_fitted_cells_as_asked_for(name, models, folders):
    one, other = load_cell(folders[name] / "fit.json"), load_cell(folders[name])
    assert one != other
    first = models[name].space.parameters[0]
    wanted = values_of(models[name])[0]
    spot = places.place(first.sets[0])
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


OWN_MOD = """NEURON { SUFFIX K_t2 USEION k READ ek WRITE ik RANGE gK_tbar }
UNITS { (S) = (siemens) (mV) = (millivolt) (mA) = (milliamp) }
PARAMETER { gK_tbar = 0.001 (S/cm2) }
ASSIGNED { v (mV) ek (mV) ik (mA/cm2) }
BREAKPOINT { ik = gK_tbar*(v - ek)*(1 + v*v*1e-4) }
"""
OWN_HOC = """// L\xe4nge in \xb5m
begintemplate NAME
public soma, apic, all
create soma, apic
objref all
proc init() {
    all = new SectionList()
    connect apic(0), soma(1)
    soma { L = diam = 20  insert hh  insert K_t2  all.append() }
    apic { L = 200  diam = 2  nseg = 3  insert pas  all.append() }
}
endtemplate NAME
"""
OWN_FILE = """name: own
hoc: own.hoc
template: NAME
mod: mod
files: [note.txt]
celsius: 6.3
dt: {dt}
probes: {{soma: "soma(0.5)", tip: apic(1)}}
stimulus:
  - {{kind: noise, scale: 0.1, delay: 5, total: 100, dt: {sample}}}
  - {{kind: step, scale: 1, delay: 5, duration: 20, total: 100, dt: {sample}}}
parameters:
  gK_tbar_K_t2.all: {{low: 1e-5, high: 1e-3, unit: S/cm2, scale: log}}  # no dendrite has it
  gnabar_hh.all: {{low: 0.05, high: 0.2, unit: S/cm2}}
  ena.all: {{low: 40, high: 60, unit: mV}}
"""
OWN_VALUES = (2e-5, 0.15, 55.0)


def own_cell(folder, dt, sample, template):
    (folder / "mod").mkdir(parents=True)
    (folder / "mod" / "k.mod").write_text(OWN_MOD)
    (folder / "own.hoc").write_bytes(OWN_HOC.replace("NAME", template).encode("latin-1"))
    (folder / "note.txt").write_bytes(b"\xff\xfe\x00")
    (folder / "own.yaml").write_text(OWN_FILE.format(dt=dt, sample=sample).replace("NAME", template))
    return cells.load(folder)


@pytest.mark.parametrize(("dt", "sample", "substeps"), [(0.025, 0.05, 2), (0.02, 0.05, 3), (0.015, 0.1, 7)])
def test_own_cells_give_the_same_traces_whatever_their_steps_channels_and_bytes(dt, sample, substeps, tmp_path):
    model = own_cell(tmp_path / "own", dt, sample, f"OwnOf{substeps}")
    session = Session(model)
    session.set(OWN_VALUES)
    own = np.stack([session.run(s) for s in model.protocol.stimuli], axis=1)
    export.write(fit_of(model, OWN_VALUES), model, model.protocol, tmp_path / "fit")
    again = resimulate.run(tmp_path / "fit", 2, 2)
    assert (model.substeps, own.shape) == (substeps, (2, 2, round(100 / sample)))
    assert np.abs(again[..., ::substeps] - own).max() == 0
    assert own.max() > 0, "it should spike"
    assert (tmp_path / "fit" / "note.txt").read_bytes() == (tmp_path / "own" / "note.txt").read_bytes()


def test_a_fit_that_its_user_has_compiled_is_still_resimulated(tmp_path):
    model = own_cell(tmp_path / "own", 0.025, 0.1, "OwnCompiled")
    export.write(fit_of(model, OWN_VALUES), model, model.protocol, tmp_path / "fit")
    before = resimulate.run(tmp_path / "fit", 2, 2)
    subprocess.run([nrnivmodl(), "mod"], cwd=tmp_path / "fit", check=True, capture_output=True)
    assert np.array_equal(resimulate.run(tmp_path / "fit", 2, 2), before)


def test_a_value_without_a_place_stops_fit_hoc_with_its_name(tmp_path):
    model = own_cell(tmp_path / "own", 0.025, 0.1, "OwnWithout")
    export.write(fit_of(model, OWN_VALUES), model, model.protocol, tmp_path / "fit")
    hoc = tmp_path / "fit" / "own.hoc"
    hoc.write_bytes(hoc.read_bytes().replace(b"insert K_t2", b""))
    with pytest.raises(FitError) as error:
        resimulate.run(tmp_path / "fit", 2, 2)
    assert "gK_tbar_K_t2.all is not as fitted" in str(error.value)
