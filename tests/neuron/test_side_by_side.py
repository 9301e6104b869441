"""Several cells in one process: each gives what it gives alone, and what NEURON can have only once is said."""

import subprocess
import sys
import warnings
from pathlib import Path

import numpy as np
import pytest

from nrn_mlfit import cells, export
from nrn_mlfit.errors import CellError, FitError
from nrn_mlfit.fit import Fit, Value
from nrn_mlfit.simulator import Session, load_cell
from nrn_mlfit.simulator import session as sessions

MOD = """NEURON { SUFFIX own_side USEION k READ ek WRITE ik RANGE g }
PARAMETER { g = 0.001 (S/cm2) }
ASSIGNED { v (mV) ek (mV) ik (mA/cm2) }
BREAKPOINT { ik = g*(v - ek)*(1 + v*v*1e-4) }
"""
TEMPLATE = """
begintemplate OwnSide
public soma, all
create soma
objref all
proc init() { all = new SectionList()  soma { L = diam = 20  insert hh  insert own_side  all.append() } }
endtemplate OwnSide
"""
FILE = """
name: own
hoc: own.hoc
template: OwnSide
mod: mod
celsius: 6.3
stimulus: {kind: step, scale: 0.2, delay: 5, duration: 100, total: 120, dt: 0.02}
parameters: {g_own_side.all: {low: 1.0e-5, high: 1.0e-3, unit: S/cm2}}
"""
SAMPLES = 6000


@pytest.fixture
def own(tmp_path):
    folder = tmp_path / "own"
    (folder / "mod").mkdir(parents=True)
    (folder / "mod" / "own.mod").write_text(MOD)
    (folder / "own.hoc").write_text(TEMPLATE)
    (folder / "own.yaml").write_text(FILE)
    return folder


def values_of(model, count=2):
    return model.space.to_phys(model.space.draw(21, 0, count))


def trace(session, row):
    session.set(row)
    return session.run(session.model.protocol.stimuli[0], SAMPLES)[0]


ALONE = """
import sys, numpy as np
sys.path.insert(0, {here!r})
from test_side_by_side import *
model = cells.load({cell!r})
session = Session(model)
np.save({out!r}, [trace(session, row) for row in values_of(model)])
"""


def test_sessions_interleaved_give_what_they_give_alone(own, tmp_path):
    names = ["mainen", "ball_two_sticks", str(own)]
    models = [cells.load(name) for name in names]
    live = [Session(model) for model in models]
    together = [[] for _ in live]
    for number in (0, 1):
        for session, traces in zip(live, together, strict=True):
            traces.append(trace(session, values_of(session.model)[number]))
    for k, name in enumerate(names):
        out = str(tmp_path / f"{k}.npy")
        code = ALONE.format(here=str(Path(__file__).parent), cell=name, out=out)
        done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=300)
        assert done.returncode == 0, done.stderr
        assert np.abs(np.load(out) - together[k]).max() == 0, name


def fit_of(model, values):
    pairs = zip(model.space.parameters, values, strict=True)
    return Fit(
        tuple(Value(p.name, float(x), *[0.0] * 5, p.low, p.high, p.unit, 0.0) for p, x in pairs), (), {"name": "test"}
    )


@pytest.fixture
def fits(tmp_path, monkeypatch):
    """Fits of a cell of the package at 34, 25 and again 34 degC, each with its own copy of the MOD files."""
    monkeypatch.setattr(sessions, "_fitted_at", {})
    for name, celsius in (("warm", 34), ("cold", 25), ("warm too", 34)):
        model = cells.fixed(cells.load("mainen_slice"), {"celsius": celsius})
        export.write(fit_of(model, values_of(model)[0]), model, model.protocol, tmp_path / name)
    return tmp_path


def test_a_second_fitted_cell_of_another_temperature_is_told_of(fits, h):
    before = h.celsius
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        load_cell(fits / "warm")
        load_cell(fits / "warm too" / "fit.json")
    with pytest.warns(UserWarning) as told:
        cold = load_cell(fits / "cold")
    assert [str(one.message) for one in told] == [
        f"{fits / 'cold'} was fitted at 25 degC, but {fits / 'warm'}, loaded before, at 34 degC; NEURON has one celsius for "
        "all cells of a process, so run them one after the other, each with h.celsius as it was fitted"
    ]
    assert told[0].filename == __file__
    assert cold.soma.L > 0 and h.celsius == before


def test_a_template_of_the_same_name_from_other_files_is_named(own, tmp_path):
    Session(cells.load(own))
    again = cells.load(cells.bundle(cells.load(own), tmp_path / "same"))
    Session(again)
    other = cells.load(cells.bundle(again, tmp_path / "other"))
    other.hoc.write_text(TEMPLATE.replace("diam = 20", "diam = 30"))
    with pytest.raises(CellError) as error:
        Session(other)
    first = sessions._templates["OwnSide"][1]
    assert first not in (other.hoc, again.hoc)
    assert str(error.value) == (
        f"{other.hoc}: NEURON holds another template OwnSide already, from {first}, and cannot replace it; start a new Python, "
        "or give the template another name"
    )


def test_a_template_that_somebody_else_has_loaded_is_not_taken_for_the_cell_s(own, h):
    (own / "own.hoc").write_text(TEMPLATE.replace("OwnSide", "OwnElse"))
    (own / "own.yaml").write_text(FILE.replace("OwnSide", "OwnElse"))
    h("begintemplate OwnElse\nendtemplate OwnElse\n")
    with pytest.raises(CellError) as error:
        Session(cells.load(own))
    assert str(error.value) == (
        f"{own / 'own.hoc'}: NEURON holds another template OwnElse already, which nrn_mlfit has not loaded, and cannot replace "
        "it; start a new Python, or give the template another name"
    )


def test_one_file_may_have_the_templates_of_two_cells(own):
    both = TEMPLATE.replace("OwnSide", "OwnLeft") + TEMPLATE.replace("OwnSide", "OwnRight")
    (own / "own.hoc").write_text(both)
    for name in ("OwnLeft", "OwnRight"):
        (own / "own.yaml").write_text(FILE.replace("OwnSide", name))
        assert Session(cells.load(own)).cell.soma.L == 20


def test_a_file_that_ends_in_an_error_is_not_taken_at_a_second_try(own):
    (own / "own.hoc").write_text(TEMPLATE.replace("OwnSide", "OwnBroken") + "no_such_procedure()\n")
    (own / "own.yaml").write_text(FILE.replace("OwnSide", "OwnBroken"))
    with pytest.raises(CellError, match="does not load in NEURON"):
        Session(cells.load(own))
    with pytest.raises(CellError, match="another template OwnBroken already, from an earlier load of this file, and"):
        Session(cells.load(own))


PARTED = """
load_file("parts.hoc")
begintemplate NAME
public soma, all
external soma_length
create soma
objref all
proc init() { all = new SectionList()  soma { L = soma_length()  diam = 20  insert pas  all.append() } }
endtemplate NAME
"""
PARTED_FILE = """
name: parted
hoc: parted.hoc
template: NAME
files: [parts.hoc]
celsius: 6.3
stimulus: {kind: step, scale: 0.2, delay: 5, duration: 10, total: 20}
parameters: {g_pas.all: {low: 1.0e-5, high: 1.0e-3}}
"""


@pytest.fixture
def parted(tmp_path):
    """Cells in folders of their own, whose HOC file loads a `part` that tells the length of the soma."""

    def make(folder, name, length, part, main="parted.hoc"):
        for file, text in (
            (part, f"func soma_length() {{ return {length} }}\n"),
            (main, PARTED),
            ("parted.yaml", PARTED_FILE),
        ):
            text = text.replace("NAME", name).replace("parted.hoc", main).replace("parts.hoc", part)
            (tmp_path / folder).mkdir(exist_ok=True)
            (tmp_path / folder / file).write_text(text)
        return cells.load(tmp_path / folder)

    return make


def clash(folder, name, whence):
    return (
        f"{folder}: NEURON holds another {name} already, from {whence}, and loads no second file of that name; start a new "
        "Python, or give the file another name in its cell"
    )


def test_a_file_that_two_cells_call_alike_is_not_taken_for_the_other_one(parted, tmp_path):
    """NEURON's load_file() skips it: the soma of the second cell would be that of the first."""
    first, second = parted("one", "Part1", 100, "parts.hoc"), parted("two", "Part2", 200, "parts.hoc")
    live = Session(first)
    assert live.cell.soma.L == 100
    with pytest.raises(CellError) as error:
        Session(second)
    assert str(error.value) == clash(tmp_path / "two", "parts.hoc", tmp_path / "one")
    same = parted("three", "Part3", 100, "parts.hoc")
    live = [Session(model) for model in (same, first)]
    assert [session.cell.soma.L for session in live] == [100, 100]


def test_a_file_that_was_edited_is_not_taken_for_what_it_was(parted, tmp_path):
    Session(parted("edited", "PartEdited", 100, "edited.hoc"))
    with pytest.raises(CellError) as error:
        Session(parted("edited", "PartAgain", 300, "edited.hoc"))
    assert str(error.value) == clash(tmp_path / "edited", "edited.hoc", "an earlier load from this folder")


def test_the_same_of_two_fits(parted, tmp_path):
    for folder, length in (("left", 100), ("right", 200)):
        model = parted(folder, f"Part{folder.title()}", length, "of_fits.hoc")
        export.write(fit_of(model, values_of(model)[0]), model, model.protocol, tmp_path / f"fit {folder}")
    live = [load_cell(tmp_path / "fit left") for _ in range(2)]
    assert [cell.soma.L for cell in live] == [100, 100]
    with pytest.raises(FitError) as error:
        load_cell(tmp_path / "fit right" / "fit.json")
    assert str(error.value) == clash(tmp_path / "fit right", "of_fits.hoc", tmp_path / "fit left")


def test_a_file_that_another_cell_has_its_template_in_is_not_skipped_either(parted, tmp_path):
    """NEURON remembers the name of what it was told to load in any case, too."""
    Session(parted("main", "PartMain", 100, "lengths.hoc", main="names.hoc"))
    with pytest.raises(CellError) as error:
        Session(parted("beside", "PartBeside", 200, "names.hoc"))
    assert str(error.value) == clash(tmp_path / "beside", "names.hoc", tmp_path / "main")
