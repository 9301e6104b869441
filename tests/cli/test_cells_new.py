"""`nrn-mlfit cells new`: from somebody's own template to a folder that is a cell."""

import os

import numpy as np
import pytest
from click.testing import CliRunner

from nrn_mlfit import cells
from nrn_mlfit.cli import cli
from nrn_mlfit.errors import MlfitError
from nrn_mlfit.simulator.batch import simulate_sets
from nrn_mlfit.spikes import spike_counts

BALL = """\
begintemplate NewBall
public soma
create soma
proc init() {
    soma { L = 20 diam = 20 insert hh }
}
endtemplate NewBall
"""
POLES = """\
load_file("sizes.hoc")
// begintemplate Other
begintemplate Poles
public soma, dend, somatic, dendritic, all
create soma, dend
objref somatic, dendritic, all
external dend_length
proc init() {
    connect dend(0), soma(1)
    all = new SectionList()
    somatic = new SectionList()
    dendritic = new SectionList()
    soma { L = 20 diam = 20 insert hh all.append() somatic.append() }
    dend { L = dend_length() diam = 2 nseg = 5 insert pas insert knew e_pas = -68 all.append() dendritic.append() }
    dend { gbar_knew(0:1) = 1:2 }
    celsius = 12
}
endtemplate Poles
begintemplate Other
endtemplate Other
"""
SIZES = "func dend_length() { return 200 }\n"
KNEW = """\
NEURON {
    SUFFIX knew
    USEION k READ ek WRITE ik
    RANGE gbar, vhalf
    THREADSAFE
}
UNITS { (mV) = (millivolt) (pS) = (picosiemens) (um) = (micron) (mA) = (milliamp) }
PARAMETER {
    gbar = 3 (pS/um2)
    vhalf = -30 (mV)
}
ASSIGNED { v (mV) ek (mV) ik (mA/cm2) }
STATE { n }
BREAKPOINT {
    SOLVE states METHOD cnexp
    ik = 1e-4*gbar*n*(v - ek)
}
INITIAL { n = 1/(1 + exp((vhalf - v)/10)) }
DERIVATIVE states { n' = (1/(1 + exp((vhalf - v)/10)) - n)/5 }
"""


def run(*words):
    done = CliRunner().invoke(cli, ["cells", "new", *map(str, words)])
    if isinstance(done.exception, MlfitError):
        raise done.exception
    assert done.exit_code == 0, done.output
    return done.stdout.splitlines()


@pytest.fixture(scope="module")
def ball(tmp_path_factory):
    """The folder of a cell that was begun from a template without lists, and what was printed."""
    folder = tmp_path_factory.mktemp("ball")
    (folder / "ball.hoc").write_text(BALL)
    return folder / "made", run(folder / "ball.hoc", "-o", folder / "made")


@pytest.fixture(scope="module")
def poles(tmp_path_factory):
    """The same of a template with lists, a MOD file and a file that it reads."""
    folder = tmp_path_factory.mktemp("poles")
    (folder / "poles.hoc").write_text(POLES)
    (folder / "sizes.hoc").write_text(SIZES)
    (folder / "mod").mkdir()
    (folder / "mod" / "knew.mod").write_text(KNEW)
    return folder / "made", run(folder / "poles.hoc", "--template", "Poles", "-o", folder / "made")


def test_the_ranges_are_around_what_hodgkin_and_huxley_measured(ball):
    """120, 36 and 0.3 mS/cm2 and 1 uF/cm2: J. Physiol. 117:500 (1952)."""
    space = cells.load(ball[0]).space
    assert {p.name: (p.low, p.high, p.unit, p.scale) for p in space.parameters} == {
        "gnabar_hh.somatic": (0.06, 0.24, "S/cm2", "linear"),
        "gkbar_hh.somatic": (0.018, 0.072, "S/cm2", "linear"),
        "gl_hh.all": (7.5e-5, 1.2e-3, "S/cm2", "log"),
        "cm.all": (0.5, 2, "uF/cm2", "linear"),
    }


def test_the_stimulus_makes_other_sets_spike_within_what_was_measured(ball):
    model = cells.load(ball[0])
    volts, status = simulate_sets(model, model.space.to_phys(model.space.draw(99, 0, 32)))
    spikes = spike_counts(volts[:, 0, 0])
    assert not status.any() and 3 <= np.median(spikes) <= 20 and np.mean(spikes == 0) <= 0.1
    assert volts.min() > -105 and volts.max() < 80


def test_a_template_without_lists_gets_some_in_its_copy_and_the_screen_says_so(ball):
    folder, lines = ball
    assert sorted(path.name for path in folder.iterdir()) == ["ball.hoc", "made.yaml"]
    assert "public all, somatic" in (folder / "ball.hoc").read_text()
    assert (folder.parent / "ball.hoc").read_text() == BALL
    told = "added to the copy of ball.hoc, so that a cell file can name them: the SectionLists all, somatic"
    assert told in lines


def test_a_comment_that_is_not_utf8_stays_as_it_is(tmp_path):
    (tmp_path / "latin.hoc").write_bytes("// Zürich\r\n".encode("latin-1") + BALL.replace("NewBall", "Latin").encode())
    run(tmp_path / "latin.hoc", "--celsius", 6.3, "-o", tmp_path / "made")
    copy = (tmp_path / "made" / "latin.hoc").read_bytes()
    assert copy.startswith("// Zürich\r\n".encode("latin-1")) and b"public all, somatic" in copy


def test_the_screen_has_what_neuron_has(ball):
    lines = [line.split() for line in ball[1]]
    assert lines[0] == ["NewBall:", "1", "section,", "1", "segment,", "read", "and", "driven", "at", "soma(0.5)"]
    assert ["gnabar_hh", "S/cm2", "0.12", "1/1"] in lines and ["Ra", "ohm-cm", "35.4", "1/1"] in lines
    assert ["ena", "mV", "50", "1/1"] in lines and ["cm", "uF/cm2", "1", "1/1"] in lines
    assert lines[-1] == ["nrn-mlfit", "cells", "check", str(ball[0])]


def test_each_parameter_has_its_unit_and_value_behind_it(ball):
    lines = (ball[0] / "made.yaml").read_text().splitlines()
    begin = lines.index("parameters:") + 1
    assert [line.split("  # ")[-1] for line in lines[begin : begin + 4]] == [
        "S/cm2, now 0.036",
        "S/cm2, now 0.12",
        "S/cm2, now 0.0003",
        "uF/cm2, now 1",
    ]
    (potassium,) = (line for line in lines if line.startswith("  # ek.all"))
    assert potassium.split("  # ")[-1] == "mV, now -77"


def test_a_folder_is_complete_by_itself(poles):
    folder, _ = poles
    model = cells.load(folder)
    assert [path.name for path in model.files] == ["sizes.hoc"] and [p.name for p in model.mod_files()] == ["knew.mod"]
    assert (folder / "poles.hoc").read_text() == POLES
    assert all(path.is_relative_to(folder.resolve()) for path in (model.hoc.resolve(), model.mod, *model.files))


def test_a_gradient_and_a_constant_of_gating(poles):
    text = (poles[0] / "made.yaml").read_text()
    model = cells.load(poles[0])
    gradient = next(p for p in model.parameters if p.name == "gbar_knew_dendritic")
    assert gradient.sets == ("gbar_knew.dendritic*",) and (gradient.low, gradient.high) == (0.5, 2)
    assert "factor; pS/um2, now 1.1 to 1.9" in text  # of 5 segments, at 0.1 to 0.9
    assert "vhalf_knew -30 mV" in text and not any("vhalf" in p.name for p in model.parameters)
    assert [p.name for p in model.parameters if p.name.startswith("gnabar")] == ["gnabar_hh.somatic"]


def test_temperature_and_rest_are_the_templates(poles):
    """hh by itself rests at -65 mV, and the dendrite's leak pulls to -68 mV."""
    model, text = cells.load(poles[0]), (poles[0] / "made.yaml").read_text()
    assert model.celsius == 12 and -68 < model.v_init < -65
    assert "celsius: 12  # degC; as the HOC file sets it" in text
    assert f"v_init: {model.v_init:g}  # mV; where the template's cell rests without a current" in text


def test_the_new_folder_gives_the_cell_its_name(poles):
    assert cells.load(poles[0]).name == "made" and cells.load(poles[0]).template == "Poles"


def test_names_that_yaml_takes_for_something_else_stay_names(tmp_path):
    (tmp_path / "b: c #2.hoc").write_text(BALL.replace("NewBall", "No"))
    run(tmp_path / "b: c #2.hoc", "-o", tmp_path / "made")
    model = cells.load(tmp_path / "made")
    assert (model.hoc.name, model.template) == ("b: c #2.hoc", "No")


@pytest.mark.parametrize("name", ["my cell", "12", "no"])
def test_a_folder_whose_name_is_none_for_a_cell(tmp_path, name):
    (tmp_path / "ball.hoc").write_text(BALL)
    with pytest.raises(MlfitError) as error:
        run(tmp_path / "ball.hoc", "-o", tmp_path / name)
    text = f"{tmp_path / name}: {name!r} becomes the cell's name; make it of letters, digits, _, - and ., as in my_cell"
    assert str(error.value) == text and [path.name for path in tmp_path.iterdir()] == ["ball.hoc"]


def refused(tmp_path, text, *words):
    (tmp_path / "mine.hoc").write_text(text)
    before = sorted(tmp_path.rglob("*"))
    with pytest.raises(MlfitError) as error:
        run(tmp_path / "mine.hoc", *words, "-o", tmp_path / "made")
    assert sorted(tmp_path.rglob("*")) == before and error.value.exit_code == 2
    return str(error.value).replace(f"{tmp_path}{os.sep}", "")


def templates(*names, body="create soma"):
    return "".join(f"begintemplate {name}\n{body}\nendtemplate {name}\n" for name in names)


def test_no_template(tmp_path):
    assert refused(tmp_path, "create soma\n// begintemplate Mine\n") == (
        "mine.hoc: defines no template; put what makes the cell between `begintemplate NAME` and `endtemplate NAME`, as "
        "docs/cell_files.md shows"
    )


def test_several_templates_and_none_chosen(tmp_path):
    text = "mine.hoc: defines 2 templates, One, Two; choose one with --template"
    assert refused(tmp_path, templates("One", "Two")) == text


def test_a_template_that_is_not_there(tmp_path):
    text = "mine.hoc: defines no template Three; there is One, Two"
    assert refused(tmp_path, templates("One", "Two"), "--template", "Three") == text


def test_no_file(tmp_path):
    with pytest.raises(MlfitError) as error:
        run(tmp_path / "mine.hoc", "-o", tmp_path / "made")
    text = f"{tmp_path / 'mine.hoc'}: no such file; give the HOC file that defines your template"
    assert str(error.value) == text and not list(tmp_path.iterdir())


def test_a_template_that_wants_arguments(tmp_path):
    assert refused(tmp_path, templates("Mine", body="create soma\nproc init() { soma { L = $1 } }")) == (
        "mine.hoc: template Mine does not build in NEURON (hocobj_call error: hoc_execerror: init not enough arguments); cells "
        "are made without arguments: give them default values in init(), as in `if (numarg() > 0) ...`, or define a "
        "template beside it that makes one with yours"
    )


def test_a_mechanism_that_neuron_does_not_know(tmp_path):
    assert refused(tmp_path, templates("Mine", body="create soma\nproc init() { soma insert kfast }")) == (
        "mine.hoc: does not load in NEURON (hocobj_call error: hoc_execerror: hoc_Load_file mine.hoc); NEURON says: kfast is "
        "not a MECHANISM, line 3 of mine.hoc; give the folder of its MOD file with --mod"
    )


def test_what_neuron_says_of_a_line_that_it_has_made_itself(tmp_path):
    """Import3d fills the SectionList somatic, which this template does not have, by a line of HOC of its own."""
    (tmp_path / "cell.swc").write_text("1 1 0 0 0 10 -1\n2 3 10 0 0 1 1\n3 3 60 0 0 1 2\n")
    body = """public soma
objref this
create soma[1]
proc init() { localobj reader, gui
    reader = new Import3d_SWC_read()
    reader.quiet = 1
    reader.input("cell.swc")
    gui = new Import3d_GUI(reader, 0)
    gui.instantiate(this)
}"""
    text = '{load_file("stdrun.hoc")}\n{load_file("import3d.hoc")}\n' + templates("Mine", body=body)
    assert refused(tmp_path, text) == (
        "mine.hoc: template Mine does not build in NEURON (hocobj_call error: hoc_execerror: syntax error); NEURON says: syntax "
        'error at `{forsec "soma" somatic.append` in Import3d_GUI[0].execute("forsec "so...", Mine[0])'
    )


def test_a_mod_file_that_does_not_compile(tmp_path):
    (tmp_path / "channels").mkdir()
    (tmp_path / "channels" / "knew.mod").write_text(KNEW.replace("ik = 1e-4", "ik = nowhere"))
    assert refused(tmp_path, BALL, "--mod", tmp_path / "channels") == (
        "channels: the MOD files do not compile: knew.mod, line 16: 'nowhere' was not declared in this scope; run "
        "`nrnivmodl channels` to see all"
    )


def test_a_folder_without_mod_files(tmp_path):
    (tmp_path / "channels").mkdir()
    text = "--mod channels: holds no .mod file; name the folder of your MOD files"
    assert refused(tmp_path, BALL, "--mod", tmp_path / "channels") == text


def test_a_file_that_quits(tmp_path):
    assert refused(tmp_path, templates("Mine") + "quit()\n") == (
        "mine.hoc: the process that opened it ended without an answer (exit code 0); see whether the file quits, or never "
        "comes to an end"
    )


def test_a_template_without_sections(tmp_path):
    text = "mine.hoc: template Mine makes no section; `create soma` in it, and insert its channels"
    assert refused(tmp_path, templates("Mine", body="public x\nx = 3")) == text
    assert refused(tmp_path, templates("Mine", body="public x\nproc init() { x = 3 }")) == text


def test_an_error_in_the_copy_names_the_file_that_one_has(tmp_path):
    """The copy, which gets lists, is opened in a folder that is not there any more when the sentence is read."""
    (tmp_path / "sizes.txt").write_text("20")
    reads = 'sprint(name, "%s.txt", "sizes") f = new File() if (!f.ropen(name)) { execerror("no sizes", "") }'
    body = f"public soma\ncreate soma\nobjref f\nstrdef name\nproc init() {{ {reads} soma insert hh }}"
    assert refused(tmp_path, templates("Mine", body=body)) == (
        "mine.hoc: template Mine does not build in NEURON (hocobj_call error: hoc_execerror: no sizes )"
    )


PART = """\
begintemplate Part
public dend
create dend
endtemplate Part
begintemplate Whole
public soma, somatic
create soma
objref part, somatic
proc init() {
    soma insert hh
    part = new Part()
    somatic = new SectionList()
    soma somatic.append()
    connect part.dend(0), soma(1)
}
endtemplate Whole
"""


def test_sections_of_a_template_inside_cannot_be_named(tmp_path):
    assert refused(tmp_path, PART, "--template", "Whole") == (
        "mine.hoc: Part[0].dend cannot be named from outside of Whole; append its sections to a public SectionList in init(), "
        "and write the soma's name after `public`"
    )


def test_sections_outside_of_the_template_are_told(tmp_path):
    (tmp_path / "ball.hoc").write_text(f"create stray\n{BALL.replace('NewBall', 'Beside')}")
    lines = run(tmp_path / "ball.hoc", "-o", tmp_path / "made")
    assert "  besides       1 section outside of the cell; let HOC only define the template" in lines


def test_a_folder_that_is_taken(tmp_path):
    (tmp_path / "made").mkdir()
    (tmp_path / "made" / "kept").write_text("")
    assert refused(tmp_path, BALL) == "made: already there and not empty; name a new folder with -o"


def test_sections_that_hang_on_nothing_are_named(tmp_path):
    text = BALL.replace("NewBall", "Torn").replace("create soma", "create soma, dend[6]")
    (tmp_path / "torn.hoc").write_text(text.replace("soma {", "for i = 0, 5 dend[i] insert pas\n    soma {"))
    lines = run(tmp_path / "torn.hoc", "-o", tmp_path / "made")
    told = (
        "  in pieces     dend[0], dend[1], dend[2], dend[3] and 2 more are not connected to soma; connect them in the template, "
        "as in `connect dend[0](0), soma(1)`: no current flows there now"
    )
    assert told in lines


def test_a_passive_cell_gets_a_cell_file_and_a_word(tmp_path):
    """By Ohm's law its voltage follows the current, and no reset drives it lower than a cell can be."""
    text = BALL.replace("NewBall", "Still").replace("insert hh", "insert pas e_pas = -72 g_pas = 1e-4")
    (tmp_path / "still.hoc").write_text(text)
    lines = run(tmp_path / "still.hoc", "-o", tmp_path / "made")
    assert "no set spikes: the cell has no channels that could, so that is as it should be" in lines
    model = cells.load(tmp_path / "made")
    assert model.space.names == ["g_pas.all", "cm.all"] and model.v_init == -72
    volts, status = simulate_sets(model, model.space.to_phys(model.space.draw(99, 0, 16)))
    assert not status.any() and volts.min() > -110 and volts.max() < -20


POINT = """\
NEURON {
    POINT_PROCESS PointOne
    RANGE a, VOLTAGE, CURRENT
    THREADSAFE
}
PARAMETER { a = 0.1 (/ms) CURRENT = 0 }
ASSIGNED { dt (ms) VOLTAGE (mV) }
INITIAL { VOLTAGE = -60 }
BREAKPOINT { SOLVE advance }
PROCEDURE advance() {
    VOLTAGE = VOLTAGE + dt*(a*(-60 - VOLTAGE) + CURRENT)
    if (VOLTAGE > 20) { VOLTAGE = -70 }
}
"""
CARRIER = """\
begintemplate Carrier
public soma, cell, clamp
create soma
objref cell, clamp
proc init() {
    soma { L = 10 diam = 10 cell = new PointOne(0.5) clamp = new IClamp(0.5) }
    clamp.amp = 0.1
    clamp.dur = 100
}
endtemplate Carrier
"""


def carrier(tmp_path, voltage, current):
    (tmp_path / "mod").mkdir()
    text = POINT.replace("VOLTAGE", voltage).replace("CURRENT", current)
    (tmp_path / "mod" / "pointone.mod").write_text(text.replace("PointOne", f"PointOne{voltage}"))
    return CARRIER.replace("PointOne", f"PointOne{voltage}").replace("Carrier", f"Carrier{voltage}")


def test_a_point_cell_is_recorded_and_driven_by_its_own_variables(tmp_path):
    (tmp_path / "carrier.hoc").write_text(carrier(tmp_path, "Vm", "Iext"))
    lines = run(tmp_path / "carrier.hoc", "-o", tmp_path / "made")
    model = cells.load(tmp_path / "made")
    assert model.probes == {"Vm": "Vm@cell"} and model.inject == "Iext@cell" and model.space.names == ["a@cell"]
    assert lines[0] == "CarrierVm: 1 section, 1 segment, read and driven at Vm@cell, Iext@cell"
    volts, status = simulate_sets(model, model.space.to_phys(model.space.draw(99, 0, 16)))
    assert not status.any() and (spike_counts(volts[:, 0, 0]) > 0).all()


def test_a_point_cell_whose_variables_nobody_can_guess_is_refused(tmp_path):
    assert refused(tmp_path, carrier(tmp_path, "height", "push")) == (
        "mine.hoc: the sections of Carrierheight have no channels and no spikes, they only carry cell (PointOneheight); write "
        "a cell file that names its voltage and its current, `probes: {V: VARIABLE@cell}` and `inject: VARIABLE@cell`, as "
        "docs/cell_files.md shows"
    )


@pytest.mark.parametrize(
    ("words", "text"),
    [
        ([], "name the HOC file that defines your template, or a known cell with --like CELL --morphology FILE"),
        (["--like", "mainen"], "--like goes with --morphology FILE, a reconstruction (.swc, .asc or .hoc)"),
        (
            ["a.hoc", "--spines", "1"],
            "--morphology and --spines go with --like CELL; a template reads its own morphology",
        ),
        (
            ["--like", "mainen", "--morphology", "a.swc", "--celsius", "20"],
            "--celsius: for a HOC file; with --like it is as in mainen",
        ),
    ],
)
def test_two_ways_are_not_mixed(tmp_path, words, text):
    done = CliRunner().invoke(cli, ["cells", "new", *words, "-o", str(tmp_path / "made")])
    assert done.exit_code == 2 and done.stderr.splitlines()[-1] == f"Error: {text}" and not list(tmp_path.iterdir())
