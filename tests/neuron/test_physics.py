"""Membrane and channels against truths from outside: cable theory and the published rate equations."""

import numpy as np
import pytest

from nrn_mlfit.simulator.session import advance, conditions

CHANNELS = ("na", "kv", "km", "ca", "kca")
FARADAY = 96485.33212  # C/mol


@pytest.fixture
def passive(h):
    """A cylinder as long as wide, one segment: 30 kOhm cm2, 1 uF/cm2, rest at -70 mV."""
    sec = h.Section(name="passive")
    sec.L = sec.diam = 20
    sec.cm = 1
    sec.insert("pas")
    sec.g_pas, sec.e_pas = 1 / 30000, -70
    return sec


@pytest.fixture
def patch(h):
    """One segment with all shipped channels at zero density."""
    sec = h.Section(name="patch")
    sec.L = sec.diam = 10
    for name in (*CHANNELS, "cad"):
        sec.insert(name)
    sec.eca = 140
    h.ion_style("ca_ion", 0, 1, 0, 0, 0, sec=sec)
    return sec


def run(h, seg, ms, dt=0.02, nA=0.0):
    """v at `seg` for `ms` from rest at -70 mV, `nA` flowing into it from the start."""
    clamp = h.IClamp(seg)
    clamp.delay, clamp.dur, clamp.amp = 0, 1e9, nA
    trace = h.Vector().record(seg._ref_v)
    with conditions(37, dt):
        h.finitialize(-70)
        advance(round(ms / dt))
    return trace.as_numpy().copy()


def at(h, seg, v, *names, celsius=37.0):
    """Range variables right after the membrane was set to v."""
    with conditions(celsius, 0.02):
        h.finitialize(v)
    return np.array([getattr(seg, name) for name in names])


def area(sec):
    return np.pi * sec.diam * sec.L * 1e-8  # cm2


def cable(sec):
    """Length constant (um) and input resistance (MOhm) of the cylinder if it were half-infinite."""
    d = sec.diam * 1e-4
    length = np.sqrt(d / (4 * sec.Ra * sec.g_pas))
    return length * 1e4, 1e-6 * 4 * sec.Ra * length / (np.pi * d**2)


def test_a_passive_cell_settles_at_ohms_law(h, passive):
    rise = run(h, passive(0.5), ms=500, nA=0.01)[-1] + 70
    assert rise == pytest.approx(0.01 * 1e-6 / (passive.g_pas * area(passive)), rel=1e-4)


def test_a_passive_cell_charges_with_its_time_constant(h, passive):
    tau = 30  # ms = 30 kOhm cm2 x 1 uF/cm2
    rise = run(h, passive(0.5), ms=500, dt=0.005, nA=0.01) + 70
    times = np.arange(rise.size) * 0.005
    assert rise / rise[-1] == pytest.approx(1 - np.exp(-times / tau), abs=2e-4)


def test_a_sealed_cable_follows_its_cosh_profile(h, passive):
    passive.L, passive.diam, passive.nseg, passive.Ra = 1000, 2, 101, 150
    length, r_infinite = cable(passive)
    clamp = run(h, passive(0), ms=400, nA=0.01)
    rise = np.array([seg.v + 70 for seg in passive])
    x = np.array([seg.x for seg in passive]) * passive.L
    wanted = 0.01 * r_infinite * np.cosh((1000 - x) / length) / np.sinh(1000 / length)
    assert clamp[-1] + 70 > rise[0]
    assert rise == pytest.approx(wanted, rel=1e-3)


def test_channels_without_density_carry_no_current(h, passive):
    bare = run(h, passive(0.5), ms=50, nA=0.05)
    for name in (*CHANNELS, "cad"):
        passive.insert(name)
    assert np.array_equal(run(h, passive(0.5), ms=50, nA=0.05), bare)


# At these voltages one half of a gate is 0/0; efun's limit there is 1, so the rates are plain numbers.
LIMITS = {  # variable: (v + vshift, the value there)
    "minf_na": (-35, 0.182 / (0.182 + 0.124)),
    "mtau_na": (-35, 1 / (9 * (0.182 + 0.124))),
    "htau_na": (-50, 1 / (5 * (0.024 + 0.0091 * 5 / (np.exp(5) - 1)))),
    "ninf_kv": (25, 0.02 / (0.02 + 0.002)),
    "ntau_kv": (25, 1 / (9 * (0.02 + 0.002))),
    "ninf_km": (-30, 0.5),
    "ntau_km": (-30, 1 / (9 * 0.002)),
    "minf_ca": (-27, 0.209 / (0.209 + 0.94 * np.exp(-48 / 17))),
}


@pytest.mark.parametrize("name", LIMITS)
@pytest.mark.parametrize("vshift", [-10, -5, 0])
def test_rates_have_their_limit_where_efun_is_0_by_0(h, patch, name, vshift):
    patch.vshift_na = vshift
    u, wanted = LIMITS[name]
    v = u - vshift if name.endswith("na") else u
    assert at(h, patch(0.5), v, name, celsius=23)[0] == pytest.approx(wanted, rel=1e-12)


def test_the_second_limit_of_h_is_finite(h, patch):
    a = 0.024 * 5 * 5 / (np.exp(5) - 1)
    assert at(h, patch(0.5), -65, "htau_na", celsius=23)[0] == pytest.approx(1 / (a + 0.0091 * 5), rel=1e-12)


@pytest.mark.parametrize("name", LIMITS)
def test_rates_are_smooth_through_the_limit(h, patch, name):
    v = LIMITS[name][0] + 10 * name.endswith("na")
    near = np.array([at(h, patch(0.5), v + step, name)[0] for step in (-1e-3, -1e-5, 0, 1e-5, 1e-3)])
    slope = (near[-1] - near[0]) / 2e-3
    assert near == pytest.approx(near[2] + slope * np.array([-1e-3, -1e-5, 0, 1e-5, 1e-3]), rel=1e-7)


def test_h_of_na_closes_by_its_own_sigmoid(h, patch):
    values = [at(h, patch(0.5), v, "hinf_na")[0] for v in (-90, -55, -30)]
    assert values == pytest.approx(1 / (1 + np.exp((np.array([-90, -55, -30]) - 10 + 65) / 6.2)))


TIMES = ("mtau_na", "htau_na", "ntau_kv", "ntau_km", "mtau_ca", "htau_ca", "ntau_kca")


@pytest.mark.parametrize("name", TIMES)
def test_gates_are_faster_by_2_3_for_every_10_degrees(h, patch, name):
    cold, warm = (at(h, patch(0.5), -40, name, celsius=c)[0] for c in (23, 37))
    assert cold / warm == pytest.approx(2.3**1.4)


@pytest.mark.parametrize("channel", CHANNELS)
def test_conductances_grow_by_2_3_for_every_10_degrees_too(h, patch, channel):
    setattr(patch, f"gbar_{channel}", 100)
    cold, warm = (at(h, patch(0.5), -40, f"g_{channel}", celsius=c)[0] for c in (23, 33))
    assert warm / cold == pytest.approx(2.3)


def clamped(h, patch, v):
    """The shell's calcium (mM) and the calcium current (mA/cm2) after 4 s at v."""
    patch.gbar_ca = 1
    clamp = h.SEClamp(patch(0.5))
    clamp.dur1, clamp.amp1, clamp.rs = 1e9, v, 1e-3
    with conditions(37, 0.1):
        h.finitialize(v)
        advance(40000)
    return patch(0.5).cai, patch(0.5).ica


def test_calcium_settles_where_inflow_meets_removal(h, patch):
    cai, ica = clamped(h, patch, 0)
    assert ica < 0
    assert cai == pytest.approx(1e-4 - 200 * 1e4 * ica / (2 * FARADAY * 0.1), rel=1e-5)


def test_outward_calcium_current_removes_no_calcium(h, patch):
    cai, ica = clamped(h, patch, 150)
    assert ica > 0
    assert cai == pytest.approx(1e-4, rel=1e-9)


def test_kca_opens_with_calcium(h, patch):
    patch.cainf_cad = 0.5
    assert at(h, patch(0.5), -70, "ninf_kca")[0] == pytest.approx(0.005 / (0.005 + 0.02))
