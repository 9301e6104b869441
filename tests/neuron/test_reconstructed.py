"""A cell on a reconstruction: membrane, spines and axon are what the rules say, and it goes where all cells go."""

import re
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from trees import pyramid

from nrn_mlfit import cells, export, reconstructed
from nrn_mlfit.errors import CellError, MachineError, MorphologyError
from nrn_mlfit.fit import Fit, Value
from nrn_mlfit.simulator import Session, load_cell, mechanisms
from nrn_mlfit.simulator.batch import simulate_sets
from nrn_mlfit.simulator.door import hoc, load_file
from nrn_mlfit.simulator.mechanisms import build
from nrn_mlfit.simulator.session import build_cell

TOP = Path(__file__).parents[2]
# The simplified morphology of mainen.hoc, as a HOC file with 3-d points.
SIMPLIFIED = """\
create soma, apic, dend[2]
soma { pt3dadd(0, 0, 0, 20) pt3dadd(20, 0, 0, 20) }
apic { pt3dadd(20, 0, 0, 4) pt3dadd(1020, 0, 0, 4) }
for i = 0, 1 dend[i] { pt3dadd(0, 0, 0, 3) pt3dadd(-300, 0, 0, 3) }
connect apic(0), soma(1)
for i = 0, 1 { connect dend[i](0), soma(0) }
"""
READER = """\
{load_file("stdrun.hoc")}
{load_file("import3d.hoc")}
begintemplate Reader
public soma, dend, apic, axon, all, somatic, basal, apical, axonal
objref all, somatic, basal, apical, axonal, this
create soma[1], dend[1], apic[1], axon[1]
proc init() { localobj reader, gui
    all = new SectionList()
    somatic = new SectionList()
    basal = new SectionList()
    apical = new SectionList()
    axonal = new SectionList()
    reader = new Import3d_SWC_read()
    reader.quiet = 1
    reader.input("traced.swc")
    gui = new Import3d_GUI(reader, 0)
    gui.instantiate(this)
    forsec all { insert pas  g_pas = 1e-4 }
}
endtemplate Reader
"""
READER_FILE = """\
name: reader
hoc: hoc/reader.hoc
template: Reader
files: [hoc/traced.swc]
probes: {soma: "soma[0](0.5)"}
inject: soma[0](0.5)
stimulus: {kind: step, scale: 0.1}  # nA
parameters:
  g_pas.all: {low: 0.00001, high: 0.001, unit: S/cm2, scale: log}
"""


@pytest.fixture(scope="module")
def top(tmp_path_factory):
    return tmp_path_factory.mktemp("cells")


@pytest.fixture(scope="module")
def make(top):
    """Make a cell like another on a reconstruction's text, once a name: make("one", text) -> its folder."""

    def make(name, text, cell="mainen", suffix="swc", spines=None):
        (top / f"{name}.{suffix}").write_text(text)
        return reconstructed.like(cell, top / f"{name}.{suffix}", top / name, spines).folder

    return make


@pytest.fixture(scope="module")
def bare(make):
    """A live cell of over 100 sections without spines."""
    return build_cell(cells.load(make("bare", pyramid(3).text(), spines=0)))


@pytest.fixture(scope="module")
def spiny_folder(make):
    return make("spiny", pyramid(3).text())


@pytest.fixture(scope="module")
def spiny(spiny_folder):
    return build_cell(cells.load(spiny_folder))


def area(section):
    return sum(segment.area() for segment in section)


def test_without_spines_the_membrane_is_that_of_the_traced_cones(bare, top):
    found = reconstructed.morphology.read(top / "bare.swc")
    sections = [bare.soma, *bare.apical, *bare.basal]
    traced = [found.soma, *found.of("apical"), *found.of("basal")]
    for section, branch in zip(sections, traced, strict=True):
        assert area(section) == pytest.approx(branch.area, rel=1e-6)
        assert pytest.approx(branch.length, rel=1e-6) == section.L
        assert section.nseg == int(branch.length / 50) + 1


def test_ways_from_the_soma_are_those_of_the_file(bare):
    rows = {row[0]: row for row in pyramid(3).rows}
    parents = {row[6] for row in rows.values()}
    ways = []
    for tip in (row for row in rows.values() if row[0] not in parents and row[1] in (3, 4)):
        way, row = 0.0, tip
        while rows[row[6]][1] != 1:  # the first point is where the soma ends
            way += np.linalg.norm(np.subtract(row[2:5], rows[row[6]][2:5]))
            row = rows[row[6]]
        ways.append(way)
    h = hoc()
    ends = [section(1) for section in bare.dendritic if not section.children()]
    own = [h.distance(bare.soma(0.5), end) for end in ends]
    assert len(own) > 50
    assert sorted(own) == pytest.approx(sorted(ways), rel=1e-5)


def test_spines_add_their_membrane_and_leave_the_axial_resistance(bare, spiny):
    pairs = list(zip(bare.dendritic, spiny.dendritic, strict=True))
    assert len(pairs) > 100
    for before, after in pairs:
        assert area(after) - area(before) == pytest.approx(0.83 * before.L, rel=1e-9)
        factor = area(after) / area(before)
        assert pytest.approx(before.L * factor ** (2 / 3), rel=1e-12) == after.L
        assert after.nseg == before.nseg == int(before.L / 50) + 1
        for one, other in zip(before, after, strict=True):
            assert after.L / other.diam**2 == pytest.approx(before.L / one.diam**2, rel=1e-12)
    assert area(spiny.soma) == area(bare.soma)


def test_the_axon_is_that_of_the_rules(spiny):
    assert pytest.approx(16) == spiny.soma.L and spiny.soma.diam == pytest.approx(16)
    width = np.sqrt(area(spiny.soma) / (4 * np.pi)) / 10
    iseg, hill = spiny.iseg, spiny.hill
    assert (iseg.L, iseg.nseg, iseg.diam) == (15, 5, pytest.approx(width))
    assert (hill.L, hill.nseg) == (10, 5)
    assert [s.diam for s in hill] == pytest.approx([(4 - 3 * x) * width for x in (0.1, 0.3, 0.5, 0.7, 0.9)])
    for k in range(5):
        myelin, node = spiny.myelin[k], spiny.node[k]
        assert (myelin.L, myelin.nseg, myelin.diam, myelin.cm) == (100, 5, pytest.approx(width), 0.04)
        assert (node.L, node.nseg, node.diam, node.g_pas) == (1, 1, pytest.approx(0.75 * width), 0.02)
        assert str(myelin.parentseg()).endswith(f"node[{k - 1}](1)" if k else "iseg(1)")
        assert str(node.parentseg()).endswith(f"myelin[{k}](1)")
    assert str(hill.parentseg()).endswith("soma(0.5)")
    assert not any(s.name().partition(".")[2].startswith("axon") for s in hoc().allsec() if s.cell() == spiny)


def test_on_its_own_shape_mainen_is_mainen(make):
    model = cells.load(make("simplified", SIMPLIFIED, suffix="hoc", spines=0))
    own = cells.load("mainen")
    values = own.space.to_phys(own.space.draw(5, 0, 2))
    one, other = Session(own), Session(model)
    for row in values:
        one.set(row)
        other.set(row)
        stimulus = own.protocol.stimuli[0]
        assert np.abs(one.run(stimulus) - other.run(stimulus)).max() < 1e-5
    assert model.space == own.space and model.protocol.stimuli[0].scale == own.protocol.stimuli[0].scale


def resistance(cell):
    """MOhm at the soma without channels, at 1e6 kOhm cm2: all of the membrane is in reach."""
    h = hoc()
    for section in cell.all:
        for segment in section:
            segment.g_pas = 1e-9
            for name in ("gbar_na", "gbar_kv", "gbar_km", "gbar_ca", "gbar_kca"):
                if hasattr(segment, name):
                    setattr(segment, name, 0)
    h.finitialize(-70)
    impedance = h.Impedance()
    impedance.loc(0.5, sec=cell.soma)
    impedance.compute(0)
    return impedance.input(0.5, sec=cell.soma)


def test_a_tight_membrane_has_a_resistance_by_its_area(spiny_folder, top):
    model = cells.load(spiny_folder)
    for density in (0, 1, 3):
        cell = build_cell(model)
        cell.spine_density = density
        cell.build()
        um2 = sum(area(section) for section in cell.all)
        assert resistance(cell) == pytest.approx(1e-6 / (1e-9 * um2 * 1e-8), rel=1e-3)


def test_build_gives_the_same_cell_again(spiny_folder):
    cell = build_cell(cells.load(spiny_folder))
    before = [(s.name(), s.nseg, s.L, [x.diam for x in s], area(s)) for s in cell.all]
    cell.spine_density, cell.longest_segment = 0, 5
    cell.build()
    assert [s.nseg for s in cell.dendritic] != [n for _, n, *_ in before]
    cell.spine_density, cell.longest_segment = 1, 50
    cell.build()
    after = [(s.name(), s.nseg, s.L, [x.diam for x in s], area(s)) for s in cell.all]
    assert after == before


@pytest.fixture(scope="module")
def small(top):
    """A cell of few sections as it was made, its reconstruction small.swc beside its folder."""
    return reconstructed.like("mainen", _written(top, pyramid(8, basals=2, forks=1)), top / "small")


def test_the_stimulus_is_scaled_by_the_resistances(small):
    made = small
    text = (made.folder / "small.yaml").read_text()
    scale = cells.load(made.folder).protocol.stimuli[0].scale
    assert made.megohm > 1.3 * made.of_other
    assert made.factor == pytest.approx(made.of_other / made.megohm, rel=0.05)
    assert scale == pytest.approx(0.8 * made.factor, rel=0.05)
    said = rf"^# Input resistance \d+ MOhm; mainen, \d+ MOhm: its stimulus, nA, times {made.factor:g}\."
    assert re.search(rf"{said}\nstimulus: .*, reset: 0.21}}$", text, re.MULTILINE)


def test_a_first_compiling_is_told(top, small, monkeypatch):
    said = []
    monkeypatch.setattr(mechanisms, "is_built", lambda _: False)
    reconstructed.like("mainen", top / "small.swc", top / "told", report=said.append)
    assert said == ["compiling the MOD files (once; they are kept)"]


def test_a_cell_file_may_be_written_otherwise(top, small):
    """Keys in quotes, entries over several lines, and no line break at the end."""
    folder = top / "otherwise"
    shutil.copytree(small.folder, folder)
    (folder / "small.yaml").rename(file := folder / "otherwise.yaml")
    text = re.sub(r"^(template|stimulus):", r'"\1":', file.read_text(), flags=re.MULTILINE)
    text = re.sub(r"^(hoc):", r"'\1' :", text, flags=re.MULTILINE)
    text = re.sub(r"^files: .*$", '"files":\n- morphology/small.swc', text, flags=re.MULTILINE)
    text = re.sub(r"^mod: mod\n", "", text, flags=re.MULTILINE).rstrip() + '\n"mod": mod'
    file.write_text(text)
    made = reconstructed.like(folder, top / "small.swc", top / "again")
    model, own = cells.load(made.folder), cells.load(small.folder)
    assert (model.name, model.space, made.factor) == ("again", own.space, 1)
    assert model.protocol.stimuli[0].scale == pytest.approx(own.protocol.stimuli[0].scale)
    assert [path.name for path in model.files] == ["small.swc"]


def test_a_bank_without_scales_is_left_as_it_is(top, small):
    folder = top / "banked"
    shutil.copytree(small.folder, folder)
    file = folder / "banked.yaml"
    (folder / "small.yaml").rename(file)
    file.write_text(re.sub(r"^stimulus: .*$", "stimulus: steps", file.read_text(), flags=re.MULTILINE))
    made = reconstructed.like(folder, top / "small.swc", top / "rebanked")
    text = (made.folder / "rebanked.yaml").read_text()
    assert made.factor is None and "MOhm: choose the stimulus accordingly.\nstimulus: steps\n" in text
    assert cells.load(made.folder).protocol.is_bank


def test_stimulus_files_and_geometry_go_along(top, small):
    folder = top / "stimulated"
    shutil.copytree(small.folder, folder)
    (folder / "small.yaml").rename(file := folder / "stimulated.yaml")
    np.savez(folder / "current.npz", current=np.linspace(0, 0.1, 500), dt=0.1)
    text = re.sub(r"^stimulus: .*$", "stimulus: {kind: file, path: current.npz}", file.read_text(), flags=re.MULTILINE)
    file.write_text(text.replace("name: small", "name: stimulated\ngeometry: {longest_segment: 20}"))
    made = reconstructed.like(folder, top / "small.swc", top / "restimulated", 2)
    model = cells.load(made.folder)
    assert np.array_equal(model.protocol.stimuli[0].window, np.linspace(0, 0.1, 500))
    assert model.geometry == {"longest_segment": 20, "spine_density": 2}
    (folder / "current.npz").rename(top / "current.npz")
    file.write_text(file.read_text().replace("current.npz", "../current.npz"))
    with pytest.raises(CellError) as error:
        reconstructed.like(folder, top / "small.swc", top / "never")
    assert str(error.value) == f"{file}: its stimulus ../current.npz lies outside of its folder; copy it there"


def _written(folder, tree, name="small.swc"):
    (folder / name).write_text(tree.text())
    return folder / name


def test_channels_and_axon_are_written_as_in_mainen_hoc():
    one, other = ((TOP / "hoc" / "templates" / f"{n}.hoc").read_text() for n in ("mainen", "mainen_morphology"))
    for procedure in ("membrane", "calcium", "nominal", "set_rm"):
        (found,) = re.findall(rf"^proc {procedure}\(\).*?^}}$", one, re.DOTALL | re.MULTILINE)
        assert found in other
    assert one.partition("    iseg { nseg = 5")[2].partition("\n}")[0] in other


def test_the_shipped_template_is_a_cell_as_it_stands(h):
    load_file(TOP / "hoc" / "templates" / "mainen_morphology.hoc")
    cell = h.MainenMorphology()
    cell.spine_density = 0
    cell.build()
    sizes = {s.name().partition(".")[2]: (round(s.L, 4), round(s.diam, 4)) for s in (cell.soma, *cell.dendritic)}
    assert sizes == {"soma": (20, 20), "apic[0]": (1000, 4), "dend[0]": (300, 3), "dend[1]": (300, 3)}


def test_two_cells_live_side_by_side_and_size_is_a_parameter(make):
    model = cells.load(make("sized", pyramid(4, forks=1).text(), cell="mainen_slice"))
    session = Session(model)
    middle = model.space.to_phys(np.zeros((1, len(model.space))))[0]
    names = model.space.names
    before = sum(area(s) for s in session.cell.all)
    middle[names.index("size")] = 1.5
    session.set(middle)
    assert sum(area(s) for s in session.cell.all) == pytest.approx(2.25 * before)
    assert np.isfinite(session.run(model.protocol.stimuli[0])).all()


def test_lanes_and_neuron_agree_on_a_cell_of_over_a_hundred_sections(spiny_folder):
    model = cells.load(spiny_folder)
    volts, status = simulate_sets(model, model.space.to_phys(model.space.draw(2, 0, 4)), engine="lanes", workers=1)
    assert (status == 0).all() and volts.max() > 0  # simulate_sets has held them against plain NEURON


def fit_of(model, values):
    pairs = zip(model.space.parameters, values, strict=True)
    return Fit(
        tuple(Value(p.name, float(x), *[0.0] * 5, p.low, p.high, p.unit, 0.0) for p, x in pairs), (), {"name": "t"}
    )


def test_a_fit_of_it_runs_in_plain_neuron_from_another_folder(spiny_folder, tmp_path):
    model = cells.load(spiny_folder)
    values = model.space.to_phys(model.space.draw(11, 0, 1))[0]
    export.write(fit_of(model, values), model, model.protocol, tmp_path / "fit")
    assert (tmp_path / "fit" / "morphology" / "spiny.swc").read_text() == pyramid(3).text()
    out = tmp_path / "trace.txt"
    save = f'{{out = new File() out.wopen("{out}") traces[0].printf(out, "%.17g\\n") out.close()}}'
    words = [w for line in ('load_file("fit/fit.hoc")', "run()", "objref out", save, "quit()") for w in ("-c", line)]
    nrniv = Path(sys.executable).parent / "nrniv"
    command = [nrniv, "-nogui", "-nobanner", "-dll", build(model.mod), *words]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, timeout=120)
    assert out.is_file(), done.stderr
    session = Session(model)
    session.set(values)
    assert np.abs(np.loadtxt(out) - session.run(model.protocol.stimuli[0])[0]).max() == 0
    cell = load_cell(tmp_path / "fit")
    assert sum(area(s) for s in cell.all) == pytest.approx(sum(area(s) for s in session.cell.all))


def test_a_cell_like_one_that_was_made_so_keeps_what_was_changed_in_it(make, top):
    first = make("first", pyramid(1, forks=1).text())
    edited = top / "edited"
    shutil.copytree(first, edited)
    (edited / "first.yaml").rename(edited / "edited.yaml")
    hoc_file = edited / "mainen_morphology.hoc"
    hoc_file.write_text(hoc_file.read_text().replace("Ra = 150", "Ra = 120"))
    made = make("second", pyramid(2, forks=1).text(), cell=edited)
    straight = make("straight", pyramid(2, forks=1).text())
    one, other = ((folder / "mainen_morphology.hoc").read_text() for folder in (made, straight))
    assert one == other.replace("Ra = 150", "Ra = 120").replace("Mainen_straight", "Mainen_second").replace(
        "(straight.swc)", "(second.swc)"
    )
    assert [path.name for path in cells.load(made).files] == ["second.swc"]
    assert build_cell(cells.load(made)).soma.Ra == 120


def test_a_template_that_reads_a_reconstruction_gets_another_one(top):
    folder = top / "reader"
    (folder / "hoc").mkdir(parents=True)
    (folder / "hoc" / "reader.hoc").write_text(READER)
    (folder / "reader.yaml").write_text(READER_FILE)
    (folder / "hoc" / "traced.swc").write_text(pyramid(1, forks=1).text())
    made = reconstructed.like(folder, _written(top, pyramid(6, forks=2), "other.swc"), top / "read")
    assert (made.folder / "traced.swc").read_text() == pyramid(6, forks=2).text()
    model = cells.load(made.folder)
    assert (model.name, model.template) == ("read", "Reader")
    cell = build_cell(model)
    length = sum(section.L for section in cell.basal)
    assert length == pytest.approx(sum(b.length for b in made.found.of("basal")), rel=1e-6)
    (top / "other.hoc").write_text(SIMPLIFIED)
    with pytest.raises(MorphologyError) as error:
        reconstructed.like(folder, top / "other.hoc", top / "never")
    assert str(error.value) == f"{top / 'other.hoc'}: reader reads a .swc file, traced.swc; give one of that kind"
    with pytest.raises(CellError) as error:
        reconstructed.like(folder, top / "other.swc", top / "never", 0)
    assert str(error.value) == "reader: its template has no spine_density to set; leave the density of spines out"


def test_a_cell_that_does_not_build_leaves_nothing(top, spiny_folder):
    shutil.copytree(spiny_folder, top / "probed")
    file = top / "probed" / "probed.yaml"
    (top / "probed" / "spiny.yaml").rename(file)
    file.write_text(file.read_text().replace('"soma(0.5)"', '"soma(0.5)", tip: "tuft(1)"'))
    with pytest.raises(CellError) as error:
        reconstructed.like(top / "probed", top / "spiny.swc", top / "never")
    assert str(error.value) == "Mainen_never[0]: has no public section tuft; add it to `public` in the template"
    assert not list(top.glob("*never*"))


def test_a_template_that_ends_neuron_is_named_with_the_reconstruction(top, small):
    shutil.copytree(small.folder, top / "quits")
    (top / "quits" / "small.yaml").rename(top / "quits" / "quits.yaml")
    hoc_file = top / "quits" / "mainen_morphology.hoc"
    hoc_file.write_text(f"{hoc_file.read_text()}\nquit()\n")
    with pytest.raises(MorphologyError) as error:
        reconstructed.like(top / "quits", top / "small.swc", top / "never")
    assert str(error.value) == f"{top / 'small.swc'}: NEURON cannot build small on it (exit code 0); look at the file"
    assert not list(top.glob("*never*"))


def test_a_folder_that_is_there_is_left_alone(make, top, spiny_folder):
    with pytest.raises(MachineError) as error:
        reconstructed.like("mainen", top / "spiny.swc", spiny_folder)
    assert str(error.value) == f"{spiny_folder}: already there and not empty; name a new folder with -o"
