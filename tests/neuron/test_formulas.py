"""Formulas in a live cell: each segment has what the formula says of it, in every engine and in the HOC of a fit."""

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as some

from nrn_mlfit import cells, export, formulas, resimulate
from nrn_mlfit.errors import CellError, FormulaError
from nrn_mlfit.fit import Fit, Value
from nrn_mlfit.shards import Status
from nrn_mlfit.simulator import Session, load_cell
from nrn_mlfit.simulator.lanes import LaneEngine
from nrn_mlfit.simulator.neuron import NeuronEngine

TEMPLATE = """
begintemplate NAME
public soma, dend, apic, all, apical, far, syn
create soma, dend[3], apic[4], far
objref all, apical, syn
proc init() { local k
    all = new SectionList() apical = new SectionList()
    connect dend[0](0), soma(0)
    connect dend[1](0), dend[0](1)
    connect dend[2](0), dend[0](0.7)
    connect apic[0](0), soma(1)
    connect apic[1](0), apic[0](1)
    connect apic[2](0), apic[0](1)
    connect apic[3](0), apic[2](0.3)
    CONNECT
    soma { L = diam = 20  insert hh }
    far { L = diam = 10 }
    for k = 0, 2 dend[k] { L = 97.3 + k*31  diam = 2  nseg = 3 + 2*k }
    for k = 0, 3 apic[k] { L = 210.7 + k*17.1  diam = 3 - k/2  nseg = 7 + 2*k  apical.append()  insert hh }
    forall { insert pas  all.append() }
    SYNAPSE
}
endtemplate NAME
"""
FILE = """
name: tree
hoc: tree.hoc
template: NAME
celsius: 6.3
v_init: -65
stimulus: {kind: step, scale: 4, delay: 5, duration: 20, total: 40, dt: 0.1}
parameters:
  gna: {low: 0.05, high: 0.2, unit: S/cm2, sets: [gnabar_hh.all, "gnabar_hh.apical = gna*exp(-distance/lambda)"]}
  lambda: {low: 100, high: 400, unit: um, scale: log, sets: []}
  rm: {low: 5, high: 30, unit: kohm cm2, scale: log, sets: ["g_pas.all = 1/(1000*rm)"]}
  leak.apical: {low: 1.0e-5, high: 1.0e-3, scale: log, sets: ["gl_hh.apical = leak.apical*(1 + 3*exp(distance/323))"]}
  size: {low: 0.7, high: 1.4, sets: ["L.apical*"]}
"""

SETS = np.array([[0.15, 150.0, 12.0, 1e-4, 1.3], [0.06, 390.0, 28.0, 9e-4, 0.75], [0.1, 110.0, 6.0, 2e-5, 1.0]])


@pytest.fixture
def make(tmp_path):
    def make(name, old="", new="", connect="connect far(0), apic[3](1)", synapse=""):
        text = TEMPLATE.replace("NAME", name).replace("CONNECT", connect).replace("SYNAPSE", synapse)
        (tmp_path / "tree.hoc").write_text(text)
        (tmp_path / "tree.yaml").write_text(FILE.replace("NAME", name).replace(old, new))
        return cells.load(tmp_path / "tree.yaml")

    return make


def by_hand(segment):
    """The way in um from the middle of the soma to the middle of a segment: half the soma, and parts of sections.

    A branch in a section begins at the middle of a segment, as NEURON has no node elsewhere.
    """
    way, section, x = 0.0, segment.sec, segment.x
    while (parent := section.parentseg()) is not None:
        way += x * section.L
        section, x = parent.sec, parent.x
        x = x if x in (0, 1) else (math.floor(x * section.nseg) + 0.5) / section.nseg
    return way + abs(x - 0.5) * section.L


def test_every_segment_has_what_the_formulas_say(make):
    session = Session(make("EverySegment"))
    for gna, long, rm, leak, size in SETS:
        session.set([gna, long, rm, leak, size])
        assert [s.L for s in session.cell.apical] == pytest.approx([size * (210.7 + 17.1 * k) for k in range(4)])
        assert session.cell.soma.gnabar_hh == gna
        for segment in (segment for section in session.cell.all for segment in section):
            assert segment.g_pas == 1 / (1000 * rm)
        for segment in (segment for section in session.cell.apical for segment in section):
            assert segment.gnabar_hh == pytest.approx(gna * math.exp(-by_hand(segment) / long), rel=1e-12)
            assert segment.gl_hh == pytest.approx(leak * (1 + 3 * math.exp(by_hand(segment) / 323)), rel=1e-12)


def test_what_a_set_gives_hangs_on_the_set_alone(make):
    model = make("SetAlone")
    together, status = NeuronEngine(model).run(SETS)
    assert (status == Status.OK).all() and together.max() > 0, "one of them should spike"
    for row, volts in zip(SETS[::-1], together[::-1], strict=True):
        assert np.array_equal(NeuronEngine(model).run(row[None])[0][0], volts)


def test_the_lane_engine_has_them_too(make):
    model = make("Lanes")
    sets = model.space.to_phys(model.space.draw(5, 0, 12))
    ours, theirs = LaneEngine(model).run(sets), NeuronEngine(model).run(sets)
    assert (ours[1] == Status.OK).all() and (theirs[1] == Status.OK).all()
    assert np.abs(ours[0] - theirs[0]).max() < 1e-6 and np.ptp(theirs[0].max(axis=-1)) > 5


def test_a_set_without_a_value_fails_like_one_that_hoc_refuses(make):
    model = make("NoValue", "1/(1000*rm)", "0.0001*sqrt(rm - 10)")
    assert [NeuronEngine(model).run(SETS)[1].tolist(), LaneEngine(model).run(SETS)[1].tolist()] == [
        [Status.OK, Status.OK, Status.HOC_ERROR]
    ] * 2
    with pytest.raises(FormulaError) as error:
        Session(model).set(SETS[2])
    assert str(error.value) == "g_pas.all = 0.0001*sqrt(rm - 10) is no finite number at rm = 6"


def test_another_origin(make):
    model = make("Origin", "parameters:", "origin: apic[1](1)\nparameters:")
    session = Session(model)
    session.set(SETS[2])
    gna, long = SETS[2][:2]
    assert session.cell.apic[1](1).gnabar_hh == pytest.approx(gna * math.exp(-(227.8 / 9 / 2) / long), rel=1e-12)


@pytest.mark.parametrize(
    ("change", "text"),
    [
        (
            {"old": "parameters:", "new": "origin: trunk(0)\nparameters:"},
            "has no public section trunk; add it to `public` in the template; distances are counted from there",
        ),
        (
            {"old": "gl_hh.apical", "new": "g_pas.all", "connect": ""},
            ".far has no distance from ",
        ),
        (
            {"old": "gl_hh.apical", "new": "g_pas.all", "connect": ""},
            ", as they are not connected; connect them in the template, or name another origin",
        ),
        (
            {"old": "gl_hh.apical", "new": "gl_h.apical"},
            "parameter leak.apical: nothing in apical has gl_h; insert its mechanism, and write VARIABLE_SUFFIX (gbar_na) as "
            "NEURON does",
        ),
        (
            {"old": "gl_hh.apical", "new": "gl_hh.basal"},
            "parameter leak.apical: the template has no public basal; add it to `public`",
        ),
    ],
)
def test_what_does_not_reach_is_named(change, text, make, request):
    name = f"Reach{sum(map(ord, request.node.name))}"
    with pytest.raises(CellError) as error:
        Session(make(name, **change))
    assert text in str(error.value)


@pytest.mark.filterwarnings("ignore:.*NEURON has one celsius")
def test_a_point_process_takes_a_formula(make, tmp_path):
    synapse = "soma { syn = new ExpSyn(0.5) }"
    model = make("Point", '["L.apical*"]', '["tau@syn = 2*size^0.5"]', synapse=synapse)
    session = Session(model)
    session.set(SETS[0])
    assert session.cell.syn.tau == 2 * 1.3**0.5
    export.write(fit_of(model, SETS[0]), model, model.protocol, tmp_path / "fit")
    assert load_cell(tmp_path / "fit").syn.tau == 2 * 1.3**0.5


# ---- As HOC ----


def fit_of(model, values):
    pairs = zip(model.space.parameters, values, strict=True)
    return Fit(
        tuple(Value(p.name, float(x), *[0.0] * 5, p.low, p.high, p.unit, 0.0) for p, x in pairs), (), {"name": "test"}
    )


@pytest.fixture
def exported(make, tmp_path):
    model = make("Exported")
    export.write(fit_of(model, SETS[0]), model, model.protocol, tmp_path / "fit")
    return model, tmp_path / "fit"


@pytest.mark.filterwarnings("ignore:.*NEURON has one celsius")
def test_the_fitted_cell_has_the_same_values_in_every_segment(exported):
    model, folder = exported
    fitted, session = load_cell(folder), Session(model)
    session.set(SETS[0])
    for one, other in zip(fitted.all, session.cell.all, strict=True):
        for segment, own in zip(one, other, strict=True):
            names = [n for n in ("g_pas", "gnabar_hh", "gl_hh", "diam") if hasattr(own, n)]
            assert [getattr(segment, n) for n in names] == [getattr(own, n) for n in names]


def test_a_fit_and_its_neighbours_are_simulated_by_plain_neuron_to_the_last_bit(exported):
    model, folder = exported
    session = Session(model)
    variants = [export.with_values(folder, dict(zip(model.space.names, map(float, row), strict=True))) for row in SETS]
    volts = resimulate.run_variants(folder, variants, 1, 1)
    for row, trace in zip(SETS, volts[:, 0, 0, :: model.substeps], strict=True):
        session.set(row)
        assert np.abs(trace - session.run(model.protocol.stimuli[0])[0]).max() == 0
    assert np.ptp(volts[:, 0, 0], axis=0).max() > 1


def test_a_user_can_read_it(exported):
    text = (exported[1] / "fitted_cell.hoc").read_text()
    assert "local x, n, y, p_gna, p_lambda, p_rm, p_leak_apical  localobj cell" in text
    assert "    // lambda, um\n    x = 150.0\n    p_lambda = x\n" in text
    assert "    // g_pas.all = 1/(1000*rm)\n    x = 1/(1000*p_rm)\n    n = 0\n    forsec cell.all " in text
    assert (
        "    // gnabar_hh.apical = gna*exp(-distance/lambda), distance in um from soma(0.5)\n"
        "    cell.soma { distance(0, 0.5) }\n"
        "    n = 0\n"
        '    forsec cell.apical if (ismembrane("hh")) { for (y, 0) { x = p_gna*exp((-distance(y))/p_lambda)'
    ) in text


def test_a_formula_whose_value_does_not_arrive_stops_it(exported):
    hoc = exported[1] / "fitted_cell.hoc"
    hoc.write_text(hoc.read_text().replace("gnabar_hh(y) = x", "gnabar_hh(y) = 1.01*x"))
    with pytest.raises(Exception) as error:
        resimulate.run(exported[1], 1, 1)
    assert "gnabar_hh.apical is not as fitted" in str(error.value)


HOC_VALUES = {"a": 1.5, "b": -2.25, "c": 180.0, "d": 0.003}
expressions = some.recursive(
    some.sampled_from(sorted(HOC_VALUES)) | some.floats(0, 1e300).map(repr) | some.integers(0, 10**20).map(str),
    lambda inner: some.one_of(
        some.tuples(inner, some.sampled_from(["+", "-", "*", "/", "^"]), inner).map("".join),
        some.tuples(some.sampled_from(sorted(formulas.FUNCTIONS)), inner.map("({})".format)).map("".join),
        some.tuples(some.just("-"), inner).map("".join),
        inner.map("({})".format),
    ),
    max_leaves=10,
)


@settings(max_examples=300, deadline=None)
@given(expressions)
def test_hoc_makes_the_same_of_it(text):
    from nrn_mlfit.simulator.door import hoc

    h = hoc()
    try:
        formula = formulas.read(f"x.all = {text}")
        value = formula.value(HOC_VALUES)
    except CellError:
        return
    for name, number in HOC_VALUES.items():
        assert h(f"of_test_{name} = {number!r}")
    assert h(f"of_test = {formula.hoc({name: f'of_test_{name}' for name in HOC_VALUES})}")
    assert h.of_test == value
