"""One live cell: state never leaks, steps are whole parts of the sample step, failures are statuses."""

import re
import subprocess
import sys

import numpy as np
import pytest

from nrn_mlfit import cells, stimuli
from nrn_mlfit.errors import CellError
from nrn_mlfit.shards import Status
from nrn_mlfit.simulator import Session
from nrn_mlfit.simulator.neuron import NeuronEngine

TEMPLATE = """
begintemplate {name}
public soma, all, somatic, apical, fail, break_it
create soma, apic
objref all, somatic, apical
proc init() {{
    all = new SectionList() somatic = new SectionList() apical = new SectionList()
    connect apic(0), soma(1)
    soma {{ L = diam = 20  insert pas  all.append() somatic.append() }}
    apic {{ L = 200 diam = 2 nseg = 3  insert pas  all.append() apical.append() }}
}}
proc fail() {{ if ($1 > 5) execerror("too much", "") }}
endtemplate {name}
"""
FILE = """
name: {name}
hoc: cell.hoc
template: {name}
v_init: -70
dt: 0.025
probes: {{soma: "soma(0.5)", tip: "apic(1)"}}
stimulus:
  - {{kind: step, scale: 0.01, delay: 5, duration: 20, total: 30, dt: {dt}}}
  - {{kind: ramp, scale: 0.02, delay: 5, duration: 20, total: 30, dt: {dt}}}
parameters:
  {parameter}
"""
LEAK = "g_pas.all: {low: 0.00001, high: 0.001, unit: S/cm2, scale: log}"


@pytest.fixture
def write(tmp_path):
    def write(name, parameter=LEAK, dt=0.05):
        (tmp_path / "cell.hoc").write_text(TEMPLATE.format(name=name))
        path = tmp_path / "cell.yaml"
        path.write_text(FILE.format(name=name, parameter=parameter, dt=dt))
        return cells.load(path)

    return write


@pytest.fixture(scope="module", params=["izhikevich", "ball_two_sticks"])
def session(request):
    return Session(cells.load(request.param))


def test_a_set_after_another_equals_the_set_alone(session):
    space, stimulus = session.model.space, session.model.protocol.stimuli[0]
    sets = space.to_phys(space.draw(3, 0, 4))
    session.set(sets[0])
    alone = session.run(stimulus)
    for other in sets[1:]:
        session.set(other)
        session.run(stimulus)
        session.set(sets[0])
        assert np.array_equal(session.run(stimulus), alone)


def test_shorter_runs_are_the_beginning_of_longer_ones(session):
    stimulus = session.model.protocol.stimuli[0]
    whole = session.run(stimulus)
    assert whole.shape == (1, 14500)
    assert np.array_equal(session.run(stimulus, 700), whole[:, :700])


@pytest.mark.parametrize(("dt", "substeps"), [(0.05, 2), (0.025, 1), (0.03, 2), (0.1, 4)])
def test_the_step_is_the_largest_whole_part_of_the_sample_step_up_to_dt(write, dt, substeps):
    model = write(f"Steps{substeps}of{round(1000 * dt)}", dt=dt)
    assert model.substeps == substeps
    assert model.step == pytest.approx(dt / substeps) and model.step <= model.dt * (1 + 1e-9)


def test_probes_and_stimuli_shape_the_traces(write):
    engine = NeuronEngine(write("TwoByTwo"))
    volts, status = engine.run(np.array([[1e-4], [1e-5]]))
    assert volts.shape == (2, 2, 2, 600) and (status == Status.OK).all()
    # the tip follows the soma of a passive cell, and less resistance to the outside means less voltage
    rise = volts.max(axis=-1) + 70
    assert (rise[:, 0] > rise[:, 1]).all() and (rise[1] > rise[0]).all()


def test_samples_lie_on_the_integration_steps(write):
    traces = []
    for name, dt in (("Coarse", 0.05), ("Fine", 0.025)):
        session = Session(write(name, dt=dt))
        session.set([1e-4])
        traces.append(session.run(session.model.protocol.stimuli[1])[0])
    assert np.abs(traces[0] - traces[1][::2]).max() < 0.02  # a ramp is the same current at either sampling


def test_a_unit_that_is_not_the_mod_files_is_refused(write):
    model = write("Unit", parameter="g_pas.all: {low: 1, high: 2, unit: pS/um2}")
    with pytest.raises(CellError) as error:
        Session(model)
    assert str(error.value) == "parameter g_pas.all: unit is pS/um2, but NEURON has g_pas in S/cm2"


def test_a_section_list_that_is_not_public_is_named(write):
    with pytest.raises(CellError) as error:
        Session(write("Lists", parameter="g_pas.axonal: {low: 1, high: 2}"))
    assert str(error.value) == "parameter g_pas.axonal: the template has no public axonal; add it to `public`"


def test_an_error_in_hoc_is_a_status_and_the_next_set_goes_on(write, capfd):
    model = write("Fails", parameter='level: {low: 0, high: 10, sets: ["fail()"]}')
    volts, status = NeuronEngine(model).run(np.array([[1.0], [9.0], [2.0]]))
    assert status.tolist() == [Status.OK, Status.HOC_ERROR, Status.OK]
    assert np.array_equal(volts[0], volts[2])


def test_a_voltage_beyond_int16_is_a_status(write):
    model = write("Shock", parameter="e_pas.all: {low: -500, high: 500, unit: mV}")
    _, status = NeuronEngine(model).run(np.array([[-70.0], [-450.0], [400.0]]))
    assert status.tolist() == [Status.OK, Status.VOLTAGE_RANGE, Status.VOLTAGE_RANGE]


def test_what_is_no_number_is_a_status(write):
    model = write("Nan", parameter="e_pas.all: {low: -500, high: 500, unit: mV}")
    _, status = NeuronEngine(model).run(np.array([[np.nan], [-70.0]]))
    assert status.tolist() == [Status.NON_FINITE, Status.OK]


def test_another_stimulus_replaces_the_one_before(session):
    chirp, step = session.model.protocol.stimuli[0], stimuli.step(0.0, total=20)
    before = session.run(chirp, 1000)
    session.run(step)
    assert np.array_equal(session.run(chirp, 1000), before)


def test_a_template_that_changed_is_not_taken_for_the_one_in_memory(write):
    Session(write("Edited"))
    changed = write("Edited")
    changed.hoc.write_text(changed.hoc.read_text().replace("diam = 20", "diam = 40"))
    with pytest.raises(CellError) as error:
        Session(cells.load(changed.hoc.with_name("cell.yaml")))
    assert str(error.value) == (
        f"{changed.hoc}: NEURON holds another template Edited already, from an earlier load of this file, and cannot replace it; "
        "start a new Python, or give the template another name"
    )


@pytest.mark.parametrize(
    ("line", "told"), [("secondorder = 2", "sets secondorder"), ("cvode.active(1)", "turns CVode on")]
)
def test_a_cell_that_asks_for_another_integration_is_refused(write, tmp_path, line, told):
    """Or its runs here would not be its runs there. In a process of its own: a channel of another test may refuse CVode."""
    name = f"Asks{line[:3]}"
    write(name)
    text = TEMPLATE.format(name=name) + f"objref cvode\ncvode = new CVode()\n{line}\n"
    (tmp_path / "cell.hoc").write_text(text)
    code = (
        "from nrn_mlfit import cells\nfrom nrn_mlfit.simulator import Session\nfrom neuron import h\n"
        "from nrn_mlfit.errors import CellError\n"
        f"model = cells.load({str(tmp_path)!r})\n"
        "for _ in range(2):\n    try:\n        Session(model)\n    except CellError as error:\n        print(error)\n"
        "print(int(h.secondorder), int(h.CVode().active()))\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=120)
    first, second, after = done.stdout.splitlines()[-3:]  # NEURON prints the values of lines at the top
    assert re.search(rf"cell\.hoc: {told}, but cells are simulated with NEURON's implicit Euler .* take", first)
    assert re.search(
        f"NEURON holds another template {name} already, from an earlier load of this file, .* start a new Python",
        second,
    )
    assert after == "0 0"


def test_a_cell_that_fails_while_it_turns_cvode_on_leaves_it_off(h, session, write, tmp_path):
    """NEURON stops in the middle."""
    name = f"Fails_{session.model.name}"
    model = write(name)
    text = TEMPLATE.format(name=name) + 'objref cvode\ncvode = new CVode()\ncvode.active(1)\nexecerror("no", "")\n'
    (tmp_path / "cell.hoc").write_text(text)
    with pytest.raises(CellError, match="does not load in NEURON"):
        Session(model)
    assert not h.CVode().active()


def test_what_a_user_of_neuron_has_set_is_there_again_after_a_run(write, tmp_path):
    """In a process of its own: a channel of another test may be one that CVode refuses."""
    write("KeepsWhatIsSet")
    code = (
        "from nrn_mlfit import cells\nfrom nrn_mlfit.simulator import Session\nfrom neuron import h\n"
        f"session = Session(cells.load({str(tmp_path)!r}))\nh.secondorder = 1\nh.CVode().active(1)\n"
        "session.run(session.model.protocol.stimuli[0])\nprint(int(h.secondorder), int(h.CVode().active()))\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=120)
    assert done.stdout == "1 1\n", done.stderr
