"""Traces of ModelDB entry 2488 (Mainen & Sejnowski 1996), made with its own MOD files, against ours.

How each was made stands in the attributes of modeldb2488.h5. What they leave open: in the two-compartment
cells the current goes into the axon (into the dendrite, spike counts differ).
"""

from pathlib import Path

import h5py
import numpy as np
import pytest

from nrn_mlfit.simulator.session import advance, conditions

FILE = Path(__file__).with_name("modeldb2488.h5")
CHANNELS = ("na", "kv", "km", "kca", "ca")


def cases(kind):
    with h5py.File(FILE) as held:
        return sorted(held[kind])


def reference(kind, case):
    with h5py.File(FILE) as held:
        return dict(held[kind][case].attrs), held[kind][case]["v_mV"][:].astype(float)


def compartment(h, name, settings, size, channels):
    """One segment with its channels at zero density, leak apart; `size` is the prefix of its dimensions."""
    sec = h.Section(name=name)
    sec.L, sec.diam, sec.cm = settings[f"{size}L_um"], settings[f"{size}diam_um"], settings["cm_uF_cm2"]
    for channel in channels:
        sec.insert(channel)
    sec.ena, sec.vshift_na, sec.ek = 60, settings["vshift_na_mV"], -90
    if "ca" in channels:
        sec.eca = 140
        h.ion_style("ca_ion", 0, 1, 0, 0, 0, sec=sec)
    if "pas" in channels:
        sec.e_pas, sec.g_pas = -70, 1 / settings["rm_ohm_cm2"]
    return sec


def densities(sec, settings, suffix=""):
    for channel in CHANNELS:
        if f"g{channel}{suffix}" in settings:
            setattr(sec, f"gbar_{channel}", settings[f"g{channel}{suffix}"])


def run(h, sec, settings, count):
    trace = h.Vector().record(sec(0.5)._ref_v)
    with conditions(37, settings["dt_ms"]):
        h.finitialize(settings["v_init_mV"])
        advance(count - 1)
    return trace.as_numpy().copy()


def spike_times(v, dt):
    """Upward crossings of -20 mV, by linear interpolation."""
    k = np.flatnonzero((v[:-1] < -20) & (v[1:] >= -20))
    return dt * (k + (-20 - v[k]) / (v[k + 1] - v[k]))


def assert_same(v, wanted, dt):
    got, times = spike_times(v, dt), spike_times(wanted, dt)
    assert got.size == times.size > 0
    assert np.abs(got - times).max() < 0.05
    assert np.sqrt(np.mean((v - wanted) ** 2)) < 1


@pytest.mark.parametrize("case", cases("one_compartment"))
def test_one_compartment_fires_as_modeldb_2488_does(h, case):
    settings, wanted = reference("one_compartment", case)
    soma = compartment(h, "soma", settings, "", (*CHANNELS, "cad", "pas"))
    densities(soma, settings)
    clamp = h.IClamp(soma(0.5))
    clamp.delay, clamp.dur = 0, 1e9
    with h5py.File(FILE) as held:
        current = h.Vector(settings["stim_scale_nA"] * held["stimulus_unit"][:].astype(float))
    times = h.Vector(np.arange(len(current)) * 0.02)
    current.play(clamp._ref_amp, times, 1)
    assert_same(run(h, soma, settings, wanted.size), wanted, settings["dt_ms"])


@pytest.mark.parametrize("case", cases("two_compartment"))
def test_dendrite_and_axon_fire_as_modeldb_2488_does(h, case):
    settings, wanted = reference("two_compartment", case)
    dend = compartment(h, "dend", settings, "dend_", ("na", "km", "kca", "ca", "cad", "pas"))
    axon = compartment(h, "axon", settings, "axon_", ("na", "kv"))
    densities(dend, settings, "_dend")
    densities(axon, settings, "_axon")
    axon.connect(dend(0), 0)
    axon.Ra = 1e-3  # next to kappa nothing, and still far from where rounding in the solver begins
    dend.Ra *= settings["kappa_MOhm"] / dend(0.5).ri()
    clamp = h.IClamp(axon(0.5))
    clamp.delay, clamp.dur, clamp.amp = settings["delay_ms"], 1e9, settings["amp_nA"]
    assert_same(run(h, axon, settings, wanted.size), wanted, settings["dt_ms"])
