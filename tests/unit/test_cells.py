"""Cell files: read by one strict reader, copied without loss, known by a digest."""

import numpy as np
import pytest

from nrn_mlfit import cells, places
from nrn_mlfit.errors import MlfitError
from nrn_mlfit.parameters import ParameterSpace

FILE = """\
name: mine
hoc: sub/mine.hoc
files: [sub/morph/x.swc]
template: Mine
mod: mod
celsius: 34
v_init: -65
probes: {soma: "soma(0.5)", tip: "dend[3](1)"}
inject: soma(0.5)
stimulus: {kind: step, scale: 1e-1}
geometry: {length: 12.5}
parameters:
  gbar_na.somatic: {low: 1, high: 2, unit: pS/um2, scale: log}
  rm: {low: 1, high: 2, sets: ["set_rm()", v@cell]}
"""


@pytest.fixture
def path(tmp_path):
    (tmp_path / "cell" / "sub" / "morph").mkdir(parents=True)
    (tmp_path / "cell" / "mod").mkdir()
    (tmp_path / "cell" / "sub" / "mine.hoc").write_text("begintemplate Mine\nendtemplate Mine\n")
    (tmp_path / "cell" / "sub" / "morph" / "x.swc").write_bytes(b"\xff 1 1 0 0 0 1 -1\n")
    (tmp_path / "cell" / "mod" / "na.mod").write_text("NEURON { SUFFIX na }\n")
    (tmp_path / "cell" / "cell.yaml").write_text(FILE)
    return tmp_path / "cell" / "cell.yaml"


def refused(path, old="", new=""):
    if old:
        assert old in path.read_text()
        path.write_text(path.read_text().replace(old, new))
    with pytest.raises(MlfitError) as error:
        cells.load(path)
    return str(error.value).removeprefix(str(path)).lstrip(":, ")


def test_a_cell_file_says_what_it_says(path):
    cell = cells.load(path)
    assert (cell.name, cell.template, cell.celsius, cell.v_init, cell.dt) == ("mine", "Mine", 34, -65, 0.025)
    assert cell.space.names == ["gbar_na.somatic", "rm"]
    assert cell.space.parameters[0].sets == ("gbar_na.somatic",)
    assert cell.space.parameters[1].sets == ("set_rm()", "v@cell")
    assert list(cell.probes) == ["soma", "tip"] and cell.protocol.stimuli[0].scale == 0.1


def test_a_folder_with_one_cell_file_is_that_cell(path):
    assert cells.load(path.parent).digest() == cells.load(path).digest()


def test_shipped_cells_are_known_by_name():
    assert [cells.load(name).name for name in cells.SHIPPED] == list(cells.SHIPPED)


@pytest.mark.parametrize("name", [*cells.SHIPPED, "mine"])
def test_a_copy_is_the_same_cell(name, path, tmp_path):
    cell = cells.load(path if name == "mine" else name)
    copy = cells.load(cells.bundle(cell, tmp_path / "copy"))
    assert copy.digest() == cell.digest() and copy.protocol.digest() == cell.protocol.digest()
    assert cells.load(cells.bundle(copy, tmp_path / "again")).digest() == cell.digest()


@pytest.mark.parametrize("what", ["sub/mine.hoc", "mod/na.mod", "sub/morph/x.swc", "cell.yaml"])
def test_the_digest_follows_every_file(path, what):
    before, file = cells.load(path).digest(), path.parent / what
    old, new = (b"34", b"35") if what == "cell.yaml" else (file.read_bytes()[-2:-1], b"X")
    file.write_bytes(file.read_bytes().replace(old, new))
    assert cells.load(path).digest() != before


@pytest.mark.parametrize(
    ("old", "new", "text"),
    [
        ("celsius: 34", "celcius: 34", "unknown key 'celcius'; a cell file takes "),
        ("celsius: 34", "celsius: warm", "celsius: must be a number, got 'warm'"),
        ("celsius: 34", "celsius: 34\ncelsius: 35", "line 7: 'celsius' is given twice"),
        ("name: mine", "name: &a mine\n" + "v_init: *a", "line 2: aliases are not allowed"),
        ("name: mine", "name: " + "[" * 20 + "]" * 20, "line 1: nested too deeply"),
        ("name: mine", "name: {", "line 3: expected ',' or '}', but got ':'"),
        ("hoc: sub/mine.hoc", "hoc: nowhere.hoc", "nowhere.hoc does not exist; paths are relative to the cell file"),
        ("mod: mod", "mod: sub", "holds no .mod file; paths are relative to the cell file"),
        ("template: Mine\n", "", "template: missing; a cell file needs name, hoc, template, stimulus, parameters"),
        ("inject: soma(0.5)", "inject: soma(1.5)", "inject: 'soma(1.5)' is no site; write SECTION(x) with x in 0..1, "),
        ("inject: soma(0.5)", "inject: soma", "inject: 'soma' is no site; "),
        ('"soma(0.5)"', '"soma(0.5.1)"', "probe soma: 'soma(0.5.1)' is no site; "),
        ("high: 2, unit", "high: 0.5, unit", "gbar_na.somatic: the range [1, 0.5] pS/um2 is empty or upside down"),
        (
            "high: 2, unit",
            "top: 2, unit",
            "parameter gbar_na.somatic: needs low and high, and may have unit, scale, sets",
        ),
        ("v@cell", "v-cell", "parameter rm: 'v-cell' sets nothing; write VARIABLE.LIST (gbar_na.somatic), "),
        ("  rm:", "  'r\"m':", "'r\"m': a parameter's name is letters, digits, _ and dots, as in gbar_na.somatic"),
        ("name: mine", "name: ../mine", "name: '../mine' is no name; use letters, digits, _, - and ."),
        ("template: Mine", "template: quit()", "template: 'quit()' is no name of a HOC template"),
        ("celsius: 34", "celsius: .nan", "celsius: must be a number, got nan"),
        ("celsius: 34", "dt: 0", "dt: must be above 0, got 0"),
        (
            "files: [sub/morph/x.swc]",
            "files: [mod/na.mod]",
            "na.mod must lie in the folder of the HOC file that reads it, ",
        ),
        ("files: [sub/morph/x.swc]", "files: x.swc", "files: must be a list of file names, got 'x.swc'"),
        ('"soma(0.5)"', "soma(.)", "probe soma: 'soma(.)' is no site; write SECTION(x) with x in 0..1, "),
        ("low: 1, high: 2, unit", "low: .inf, high: 2, unit", "low: must be a number, got inf"),
        ("stimulus: {kind: step, scale: 1e-1}", "stimulus: step", "stimulus: must be a mapping such as {kind: step, "),
        ("geometry: {length: 12.5}", "geometry: [1]", "geometry: must be a mapping, got [1]"),
        ("kind: step", "kind: stop", "no stimulus is called 'stop'; there are reset_chirp, step, ramp, noise, file"),
    ],
)
def test_what_is_wrong_is_named(path, old, new, text):
    assert text in refused(path, old, new)


def test_a_file_too_large_to_be_a_cell(path):
    path.write_text("name: mine\n" + "# " + "x" * 1_100_000)
    assert "larger than 1000000 bytes" in refused(path)


DIGESTS = {  # runs and ensembles are of these: another digest would make them another cell's
    "mainen": "b893bd2a40f388bfae6911a203af259b03a938a0d936fc09f8b2019b48295326",
    "ball_two_sticks": "0d2d6195357f24f8329682d2af737fab02cbad748749499949e0c17534751aa9",
    "izhikevich": "357377021418c06a70a325d0629137f36d129fc091207a81a5a80414af1df317",
}


@pytest.mark.parametrize("name", DIGESTS)
def test_the_cells_that_ensembles_were_trained_on_stay_what_they_are(name):
    assert cells.load(name).digest() == DIGESTS[name]


# ---- Known values ----


def test_a_fixed_parameter_is_held_and_the_others_are_drawn_as_ever(path, tmp_path):
    free = cells.load(path)
    held = cells.fixed(free, {"rm": 1.5})
    assert (held.space.names, held.held, free.held) == (["gbar_na.somatic"], {"rm": 1.5}, {})
    assert [p.name for p in held.parameters] == ["gbar_na.somatic", "rm"]
    assert held.space.draw(1, 0, 5).tolist() == ParameterSpace(free.space.parameters[:1]).draw(1, 0, 5).tolist()
    assert len({free.digest(), held.digest(), cells.fixed(free, {"rm": 1.6}).digest()}) == 3
    assert cells.fixed(free, {}).digest() == free.digest()
    copy = cells.load(cells.bundle(held, tmp_path / "copy"))
    assert copy.digest() == held.digest() and copy.held == held.held


def test_the_cell_file_may_fix_it_in_any_order(path):
    by_hand = cells.fixed(cells.load(path), {"gbar_na.somatic": 1.25}).digest()
    path.write_text(path.read_text().replace("parameters:", "fixed: {gbar_na.somatic: 1.25}\nparameters:"))
    assert cells.load(path).digest() == by_hand
    again = cells.fixed(cells.load(path), {"gbar_na.somatic": 1.5})
    assert again.held == {"gbar_na.somatic": 1.5} and [p.name for p in again.parameters] == ["gbar_na.somatic", "rm"]


@pytest.mark.parametrize(
    ("values", "text"),
    [
        ({"rn": 1}, "mine has no parameter 'rn' to fix; it has gbar_na.somatic, rm"),
        (
            {"gbar_na.somatic": 2.5},
            "gbar_na.somatic: cannot be fixed at 2.5 pS/um2, as its range is 1 to 2 pS/um2; take a value inside, or give it "
            "another range in a cell file of your own",
        ),
        (
            {"gbar_na.somatic": 1, "rm": 2},
            "mine: all 2 of its parameters are fixed, so there is nothing left to draw; leave one of them out",
        ),
    ],
)
def test_what_cannot_be_fixed(path, values, text):
    with pytest.raises(MlfitError) as error:
        cells.fixed(cells.load(path), values)
    assert str(error.value) == text


# ---- A point process that counts its current in a unit of its own ----


def test_the_gain_is_for_what_is_in_na_and_belongs_to_the_cell_only_then(tmp_path):
    cell = cells.load("izhikevich")
    np.savez(tmp_path / "piece.npz", current=np.full(100, 0.1), dt=0.1)
    measured = cells.load("izhikevich", {"kind": "file", "path": str(tmp_path / "piece.npz")})
    assert (cell.current_unit, cell.gain(cell.protocol.stimuli[0])) == ("", 1)
    assert (measured.current_unit, measured.gain(measured.protocol.stimuli[0])) == ("nA", 100)
    assert "current_gain" not in cell.settings() and measured.settings()["current_gain"] == 100
    assert cells.load(cells.bundle(measured, tmp_path / "copy")).digest() == measured.digest() != cell.digest()
    assert cells.load("izhikevich_slice").current_unit == "nA"


def test_a_current_into_a_section_takes_no_gain(path):
    text = (
        "current_gain: soma(0.5) takes its current in nA as it is; leave it out, or inject into the variable of a point "
        "process"
    )
    assert refused(path, "celsius: 34", "celsius: 34\ncurrent_gain: 10") == text


def test_places():
    assert places.place("celsius") == places.Place("condition", "celsius", "")
    assert places.place("L.all*") == places.Place("factor", "L", "all")
    assert places.place("gbar_na.somatic") == places.Place("range", "gbar_na", "somatic")
    assert places.place("V@cell") == places.Place("point", "V", "cell")
    assert places.place("set_rm()") == places.Place("procedure", "set_rm", "")
    assert places.place("dend[3](0.25)") == places.Place("site", "dend[3]", "0.25")


def test_the_order_of_probes_is_part_of_the_digest(path):
    before = cells.load(path).digest()
    text = path.read_text()
    path.write_text(text.replace('{soma: "soma(0.5)", tip: "dend[3](1)"}', '{tip: "dend[3](1)", soma: "soma(0.5)"}'))
    assert path.read_text() != text and cells.load(path).digest() != before
