"""What a new cell file proposes: which quantities, which SectionLists, which ranges."""

import itertools
import math
import time
from collections import Counter
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from nrn_mlfit import celltext, textfile
from nrn_mlfit.errors import CellError
from nrn_mlfit.proposal import cover, kind_of, propose, uncovered
from nrn_mlfit.simulator.inventory import Inventory, OwnVoltage, PointQuantity, Quantity
from nrn_mlfit.strength import SCALES, Look, advice, choose, is_passive

SECTIONS = ("soma", "dend[0]", "dend[1]", "apic", "axon")
LISTS = {
    "all": SECTIONS,
    "somatic": ("soma",),
    "basal": ("dend[0]", "dend[1]"),
    "apical": ("apic",),
    "dendritic": ("dend[0]", "dend[1]", "apic"),
    "axonal": ("axon",),
}


def quantity(variable, unit, values, mechanism="x"):
    pairs = {name: v if isinstance(v, tuple) else (v, v) for name, v in values.items()}
    return Quantity(variable, mechanism, unit, pairs)


def inventory(*quantities, points=(), lists=LISTS):
    processes = {p.name.partition("@")[2]: "Some" for p in points}
    own = dict.fromkeys(SECTIONS, 1)
    return Inventory("T", own, "soma", SECTIONS, lists, processes, quantities, tuple(points), 6.3, -65.0, 0.025, 0)


@pytest.mark.parametrize(
    ("variable", "unit", "value", "kind"),
    [
        ("gbar_na", "pS/um2", 20, "conductance"),
        ("gnabar_hh", "S/cm2", 0.12, "conductance"),
        ("gkbar_k", "mho/cm2", 0.1, "conductance"),
        ("pcabar_cal", "cm/s", 1e-4, "conductance"),
        ("gbar_old", "", 1, "conductance"),
        ("gbar_na", "pS/um2", 0, "other"),
        ("vhalf_na", "mV", -30, "other"),
        ("tau_na", "ms", 3, "other"),
        ("g_pas", "S/cm2", 1e-4, "leak"),
        ("gl_hh", "S/cm2", 3e-4, "leak"),
        ("gleak_own", "mS/cm2", 3e-4, "leak"),
        ("e_pas", "mV", -70, "reversal"),
        ("ena", "mV", 50, "reversal"),
        ("cm", "uF/cm2", 1, "capacitance"),
        ("Ra", "ohm-cm", 100, "resistivity"),
        ("L", "um", 100, "other"),
    ],
)
def test_kinds(variable, unit, value, kind):
    assert kind_of(quantity(variable, unit, {"soma": value})) == kind


def names(found, by_region=True, **about):
    return [name for name, _ in cover(inventory(found), found, by_region, **about)]


def test_soma_dendrites_and_axon_are_apart_though_they_have_one_value():
    same = quantity("gbar_na", "pS/um2", dict.fromkeys(SECTIONS, 20))
    assert names(same) == ["axonal", "dendritic", "somatic"] and names(same, by_region=False) == ["all"]


def test_dendrites_of_two_values_are_two():
    found = quantity("gbar_na", "pS/um2", {"soma": 20, "dend[0]": 5, "dend[1]": 5, "apic": 6})
    assert names(found) == ["apical", "basal", "somatic"]


def test_what_is_nowhere_is_not_drawn():
    assert names(quantity("gbar_na", "pS/um2", {"soma": 20, "apic": 0})) == ["somatic"]


def test_a_gradient_is_drawn_as_a_factor_that_keeps_it():
    found = quantity("gbar_ih", "S/cm2", {"soma": 1e-4, "apic": (1e-4, 8e-4)})
    by_name = {one.parameter.name: one.parameter for one in propose(inventory(found)).drawn}
    assert by_name["gbar_ih_apical"].sets == ("gbar_ih.apical*",) and by_name["gbar_ih_apical"].unit == ""
    assert (by_name["gbar_ih_apical"].low, by_name["gbar_ih_apical"].high) == (0.5, 2)
    assert by_name["gbar_ih.somatic"].sets == ("gbar_ih.somatic",)


def test_one_list_for_all_is_taken_where_there_is_no_other():
    found = quantity("gbar_na", "pS/um2", dict.fromkeys(SECTIONS, 20))
    assert cover(inventory(found, lists={"all": SECTIONS}), found, True) == [("all", (20, 20))]


@pytest.mark.parametrize("by_region", [True, False])
def test_no_section_is_set_twice_and_none_that_has_something_is_left_out(by_region):
    """For each way to give five sections no such mechanism, or 0, 1 or 2 of it."""
    for held in itertools.product((None, 0, 1, 2), repeat=len(SECTIONS)):
        values = {name: value for name, value in zip(SECTIONS, held, strict=True) if value is not None}
        found = quantity("gbar_na", "pS/um2", values)
        chosen = [set(LISTS[name]) & set(values) for name in names(found, by_region)]
        assert sum(map(len, chosen)) == len(set().union(*chosen))
        assert {name for name, value in values.items() if value} <= set().union(*chosen)


TREE = {
    "all": ("soma", "dend[0]", "trunk", "oblique", "tuft"),
    "apical": ("trunk", "oblique", "tuft"),
    "tuft": ("tuft",),
    "basal": ("dend[0]",),
}


def tree(values, lists=TREE):
    """An inventory of a cell with an apical tree, and its one quantity."""
    found = quantity("gbar_ih", "S/cm2", values)
    return replace(inventory(found, lists=lists), sections=dict.fromkeys(TREE["all"], 1)), found


def test_a_list_inside_of_another_does_not_push_it_out():
    """A gradient along an apical tree whose tuft has a list of its own."""
    apical = {"trunk": (1.0, 2.0), "oblique": (2.0, 3.0), "tuft": (3.0, 4.0)}
    assert [name for name, _ in cover(*tree(apical | {"dend[0]": 1.0}), True)] == ["apical", "basal"]
    whole = tree(apical | {"dend[0]": 1.0, "soma": 1.0})
    assert cover(*whole, True) == [("all", (1.0, 4.0))]  # nothing else holds the soma
    assert [one.parameter.sets for one in propose(whole[0]).drawn] == [("gbar_ih.all*",)]


def test_what_no_list_holds_beside_the_others_is_said(tmp_path):
    lists = {"proximal": ("soma", "trunk"), "apical": ("trunk", "oblique", "tuft")}
    found, one = tree(dict.fromkeys(("soma", "trunk", "oblique", "tuft", "dend[0]"), 1.0), lists)
    proposal = propose(found)
    assert [name for name, _ in cover(found, one, True)] == ["apical"]
    assert proposal.left_out == ("gbar_ih in soma, dend[0]",)
    text = celltext.Draft("t", Path("t.hoc"), (), False, "t.hoc", found, proposal, look(0.25)).text()
    told = "# In no parameter, as the SectionLists that have it overlap (make a list of them alone): gbar_ih in soma, dend[0]"
    assert told in text.splitlines()


@settings(max_examples=300, deadline=None)
@given(
    lists=st.dictionaries(st.sampled_from("abcdef"), st.sets(st.sampled_from(SECTIONS), min_size=1), max_size=6),
    values=st.dictionaries(st.sampled_from(SECTIONS), st.sampled_from([0, 1, 2, (1, 2)]), min_size=1),
    by_region=st.booleans(),
)
def test_every_section_is_in_one_parameter_whenever_the_lists_allow_it(lists, values, by_region):
    found = quantity("gbar_na", "pS/um2", values)
    cell = inventory(found, lists={name: tuple(held) for name, held in lists.items()})
    needed = {name for name, value in values.items() if value}
    chosen = [name for name, _ in cover(cell, found, by_region)]
    times = Counter(section for name in chosen for section in lists[name] & set(values))
    assert all(count == 1 for count in times.values())
    assert set(uncovered(cell, found, chosen)) == needed - set(times)
    some = (itertools.combinations(lists, n) for n in range(len(lists) + 1))
    held = [Counter(s for name in names for s in lists[name] & set(values)) for names in itertools.chain(*some)]
    reachable = needed & set().union(*lists.values())
    if any(reachable <= set(one) and set(one.values()) <= {1} for one in held):
        assert reachable <= set(times)


def test_many_lists_that_overlap_take_no_time():
    names = [f"dend[{k}]" for k in range(60)]
    lists = {f"pair{k}": tuple(names[k : k + 2]) for k in range(59)} | {n[:4] + n[5:-1]: (n,) for n in names}
    found = quantity("gbar_na", "pS/um2", dict.fromkeys(names, 1))
    cell = replace(inventory(found, lists=lists), sections=dict.fromkeys(names, 1))
    began = time.monotonic()
    chosen = [name for name, _ in cover(cell, found, True)]
    assert Counter(s for name in chosen for s in lists[name]) == dict.fromkeys(names, 1)
    assert time.monotonic() - began < 20


def test_ranges_and_which_of_them_are_logarithmic():
    whole = dict.fromkeys(SECTIONS, 1e-4)
    found = inventory(
        quantity("gbar_k", "S/cm2", {"soma": 0.03}),
        quantity("g_pas", "S/cm2", whole, "pas"),
        quantity("e_pas", "mV", dict.fromkeys(SECTIONS, -70), "pas"),
        quantity("cm", "uF/cm2", dict.fromkeys(SECTIONS, 1), ""),
    )
    proposal = propose(found)
    drawn = {one.parameter.name: one.parameter for one in proposal.drawn}
    assert list(drawn) == ["gbar_k.somatic", "g_pas.all", "cm.all"]
    assert [(p.low, p.high, p.scale) for p in drawn.values()] == [
        (0.015, 0.06, "linear"),
        (2.5e-5, 4e-4, "log"),
        (0.5, 2, "linear"),
    ]
    assert all((p.scale == "log") == (math.log10(p.high / p.low) > 1) for p in drawn.values())
    (rest,) = proposal.spare
    assert (rest.parameter.low, rest.parameter.high, rest.remark) == (-80, -60, "mV, now -70")


def test_a_point_process_is_proposed_where_the_sections_have_no_channels():
    c = PointQuantity("c@cell", "mV", -65.0)
    cm = quantity("cm", "uF/cm2", {"soma": 1}, "")
    channel = quantity("gbar_k", "S/cm2", {"soma": 0.03})
    assert [one.parameter.name for one in propose(inventory(cm, points=[c])).drawn] == ["cm.somatic", "c@cell"]
    with_channels = propose(inventory(cm, channel, points=[c]))
    assert [one.parameter.name for one in with_channels.spare] == ["c@cell"]
    assert (with_channels.spare[0].parameter.low, with_channels.spare[0].parameter.high) == (-75, -55)


def test_a_point_process_with_a_voltage_of_its_own_is_the_cell():
    values = {"a": 0.02, "c": -65.0, "V0": -70.0, "I": 0.1}
    points = [PointQuantity(f"{name}@cell", "", value) for name, value in values.items()]
    other = PointQuantity("tau@other", "ms", 2.0)
    found = inventory(quantity("cm", "uF/cm2", {"soma": 1}, ""), points=[*points, other])
    found = replace(found, own=OwnVoltage("cell", "V", "I"))
    proposal = propose(found)
    assert [one.parameter.name for one in proposal.drawn] == ["a@cell", "c@cell"]
    assert [one.parameter.name for one in proposal.spare] == ["tau@other"]
    draft = celltext.Draft("t", Path("t.hoc"), (), False, "t.hoc", found, proposal, look(5.0))
    lines = draft.text().splitlines()
    assert "probes: {V: V@cell}" in lines and "inject: I@cell" in lines
    assert any(line.startswith("stimulus: ") and "# the unit of I@cell; " in line for line in lines)
    with_channels = replace(found, quantities=(quantity("gbar_k", "S/cm2", {"soma": 0.03}),))
    assert propose(with_channels).own is None
    with pytest.raises(CellError) as error:
        propose(replace(found, points=()))
    assert str(error.value) == (
        "template T: no number of the point process cell differs from 0, so that there is nothing to fit; set its values in "
        "init()"
    )


def test_nothing_to_fit():
    with pytest.raises(CellError) as error:
        propose(inventory(quantity("L", "um", {"soma": 20}, "")))
    assert str(error.value) == (
        "template T: has no section with a membrane to fit; insert its channels in init(), and append its sections to a "
        "public SectionList"
    )


def test_the_text_is_what_it_proposes_with_units_and_values_behind_each_line(tmp_path):
    found = inventory(quantity("gbar_k", "S/cm2", {"soma": 0.03}), quantity("e_pas", "mV", {"soma": -71.0}, "pas"))
    draft = celltext.Draft("t", "t.hoc", (), False, "t.hoc", found, propose(found), look(0.25), warmth=34)
    (tmp_path / "t.yaml").write_text(draft.text())
    held = textfile.read_yaml(tmp_path / "t.yaml")
    assert held["parameters"] == {"gbar_k.somatic": {"low": 0.015, "high": 0.06, "unit": "S/cm2", "scale": "linear"}}
    assert held["stimulus"] == {"kind": "reset_chirp", "scale": 0.25, "reset": 0.2}
    assert (held["celsius"], held["v_init"]) == (34, -71)
    line = next(line for line in draft.text().splitlines() if line.strip().startswith("gbar_k"))
    assert line.endswith("  # S/cm2, now 0.03")
    assert (
        "  # e_pas.somatic: {low: -81, high: -61, unit: mV, scale: linear}  # mV, now -71" in draft.text().splitlines()
    )


@pytest.mark.parametrize(
    ("rest", "leak", "wanted", "why"),
    [
        (-64.973, -54.4, -65, "where the template's cell rests without a current"),
        (None, -54.4, -54.4, "the reversal potential of the leak, e_pas, as the cell comes to no rest"),
        (None, None, -65, "NEURON's own, as the HOC file sets none and the cell comes to no rest"),
    ],
)
def test_where_runs_start(rest, leak, wanted, why):
    conductance = quantity("gbar_k", "S/cm2", {"soma": 0.03})
    found = inventory(conductance, *([quantity("e_pas", "mV", {"soma": leak}, "pas")] if leak else []))
    draft = celltext.Draft("t", "t.hoc", (), False, "t.hoc", found, propose(found), rest=rest)
    assert draft.v_init == (wanted, why)


# ---- How strong the stimulus is to be ----


def look(scale, spikes=8.0, silent=0.0, lowest=-90.0, highest=40.0, failed=0.0):
    return Look(scale, 0.2, spikes, silent, failed, lowest, highest)


def test_the_middle_one_of_the_good_scales():
    spikes = {0.1: 0, 0.2: 3, 0.4: 8, 0.8: 20, 1.6: 25}
    peaks = {0.1: -50, 0.2: 40, 0.4: 42, 0.8: 45, 1.6: 47}
    tried = [look(s, spikes=n, silent=float(n == 0), highest=peaks[s]) for s, n in spikes.items()]
    assert choose(tried).scale == 0.4


@pytest.mark.parametrize(
    "changes", [{"lowest": -111}, {"highest": 81}, {"silent": 0.1}, {"failed": 0.1}, {"spikes": 2}]
)
def test_what_makes_a_scale_a_bad_one(changes):
    assert look(1).is_fine and not look(1, **changes).is_fine


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({}, []),
        ({"lowest": -111}, ["-111 mV"]),
        ({"highest": 81, "spikes": 25}, ["25 spikes", "81 mV"]),
        ({"silent": 1 / 16, "spikes": 5.5}, ["6% silent"]),
        ({"failed": 0.1}, ["10% failed"]),
    ],
)
def test_what_is_said_to_be_wrong_is_what_is_wrong(changes, words):
    assert list(look(1, **changes).faults) == words


SOUGHT = (
    "no scale gives all that is sought, 3 to 20 spikes in the median set, none silent, -110 to 80 mV; this one has "
)


@pytest.mark.parametrize(
    ("scale", "changes", "told"),
    [
        (1, {}, ""),
        (
            SCALES[-1],
            {"silent": 0.88, "spikes": 0},
            f"{SOUGHT}0 spikes and 88% silent: 10.24 nA is the strongest that was tried: for a cell as large as this write a "
            "larger scale",
        ),
        (
            0.32,
            {"silent": 0.25},
            f"{SOUGHT}25% silent: some sets do not fire where others do: narrow the ranges, and look at celsius and v_init",
        ),
        (
            0.01,
            {"spikes": 30},
            f"{SOUGHT}30 spikes: see whether it fires without a current: look at celsius, v_init and leak",
        ),
        (
            1,
            {"lowest": -129, "failed": 0.1},
            f"{SOUGHT}10% failed and -129 mV: narrow the ranges until no set fails; the set with all parameters at their low "
            "ends goes furthest: raise those of leak and capacitance",
        ),
        (
            1,
            {"silent": 1.0, "spikes": 0},
            "no set spikes at up to 10.24 nA, though there are channels: look at their values, at celsius and v_init, and at the "
            "size of the cell",
        ),
    ],
)
def test_what_to_do_hangs_on_what_was_found(scale, changes, told):
    assert advice(look(scale, **changes), has_channels=True) == told


def test_a_cell_without_channels_is_silent_as_it_should_be():
    silent = look(1, silent=1.0, spikes=0)
    assert (
        advice(silent, has_channels=False)
        == "no set spikes: the cell has no channels that could, so that is as it should be"
    )


def test_where_no_scale_is_good_it_is_the_one_with_most_that_spike():
    tried = [look(1, silent=0.9, highest=0), look(2, silent=0.4, highest=40), look(4, silent=0.0, lowest=-150)]
    assert choose(tried).scale == 2


def test_a_cell_that_fires_by_itself_is_to_fire_as_the_stimulus_says():
    tried = [look(s, spikes=n, highest=40 + s) for s, n in {0.01: 19, 0.1: 20, 1: 28}.items()]
    assert choose([*tried, look(10, spikes=30, highest=55, lowest=-150)]).scale == 1


def test_a_passive_cell_is_known_by_its_line_and_driven_below_a_spike():
    tried = [look(s, spikes=9.0 * (s > 2), highest=-70 + 20 * s) for s in (0.5, 1, 2, 4, 8)]
    assert is_passive(tried) and choose(tried).scale == 2
