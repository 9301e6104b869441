"""Geometry, placement and parameters of the shipped cells, as Mainen & Sejnowski and the talk give them."""

import numpy as np
import pytest

from nrn_mlfit import cells
from nrn_mlfit.simulator.session import Session, build_cell

AXON = {"hill", "iseg", *(f"{kind}[{i}]" for kind in ("myelin", "node") for i in range(5))}
DENDRITES = {"apic", "dend[0]", "dend[1]"}
MYELIN, NODES = ({f"{kind}[{i}]" for i in range(5)} for kind in ("myelin", "node"))
EVERYWHERE = {"soma"} | DENDRITES | AXON
MEMBRANE = ("gbar_na", "gbar_kv", "gbar_km", "gbar_kca", "gbar_ca", "cm", "g_pas")
REACH = {  # parameter: the range variable and the sections that it sets
    "gna_dend": ("gbar_na", DENDRITES | MYELIN),
    "gna_node": ("gbar_na", {"hill", "iseg"} | NODES),
    "gna_soma": ("gbar_na", {"soma"}),
    "gkv_axon": ("gbar_kv", {"hill", "iseg"}),
    "gkv_soma": ("gbar_kv", {"soma"}),
    "gkm_dend": ("gbar_km", {"soma"} | DENDRITES),
    "gkca_dend": ("gbar_kca", {"soma"} | DENDRITES),
    "gca_dend": ("gbar_ca", {"soma"} | DENDRITES),
    "c_m": ("cm", EVERYWHERE - MYELIN),
    "rm": ("g_pas", EVERYWHERE - NODES),
}
BALL_PARTS = {"soma": {"soma"}, "apic": {"apic"}, "basal": {"dend[0]", "dend[1]"}}
BALL_REACH = {
    f"g{channel}_{part}": (f"gbar_{channel}", names)
    for channel in ("na", "kv", "ca")
    for part, names in BALL_PARTS.items()
}
BALL_REACH["g_leak"] = ("g_pas", {"soma"} | DENDRITES)
NOMINAL = dict(zip(REACH, (20, 30000, 20, 2000, 200, 0.1, 3, 0.3, 0.75, 1 / 30000), strict=True))
BALL_NOMINAL = {name: {"gn": 500, "gk": 10, "gc": 1.5, "g_": 5e-4}[name[:2]] for name in BALL_REACH}


@pytest.fixture
def mainen(h):
    return build_cell(cells.load("mainen"))


@pytest.fixture
def ball(h):
    return build_cell(cells.load("ball_two_sticks"))


def name_of(sec):
    return sec.name().split(".", 1)[1]


def having(cell, mechanism):
    return {name_of(sec) for sec in cell.all if mechanism in sec.psection()["density_mechs"]}


def state(cell):
    """Every membrane variable of every segment, by (section, x, name)."""
    held = ((sec, seg, name) for sec in cell.all for seg in sec for name in MEMBRANE if hasattr(seg, name))
    return {(name_of(sec), seg.x, name): getattr(seg, name) for sec, seg, name in held}


@pytest.mark.parametrize(
    ("cell", "parameter"), [*(("mainen", p) for p in REACH), *(("ball_two_sticks", p) for p in BALL_REACH)]
)
def test_a_parameter_sets_all_its_sections_and_nothing_else(h, cell, parameter):
    variable, sections = (REACH if cell == "mainen" else BALL_REACH)[parameter]
    session = Session(cells.load(cell))
    space = session.model.space
    values = np.array([(p.low + p.high) / 2 for p in space.parameters])
    k = space.names.index(parameter)
    session.set(values)
    before = state(session.cell)
    values[k] = space.parameters[k].high
    session.set(values)
    after = state(session.cell)
    wanted = 1 / (1000 * values[k]) if parameter == "rm" else values[k]
    assert {key[0] for key in after if after[key] != before[key]} == sections
    assert {key[2] for key in after if after[key] != before[key]} == {variable}
    assert {after[key] for key in after if key[0] in sections and key[2] == variable} == {wanted}


@pytest.mark.parametrize(
    ("cell", "reach", "nominal"),
    [("mainen", REACH, NOMINAL), ("ball_two_sticks", BALL_REACH, BALL_NOMINAL)],
    ids=["mainen", "ball"],
)
def test_a_new_cell_has_its_nominal_parameters(h, cell, reach, nominal):
    held = state(build_cell(cells.load(cell)))
    for name, (variable, sections) in reach.items():
        values = {held[key] for key in held if key[0] in sections and key[2] == variable}
        assert values == {nominal[name]}, name


def test_cell_files_name_every_parameter(h):
    assert cells.load("mainen").space.names == list(REACH)
    assert cells.load("ball_two_sticks").space.names == list(BALL_REACH)


def test_mainen_has_its_channels_where_mainen_and_sejnowski_put_them(mainen):
    assert having(mainen, "pas") == having(mainen, "na") == EVERYWHERE
    assert having(mainen, "kv") == {"soma", "hill", "iseg"}
    for channel in ("km", "kca", "ca", "cad"):
        assert having(mainen, channel) == {"soma"} | DENDRITES


def test_mainen_is_built_to_its_table(mainen):
    assert (mainen.soma.L, mainen.soma.diam, mainen.soma.nseg) == (20, 20, 1)
    assert (mainen.apic.L, mainen.apic.diam, mainen.apic.nseg) == (1000, 4, 21)
    assert {(sec.L, sec.diam, sec.nseg) for sec in mainen.dend} == {(300, 3, 7)}
    assert sum(sec.nseg for sec in mainen.all) == 76
    assert {sec.Ra for sec in mainen.all} == {150}
    width = 1.0  # a tenth of sqrt(soma area / (4 pi))
    assert (mainen.iseg.L, mainen.iseg.nseg, mainen.iseg.diam) == (15, 5, width)
    assert (mainen.hill.L, mainen.hill.nseg) == (10, 5)
    assert [seg.diam / width for seg in mainen.hill] == pytest.approx([3.7, 3.1, 2.5, 1.9, 1.3])
    assert {(s.L, s.nseg, s.diam, s.cm) for s in mainen.myelin} == {(100, 5, width, 0.04)}
    assert {(s.L, s.nseg, s.diam, s.g_pas) for s in mainen.node} == {(1, 1, 0.75 * width, 0.02)}


def test_mainen_axon_is_one_chain_from_the_middle_of_the_soma(mainen):
    chain = [mainen.soma, mainen.hill, mainen.iseg]
    for myelin, node in zip(mainen.myelin, mainen.node, strict=True):
        chain += [myelin, node]
    parents = [sec.parentseg() for sec in chain[1:]]
    assert [p.sec for p in parents] == chain[:-1]
    assert [p.x for p in parents] == [0.5] + [1] * 11


def test_mainen_reversal_potentials_and_shift(mainen):
    assert {(s.ena, s.e_pas, s.vshift_na) for s in mainen.all} == {(60, -70, -5)}
    assert {s.ek for s in mainen.all if name_of(s) not in MYELIN | NODES} == {-90}
    assert {s.eca for s in (mainen.soma, mainen.apic, *mainen.dend)} == {140}


def test_a_bigger_soma_widens_the_axon_and_keeps_the_dendrites(mainen):
    mainen.soma_diameter, mainen.apical_length = 50, 400
    mainen.build()
    assert (mainen.iseg.diam, mainen.soma.nseg) == (2.5, 2)
    assert (mainen.apic.L, mainen.apic.nseg, mainen.dend[0].L) == (400, 9, 300)


def test_ball_is_built_to_the_talks_proportions(ball):
    radius = 10.5
    assert (ball.soma.L, ball.soma.diam, ball.soma.nseg) == (2 * radius, 2 * radius, 1)
    assert (ball.apic.L, ball.apic.diam, ball.apic.nseg) == (10 * radius, pytest.approx(2 * radius / 10), 5)
    assert {(s.L, s.diam, s.nseg) for s in ball.dend} == {(10 * radius / 4, 2 * radius / 10, 1)}
    assert [s.parentseg().x for s in (ball.apic, *ball.dend)] == [1, 0, 0]
    assert all(having(ball, name) == {"soma"} | DENDRITES for name in ("na", "kv", "ca", "pas"))
    found = {(s.Ra, s.cm, s.ena, s.ek, s.eca, s.e_pas, s.vshift_na) for s in ball.all}
    assert found == {(150, 0.5, 50, -77, 132.4579, -70, -10)}


def test_the_ball_of_the_template_is_that_of_the_cell_file(h, ball):
    plain = h.BallTwoSticks()
    shapes = [[(sec.L, sec.diam, sec.nseg, sec.Ra) for sec in cell.all] for cell in (plain, ball)]
    assert shapes[0] == shapes[1]


def test_a_passive_ball_has_the_input_resistance_of_its_cables(h, ball):
    for sec in ball.all:
        sec.gbar_na = sec.gbar_kv = sec.gbar_ca = 0
    leak = np.pi * ball.soma.diam * ball.soma.L * 1e-8 * 5e-4  # S
    sticks = [sealed_cable_conductance(sec) for sec in (ball.apic, *ball.dend)]
    probe = h.Impedance()
    probe.loc(ball.soma(0.5))
    h.finitialize(-70)
    probe.compute(0)
    assert probe.input(ball.soma(0.5)) == pytest.approx(1e-6 / (leak + sum(sticks)), rel=2e-3)


def sealed_cable_conductance(sec):
    """tanh(L/lambda)/R_infinite in S."""
    d = sec.diam * 1e-4
    length = np.sqrt(d / (4 * sec.Ra * sec.g_pas))
    return np.tanh(sec.L * 1e-4 / length) * np.pi * d**2 / (4 * sec.Ra * length)


def test_two_kinds_of_cell_keep_their_own_shift_in_one_process(h, mainen, ball):
    h.celsius = 37
    h.finitialize(-30)
    assert mainen.soma(0.5).minf_na > ball.soma(0.5).minf_na
    ball.soma.vshift_na = -5
    h.finitialize(-30)
    assert mainen.soma(0.5).minf_na == ball.soma(0.5).minf_na


@pytest.mark.parametrize("cell", ["mainen", "ball_two_sticks", "izhikevich"])
def test_every_shipped_cell_spikes_under_its_own_stimulus(h, cell):
    model = cells.load(cell)
    session = Session(model)
    session.set([(p.low + p.high) / 2 for p in model.space.parameters])
    v = session.run(model.protocol.stimuli[0])[0, model.protocol.start :]
    assert 4 <= np.sum((v[:-1] < -20) & (v[1:] >= -20)) <= 30
    assert v.min() > -110
