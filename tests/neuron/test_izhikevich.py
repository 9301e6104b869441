"""The Izhikevich cell against the paper (IEEE Trans. Neural Netw. 14:1569, 2003) and an adaptive solver."""

import numpy as np
from scipy.integrate import solve_ivp

from nrn_mlfit import cells
from nrn_mlfit.simulator.session import advance, build_cell, conditions

# Fixed values of Figure 2; RS's d lies outside the range that the cell file draws from.
PATTERNS = {
    "RS": (0.02, 0.2, -65, 8),
    "IB": (0.02, 0.2, -55, 4),
    "CH": (0.02, 0.2, -50, 2),
    "FS": (0.1, 0.2, -65, 2),
}


def run(h, values, ms, current=10.0, dt=0.02, v0=-70.0):
    """V of a cell with (a, b, c, d) under a constant current."""
    cell = build_cell(cells.load("izhikevich"))
    cell.cell.a, cell.cell.b, cell.cell.c, cell.cell.d = values
    cell.cell.I, cell.cell.V0 = current, v0
    trace = h.Vector().record(cell.cell._ref_V)
    with conditions(37, dt):
        h.finitialize(-70)
        advance(round(ms / dt))
    return trace.as_numpy().copy()


def spike_times(v, dt=0.02):
    k = np.flatnonzero((v[:-1] < -20) & (v[1:] >= -20))
    return dt * (k + (-20 - v[k]) / (v[k + 1] - v[k]))


def intervals(h, pattern, ms=500):
    return np.diff(spike_times(run(h, PATTERNS[pattern], ms)))


def bursts(isi, gap):
    """Spikes in each burst, where an interval above `gap` ends one; the first and the last may be cut."""
    ends = np.flatnonzero(isi > gap)
    return np.diff(ends)


def test_regular_spiking_adapts_to_a_steady_slower_rate(h):
    isi = intervals(h, "RS")
    assert (isi[1:] > 2 * isi[0]).all()
    assert np.ptp(isi[-5:]) < 0.01 * isi[-1]


def test_intrinsically_bursting_starts_with_a_burst_then_fires_single_spikes(h):
    isi = intervals(h, "IB")
    assert (isi[:2] < 5).all()
    assert (isi[4:] > 3 * isi[0]).all()
    assert np.ptp(isi[-5:]) < 0.05 * isi[-1]


def test_chattering_repeats_bursts_of_closely_spaced_spikes(h):
    isi = intervals(h, "CH")
    counts = bursts(isi, gap=10)
    assert counts.size >= 4
    assert counts.min() >= 3
    assert isi[isi <= 10].max() < 0.5 * isi[isi > 10].min()


def test_fast_spiking_is_fast_and_hardly_adapts(h):
    isi = intervals(h, "FS")
    assert isi[-1] < 2 * isi[0]
    assert np.ptp(isi[4:]) < 0.01 * isi[-1]
    assert isi[-1] < intervals(h, "RS")[-1] / 4


def exact_spikes(a, b, c, d, ms, current=10.0, v0=-70.0):
    """Times when V passes -20 mV, by an adaptive solver that stops at V = 30 and goes on from the reset."""
    t, y, found = 0.0, [v0, b * v0], []
    while t < ms:
        peak, cross = (lambda t, y: y[0] - 30), (lambda t, y: y[0] + 20)
        peak.terminal = True
        cross.direction = 1
        done = solve_ivp(
            lambda t, y: [0.04 * y[0] ** 2 + 5 * y[0] + 140 - y[1] + current, a * (b * y[0] - y[1])],
            (t, ms), y, events=(peak, cross), rtol=1e-10, atol=1e-10,
        )  # fmt: skip
        found += list(done.t_events[1])
        t, y = done.t[-1], [c, done.y[1, -1] + d]
    return np.array(found)


def test_spikes_come_when_an_adaptive_solver_says(h):
    for values in PATTERNS.values():
        got, wanted = spike_times(run(h, values, 200)), exact_spikes(*values, 200)
        assert got.size == wanted.size
        assert np.abs(got - wanted).max() < 0.01


def test_the_error_falls_with_the_square_of_dt(h):
    wanted = exact_spikes(*PATTERNS["CH"], 200)[-1]
    last = [spike_times(run(h, PATTERNS["CH"], 200, dt=dt), dt)[-1] for dt in (0.08, 0.02)]
    coarse, fine = np.abs(np.array(last) - wanted)
    assert fine < coarse / 6


def test_without_current_it_rests_where_the_equations_say(h):
    rest = run(h, PATTERNS["RS"], 1000, current=0, v0=-65)[-1]
    assert abs(0.04 * rest**2 + 5 * rest + 140 - 0.2 * rest) < 1e-6


def test_the_section_that_carries_it_plays_no_part(h):
    cell = build_cell(cells.load("izhikevich"))
    trace = h.Vector().record(cell.soma(0.5)._ref_v)
    cell.cell.I = 10
    with conditions(37, 0.02):
        h.finitialize(-70)
        advance(5000)
    assert set(trace.as_numpy()) == {-70}
