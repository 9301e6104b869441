"""What differs between cells in a slice - rest, temperature, size - against cable theory, Ohm's law and the Q10 rule."""

from dataclasses import replace

import numpy as np
import pytest

from nrn_mlfit import cells, formulas, stimuli
from nrn_mlfit.errors import CellError
from nrn_mlfit.simulator import Session
from nrn_mlfit.simulator.setters import formula_target, setter_of

Q10 = 2.3


@pytest.fixture
def session(h):
    return Session(cells.load("mainen_slice"))


def put(session, **values):
    """Set all parameters, those not named to the middle of their ranges; the values as set."""
    space = session.model.space
    row = dict(zip(space.names, space.to_phys(np.zeros(len(space))), strict=True)) | values
    session.set([row[name] for name in space.names])
    return row


def silence(session):
    """Leave nothing of the membrane but its leak and its capacitance."""
    for sec in session.cell.all:
        for seg in sec:
            for name in ("gbar_na", "gbar_kv", "gbar_km", "gbar_kca", "gbar_ca"):
                if hasattr(seg, name):
                    setattr(seg, name, 0)


def shape(cell):
    return [(sec.L, sec.nseg, [seg.diam for seg in sec]) for sec in cell.all]


# ---- Rest ----


@pytest.mark.parametrize("rest", [-85, -62.5, -55])
def test_a_passive_cell_starts_and_stays_at_its_own_rest(session, rest):
    put(session, e_pas=rest)
    silence(session)
    volts = session.run(stimuli.samples(np.zeros(2500), 0.02, lead=0))
    assert np.abs(volts - rest).max() < 1e-9


def test_whatever_it_starts_from_a_passive_cell_settles_at_e_pas(h):
    model = cells.load("mainen_slice")
    apart = [replace(p, sets=("e_pas.all",)) if p.name == "e_pas" else p for p in model.space.parameters]
    session = Session(replace(model, space=replace(model.space, parameters=tuple(apart)), v_init=-60.0))
    put(session, e_pas=-80, rm=15, c_m=0.3)
    silence(session)
    volts = session.run(stimuli.samples(np.zeros(7500), 0.02, lead=0))[0]
    assert volts[0] == -60 and volts[-1] == pytest.approx(-80, abs=1e-6)  # tau is 4.5 ms


# ---- Size ----


@pytest.mark.parametrize("size", [0.5, 1.7, 2])
def test_all_lengths_and_diameters_are_multiplied_and_the_axon_keeps_its_rule(session, size):
    put(session, size=1)
    built = shape(session.cell)
    put(session, size=size)
    wanted = [(size * L, nseg, [size * d for d in diams]) for L, nseg, diams in built]
    assert shape(session.cell) == wanted
    soma, iseg = session.cell.soma, session.cell.iseg
    area = sum(seg.area() for seg in soma)
    assert iseg.diam == pytest.approx(
        np.sqrt(area / (4 * np.pi)) / 10
    )  # [MS96]: the axon's width follows the soma's area
    put(session, size=1)
    assert shape(session.cell) == built


def surface(size):
    """(unmyelinated, myelinated) membrane of the cell in cm2, from its table: soma, dendrites, hillock, axon."""
    width = 1.0  # a tenth of the soma's diameter
    hill = sum(np.pi * d * width * 2 for d in (3.7, 3.1, 2.5, 1.9, 1.3))  # five segments of 2 um
    bare = np.pi * (20 * 20 + 1000 * 4 + 2 * 300 * 3 + 15 * width + 5 * 0.75 * width) + hill
    return np.array([bare, np.pi * 5 * 100 * width]) * size**2 * 1e-8


@pytest.mark.parametrize("size", [0.5, 1, 2])
def test_the_capacitance_is_that_of_the_membrane(session, size):
    """By the first step of NEURON's implicit Euler, dV = I dt/(C + dt G), in a cell that is one point (Ra next to 0)."""
    put(session, size=size, c_m=0.9)
    silence(session)
    for sec in session.cell.all:
        sec.Ra, sec.g_pas = 1e-6, 1e-12
    volts = session.run(stimuli.samples(np.full(200, 0.1), 0.02, lead=0))[0]
    measured = 0.1e-9 * 0.02e-3 / (np.diff(volts)[-1] * 1e-3)  # F
    bare, myelin = surface(size)
    assert measured == pytest.approx(1e-6 * (0.9 * bare + 0.04 * myelin), rel=1e-5)


def input_resistance(h, session):
    probe = h.Impedance()
    probe.loc(session.cell.soma(0.5))
    h.finitialize(-70)
    probe.compute(0)
    return probe.input(session.cell.soma(0.5))


def test_without_axial_resistance_it_takes_a_quarter_of_the_resistance_to_be_twice_as_large(h, session):
    held = []
    for size in (0.5, 1, 2):
        put(session, size=size)
        silence(session)
        for sec in session.cell.all:
            sec.Ra = 0.01
        held.append(input_resistance(h, session))
    assert held[0] / held[1] == pytest.approx(4, rel=1e-3)
    assert held[1] / held[2] == pytest.approx(4, rel=1e-3)


@pytest.mark.parametrize("size", [0.5, 1, 2])
@pytest.mark.parametrize("rm", [15, 60])
def test_the_input_resistance_is_that_of_cables_of_that_size(h, session, size, rm):
    """The dendrites are no points: their length constant grows with the root of the size only, so it is not 1/size^2."""
    put(session, size=size, rm=rm)
    silence(session)
    soma = np.pi * (20 * size) ** 2 * 1e-8 / (1000 * rm)
    dendrites = sum(loaded(L * size, d * size, 0, 1 / (1000 * rm)) for L, d in ((1000, 4), (300, 3), (300, 3)))
    measured = 1e-6 / input_resistance(h, session)
    assert measured == pytest.approx(soma + dendrites + axon(size, rm), rel=3e-3)


def axon(size, rm):
    """The input conductance of the axon in S: cylinders one after the other, from its far end on."""
    leak, load = 1 / (1000 * rm), 0.0
    for _ in range(5):
        load = loaded(1 * size, 0.75 * size, load, 0.02)  # a node
        load = loaded(100 * size, 1 * size, load, leak)  # and the myelin before it
    load = loaded(15 * size, 1 * size, load, leak)
    for d in (1.3, 1.9, 2.5, 3.1, 3.7):
        load = loaded(2 * size, d * size, load, leak)
    return load


def loaded(length, diam, load, leak, Ra=150):
    """The input conductance in S of a cylinder (um) with a load at its end (Rall, 1959)."""
    d, x = diam * 1e-4, length * 1e-4
    constant = np.sqrt(d / (4 * Ra * leak))
    endless, t = np.pi * d**2 / (4 * Ra * constant), np.tanh(x / constant)
    return endless * (load + endless * t) / (endless + load * t)


@pytest.fixture
def drawn(h):
    """A cell of one section with 3-d points."""
    section = h.Section(name="drawn")
    section.nseg = 2
    section.pt3dadd(0, 0, 0, 1)
    section.pt3dadd(10, 0, 0, 2)

    class Cell:
        dend = section  # or it would be gone
        all = h.SectionList([section])

    return Cell


@pytest.mark.parametrize(
    "entry",
    [
        *("L.all*", "diam.all*", "L.all", "diam.all"),
        *("diam.all = 3*size - distance/100", "diam.all = 3*size", "L.all = 5*size"),
    ],
)
def test_a_shape_is_not_set_where_neuron_makes_it_anew_from_points(drawn, entry):
    """The points are in single precision, and each assignment to a segment writes those around it, too."""
    size = replace(cells.load("mainen_slice").space.parameters[-1], sets=(entry,))
    with pytest.raises(CellError) as error:
        if formulas.is_formula(entry):
            formula_target(drawn, "size", formulas.read(entry), lambda: drawn.dend(0.5))
        else:
            setter_of(drawn, size, {})
    assert str(error.value) == (
        "parameter size: drawn has 3-d points, of which NEURON makes L and diam anew; scale the points in a procedure of the "
        "template"
    )


def test_what_is_refused_would_not_arrive(drawn):
    """Why: what is read is not what was set. What hangs on no points arrives there, too."""
    for segment, value in zip(drawn.dend, (0.7, 4.1), strict=True):
        segment.diam = value
    assert [segment.diam for segment in drawn.dend] != pytest.approx([0.7, 4.1], rel=0.01)
    setter_of(drawn, replace(cells.load("mainen_slice").space.parameters[-1], sets=("cm.all",)), {})(0.7)
    assert [segment.cm for segment in drawn.dend] == [0.7, 0.7]


# ---- Temperature ----


def test_gates_and_conductances_follow_the_temperature_of_the_set(session):
    found = {}
    for celsius in (27, 37):
        put(session, celsius=celsius, e_pas=-65)
        with session.begun(session.model.protocol.stimuli[0], 10):
            soma = session.cell.soma(0.5)
            found[celsius] = np.array([soma.mtau_na, soma.htau_na, soma.ntau_kv, soma.ntau_kca, 1 / soma.tadj_ca])
    assert found[27] / found[37] == pytest.approx(Q10)


def test_a_cell_ten_degrees_colder_is_the_same_cell_in_slow_motion(h, session):
    """Rates and conductances of all channels fall by 2.3. If leak, axial conductance, calcium's removal and the current
    fall with them, all goes 2.3 times as slowly: the same voltages, spikes 2.3 times as wide."""
    traces = {}
    for celsius, slow in ((37, 1), (27, Q10)):
        session.model = replace(
            session.model.under(stimuli.step(0.5 / slow, 5 * slow, 40 * slow, 60 * slow, 0.02 * slow)), dt=1.0
        )
        row = put(session, celsius=celsius, e_pas=-72)
        for sec in session.cell.all:
            sec.Ra, sec.g_pas = 150 * slow, (0.02 if "node" in sec.name() else 1 / (1000 * row["rm"])) / slow
            if h.ismembrane("cad", sec=sec):
                sec.taur_cad = 200 * slow
        traces[celsius] = session.run(session.model.protocol.stimuli[0])[0]
    assert np.sum((traces[37][:-1] < -20) & (traces[37][1:] >= -20)) >= 2
    assert np.abs(traces[27] - traces[37]).max() < 1e-5


def width(volts, dt):
    """The time in ms that the first spike spends above -20 mV."""
    start = np.flatnonzero((volts[:-1] < -20) & (volts[1:] >= -20))[0]
    return dt * np.flatnonzero(volts[start + 1 :] < -20)[0]


def test_spikes_are_wider_in_the_cold(session):
    widths = []
    for celsius in (22, 29, 37):
        put(session, celsius=celsius)
        widths.append(width(session.run(stimuli.step(0.5))[0], 0.02))
    assert widths[0] > 1.3 * widths[1] > 1.3**2 * widths[2]


def test_the_temperature_s_unit_is_checked(session):
    odd = replace(session.model.space.parameters[11], unit="K")
    with pytest.raises(CellError, match="parameter celsius: unit is K, but NEURON has celsius in degC"):
        setter_of(session.cell, odd, {})


# ---- A set hangs on itself alone ----


def test_a_set_is_the_same_after_any_other(session):
    model, runs = session.model, []
    one, other = model.space.to_phys(model.space.draw(3, 0, 2))
    for row in (one, other, one):
        session.set(row)
        runs.append(session.run(stimuli.step(0.3, total=60)))
    assert np.array_equal(runs[0], runs[2]) and not np.array_equal(runs[0], runs[1])


def test_what_is_fixed_is_set_in_the_order_of_the_cell_file(h):
    """A later parameter sets over an earlier one, whichever of them is known."""
    model = cells.load("mainen_slice")
    cm, late = model.space.parameters[8], replace(model.space.parameters[8], name="late", sets=("cm.somatic",))
    both = replace(model, space=replace(model.space, parameters=(cm, late)))
    for known, values in (("c_m", [1.25]), ("late", [0.5])):
        session = Session(cells.fixed(both, {known: 0.5 if known == "c_m" else 1.25}))
        session.set(values)
        assert (session.cell.soma.cm, session.cell.apic.cm) == (1.25, 0.5)


# ---- The point cell in nA ----


def test_the_gain_turns_na_into_the_unit_of_the_point_cell(h):
    """With 80 of them for 1 nA, 0.125 nA are the current of 10 in the paper."""
    plain, slice_ = (Session(cells.load(name)) for name in ("izhikevich", "izhikevich_slice"))
    plain.set([0.02, 0.2, -65, 2])
    slice_.set([0.02, 0.2, -65, 2, 80])
    assert np.array_equal(plain.run(stimuli.step(10.0)), slice_.run(stimuli.step(0.125)))


def test_a_measured_current_makes_the_point_cell_spike(h):
    session = Session(cells.load("izhikevich"))
    session.set([0.02, 0.2, -65, 2])
    measured = stimuli.samples(np.full(10000, 0.1), 0.02)  # and 100 ms of it before
    volts = session.run(measured)
    assert np.array_equal(volts, session.run(stimuli.step(10.0, 0, 300, 300)))
    assert np.sum((volts[0, :-1] < -20) & (volts[0, 1:] >= -20)) > 3
