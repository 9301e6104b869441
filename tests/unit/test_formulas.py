"""Formulas: arithmetic as Python has it, nothing but arithmetic, and one sentence for what is wrong in a cell file."""

import math
import re
import time
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as some

import nrn_mlfit
from nrn_mlfit import cells, formulas
from nrn_mlfit.errors import CellError, FormulaError, MlfitError

VALUES = {"a": 1.5, "b": -2.25, "lambda": 180.0, "g.x": 0.003, "distance": 412.5}
NAMES = {name: f"n_{name.replace('.', '_')}" for name in VALUES}  # which Python's own eval can have, too


def brackets(text):
    return text.map("({})".format)


expressions = some.recursive(
    some.sampled_from(sorted(VALUES)) | some.floats(0, 1e3).map(repr),
    lambda inner: some.one_of(
        some.tuples(inner, some.sampled_from([" + ", "-", "*", "/", "**", "^"]), inner).map("".join),
        some.tuples(some.sampled_from(sorted(formulas.FUNCTIONS)), brackets(inner)).map("".join),
        some.tuples(some.sampled_from("+-"), inner).map("".join),
        brackets(inner),
    ),
    max_leaves=8,
)


def hoc_exp(x):
    """HOC has 0 below exp(-700), and calls exp(701) out of range."""
    return 1 / 0 if x > 700 else 0.0 if x < -700 else math.exp(x)


def by_python(text):
    """What Python makes of it; NaN where it has no finite real number."""
    words = {NAMES[name]: value for name, value in VALUES.items()}
    functions = {name: getattr(math, name) for name in formulas.FUNCTIONS if name != "abs"}
    known = {**words, **functions, "abs": math.fabs, "exp": hoc_exp}
    for name in sorted(VALUES, key=len, reverse=True):
        text = re.sub(rf"(?<![\w.]){re.escape(name)}(?![\w.(])", NAMES[name], text)
    try:
        found = eval(text.replace("^", "**"), {"__builtins__": {}}, known)
    except (ArithmeticError, ValueError, TypeError):  # a TypeError: a complex number went into a function
        return math.nan
    return found if isinstance(found, float) and math.isfinite(found) else math.nan


@settings(max_examples=400, deadline=None)
@given(expressions)
def test_arithmetic_is_python_s(text):
    try:
        formula = formulas.read(f"x.all = {text}")
    except CellError as error:
        assert "up to 300" in str(error)
        return
    try:
        found = formula.value(VALUES)
    except FormulaError:
        found = math.nan
    wanted = by_python(text)
    assert found == wanted or (math.isnan(found) and math.isnan(wanted))


@settings(max_examples=600, deadline=None)
@given(
    some.text()
    | some.text("ab1.e+-*/^() lmdxp_", max_size=40)
    | some.lists(some.sampled_from([*"()._01a*/+", "//", ")._", "(1)", "_1", " if ", " else "]), max_size=12).map(
        "".join
    )
)
def test_any_text_is_a_formula_or_is_refused(text):
    try:
        formula = formulas.read(f"x.all = {text}")
    except CellError:
        return
    assert all(formulas.NAME.fullmatch(name) for name in formula.names)
    try:
        assert math.isfinite(formula.value(dict.fromkeys(formula.names, 2.0)))
    except FormulaError as error:
        assert "is no finite number" in str(error)


@pytest.mark.parametrize(
    ("text", "hoc"),
    [
        ("1/(1000*rm)", "1/(1000*p_rm)"),
        ("g*(1+3*exp(distance/323))", "p_g*(1 + 3*exp(distance(y)/323))"),
        ("g*exp(-distance/lambda)", "p_g*exp((-distance(y))/p_lambda)"),
        ("a - (b - c) - d", "p_a - (p_b - p_c) - p_d"),
        ("a/(b/c)/d", "p_a/(p_b/p_c)/p_d"),
        ("-a**-2", "-(p_a^(-2))"),
        ("2^a^b", "2^(p_a^p_b)"),
        ("+a*-b", "p_a*(-p_b)"),
        ("1e-5 + 1E3 + .5 + 0x10", "1e-05 + 1000 + 0.5 + 16"),
    ],
)
def test_what_hoc_gets(text, hoc):
    formula = formulas.read(f"x.all = {text}")
    words = {name: f"p_{name}" for name in formula.names} | {"distance": "distance(y)"}
    assert formula.hoc(words) == hoc


def test_exp_ends_where_that_of_hoc_does():
    small = formulas.read("x.all = exp(a)")
    assert [small.value({"a": a}) for a in (-701.0, -1e9)] == [0, 0]
    assert small.value({"a": -700.0}) == math.exp(-700) and small.value({"a": 700.0}) == math.exp(700)
    with pytest.raises(FormulaError, match="^x.all = exp.a. is no finite number at a = 700.5$"):
        small.value({"a": 700.5})


def test_a_huge_power_is_no_number_at_once():
    began = time.perf_counter()
    with pytest.raises(FormulaError, match=r"^x.all = 9\*\*9\*\*9\*\*9 is no finite number$"):
        formulas.read("x.all = 9**9**9**9").value({})
    assert time.perf_counter() - began < 1


@pytest.mark.parametrize("text", ["1/(a - 2)", "log(a - 2)", "log(a - 3)", "(a - 3)**0.5", "exp(a*1000)", "a*1e308"])
def test_what_is_no_finite_number_says_where(text):
    with pytest.raises(FormulaError) as error:
        formulas.read(f"x.all = {text}").value({"a": 2.0, "b": 1.0})
    assert str(error.value) == f"x.all = {text} is no finite number at a = 2"
    assert isinstance(error.value, RuntimeError), "engines take it for a set that HOC refuses"


# ---- In a cell file ----

FILE = """\
name: mine
hoc: mine.hoc
template: Mine
stimulus: {kind: step}
parameters:
  rm: {low: 5, high: 15, unit: kohm cm2, sets: ["g_pas.all = 1/(1000*rm)"]}
  gna: {low: 1, high: 2, unit: S/cm2, sets: [gbar_na.somatic, "gbar_na.apical = gna*exp(-distance/lambda)"]}
  lambda: {low: 100, high: 400, unit: um, sets: []}
"""
MADE_OF = (
    "; a formula is made of numbers, + - * / ^ (or **), brackets, parameters of the cell, distance, and abs, cos, exp, log, "
    "log10, sin, sqrt, tanh"
)


@pytest.fixture
def load(tmp_path):
    (tmp_path / "mine.hoc").write_text("begintemplate Mine\nendtemplate Mine\n")

    def load(old="", new=""):
        assert old in FILE
        (tmp_path / "mine.yaml").write_text(FILE.replace(old, new))
        return cells.load(tmp_path / "mine.yaml")

    return load


def test_formulas_are_read_with_distances_last(load):
    model = load()
    assert [(name, str(formula)) for name, formula in model.formulas] == [
        ("rm", "g_pas.all = 1/(1000*rm)"),
        ("gna", "gbar_na.apical = gna*exp(-distance/lambda)"),
    ]
    assert [p.sets for p in model.parameters][2] == () and model.origin == "soma(0.5)"
    other = load("parameters:\n", 'parameters:\n  h: {low: 1, high: 2, sets: ["a.all = h*distance", "b.all = h"]}\n')
    assert [formula.target for _, formula in other.formulas] == ["b.all", "g_pas.all", "a.all", "gbar_na.apical"]


def test_a_copy_has_the_same_formulas(load, tmp_path):
    for model in (load(), cells.fixed(load(), {"lambda": 150}), load("parameters:", "origin: dend[3](0)\nparameters:")):
        copy = cells.load(cells.bundle(model, tmp_path / model.digest()[:8]))
        assert copy.digest() == model.digest() and copy.formulas == model.formulas and copy.origin == model.origin


def test_the_digest_follows_formulas_and_origin(load):
    digests = {
        load().digest(),
        load("1000*rm", "1001*rm").digest(),
        load("parameters:", "origin: soma(0)\nparameters:").digest(),
    }
    assert len(digests) == 3


PASSIVE = '"g_pas.all = 1/(1000*rm)"'


@pytest.mark.parametrize(
    ("formula", "text"),
    [
        (
            "__import__('os')",
            '"g_pas.all = __import__(\'os\')" is no arithmetic, as it has "\'" in it' + MADE_OF,
        ),
        ("rm.real + a[0]", "\"g_pas.all = rm.real + a[0]\" is no arithmetic, as it has '[' in it" + MADE_OF),
        ("1 if rm else 2", '"g_pas.all = 1 if rm else 2" cannot be read as arithmetic' + MADE_OF),
        ("lambda: 1", "\"g_pas.all = lambda: 1\" is no arithmetic, as it has ':' in it" + MADE_OF),
        ("rm < 3", "\"g_pas.all = rm < 3\" is no arithmetic, as it has '<' in it" + MADE_OF),
        ("rm == 3", "\"g_pas.all = rm == 3\" is no arithmetic, as it has '=' in it" + MADE_OF),
        ("rm // 3", '"g_pas.all = rm // 3": rm // 3 is no arithmetic' + MADE_OF),
        ("exp()", '"g_pas.all = exp()": exp() is no arithmetic' + MADE_OF),
        ("(rm).real", '"g_pas.all = (rm).real": rm.real is no arithmetic' + MADE_OF),
        ("(1)._9", '"g_pas.all = (1)._9": 1 ._9 is no arithmetic' + MADE_OF),
        ("(1).b_7", '"g_pas.all = (1).b_7": 1 .b_7 is no arithmetic' + MADE_OF),
        ("a._3 * (2)._3", '"g_pas.all = a._3 * (2)._3": 2 ._3 is no arithmetic' + MADE_OF),
        ("(a._3 // (2)._0)", '"g_pas.all = (a._3 // (2)._0)": a._3 // 2 ._0 is no arithmetic' + MADE_OF),
        ("(_1)._0", '"g_pas.all = (_1)._0": _1._0 is no arithmetic' + MADE_OF),
        ("2j*rm", '"g_pas.all = 2j*rm": 2j is no arithmetic' + MADE_OF),
        ("1/(1000*rm", '"g_pas.all = 1/(1000*rm" cannot be read as arithmetic' + MADE_OF),
        ("", '"g_pas.all = " cannot be read as arithmetic' + MADE_OF),
        (
            "sinh(rm)",
            '"g_pas.all = sinh(rm)": sinh is no function of a formula; there are abs, cos, exp, log, log10, sin, sqrt, tanh',
        ),
        (
            "1/rn",
            '"g_pas.all = 1/rn": rn is no parameter of the cell; there are rm, gna, lambda, and distance',
        ),
        ("a.b", '"g_pas.all = a.b": a.b is no parameter of the cell; there are rm, gna, lambda, and distance'),
        ("1e999*rm", '"g_pas.all = 1e999*rm": it has a number that is too large; write one below 1e308'),
        (
            "-" * 60 + "rm",
            f'"g_pas.all = {"-" * 60}rm": it has more than 50 operations within each other; write it shorter',
        ),
        ("rm +" * 100 + "rm", "g_pas.all: its formula has 402 characters; write one of up to 300"),
        (
            "log(0 - rm)",
            "g_pas.all = log(0 - rm) is no finite number at rm = 10, the middle of the ranges; write a formula that has a value "
            "there",
        ),
    ],
)
def test_a_formula_that_cannot_be_used_is_named(formula, text, load, tmp_path):
    quoted = formula.replace("'", "''")
    with pytest.raises(MlfitError) as error:
        load(PASSIVE, f"'g_pas.all = {quoted}'")
    assert str(error.value) == f"{tmp_path / 'mine.yaml'}: parameter rm: {text}"


@pytest.mark.parametrize(
    ("old", "new", "text"),
    [
        (
            '"g_pas.all = 1/(1000*rm)"',
            '"set_rm() = 1/rm"',
            "parameter rm: set_rm() takes no formula; VARIABLE.LIST (g_pas.all = 1/rm) and VARIABLE@PROCESS do",
        ),
        (
            '"g_pas.all = 1/(1000*rm)"',
            '"a@syn = rm*distance"',
            'parameter rm: "a@syn = rm*distance": only what each segment has of its own can hang on its distance; leave distance '
            "out",
        ),
        (
            '"g_pas.all = 1/(1000*rm)"',
            '"Ra.all = rm*distance"',
            'parameter rm: "Ra.all = rm*distance": only what each segment has of its own can hang on its distance; leave '
            "distance out",
        ),
        (
            "  lambda:",
            "  distance: {low: 1, high: 2, sets: []}\n  lambda:",
            'parameter gna: "gbar_na.apical = gna*exp(-distance/lambda)": distance is that of a segment from `origin`; give the '
            "parameter distance another name",
        ),
        (
            "distance/lambda",
            "distance/200",
            "parameter lambda: reaches no segment, as it sets nothing and is in no formula; name a target under `sets`, or "
            "use it in a formula",
        ),
        (
            '"g_pas.all = 1/(1000*rm)"',
            '"g_pas.all = 1/(1000*gna)"',
            "parameter rm: reaches no segment, as it sets nothing and is in no formula; name a target under `sets`, or use it "
            "in a formula",
        ),
        (
            "parameters:",
            "origin: v@syn\nparameters:",
            "origin: v@syn is a point process; write SECTION(x) with x in 0..1",
        ),
        (
            "parameters:",
            "origin: soma\nparameters:",
            "origin: 'soma' is no site; write SECTION(x) with x in 0..1, or VARIABLE@PROCESS for a point process",
        ),
    ],
)
def test_what_is_wrong_around_a_formula_is_named(old, new, text, load, tmp_path):
    with pytest.raises(MlfitError) as error:
        load(old, new)
    assert str(error.value) == f"{tmp_path / 'mine.yaml'}: {text}"


def test_a_pole_in_the_middle_of_the_ranges_alone_is_no_reason_to_refuse(load):
    assert load("1/(1000*rm)", "1/(rm - 10)").formulas


def test_a_known_value_without_a_value_of_the_formula_is_refused(load):
    model = load("1/(1000*rm)", "1/(rm - 10)")
    with pytest.raises(
        CellError, match="g_pas.all = 1/.rm - 10. is no finite number at rm = 10, the middle of the ranges"
    ):
        cells.fixed(model, {"rm": 10})


def test_the_example_of_the_docs_is_a_cell_file(load):
    docs = Path(nrn_mlfit.__file__).parents[1] / "docs" / "cell_files.md"
    example = docs.read_text().split("## Formulas")[1].split("```yaml\n")[1].split("```")[0]
    model = load(FILE[FILE.index("parameters:") :], example)
    ih = {formula.target: formula for _, formula in model.formulas}["gIhbar_Ih.apical"]
    assert ih.value({"gih": 2e-4, "distance": 1166.0}) == pytest.approx(
        2e-4 * (-0.8696 + 2.087 * math.exp(3.6161)), rel=2e-3
    )
