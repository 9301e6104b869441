"""The lane engine against NEURON, cell by cell; and that a set's trace hangs on the set alone, to the last bit."""

import functools
import shutil
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from nrn_mlfit import cells, stimuli
from nrn_mlfit.shards import Status
from nrn_mlfit.simulator import agreement, engines
from nrn_mlfit.simulator.lanes import AnotherCell, Checked, Outside
from nrn_mlfit.simulator.lanes.engine import LaneEngine
from nrn_mlfit.simulator.mechanisms import build
from nrn_mlfit.simulator.neuron import NeuronEngine
from nrn_mlfit.simulator.worker import Worker
from nrn_mlfit.stimuli import Protocol

BOUNDS = {"double": agreement.DOUBLE, "mixed": agreement.MIXED}
PULSES = {"mainen": 0.4, "mainen_slice": 0.4, "ball_two_sticks": 0.5}  # nA, from 2 to 12 of 15 ms


@functools.cache
def engine_of(name, precision="double"):
    """The engine of a shipped cell, with a short stimulus where there is a cable."""
    model = cells.load(name)
    if name in PULSES:
        model = model.under(stimuli.step(PULSES[name], delay=2, duration=10, total=15))
    return LaneEngine(model, precision)


def draws(engine, count, seed=1):
    space = engine.model.space
    return space.to_phys(space.draw(seed, 0, count))


def neuron_of(engine):
    return NeuronEngine(engine.model, engine.session)


def assert_agree(engine, sets, precision="double"):
    """All traces are NEURON's within the bounds of the precision, and none is dull; returns NEURON's."""
    lanes, status = engine.run(sets)
    neuron, wanted = neuron_of(engine).run(sets)
    assert np.array_equal(status, wanted) and (status == Status.OK).all()
    for row, truth, other in zip(sets, neuron, lanes, strict=True):
        found = agreement.examine(engine.session, row, truth, other, BOUNDS[precision])
        assert found.verdict != "differs", found
    assert engine.check(sets) == Checked(len(sets))
    return neuron


# ---- Shipped cells ----

SHIPPED_SETS = [
    *(("izhikevich", 12), ("ball_two_sticks", 6), ("mainen", 3)),
    *(("mainen_slice", 3), ("mainen_wide", 3), ("izhikevich_slice", 12)),
]


@pytest.mark.parametrize("precision", BOUNDS)
@pytest.mark.parametrize(("name", "sets"), SHIPPED_SETS)
def test_shipped_cells_agree_with_neuron(name, sets, precision):
    engine = engine_of(name, precision)
    neuron = assert_agree(engine, draws(engine, sets), precision)
    assert neuron.max() > 0  # there are spikes


def test_mixed_precision_is_another_precision():
    """Or the test above would say nothing of it; and an expected size of the difference is that of a float's rounding."""
    one, other = engine_of("ball_two_sticks"), engine_of("ball_two_sticks", "mixed")
    sets = draws(one, 4)
    gap = np.abs(one.run(sets)[0] - other.run(sets)[0]).max()
    assert 1e-9 < gap < 0.1


# ---- A set hangs on nothing but itself ----


@functools.cache
def alone(name, precision="double"):
    """Some sets, and the trace of each simulated alone."""
    engine = engine_of(name, precision)
    sets = draws(engine, 32, seed=5)
    traces = np.concatenate([engine.run(row[None])[0].copy() for row in sets])
    assert len({trace.tobytes() for trace in traces}) == len(sets)
    return sets, traces


@settings(max_examples=15, deadline=None)
@given(st.lists(st.integers(0, 31), min_size=1, max_size=32))
@pytest.mark.parametrize(("name", "precision"), [("izhikevich", "double"), ("ball_two_sticks", "mixed")])
def test_a_trace_is_the_same_in_any_lane_beside_any_neighbours_in_any_chunk(name, precision, chosen):
    sets, traces = alone(name, precision)
    volts, status = engine_of(name, precision).run(sets[chosen])
    assert (status == Status.OK).all()
    assert volts.tobytes() == traces[chosen].tobytes()


@pytest.mark.parametrize(("name", "bad"), [("izhikevich", (0, 1e9)), ("ball_two_sticks", (9, -0.01))])
def test_a_cell_that_blows_up_has_its_status_and_its_neighbours_are_as_without_it(name, bad):
    """`bad`: which parameter, and a value that no cell survives."""
    engine, (sets, traces) = engine_of(name), alone(name)
    column, value = bad
    mixed = sets[:20].copy()
    ruined = [0, 3, 4, 15, 16, 19]
    mixed[ruined, column] = value
    volts, status = engine.run(mixed)
    wanted = neuron_of(engine).run(mixed[:1])[1][0]
    assert wanted in (Status.NON_FINITE, Status.VOLTAGE_RANGE)
    assert [int(s) for s in status] == [int(wanted) if k in ruined else Status.OK for k in range(20)]
    fine = np.setdiff1d(np.arange(20), ruined)
    assert volts[fine].tobytes() == traces[:20][fine].tobytes()


def test_nan_parameters_do_not_reach_the_neighbours():
    engine, (sets, traces) = engine_of("izhikevich"), alone("izhikevich")
    mixed = sets[:9].copy()
    mixed[::2] = np.nan
    volts, status = engine.run(mixed)
    assert (status[::2] == Status.NON_FINITE).all() and (status[1::2] == Status.OK).all()
    assert volts[1::2].tobytes() == traces[:9][1::2].tobytes()


# ---- Cells of one's own ----

TREE = """\
begintemplate LanesTree
public soma, dend, axon, all, leaky, first, second, third, tune, segments, grow
public refuse, rare_refuse, rare, rare_size, rare_width, rare_clamp, rare_grid, rare_channels, rare_tree
create soma, dend[2], axon
objref all, leaky, first, second, third, extra
proc init() {
    all = new SectionList()
    leaky = new SectionList()
    connect dend[0](0), soma(1)
    connect dend[1](1), dend[0](0.5)
    connect axon(0), soma(0)
    soma { L = 20  diam = 22  insert hh  all.append() }
    for k = 0, 1 dend[k] { L = 150 + 50*k  diam = 2 + k  nseg = 3  insert pas  all.append()  leaky.append() }
    dend[1] { diam(0:1) = 1:4 }
    axon { L = 60  diam = 1  nseg = 2  insert hh  all.append() }
    soma first = new IClamp(0.5)
    soma second = new IClamp(0.5)
    dend[0] third = new IClamp(1)
    first.del = 3  first.dur = 4  first.amp = 0.2
    second.del = 5.013  second.dur = 3  second.amp = -0.1
    third.del = 6  third.dur = 5  third.amp = 0.1
    forsec all { Ra = 120 }
}
proc tune() { forsec leaky { g_pas = $1*1e-4  e_pas = -60 - $1 } }
proc rare() { soma cm = 1 + ($1 > 1e6)  tune($1/1e6) }
proc rare_width() { soma diam = 22 + 8*($1 > 1e6) }
proc rare_clamp() { if ($1 > 1e6) { soma extra = new IClamp(0.5) } }
proc rare_grid() { axon nseg = 2 - ($1 > 1e6) }
proc rare_channels() { if ($1 > 1e6) { dend[0] insert hh } }
proc rare_tree() { if ($1 > 1e6) { dend[1] { disconnect() }  connect dend[1](0), soma(0) } }
proc rare_size() { soma L = 20 + 5*($1 > 1e6) }
proc segments() { dend[0] { L = $1  nseg = 2*int($1/40) + 1 } }
proc grow() { forsec leaky { insert hh  gnabar_hh = 0  gkbar_hh = 0  gl_hh = $1*1e-5 } }
proc refuse() { if ($1 > 1) execerror("no", "") }
proc rare_refuse() { if ($1 > 1e6) { soma extra = new IClamp(0.5)  execerror("no", "") } }
endtemplate LanesTree
"""
TREE_YAML = """\
name: lanes_tree
hoc: tree.hoc
template: LanesTree
celsius: 6.3
v_init: -66
dt: {dt}
probes: {{soma: soma(0.5), far: "dend[1](0)", axon: axon(1), third: "dend[0](1)"}}
inject: "{inject}"
stimulus:
  - {{kind: step, scale: 0.3, delay: 1, duration: 8, total: 15, dt: 0.05}}
  - {{kind: ramp, scale: -0.2, delay: 2, duration: 9, total: 15, dt: 0.05}}
parameters: {parameters}
"""
GEOMETRY = "{L.all: {low: 20, high: 80}, diam.leaky: {low: 1, high: 3}, Ra.all: {low: 50, high: 300}, gnabar_hh.all: \
{low: 0.06, high: 0.2}, tune: {low: 0.5, high: 3, sets: tune()}, amp@third: {low: 0, high: 0.3}, cm.leaky: {low: 0.5, high: 2}}"


def tree(folder, parameters=GEOMETRY, dt=0.02, inject="dend[0](0.9)"):
    (folder / "tree.hoc").write_text(TREE)
    (folder / "tree.yaml").write_text(TREE_YAML.format(parameters=parameters, dt=dt, inject=inject))
    return cells.load(folder)


@pytest.fixture(scope="module")
def tree_folder(tmp_path_factory):
    return tmp_path_factory.mktemp("tree")


@pytest.mark.parametrize("precision", BOUNDS)
def test_a_tree_of_neurons_own_mechanisms_with_its_shape_drawn(tree_folder, precision):
    """Four probes, two stimuli, three substeps a sample, two current clamps at a node, one on a section's end."""
    model = tree(tree_folder)
    assert model.substeps == 3 and model.mod is None
    engine = LaneEngine(model, precision)
    volts = assert_agree(engine, draws(engine, 5), precision)
    assert volts.shape == (5, 4, 2, 300)
    held = volts.reshape(5, 8, 300)
    assert all(np.ptp(held[:, k] - held[:, j]) > 1 for k in range(8) for j in range(k))  # no two are the same trace


def test_the_stimulus_into_a_current_clamp_of_the_template_and_onto_an_end(tree_folder):
    for inject, probe in (("dend[0](1)", "far"), ("amp@first", "soma")):
        model = tree(tree_folder, "{tune: {low: 0.5, high: 3, sets: tune()}}", 0.05, inject)
        engine = LaneEngine(replace(model, probes={probe: model.probes[probe]}))
        assert_agree(engine, draws(engine, 2))


@pytest.mark.parametrize("dt", [0.05, 0.01])
def test_samples_are_the_same_times_whatever_the_step(tree_folder, dt):
    """A finer step brings the trace nearer to its limit: implicit Euler's error goes with dt."""
    engine = LaneEngine(tree(tree_folder, dt=dt))
    limit = NeuronEngine(tree(tree_folder, dt=0.0005)).run(draws(engine, 1))[0]
    assert_agree(engine, draws(engine, 1))
    error = np.abs(engine.run(draws(engine, 1))[0] - limit)[..., -50:].max()
    assert error < 40 * dt


def test_a_set_that_hoc_refuses_has_its_status_and_the_others_are_as_without_it(tree_folder):
    space = "{refuse: {low: 0, high: 1, sets: refuse()}, tune: {low: 0.5, high: 3, sets: tune()}}"
    engine = LaneEngine(tree(tree_folder, space, 0.05))
    sets = draws(engine, 6)
    wanted = engine.run(sets)[0].copy()
    sets[[0, 4], 0] = 2
    volts, status = engine.run(sets)
    assert status.tolist() == [Status.HOC_ERROR, 0, 0, 0, Status.HOC_ERROR, 0]
    assert status.tolist() == neuron_of(engine).run(sets)[1].tolist()
    fine = [1, 2, 3, 5]
    assert volts[fine].tobytes() == wanted[fine].tobytes()
    assert (volts[[0, 4]] == 0).all()


# ---- The conditions of a run, drawn ----

WARM = """begintemplate LanesWarm
public soma, dend, all
create soma, dend
objref all
proc init() {
    all = new SectionList()
    connect dend(0), soma(1)
    soma { L = 20  diam = 20 }
    dend { L = 200  diam = 2  nseg = 3 }
    soma all.append()
    dend all.append()
    forsec all { insert pas  insert rna  insert rka  insert rcat  insert rcap  gbar_rna = 0.08  gbar_rka = 0.02 }
}
endtemplate LanesWarm
"""
WARM_YAML = """\
name: lanes_warm
hoc: warm.hoc
template: LanesWarm
mod: mod
dt: 0.05
stimulus: {kind: step, scale: 0.2, delay: 2, duration: 25, total: 30, dt: 0.05}
parameters:
  celsius: {low: 10, high: 37, unit: degC}
  rest: {low: -75, high: -60, unit: mV, sets: [e_pas.all, v_init]}
  size: {low: 0.7, high: 1.4, scale: log, sets: ["L.all*", "diam.all*"]}
  gbar_rcat.all: {low: 1.0e-4, high: 1.0e-3}
"""


def warm(folder):
    """A cell whose gates (by celsius in their rates) and whose calcium reversal potential (by Nernst) hang on the temperature."""
    shutil.copytree(
        Path(__file__).with_name("pool"), folder / "mod"
    )  # all: a process can hold them from one place only
    (folder / "warm.hoc").write_text(WARM)
    (folder / "warm.yaml").write_text(WARM_YAML)
    return cells.load(folder)


@pytest.mark.parametrize("precision", BOUNDS)
def test_temperature_start_and_size_of_every_set_are_its_own(tmp_path, precision):
    engine = LaneEngine(warm(tmp_path), precision)
    assert "celsius" in {array.name for array in engine.plan.gathered} and engine.plan.reversals
    sets = draws(engine, 6)
    volts = assert_agree(engine, sets, precision)
    assert volts[:, 0, 0, 0] == pytest.approx(sets[:, 1])
    other = sets.copy()
    other[:, 0] += 1  # degC
    assert np.abs(neuron_of(engine).run(other)[0] - volts).max(axis=(1, 2, 3)).min() > 0.01


def test_a_table_that_hangs_on_a_drawn_temperature_is_left_to_neuron(tree_folder):
    model = tree(tree_folder, "{celsius: {low: 5, high: 20}}", 0.05)
    with pytest.raises(Outside) as error:
        LaneEngine(model)
    assert str(error.value) == "TABLE hh.rates depends on celsius, which the parameters or time change"
    engine, why = engines.make("auto", "double", model)
    assert engine.name == "neuron" and "celsius" in why
    cold, warm = engine.run(np.array([[5.0], [20.0]]))[0]
    assert np.abs(cold - warm).max() > 1


ANOTHER = "parameters change the segments, mechanisms or point processes of the cell"


RARE = "{{x: {{low: 0, high: 1.0e+6, sets: {}()}}, tune: {{low: 0.5, high: 3, sets: tune()}}}}"


@pytest.mark.parametrize(
    ("procedure", "named"),
    [
        ("rare", "cm was 1 in 12 draws and is 2 in this set"),
        ("rare_size", "L was 20 in 12 draws and is 25 in this set"),
        ("rare_width", "diam was 22 in 12 draws and is 30 in this set"),
        ("rare_clamp", ANOTHER),
        ("rare_grid", ANOTHER),
        ("rare_channels", ANOTHER),
        ("rare_tree", ANOTHER),
    ],
)
def test_what_12_draws_did_not_show_is_found_where_it_happens(tree_folder, procedure, named):
    """Parameters between 0 and 1 million do nothing; what one beyond changes, the plan took for a number."""
    engine = LaneEngine(tree(tree_folder, RARE.format(procedure), 0.05))
    sets = draws(engine, 2)
    engine.run(sets)
    sets[1, 0] = 2e6
    with pytest.raises(AnotherCell, match=named):
        engine.run(sets)


@pytest.mark.parametrize("procedure", ["rare", "rare_clamp", "rare_grid", "rare_channels"])
def test_a_set_that_makes_another_cell_goes_through_neuron_and_leaves_nothing_to_the_others(tree_folder, procedure):
    """In one chunk with others, alone, and in the check of a run's first sets."""
    model = tree(tree_folder, RARE.format(procedure), 0.05)
    sets = model.space.to_phys(model.space.draw(9, 0, 6))
    odd = sets.copy()
    odd[[1, 4], 0] = 2e6, 3e6
    with Worker(model, "lanes") as worker:
        worker.begin()
        wanted = worker.run(sets)[0].copy()
        volts, status = worker.run(odd)
        volts = volts.copy()
        assert (status == Status.OK).all()
        for row in (1, 4):
            truth, _ = NeuronEngine(model).run(odd[row][None])
            assert volts[row].tobytes() == truth[0].tobytes() != wanted[row].tobytes()
            assert worker.run(odd[row][None])[0].tobytes() == truth[0].tobytes()
        assert volts[[0, 2, 3, 5]].tobytes() == wanted[[0, 2, 3, 5]].tobytes()
        assert worker.run(sets)[0].tobytes() == wanted.tobytes()
        assert worker.check(odd) == Checked(4, failed=2)


@pytest.mark.parametrize("engine", ["lanes", "neuron"])
def test_what_a_set_changes_before_hoc_refuses_it_is_not_the_next_ones(tree_folder, engine):
    model = tree(tree_folder, RARE.format("rare_refuse"), 0.05)
    sets = model.space.to_phys(model.space.draw(9, 0, 4))
    odd = sets.copy()
    odd[1, 0] = 2e6
    with Worker(model, engine) as worker:
        worker.begin()
        wanted = np.concatenate([worker.run(row[None])[0].copy() for row in sets])
        pairs = [(volts.copy(), status) for volts, status in (worker.run(row[None]) for row in odd)]
        volts, status = np.concatenate([v for v, _ in pairs]), np.concatenate([s for _, s in pairs])
        assert status.tolist() == [0, Status.HOC_ERROR, 0, 0]
        assert volts[[0, 2, 3]].tobytes() == wanted[[0, 2, 3]].tobytes()


@pytest.mark.parametrize("procedure", ["rare_clamp", "rare_grid", "rare_channels", "rare_tree"])
def test_plain_neuron_does_not_hand_on_what_a_set_made_of_the_cell(tree_folder, procedure):
    model = tree(tree_folder, RARE.format(procedure), 0.05)
    sets = model.space.to_phys(model.space.draw(9, 0, 3))
    odd = sets.copy()
    odd[1, 0] = 2e6
    wanted, alone = NeuronEngine(model).run(sets)[0], NeuronEngine(model).run(odd[1:2])[0]
    volts, status = NeuronEngine(model).run(odd)
    assert (status == Status.OK).all()
    assert volts[[0, 2]].tobytes() == wanted[[0, 2]].tobytes() and volts[1].tobytes() == alone[0].tobytes()


@pytest.mark.parametrize(("procedure", "high"), [("segments", 300), ("grow", 90)])
def test_parameters_that_change_what_the_cell_is_made_of_are_left_to_neuron(tree_folder, procedure, high):
    """nseg by a rule of the length, and channels that a procedure inserts, when the cell is there already."""
    space = f"{{x: {{low: 50, high: {high}, sets: {procedure}()}}, tune: {{low: 0.5, high: 3, sets: tune()}}}}"
    engine, why = engines.make("auto", "double", tree(tree_folder, space, 0.05))
    assert engine.name == "neuron" and ANOTHER in why


def test_a_handler_that_acts_when_a_run_begins_leaves_the_cell_to_neuron(tree_folder, h):
    handler = h.FInitializeHandler("{}")
    engine, why = engines.make("auto", "double", tree(tree_folder, "{tune: {low: 0.5, high: 3, sets: tune()}}", 0.05))
    assert (engine.name, why) == ("neuron", "there is an FInitializeHandler")
    del handler


def test_that_someone_looked_at_a_section_before_changes_nothing(tree_folder, h):
    """psection() imports NEURON's rxd, which makes a handler that is idle without a species."""
    h.Section(name="looked_at").psection()
    assert len(h.List("FInitializeHandler")) == 1
    engine, why = engines.make("auto", "double", tree(tree_folder, "{tune: {low: 0.5, high: 3, sets: tune()}}", 0.05))
    assert (engine.name, why) == ("lanes-double", "")


SPECIES = """
from neuron import h, rxd
section = h.Section(name="with_calcium")
species = rxd.Species(rxd.Region([section], nrn_region="i"), name="ca", charge=2)
from nrn_mlfit.simulator.lanes.cable import refuse_networks
refuse_networks({})
"""


def test_a_species_of_rxd_is_refused():
    """In a process of its own: rxd's handlers stay to the end."""
    told = subprocess.run([sys.executable, "-c", SPECIES], capture_output=True, text=True).stderr
    assert told.endswith("Outside: there is an FInitializeHandler\n")


def test_the_current_of_a_clamp_can_be_recorded(tree_folder):
    model = tree(tree_folder, "{tune: {low: 0.5, high: 3, sets: tune()}}", 0.05)
    engine = LaneEngine(replace(model, probes={"i": "i@second", "soma": "soma(0.5)"}))
    assert_agree(engine, draws(engine, 2))


# ---- Names ----

DENSITY = "NEURON {{ SUFFIX {name}  NONSPECIFIC_CURRENT i  RANGE {g}, level }}\nPARAMETER {{ {g} = 1e-4  level = 1 }}\n"
NAMES = {  # mechanism: its conductance's name
    "class": "g",
    "namespace": "LANES",
    "matrix": "gbar",
    "wide": "Cells",
    "exp1": "low",
    "lanes": "run",
    "wa": "b_x",
    "wa_b": "x",
}
OF_AN_ION = """NEURON { SUFFIX ofaut  USEION aut READ eaut, iaut, auti WRITE iaut, auti VALENCE 2  RANGE g }
PARAMETER { g = 1e-4 }
ASSIGNED { v eaut iaut }
STATE { auti }
BREAKPOINT { SOLVE states METHOD cnexp  iaut = g*(v - eaut)*0.1 }
DERIVATIVE states { auti' = -10*iaut - (auti - 0.01)/20 }
"""  # its concentration outside is called auto


@pytest.fixture(scope="module")
def names(tmp_path_factory):
    folder = tmp_path_factory.mktemp("names")
    (folder / "mod").mkdir()
    for k, (name, g) in enumerate(NAMES.items()):
        body = f"i = {g}*level*(v + {60 + k})" if k % 2 else f"i = {g}*helper(v)*m"
        text = DENSITY.format(name=name, g=g) + "ASSIGNED { v i }\nSTATE { m }\nINITIAL { m = 0.5 }\n"
        text += f"BREAKPOINT {{ SOLVE states METHOD cnexp  {body} }}\n"
        text += f"DERIVATIVE states {{ m' = (1/(1 + exp(-(v + {50 + k})/9)) - m)/{k + 2} }}\n"
        text += "FUNCTION helper(v) { LOCAL t, k, x0, stimulus  t = v + 70  helper = t }\n"
        (folder / "mod" / f"{name}.mod").write_text(text)
    (folder / "mod" / "ofaut.mod").write_text(OF_AN_ION)
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("MAKEFLAGS", "-j2")
        build(folder / "mod")
    return folder


def names_cell(folder, template, mechanisms):
    """A cell with some of those mechanisms, all conductances drawn."""
    inserts = "\n".join(f"insert {name}" for name in mechanisms)
    uneven = f"level_{mechanisms[0]}(0.3) = 2"  # not the same at all places, and not drawn
    (folder / f"{template}.hoc").write_text(
        f"begintemplate {template}\npublic soma, all\ncreate soma\nobjref all\nproc init() {{\nall = new SectionList()\n"
        f"soma {{ L = 20  diam = 20  nseg = 2  all.append()\n{inserts}\n{uneven}\n}}\n}}\nendtemplate {template}\n"
    )
    drawn = {name: f"{NAMES.get(name, 'g')}_{name}" for name in mechanisms}
    parameters = "\n".join(f"  {variable}.all: {{low: 2.0e-5, high: 3.0e-4}}" for variable in drawn.values())
    (folder / f"{template}.yaml").write_text(
        f"name: {template}\nhoc: {template}.hoc\ntemplate: {template}\nmod: mod\ndt: 0.05\n"
        f"stimulus: {{kind: step, scale: 0.1, delay: 1, duration: 8, total: 15, dt: 0.05}}\nparameters:\n{parameters}\n"
    )
    return cells.load(folder / f"{template}.yaml")


@pytest.mark.parametrize("precision", BOUNDS)
def test_names_that_mean_something_to_a_compiler_or_to_us(names, precision):
    model = names_cell(names, "LanesNames", [*(name for name in NAMES if name != "wa_b"), "ofaut"])
    engine, _ = engines.make("lanes", precision, model)
    assert "auto_[" in engine.source
    assert_agree(engine, draws(engine, 4), precision)


def test_two_mechanisms_whose_names_and_variables_run_together(names):
    engine, _ = engines.make("lanes", "double", names_cell(names, "LanesTogether", ["wa", "wa_b"]))
    assert_agree(engine, draws(engine, 4))


# ---- Banks ----


@functools.cache
def bank_engine(name, precision="double"):
    """The engine of a shipped cell under a bank of short steps and ramps, with two stimuli a set in the izhikevich cell."""
    model, scale = cells.load(name), 15 if name == "izhikevich" else PULSES[name]
    short = {"delay": 2, "duration": 10, "total": 15}
    step, ramp = (lambda k: stimuli.step(k * scale, **short)), (lambda k: stimuli.ramp(k * scale, **short))
    pairs = [(step(1), ramp(1)), (ramp(2), step(0.5)), (step(-0.5), step(2))]
    held = pairs if name == "izhikevich" else [pair[:1] for pair in pairs]
    return LaneEngine(replace(model, protocol=Protocol(held[0], tuple(held[1:]), (0.5, 1.5))), precision)


def bank_rows(engine, count, seed=1):
    protocol = engine.model.protocol
    return engine.model.rows(draws(engine, count, seed), *protocol.draw(seed, 0, count))


@pytest.mark.parametrize("precision", BOUNDS)
@pytest.mark.parametrize(("name", "sets"), [("izhikevich", 20), ("ball_two_sticks", 18)])
def test_sets_with_stimuli_of_their_own_agree_with_neuron(name, sets, precision):
    """More sets than lanes; the same parameters under the first stimulus alone would be other traces."""
    engine = bank_engine(name, precision)
    rows = bank_rows(engine, sets)
    assert len({int(index) for index in rows[:, -2]}) == 3
    lanes, status = engine.run(rows)
    truth, wanted = neuron_of(engine).run(rows)
    assert np.array_equal(status, wanted) and (status == Status.OK).all()
    for row, one, other in zip(rows, truth, lanes, strict=True):
        parameters, protocol = engine.set_of(row)
        session = engine.session.changed(protocol=protocol)
        assert agreement.examine(session, parameters, one, other, BOUNDS[precision]).verdict != "differs"
    assert engine.check(rows) == Checked(sets)
    alike = neuron_of(engine).run(rows[:, :-2])[0]
    assert np.abs(alike - truth).max() > 1


def test_neuron_gets_the_current_that_a_set_drew():
    """NEURON itself, with the current of the set as its only stimulus."""
    engine = bank_engine("izhikevich")
    rows = bank_rows(engine, 4)
    truth, _ = neuron_of(engine).run(rows)
    for row, volts in zip(rows, truth, strict=True):
        parameters, protocol = engine.set_of(row)
        alone = NeuronEngine(engine.model.under(*protocol.stimuli)).run(parameters[None])[0]
        assert volts.tobytes() == alone[0].tobytes()
        wanted = row[-1] * engine.model.protocol.currents[int(row[-2])]
        assert np.array_equal(protocol.currents, wanted)


@settings(max_examples=8, deadline=None)
@given(st.lists(st.integers(0, 31), min_size=1, max_size=32))
@pytest.mark.parametrize(("name", "precision"), [("izhikevich", "double"), ("ball_two_sticks", "mixed")])
def test_with_a_bank_too_a_trace_hangs_on_its_own_set_alone(name, precision, chosen):
    engine = bank_engine(name, precision)
    rows = bank_rows(engine, 32, seed=5)
    whole = engine.run(rows)[0]
    assert engine.run(rows[chosen])[0].tobytes() == whole[chosen].tobytes()
    assert engine.run(rows[chosen[:1]])[0].tobytes() == whole[chosen[:1]].tobytes()


def test_the_first_step_that_differs_is_found_under_the_sets_own_stimulus():
    engine = bank_engine("ball_two_sticks")
    row = bank_rows(engine, 3)[2]
    steps = engine.steps // 2
    assert engine.state_after(row, steps) == pytest.approx(engine.neuron_after(row, steps), rel=1e-9)
    other = np.concatenate([row[:-2], [(row[-2] + 1) % 3, row[-1]]])
    assert np.abs(engine.state_after(other, steps) - engine.neuron_after(row, steps)).max() > 1e-3


def test_a_program_without_a_bank_takes_one_current_for_all_lanes():
    """Its source, by whose hash runs are known, has nothing of a bank in it."""
    assert "double initial, const double *middle" in engine_of("izhikevich").source
    assert "wide stimulus" not in engine_of("ball_two_sticks").source
    assert "const double *initial, const double *middle" in bank_engine("izhikevich").source
