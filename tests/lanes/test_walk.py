"""What a MOD file says: NEURON runs it and the lane engine runs it, and each of its variables is the same at each time.

One cell holds all of LANGUAGE, a point process each, and every variable of theirs is a probe.
"""

import numpy as np
import pytest

from nrn_mlfit import cells
from nrn_mlfit.errors import CellError, ParameterError
from nrn_mlfit.simulator import engines
from nrn_mlfit.simulator.lanes import Outside, modfile
from nrn_mlfit.simulator.lanes.engine import LaneEngine
from nrn_mlfit.simulator.lanes.walk import walk
from nrn_mlfit.simulator.mechanisms import build
from nrn_mlfit.simulator.neuron import NeuronEngine

HEAD = "NEURON {{ POINT_PROCESS {name}  RANGE a, b, {ranges} {more} }}\nPARAMETER {{ a = 1  b = 1 }}\n"
LANGUAGE = {  # name: (variables to look at, more in the NEURON block, the rest of the file)
    "WIf": (
        "x, y, z, kept",
        "",
        """ASSIGNED { x y z kept }
        INITIAL { kept = 3  advance() }
        BREAKPOINT { SOLVE advance }
        PROCEDURE advance() { LOCAL p
            p = sin(a*t)
            if (p > 0.5) { x = 1 + p } else if (p > 0) { x = 2 - p } else if (p > -0.5) { x = 3*p } else { x = -7 }
            if (p > 0.2) { kept = p }
            if (p > 0) { if (b > 1) { y = p } else { y = 2*p } } else { if (t > 2) { y = -1 } else { y = x } y = y + 1 }
            z = 0
            if (p) { z = z + 1 } if (!(p > 0.3) && t > 1) { z = z + 2 } if (p >= 0.4 || x == -7) { z = z + 4 }
            if (p != p*1 || x <= -7 && !(t < 2)) { z = z + 8 }
        }""",
    ),
    "WCall": (
        "x, y, z, w, side",
        "",
        """ASSIGNED { x y z w side }
        INITIAL { side = 1  advance() }
        BREAKPOINT { SOLVE advance }
        PROCEDURE advance() { LOCAL p, w
            p = 2  w = t
            x = twice(a*t) + twice(p)*twice(twice(1))
            shadow(p, t)
            y = p + nothing(3) + w
            z = changes(t)*10 + side
            side = side + changes(2) + side
        }
        FUNCTION twice(x) { x = x*2  twice = x }
        FUNCTION nothing(a) { LOCAL b  b = a }
        PROCEDURE shadow(x, a) { LOCAL y  y = x + a  w = y*b  x = 100  a = 200 }
        FUNCTION changes(p) { side = side + p/10  if (side > 50) { side = 1 }  changes = side }
        """,
    ),
    "WCnexp": (
        "x, s, z, u, grows, target",
        "",
        """ASSIGNED { target rate }
        STATE { x s z u grows }
        INITIAL { x = 0.1  s = 0.9  z = 0  u = 1  grows = 1  rate = 0  target = 0 }
        BREAKPOINT { SOLVE states METHOD cnexp }
        DERIVATIVE states {
            target = sin(t)
            x' = (a*target - x)/2
            s' = b*(x - s) - s/(1 + x*x)
            rate = x - s
            z' = rate
            u' = -x*x*u + (1 - u)*exp(-x)
            grows' = a/20*grows
        }""",
    ),
    "WEuler": (
        "x, s",
        "",
        """STATE { x s }
        INITIAL { x = 1  s = 0 }
        BREAKPOINT { SOLVE states METHOD euler }
        DERIVATIVE states { x' = a*s - x*x*x  s' = -b*x }""",
    ),
    "WImplicit": (
        "x, s, z",
        "",
        """STATE { x s z }
        INITIAL { x = 1  s = 0  z = 0 }
        BREAKPOINT { SOLVE states METHOD derivimplicit }
        DERIVATIVE states { x' = a*s - 3*x + 1  s' = x - b*s + z  z' = s - 2*z }""",
    ),
    "WNoCurrent": (
        "n, when, x, seen",
        "",
        """ASSIGNED { n when seen }
        STATE { x }
        INITIAL { n = 0  x = 0  seen = 0  when = 0 }
        BREAKPOINT { SOLVE states METHOD cnexp  n = n + 1  when = t  seen = x }
        DERIVATIVE states { x' = a - x*b }""",
    ),
    "WCurrent": (
        "i, g, u, e",
        "NONSPECIFIC_CURRENT i",
        """ASSIGNED { v i g e }
        STATE { u }
        INITIAL { u = 0.5 }
        BREAKPOINT { SOLVE states METHOD cnexp
            g = 1e-3*a*u/(1 + exp(-(v + 60)/5))
            e = -90 + t
            i = g*(v - e) + 1e-4*sin(v)
        }
        DERIVATIVE states { u' = (b - u)/3 }""",
    ),
    "WInto": (
        "i",
        "ELECTRODE_CURRENT i",
        """ASSIGNED { i }
        BREAKPOINT { if (t > 2 && t < 4) { i = 0.05*a } else { i = 0 } }""",
    ),
    "WUnits": (
        "x, far, gas, pi, own, q, named",
        "",
        """UNITS { (mV) = (millivolt)  FARADAY = (faraday) (coulomb)  F = (faraday) (kilocoulombs)
            R = (k-mole) (joule/degC)  PI = (pi) (1)  twelve = (12 foot) (meter) }
        CONSTANT { dozen = 12 (mV)  small = 2.5e-3 }
        ASSIGNED { x far gas pi own q named }
        INITIAL { advance() }
        BREAKPOINT { SOLVE advance }
        PROCEDURE advance() { far = FARADAY*a  gas = R*a  pi = PI*a  own = twelve*a  q = a*R*310(degC)/(2*F)
            named = dozen*small*a
            x = exp(q/1000) }""",
    ),
    "WTable": (
        "x, inf, tau, out",
        "",
        """ASSIGNED { x inf tau out }
        INITIAL { advance() }
        BREAKPOINT { SOLVE advance }
        PROCEDURE advance() { x = bell(30*sin(a*t))  rates(50*sin(b*t + 1))  out = bell(1e9 + t)*2 + bell(-1e9*a)*t }
        FUNCTION bell(u) { TABLE FROM -20 TO 20 WITH 37
            bell = exp(-u*u/50) + u/100 }
        PROCEDURE rates(u) { TABLE inf, tau FROM -40 TO 40 WITH 200
            inf = trap(u, 10)  tau = 1 + 5/(exp(u/10) + exp(-u/20)) }
        FUNCTION trap(x, y) { if (fabs(x/y) < 1e-6) { trap = y*(1 - x/y/2) } else { trap = x/(exp(x/y) - 1) } }""",
    ),
    "WSigns": (
        "x, y, z, u, w, f",
        "",
        """ASSIGNED { x y z u w f }
        INITIAL { advance() }
        BREAKPOINT { SOLVE advance }
        PROCEDURE advance() { LOCAL p, q
            p = a + sin(t)/3  q = b + t/4
            x = -p^2 + p^-1 - -q + 2^p^0.5 + 1/2*p
            y = p/q/2 - p*q/p - (p - (q - 1)) - 1 - p
            z = 1e-3*p + .5*q + 2.*p + 1E2
            u = sqrt(p) + log(q) + log10(p + q) + fabs(-p) + sin(p) + cos(q) + tanh(p)
            w = (p > q) + 2*(p <= q) + floor(q*3) + ceil(p*5) + pow(q, 1.5) + p^3 + q^0.25
            f = exp(-p)*exp(q)/exp(p) + (exp(p) - 1)/(exp(p) + 1) + atan(q) + sinh(p) + cosh(p)
        }""",
    ),
    "WHidden": (
        "x",
        "GLOBAL infinity",
        """LOCAL outer
        PARAMETER { shared = 2 }
        ASSIGNED { x hidden infinity celsius dt }
        STATE { s FROM 0 TO 1 }
        INITIAL { hidden = a*3 + b  outer = 1.5  s = 0.25  x = 0 }
        BREAKPOINT { SOLVE advance }
        PROCEDURE advance() { infinity = hidden/(1 + t)  x = infinity + outer*shared + s  hidden = hidden + dt*b*celsius/37
            outer = 1.5 }""",
    ),
    "WOrder": (
        "x, s, n, last",
        "",
        """ASSIGNED { n last }
        STATE { x s }
        INITIAL { x = 1  s = 1  n = 0  last = 0 }
        BREAKPOINT { last = x + n  SOLVE count  SOLVE states METHOD cnexp  n = n + last/100 }
        PROCEDURE count() { n = n*0.9 + x*a + t  VERBATIM_FREE() }
        PROCEDURE VERBATIM_FREE() { n = n + 1 }
        DERIVATIVE states { x' = -x*b/5 + n/1000
            s' = (x - s)*at_time_scale(n) }
        FUNCTION at_time_scale(n) { at_time_scale = 1/(1 + fabs(n)) }""",
    ),
}
CASES = [(name, variable) for name, (ranges, *_) in LANGUAGE.items() for variable in ranges.split(", ")]


def mod_of(name):
    """The MOD file; at the start it reads all its variables, without which NEURON's values at t = 0 are not asked for."""
    ranges, more, rest = LANGUAGE[name]
    looks = f"INITIAL {{ glance = {ranges.replace(', ', ' + ')} "
    text = HEAD.format(name=name, ranges=ranges, more=more) + "ASSIGNED { glance }\n" + rest.replace("        ", "")
    return text.replace("INITIAL {", looks) if "INITIAL" in text else text + looks + "}\n"


def write_cell(folder, name, body, held, more_lists="", mod="mod"):
    """A cell with one section `soma` in the SectionList `all`; `body` is HOC in init, `held` the end of the YAML."""
    (folder / f"{name}.hoc").write_text(
        f"begintemplate {name}\npublic soma, all{more_lists}\ncreate soma\nobjref all{more_lists}\nproc init() {{\n"
        f"all = new SectionList()\nsoma {{ L = 20  diam = 20  insert pas  e_pas = -65  all.append()\n{body}\n}} }}\n"
        f"endtemplate {name}\n"
    )
    (folder / f"{name}.yaml").write_text(
        f"name: {name}\nhoc: {name}.hoc\ntemplate: {name}\nmod: {mod}\ncelsius: 30\nv_init: -65\ndt: 0.05\n"
        f"stimulus: {{kind: step, scale: 0.02, delay: 1, duration: 3, total: 8, dt: 0.05}}\n{held}"
    )
    return cells.load(folder / f"{name}.yaml")


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """A folder with the MOD files of this file in `mod`, so that they are compiled once."""
    folder = tmp_path_factory.mktemp("words")
    (folder / "mod").mkdir()
    for name in LANGUAGE:
        (folder / "mod" / f"{name}.mod").write_text(mod_of(name))
    for name, (ranges, rest, _) in HARD.items():
        (folder / "mod" / f"{name}.mod").write_text(POINT.format(name=name, ranges=ranges, rest=rest))
    (folder / "mod" / "WKinetic.mod").write_text(KINETIC)
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("MAKEFLAGS", "-j2")
        build(folder / "mod")
    return folder


@pytest.fixture(scope="module")
def traces(folder):
    """Traces of both engines (n, P, T), by (process, variable)."""
    body = "\n".join(f"p{name} = new {name}(0.5)" for name in LANGUAGE)
    both = "[" + ", ".join(f"{{}}@p{name}" for name in LANGUAGE) + "]"
    probes = "\n".join(f"  {name}_{variable}: {variable}@p{name}" for name, variable in CASES)
    held = (
        f"probes:\n  v: soma(0.5)\n{probes}\nparameters:\n"
        f"  a: {{low: 0.5, high: 2, sets: {both.format(*['a'] * len(LANGUAGE))}}}\n"
        f"  b: {{low: 0.5, high: 2, sets: {both.format(*['b'] * len(LANGUAGE))}}}\n"
    )
    model = write_cell(folder, "Words", body, held, "".join(f", p{name}" for name in LANGUAGE))
    lanes = LaneEngine(model)
    sets = model.space.to_phys(model.space.draw(3, 0, 4))
    both = [engine.run(sets)[0][:, :, 0] for engine in (lanes, NeuronEngine(model, lanes.session))]
    return {case: [volts[:, k] for volts in both] for k, case in enumerate([("v", ""), *CASES])}


@pytest.mark.parametrize("case", [("v", ""), *CASES], ids=".".join)
def test_each_variable_is_at_each_time_what_it_is_in_neuron(traces, case):
    lanes, neuron = traces[case]
    assert np.isfinite(neuron).all() and np.ptp(neuron) > 0
    np.testing.assert_allclose(lanes, neuron, rtol=1e-10, atol=1e-11)


def test_constants_of_units_are_those_of_neuron(folder, h):
    """FARADAY and R of a MOD file, as walked, are NEURON's own of this version."""
    state = walk(modfile.read(folder / "mod" / "WUnits.mod"), "state").values
    for name, truth in {"far": h.FARADAY, "gas": h.R, "pi": h.PI}.items():
        ((factor, variable),) = state[name].parts
        assert factor == pytest.approx(truth, rel=1e-14) and variable.value == "a"


def test_what_a_step_sets_hangs_on_what_was_there_before_the_step(folder):
    """Nothing that a block sets itself first, no local and no argument is asked for."""
    asked = walk(modfile.read(folder / "mod" / "WCall.mod"), "state").inputs
    assert asked == {"a", "b", "t", "side"}
    assert walk(modfile.read(folder / "mod" / "WNoCurrent.mod"), "current").values == {}
    assert set(walk(modfile.read(folder / "mod" / "WCurrent.mod"), "current").values) == {"g", "e", "i"}
    assert set(walk(modfile.read(folder / "mod" / "WCurrent.mod"), "state").values) == {"u"}


# ---- What is left to plain NEURON ----

USUAL = "NEURON {{ SUFFIX odd  RANGE g {neuron} }}\nPARAMETER {{ g = 1 }}\nASSIGNED {{ v {assigned} }}\n{rest}\n"
REFUSED = {  # what the reason names: a mechanism that has it (NEURON block, ASSIGNED, the rest)
    "KINETIC": ("", "", "STATE { x } BREAKPOINT { SOLVE k METHOD sparse }\nKINETIC k { ~ x <-> x (g, g) }"),
    "LINEAR": ("", "", "STATE { x } BREAKPOINT { SOLVE l }\nLINEAR l { ~ x = g }"),
    "NONLINEAR": ("", "", "STATE { x } BREAKPOINT { SOLVE l }\nNONLINEAR l { ~ x*x = g }"),
    "DISCRETE": ("", "", "STATE { x } BREAKPOINT { SOLVE l }\nDISCRETE l { x = g }"),
    "VERBATIM": ("", "", "INITIAL {\nVERBATIM\ng = 1;\nENDVERBATIM\n}"),
    "POINTER": ("POINTER p", "p", ""),
    "BBCOREPOINTER": ("BBCOREPOINTER p", "p", ""),
    "RANDOM": ("RANDOM r", "", ""),
    "EXTERNAL": ("EXTERNAL other", "", ""),
    "NET_RECEIVE": ("", "", "NET_RECEIVE(w) { g = w }"),
    "FOR_NETCONS": ("", "", "NET_RECEIVE(w) { FOR_NETCONS(w) { g = w } }"),
    "BEFORE": ("", "", "BEFORE STEP { g = 2 }"),
    "AFTER": ("", "", "AFTER SOLVE { g = 2 }"),
    "CONSTRUCTOR": ("", "", "CONSTRUCTOR { g = 2 }"),
    "DESTRUCTOR": ("", "", "DESTRUCTOR { g = 2 }"),
    "FUNCTION_TABLE": ("", "", "FUNCTION_TABLE f(u)"),
    "LONGITUDINAL_DIFFUSION": (
        "",
        "",
        "STATE { x } BREAKPOINT { SOLVE k METHOD sparse }\nKINETIC k { LONGITUDINAL_DIFFUSION g { x }  ~ x <-> x (g, g) }",
    ),
    "w is an array": ("", "w[3]", ""),
    "odd.mod: x is an array": ("", "", "STATE { x[2] }"),
    "While": ("", "", "BREAKPOINT { SOLVE p } PROCEDURE p() { while (g > 2) { g = g - 1 } }"),
    "From": ("", "", "BREAKPOINT { SOLVE p } PROCEDURE p() { FROM i = 0 TO 3 { g = g - 1 } }"),
    "derivimplicit of equations that are not linear": (
        "",
        "",
        "STATE { x } BREAKPOINT { SOLVE d METHOD derivimplicit }\nDERIVATIVE d { x' = -x*x }",
    ),
    "METHOD runge": ("", "", "STATE { x } BREAKPOINT { SOLVE d METHOD runge }\nDERIVATIVE d { x' = -x }"),
    "x' is not linear in x": (
        "",
        "",
        "STATE { x } BREAKPOINT { SOLVE d METHOD cnexp }\nDERIVATIVE d { x' = g - x*x }",
    ),
    "x' hangs on a FUNCTION of the state itself": (
        "",
        "",
        "STATE { x } BREAKPOINT { SOLVE d METHOD cnexp }\nDERIVATIVE d { x' = -f(x) }\nFUNCTION f(u) { f = u }",
    ),
    "calls at_time": ("", "", "BREAKPOINT { SOLVE p } PROCEDURE p() { if (at_time(3)) { g = 2 } }"),
    "calls state_discontinuity": (
        "",
        "",
        "STATE { x } BREAKPOINT { SOLVE p } PROCEDURE p() { if (g > 2) { state_discontinuity(x, 1) } }",
    ),
    "calls scop_random": ("", "", "INITIAL { g = scop_random() }"),
    "SolveBlock": (
        "",
        "",
        "STATE { x } INITIAL { SOLVE d STEADYSTATE derivimplicit }\nDERIVATIVE d { x' = -x }",
    ),
    "calls unheard_of": ("", "", "BREAKPOINT { SOLVE p } PROCEDURE p() { g = unheard_of(g) }"),
    "again calls itself": (
        "",
        "",
        "BREAKPOINT { SOLVE p } PROCEDURE p() { g = again(g) } FUNCTION again(x) { again = again(x) }",
    ),
}
ALSO = {"NET_RECEIVE": "FOR_NETCONS", "KINETIC": "LONGITUDINAL_DIFFUSION"}  # the first word of the second


def walked(path):
    mod = modfile.read(path)
    return [walk(mod, phase) for phase in ("initial", "current", "state")]


@pytest.mark.parametrize("word", REFUSED)
def test_what_the_lane_engine_does_not_know_is_named_in_a_line(tmp_path, word):
    neuron, assigned, rest = REFUSED[word]
    path = tmp_path / "odd.mod"
    path.write_text(USUAL.format(neuron=neuron, assigned=assigned, rest=rest))
    with pytest.raises(Outside) as caught:
        walked(path)
    told = str(caught.value)
    words = [word, *(first for first, second in ALSO.items() if second == word)]
    assert told.startswith("odd") and "\n" not in told
    assert any(w in told for w in words)


@pytest.mark.parametrize("rest", ["INITIAL { g = 2 }", "BREAKPOINT { at_time(3)  g = 2 }"])
def test_the_frame_of_those_mechanisms_is_known_by_itself(tmp_path, rest):
    path = tmp_path / "odd.mod"
    path.write_text(USUAL.format(neuron="", assigned="", rest=rest))
    walked(path)


def test_every_refused_block_is_tried_above():
    assert set(modfile.REFUSED.values()) <= set(REFUSED)


def test_what_nmodl_does_not_read_is_said_in_a_line(tmp_path):
    path = tmp_path / "broken.mod"
    path.write_text("NEURON { SUFFIX broken }\nBREAKPOINT { g = = 2 }\n")
    with pytest.raises(Outside, match=r"^broken\.mod: nmodl does not read it .*$"):
        modfile.read(path)


KINETIC = """NEURON { POINT_PROCESS WKinetic  RANGE a, x }
PARAMETER { a = 1 }
STATE { x z }
INITIAL { x = 1  z = 0 }
BREAKPOINT { SOLVE k METHOD sparse }
KINETIC k { ~ x <-> z (a, 1) }
"""


def point_cell(folder, name, variable):
    """Two point processes `name` of folder/mod at one place, their `variable` probed, their `a` drawn."""
    body = f"one = new {name}(0.5)  two = new {name}(0.5)"
    held = f"probes: {{v: soma(0.5), one: {variable}@one, two: {variable}@two}}\n"
    held += "parameters:\n  a: {low: 0.5, high: 2, sets: [a@one]}\n  b: {low: 0.5, high: 2, sets: [a@two]}\n"
    return write_cell(folder, f"Two{name}", body, held, ", one, two")


def test_auto_falls_back_to_neuron_with_the_reason_and_lanes_raises(folder):
    model = point_cell(folder, "WKinetic", "x")
    engine, why = engines.make("auto", "double", model)
    assert (engine.name, why) == ("neuron", "WKinetic.mod: has KINETIC")
    with pytest.raises(
        Outside, match=r": not for the lane engine: WKinetic\.mod: has KINETIC; simulate with --engine neuron$"
    ):
        engines.make("lanes", "double", model)
    assert engines.make("neuron", "double", model)[1] == ""


@pytest.mark.parametrize(("engine", "precision"), [("fast", "double"), ("lanes", "half"), ("", "")])
def test_an_engine_or_a_precision_that_is_none_is_refused(folder, engine, precision):
    with pytest.raises(
        ParameterError, match="an engine is one of auto, lanes, neuron, a precision one of double, mixed"
    ):
        engines.make(engine, precision, None)


# ---- Mechanisms that were wrong once ----

POINT = "NEURON {{ POINT_PROCESS {name}  RANGE a, k, {ranges} }}\nPARAMETER {{ a = 1  k = 0 }}\n{rest}\n"
HARD = {  # name: (RANGE and currents, the rest, the variable to look at)
    "WWritten": ("i  NONSPECIFIC_CURRENT i", "ASSIGNED { v i }\nBREAKPOINT { i = 1e-3*a*(v + 60) }", "i"),
    "WConstant": (
        "x",
        "ASSIGNED { x }\nINITIAL { x = 0 }\nBREAKPOINT { SOLVE p }\nPROCEDURE p() { x = x*0.9 + a*bell(k + 0.3) }\n"
        "FUNCTION bell(u) { TABLE FROM -2 TO 2 WITH 10\n bell = exp(-u*u) }",
        "x",
    ),
    "WCounts": (
        "n  NONSPECIFIC_CURRENT i",
        "ASSIGNED { v i n }\nINITIAL { n = 0 }\nBREAKPOINT { n = n + 1  i = 1e-6*n*v*a }",
        "n",
    ),
    "WOuter": (
        "x",
        "LOCAL q\nASSIGNED { x }\nINITIAL { q = a  x = 0 }\nBREAKPOINT { SOLVE p }\nPROCEDURE p() { x = x*0.9 + q }",
        "x",
    ),
    "WGuarded": (
        "x",
        "ASSIGNED { x }\nINITIAL { x = 0 }\nBREAKPOINT { SOLVE p }\n"
        "PROCEDURE p() { if (k != 0) { x = 1 + a/k + log(k) } else { x = x*0.9 + a } }",
        "x",
    ),
    "WHole": (
        "x",
        "ASSIGNED { x }\nINITIAL { x = 0 }\nBREAKPOINT { SOLVE p }\nPROCEDURE p() { x = x*0.9 + f(5 + t*a/3) }\n"
        "FUNCTION f(u) { TABLE FROM -10 TO 20 WITH 30\n f = u/(1 - exp(-u)) }",
        "x",
    ),
    "WShadow": (
        "x",
        "ASSIGNED { x }\nINITIAL { x = 0 }\nBREAKPOINT { SOLVE p }\n"
        "PROCEDURE p() { LOCAL q\n q = a\n if (t > 2) { LOCAL q\n q = 3  x = x + q }\n x = x*0.9 + q }",
        "x",
    ),
    "WStale": (
        "i, on  NONSPECIFIC_CURRENT i",
        "ASSIGNED { v i on }\nINITIAL { on = 0 }\nBREAKPOINT { i = 1e-3*a*(1 + on)*(v + 60)  on = v*0.01 }",
        "i",
    ),
    "WSometimes": (
        "x",
        "ASSIGNED { x q }\nINITIAL { if (a > 1) { q = 3 }\n x = 0 }\nBREAKPOINT { SOLVE p }\n"
        "PROCEDURE p() { x = x*0.9 + q }",
        "x",
    ),
    "WSteep": (
        "x",
        "ASSIGNED { x }\nINITIAL { x = 0 }\nBREAKPOINT { SOLVE p }\n"
        "PROCEDURE p() { x = x*0.9 + exp(0.9*f(a))/(1 + exp(f(a))) }\nFUNCTION f(u) { f = 60*t*u }",
        "x",
    ),
    "WMade": (
        "s_2",
        "ASSIGNED { s_2 }\nSTATE { s_0 s_1 }\nINITIAL { s_0 = 0  s_1 = 1  s_2 = 0 }\n"
        "BREAKPOINT { SOLVE d METHOD cnexp  s_2 = s_0 + s_2/2 }\n"
        "DERIVATIVE d { s_0' = exp(a) - s_0/(a*a + 1)  s_1' = s_0 - s_1*exp(a*a) }",
        "s_2",
    ),
}


@pytest.mark.parametrize("name", HARD)
def test_what_is_hard_to_get_right_is_right_or_left_to_neuron(folder, name):
    model = point_cell(folder, name, HARD[name][2])
    session_engine, why = engines.make("auto", "double", model)
    if session_engine.name == "neuron":
        assert why.startswith(name)
        return
    sets = model.space.to_phys(model.space.draw(1, 0, 4))
    lanes, status = session_engine.run(sets)
    neuron, wanted = NeuronEngine(model, session_engine.session).run(sets)
    assert np.array_equal(status, wanted)
    np.testing.assert_allclose(lanes, neuron, rtol=1e-10, atol=1e-11)


def test_an_error_of_ours_leaves_auto_with_neuron_and_is_told(folder, monkeypatch):
    def broken(*_):
        raise KeyError("an array that is not there")

    monkeypatch.setattr(engines, "LaneEngine", broken)
    model = point_cell(folder, "WWritten", "i")
    engine, why = engines.make("auto", "double", model)
    assert engine.name == "neuron" and "KeyError" in why and "report" in why
    with pytest.raises(KeyError):
        engines.make("lanes", "double", model)


def test_what_is_wrong_with_the_cell_itself_is_told_once(folder, monkeypatch):
    built = []

    def broken(*_):
        built.append(1)
        raise CellError("no public soma")

    monkeypatch.setattr(engines, "LaneEngine", broken)
    monkeypatch.setattr(engines, "NeuronEngine", broken)
    with pytest.raises(CellError, match="no public soma"):
        engines.make("auto", "double", None)
    assert len(built) == 1
