"""`nrn-mlfit cells check`: what a parameter reaches, what random sets do, what to change."""

import json

import pytest
from click.testing import CliRunner

from nrn_mlfit.cli import cli
from nrn_mlfit.errors import MlfitError

HOC = """\
begintemplate Checked
public soma, dend, somatic, dendritic, all, leak_times, tie, more, idle
create soma, dend
objref somatic, dendritic, all
proc init() {
    connect dend(0), soma(1)
    all = new SectionList()
    somatic = new SectionList()
    dendritic = new SectionList()
    soma { L = 20 diam = 20 insert hh insert pas all.append() somatic.append() }
    dend { L = 100 diam = 1 nseg = 3 insert pas all.append() dendritic.append() }
    forsec all { g_pas = 1e-4  e_pas = -65 }
}
proc leak_times() { forsec all { g_pas = $1*g_pas } }  // what was there before counts
proc tie() { soma gkbar_hh = $1*gnabar_hh }
proc more() { soma gkbar_hh = $1*gkbar_hh }
proc idle() { }
endtemplate Checked
"""
FILE = """\
name: checked
hoc: checked.hoc
template: Checked
celsius: 6.3
stimulus: {kind: step, scale: 0.1, delay: 5, duration: 50, total: 60}
parameters:
"""
SOUND = """\
  gnabar_hh.somatic: {low: 0.1, high: 0.14, unit: S/cm2}
  g_pas.all: {low: 5e-5, high: 2e-4, unit: S/cm2}
  cm.dendritic: {low: 0.5, high: 2, unit: uF/cm2}
  celsius: {low: 6, high: 10, unit: degC}
"""


@pytest.fixture
def check(tmp_path):
    """Run the command on a cell with some parameters: (exit code, lines on stdout); `said(word)`: lines on stderr."""

    def run(parameters, *options, sets=8, points=0, file=FILE, hoc=HOC):
        (tmp_path / "checked.hoc").write_text(hoc)
        (tmp_path / "checked.yaml").write_text(file + parameters)
        words = ["cells", "check", tmp_path / "checked.yaml", "-n", sets, "--points", points, *options]
        done = CliRunner().invoke(cli, list(map(str, words)))
        if isinstance(done.exception, MlfitError):
            raise done.exception
        said[:] = done.stderr.splitlines()
        return done.exit_code, done.stdout.splitlines()

    said: list[str] = []
    run.said = lambda word: [line for line in said if line.startswith(word)]
    return run


def test_a_sound_cell(check, tmp_path):
    code, lines = check(SOUND, "-o", tmp_path / "a.png", points=2, sets=20)
    assert code == 0 and (tmp_path / "a.png").read_bytes().startswith(b"\x89PNG")
    assert check.said("halving") == [
        f"halving the time step: 5 sets at {step} ms in plain NEURON" for step in ("0.02", "0.01")
    ]
    words = [line.split() for line in lines]
    marks = {line[1]: line for line in words if line[0] in ("ok", "note", "PROBLEM")}
    assert marks["built"][2:] == ["2", "sections,", "4", "segments"]
    assert marks["reach"][2:] == ["4", "parameters", "reach", "what", "they", "name,", "and", "nothing", "else"]
    assert marks["sets"][2:] == ["none", "of", "20", "random", "sets", "failed"]
    assert list(marks) == ["built", "reach", "engine", "cost", "sets", "spikes", "voltage", "half", "design"]
    rows = {line[0]: line for line in words}
    assert rows["gnabar_hh.somatic"][1:4] == ["gnabar_hh", "in", "soma"]
    assert rows["g_pas.all"][1:7] == ["g_pas", "in", "2", "sections", "(dend,", "soma)"]
    assert rows["celsius"][1] == "celsius" and f"picture: {tmp_path / 'a.png'}" in lines
    assert lines[-2].startswith("50,000 traces on ") and " of this machine: about " in lines[-2]
    assert lines[-1].startswith(f"  nrn-mlfit simulate {tmp_path / 'checked.yaml'} -n 50000 ")


def told(lines, mark="PROBLEM", name="reach"):
    begins = f"{mark:<8} {name:<8} "
    return [line.removeprefix(begins) for line in lines if line.startswith(begins)]


def changes(lines):
    return [
        line.split(". ", 1)[1]
        for line in lines[lines.index("to change:") + 1 :]
        if line.startswith("  ") and ". " in line
    ]


def test_what_parameters_do_not_do_and_do_besides(check):
    idle = '  it: {low: 1, high: 2, sets: ["idle()"]}\n'
    again = "  leak: {low: 1e-5, high: 2e-5, unit: S/cm2, sets: [g_pas.dendritic]}\n"
    tied = '  ratio: {low: 0.2, high: 0.4, sets: ["tie()"]}\n'
    code, lines = check(SOUND + idle + again + tied)
    assert code == 2 and told(lines) == [
        "gnabar_hh.somatic also changes gkbar_hh in soma",
        "g_pas.all does not reach g_pas in dend",
        "it reaches nothing",
    ]
    assert changes(lines)[:3] == [
        "gnabar_hh.somatic: see what in the cell hangs on it, and name that under `sets`, too",
        "g_pas.all: see which later parameter or procedure sets that again; give each place to one parameter",
        "it: let its procedure set what it is for, or take it out",
    ]


def test_a_wrong_unit_and_a_missing_mechanism_are_both_named_and_nothing_is_run(check):
    wrong = "  cm.all: {low: 1, high: 2, unit: mF/cm2}\n  gbar_na.all: {low: 1, high: 2}\n"
    code, lines = check(wrong)
    assert code == 2 and told(lines) == [
        "parameter cm.all: unit is mF/cm2, but NEURON has cm in uF/cm2",
        "parameter gbar_na.all: nothing in all has gbar_na; insert its mechanism, and write VARIABLE_SUFFIX (gbar_na) as "
        "NEURON does",
    ]
    assert changes(lines)[0] == "cm.all: mend its entry under `parameters:`, or the template"
    assert not any("traces on" in line for line in lines)


def test_one_that_cannot_be_set_is_told_alone_as_nothing_was_tried_with_the_others(check):
    lost = "  g_pas.axonal: {low: 1, high: 2, unit: S/cm2}\n"
    code, lines = check(SOUND + lost)
    assert code == 2
    assert told(lines) == ["parameter g_pas.axonal: the template has no public axonal; add it to `public`"]
    assert changes(lines) == ["g_pas.axonal: mend its entry under `parameters:`, or the template"]
    assert not any("nothing" in line or line.startswith("parameter ") for line in lines)


def test_a_formula_that_is_no_arithmetic(check):
    with pytest.raises(MlfitError) as error:
        check("  rm: {low: 5, high: 20, sets: [\"g_pas.all = __import__('os').getpid()\"]}\n")
    assert str(error.value).endswith(
        'checked.yaml: parameter rm: "g_pas.all = __import__(\'os\').getpid()" is no arithmetic, as it has "\'" in it; '
        "a formula is made of numbers, + - * / ^ (or **), brackets, parameters of the cell, distance, and abs, cos, exp, log, "
        "log10, sin, sqrt, tanh"
    )


def test_a_formula_reaches_its_target_by_all_that_is_in_it(check):
    two = """\
  rm: {low: 5, high: 20, unit: kOhm cm2, sets: ["g_pas.all = 1/(1000*rm*fold)"]}
  fold: {low: 1, high: 2, sets: []}
"""
    code, lines = check(two)
    assert code == 0 and told(lines, "ok") == ["2 parameters reach what they name, and nothing else"]
    rows = [line.split(maxsplit=1) for line in lines]
    assert ["fold", "g_pas in 2 sections (dend, soma)  -"] in rows


def test_a_formula_of_the_distance_is_sound_where_the_distance_is_nought(check):
    """At the origin lambda can change nothing: exp(0) is 1 whatever it is. What a formula sets last is what counts there."""
    fallen = """\
  gna:
    {low: 0.05, high: 0.2, unit: S/cm2, sets: [gnabar_hh.all, "gnabar_hh.all = gna*exp(-distance/lambda)"]}
  lambda: {low: 100, high: 400, unit: um, scale: log, sets: ["g_pas.all = 1e-4*exp(-distance/lambda)"]}
"""
    code, lines = check(fallen)
    assert told(lines) == []
    assert code == 0 and told(lines, "ok") == ["2 parameters reach what they name, and nothing else"]
    rows = [line.split() for line in lines]
    assert ["lambda", "g_pas", "in", "dend", "-"] in rows, "and gnabar_hh is in the soma alone"


@pytest.mark.parametrize(
    ("first", "second", "wrong"),
    [
        ("g_pas.all = 1e-5*a*exp(-distance/200)", "g_pas.dendritic = 1e-5*b*exp(-distance/200)", "g_pas in dend"),
        ("gkbar_hh.somatic", "more()", "gkbar_hh in soma"),  # it follows a, but is not what was set
        ("cm.all*", "cm.somatic", "cm in soma"),
    ],
)
def test_what_is_set_again_is_not_what_was_set(check, first, second, wrong):
    code, lines = check(f'  a: {{low: 1, high: 2, sets: ["{first}"]}}\n  b: {{low: 3, high: 4, sets: ["{second}"]}}\n')
    assert code == 2 and told(lines) == [f"a does not reach {wrong}"]


def test_a_procedure_that_does_something_else_each_time(check):
    only = '  times: {low: 1.1, high: 1.2, sets: ["leak_times()"]}\n'
    code, lines = check(only)
    assert code == 2 and told(lines)[0] == "g_pas in 2 sections (dend, soma) does not come back with the parameters"
    assert changes(lines)[0] == (
        "make each procedure give the same cell whatever was set before: set values, do not multiply them"
    )


def test_a_section_that_hangs_on_nothing_is_named(check):
    """The commonest slip of a template that is written by hand: no `connect`."""
    code, lines = check(SOUND, hoc=HOC.replace("    connect dend(0), soma(1)\n", ""), sets=2)
    assert code == 2 and told(lines, name="pieces") == ["dend is not connected to soma"]
    todo = "connect it in the template, as in `connect dend(0), soma(1)`: no current flows there now"
    assert changes(lines)[0] == todo


def test_sets_that_fail_make_a_cell_unsound(check):
    """At 1e5 nA nobody's cell stays within what a shard can hold."""
    code, lines = check(SOUND, file=FILE.replace("scale: 0.1", "scale: 1e5"))
    assert code == 2 and told(lines, name="sets")[0].startswith("of 8 random sets 8 ")
    assert changes(lines)[0] == "narrow the ranges, or lower the scale of the stimulus, until hardly any set fails"


def test_a_silent_cell_is_sound_and_told_what_to_do(check):
    code, lines = check(SOUND, file=FILE.replace("scale: 0.1", "scale: 0.001"))
    assert code == 0 and told(lines, "note", "spikes")[0].startswith("0 a trace (5% 0, 95% 0); 100% silent")
    assert changes(lines)[0] == (
        "raise the scale of the stimulus (now 0.001), or narrow the ranges, unless the cell is a passive one: a silent trace "
        "tells little of channels"
    )


BANK = "stimulus: {bank: [{kind: step, scale: 0.2, delay: 5, duration: 50, total: 60}, {kind: step, scale: -0.01, total: 60}]}\n"


def banked(bank):
    return "".join(bank if line.startswith("stimulus") else line for line in FILE.splitlines(keepends=True))


def test_half_of_a_bank_may_be_silent(check):
    code, lines = check(SOUND, file=banked(BANK), points=1, sets=12)
    (spikes,) = told(lines, "ok", "spikes")
    share = int(spikes.rpartition("; ")[2].partition("%")[0])
    assert code == 0 and 10 < share < 75
    todo = "nrn-mlfit design checked --stimuli NAME tells it for one of them"
    assert told(lines, "ok", "design") == [f"not asked, as each set gets another stimulus ({todo})"]


def test_a_bank_that_is_silent_is_told_of_as_a_bank(check):
    _, lines = check(SOUND, file=banked(BANK.replace("0.2", "0.002")))
    assert told(lines, "note", "spikes")[0].endswith("; 100% silent")
    assert changes(lines)[0] == (
        "give the bank stronger stimuli, or larger factors (`amplitudes`): more than three quarters of its draws are silent, "
        "and a silent trace tells little of channels"
    )


def test_many_spikes_are_told(check):
    """Hodgkin's and Huxley's axon fires at 60 Hz and more at 6.3 degC: over 30 spikes in half a second."""
    long = FILE.replace("duration: 50, total: 60", "duration: 600, total: 610")
    _, lines = check(SOUND, file=long.replace("scale: 0.1", "scale: 0.3"))
    (spikes,) = told(lines, "note", "spikes")
    assert float(spikes.split()[0]) > 25
    assert changes(lines)[0] == (
        "lower the scale of the stimulus, unless the cell fires by itself: with so many spikes hardly any stands for itself"
    )


def test_a_voltage_that_nobody_measured_is_told(check):
    """By Ohm's law: a soma of 20 um with hh's leak and a dendrite have 200 MOhm, so that -0.5 nA are 100 mV."""
    _, lines = check(SOUND, file=FILE.replace("scale: 0.1", "scale: -0.5"))
    (found,) = told(lines, "note", "voltage")
    assert float(found.split()[0]) < -110
    assert (
        "lower the scale of the stimulus or the depth of its reset: no channel was measured below -110 mV"
        in changes(lines)
    )


def test_sections_outside_of_the_template_are_told(check):
    _, lines = check(SOUND, hoc=f"create stray, astray\n{HOC}")
    assert told(lines, "note", "besides") == ["2 sections outside of the cell"]
    assert changes(lines)[0] == (
        "take out of checked.hoc what makes sections outside of the template: each run simulates them, too"
    )


def test_hoc_that_stops_at_an_end_of_a_range_is_named_with_the_values(check):
    stops = HOC.replace("public soma", "public stops, soma").replace(
        "proc idle", "proc stops() { if ($1 > 1.5) big() }\nproc idle"
    )
    stops = stops.replace("proc stops", 'proc big() { execerror("too big") }\nproc stops')
    with pytest.raises(MlfitError) as error:
        check('  it: {low: 1, high: 2, sets: ["stops()"]}\n', hoc=stops)
    assert str(error.value).startswith("checked: HOC stops when the parameters are set to it 2 (")
    assert "too big" in str(error.value) and "; see which of its procedures cannot take them" in str(error.value)


def test_a_step_that_is_too_long_is_told(check):
    coarse = FILE.replace("total: 60", "total: 60, dt: 0.25").replace("celsius: 6.3", "celsius: 6.3\ndt: 0.25")
    _, lines = check(SOUND, file=coarse)
    (note,) = told(lines, "note", "half dt")
    assert note.startswith("0.25 -> 0.125 ms: spikes shift by 0.")
    assert "set dt: 0.125, and check again: the spikes hang on the time step" in changes(lines)


def test_json_is_the_same_in_one_object(check):
    code, lines = check(SOUND, "--json", sets=16)
    held = json.loads("\n".join(lines))
    assert code == 0 and held["cell"] == "checked" and held["sound"]
    assert held["parameters"]["cm.dendritic"] == {"r2": None, "reaches": "cm in dend"}
    assert held["figures"]["sets"] == 16 and held["figures"]["seconds_of_a_run"] > 0
    assert {line["name"] for line in held["lines"]} >= {"built", "reach", "engine", "cost", "half dt"}


def test_a_template_that_does_not_build_is_one_sentence(check, tmp_path):
    with pytest.raises(MlfitError) as error:
        check(SOUND, file=FILE.replace("Checked", "Another"))
    assert str(error.value) == (
        f"{tmp_path / 'checked.hoc'}: defines no template Another; write `begintemplate Another` there"
    )


def test_a_shipped_cell_is_sound():
    done = CliRunner().invoke(cli, ["cells", "check", "izhikevich", "-n", "40", "--points", "2"])
    assert done.exit_code == 0, done.output
    assert "4 parameters reach what they name, and nothing else" in done.stdout
    rows = [line.split() for line in done.stdout.splitlines()]
    assert ["a", "a", "in", "cell"] in [row[:4] for row in rows]
