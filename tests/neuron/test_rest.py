"""Where a new cell's runs may start: the voltage at which it rests without a current."""

import pytest
from pytest import approx

from nrn_mlfit import cells
from nrn_mlfit.simulator import apart, rest

CELL = """\
name: {name}
hoc: {name}.hoc
template: {name}
celsius: 6.3
stimulus: {{kind: step, scale: 0.1}}
parameters: {{cm.all: {{low: 0.5, high: 2, unit: uF/cm2}}}}
"""
HOC = """\
begintemplate {name}
public soma, all
create soma
objref all
proc init() {{
    soma {{ L = 20 diam = 20 {inserted} }}
    all = new SectionList()
    soma all.append()
}}
endtemplate {name}
"""


@pytest.fixture
def resting(tmp_path):
    """resting(name, inserted): mV of a soma with some mechanisms, begun at -65 mV."""

    def run(name, inserted):
        (tmp_path / f"{name}.hoc").write_text(HOC.format(name=name, inserted=inserted))
        (tmp_path / f"{name}.yaml").write_text(CELL.format(name=name))
        return apart.ask_of_cell(rest.of_cell, cells.read(tmp_path / f"{name}.yaml"), "soma(0.5)")

    return run


def test_the_axon_of_hodgkin_and_huxley_rests_at_its_rest_and_not_at_the_reversal_of_its_leak(resting):
    """J. Physiol. 117:500 (1952): voltages there are counted from the rest, which NEURON puts at -65 mV."""
    assert resting("RestingAxon", "insert hh") == approx(-65, abs=0.05)


def test_two_leaks_rest_at_their_weighted_mean(resting):
    """By Kirchhoff: (1e-4*-80 + 3e-4*-54.3)/4e-4 with hh's channels shut off."""
    leaks = "insert pas g_pas = 1e-4 e_pas = -80 insert hh gnabar_hh = 0 gkbar_hh = 0 gl_hh = 3e-4 el_hh = -54.3"
    assert resting("RestingLeaks", leaks) == approx(-60.725, abs=1e-3)


def test_a_cell_that_fires_by_itself_has_no_rest(resting):
    """A leak that pulls to -20 mV drives 10 uA/cm2 through the axon, at which it fires on and on (Hodgkin & Huxley 1952)."""
    assert resting("RestlessAxon", "insert hh el_hh = -20") is None


def test_a_voltage_that_is_still_on_its_way_is_no_rest(resting):
    """1000 uF/cm2 over 1e-3 S/cm2 is a time constant of a second, and it starts 45 mV away."""
    assert resting("SlowMembrane", "insert pas g_pas = 1e-3 e_pas = -20 cm = 1000") is None
