"""Expressions of the lane engine: whatever is rearranged, the value is that of plain arithmetic, whatever the order."""

import functools
import math
import os
import subprocess
import sys

import numpy as np
import pytest
from hypothesis import Phase, assume, example, given, settings
from hypothesis import strategies as st

from nrn_mlfit.simulator.lanes import expressions as ex
from nrn_mlfit.simulator.lanes.describe import text
from nrn_mlfit.simulator.lanes.hoist import hoist

DIGITS = 1e-11  # of what rounding may do in these trees, in units of the sizes that `Number` carries along
NAMES = ("x", "y", "z", "w")
OPERATORS = {"<": "lt", "<=": "le", ">": "gt", ">=": "ge", "==": "eq", "!=": "ne"}


# ---- The truth: plain Python, on trees as tuples, with the size of what rounding can do ----


def evaluated(tree, at):
    """(value, size) of a tree where the names have the values `at`; sizes are those of rounding errors, of first order.

    Leaves hypothesis' example where the value hangs on rounding: a divisor that cancels, a condition on the edge.
    """
    kind, *rest = tree
    if kind == "number":
        return rest[0], abs(rest[0])
    if kind == "symbol":
        return at[rest[0]], abs(at[rest[0]])
    if kind == "select":
        (left, size), (right, size_too) = (evaluated(side, at) for side in rest[0][1:])
        assume(abs(left - right) > 1e-6 * (size + size_too))
        sides = [evaluated(side, at) for side in rest[1:]]  # neither may divide by nothing
        return sides[0 if getattr(left, f"__{OPERATORS[rest[0][0]]}__")(right) else 1]
    parts = [evaluated(side, at) for side in rest if isinstance(side, tuple)]
    value, size = combined(kind, parts, rest[-1])
    assume(math.isfinite(size) and size < 1e60)
    return value, size


def combined(kind, parts, last):
    (a, da), (b, db) = parts[0], parts[-1]
    if kind in "+-":
        return (a + b if kind == "+" else a - b), da + db
    if kind == "*":
        return a * b, abs(a) * db + abs(b) * da
    if kind == "/":
        assume(abs(b) > 1e-5 * db and abs(b) > 1e-12)
        return a / b, da / abs(b) + abs(a) * db / b**2
    if kind == "neg":
        return -a, da
    if kind == "^":
        assume(abs(a) > 1e-5 * da and 1e-8 < abs(a) < 1e8)
        return a**last, abs(a**last) + abs(last * a ** (last - 1)) * da
    value, slope = FUNCTIONS[kind](a)
    return value, abs(value) + slope * da


FUNCTIONS = {  # of trees: value and the size of the slope
    "exp": lambda a: (math.exp(limited(a, 40)),) * 2,
    "tanh": lambda a: (math.tanh(a), 1),
    "sin": lambda a: (math.sin(limited(a, 1e3)), 1),
    "fabs": lambda a: (abs(a), 1),
}


def limited(a, most):
    assume(abs(a) <= most)
    return a


def built(tree):
    """The same tree by the operators of Expression, plain numbers among them."""
    kind, *rest = tree
    if kind == "number":
        return ex.number(rest[0])
    if kind == "symbol":
        return ex.symbol(rest[0])
    if kind == "select":
        operator, left, right = rest[0]
        return ex.select(ex.compare(operator, built(left), built(right)), built(rest[1]), built(rest[2]))
    a, b = built(rest[0]), built(rest[-1]) if isinstance(rest[-1], tuple) else rest[-1]
    arithmetic = {"+": lambda: a + b, "-": lambda: a - b, "*": lambda: a * b, "/": lambda: a / b, "neg": lambda: -a}
    return arithmetic[kind]() if kind in arithmetic else ex.raised(a, b) if kind == "^" else ex.call(kind, a)


def value_of(e, at):
    """An Expression's value as its docstring says what it means; both sides of a select are computed, as in lanes."""
    with np.errstate(all="ignore"):
        return float(_value(e, {name: np.float64(v) for name, v in at.items()}))


def _value(e, at):
    if e.kind == "number":
        return np.float64(e.value)
    if e.kind == "symbol":
        return at[e.value]
    if e.kind == "sum":
        return e.value + sum(c * _value(term, at) for c, term in e.parts)
    if e.kind == "product":
        return np.prod([_value(base, at) ** np.float64(n) for base, n in e.parts])
    parts = [_value(part, at) for part in e.parts]
    if e.kind == "function":
        return getattr(np, e.value)(*parts) if e.value != "pow" else parts[0] ** parts[1]
    if e.kind == "comparison":
        return getattr(parts[0], f"__{OPERATORS[e.value]}__")(parts[1])
    if e.kind == "logic":
        return not parts[0] if e.value == "not" else all(parts) if e.value == "and" else any(parts)
    return parts[1] if parts[0] else parts[2]


def put(e, at):
    """An Expression with numbers for its symbols, by rebuilt."""
    return ex.rebuilt(e, {ex.symbol(name): ex.number(v) for name, v in at.items()})


# ---- Trees ----

sizes = st.one_of(st.sampled_from([0.0, 1.0, -1.0, 2.0, -0.5, 10.0]), st.floats(0.01, 100), st.floats(-100, -0.01))
places = st.fixed_dictionaries({n: st.floats(0.05, 20) | st.floats(-20, -0.05) for n in NAMES})


def trees(names=NAMES, most=14):
    leaves = st.one_of(st.tuples(st.just("symbol"), st.sampled_from(names)), st.tuples(st.just("number"), sizes))
    return st.recursive(leaves, lambda t: _larger(t), max_leaves=most)


def _larger(t):
    conditions = st.tuples(st.sampled_from(list(OPERATORS)), t, t)
    return st.one_of(
        st.tuples(st.sampled_from("+-*/"), t, t),
        st.tuples(st.sampled_from("+-*/"), t, t),
        st.tuples(st.just("neg"), t),
        st.tuples(st.just("^"), t, st.sampled_from([-3, -2, -1, 0, 1, 2, 3, 7])),
        st.tuples(st.sampled_from(list(FUNCTIONS)), t),
        st.tuples(st.just("select"), conditions, t, t),
    )


def S(name):  # noqa: N802
    return ("symbol", name)


def sums(names=NAMES, lowest=-2):
    """Sums and products of numbers and powers, which random trees seldom are: 3*x^2*y/z - 0.5*x + 7, times another one."""
    powers = st.dictionaries(st.sampled_from(names), st.integers(lowest, 3), max_size=3)
    terms = st.tuples(sizes, powers).map(_term)
    rows = st.lists(terms, min_size=1, max_size=4).map(lambda held: functools.reduce(lambda a, b: ("+", a, b), held))
    return rows | st.tuples(st.sampled_from("+-*"), rows, rows)


def _term(pair):
    number, powers = pair
    return functools.reduce(lambda e, p: ("*", e, ("^", S(p[0]), p[1])), powers.items(), ("number", number))


anything = trees() | sums()


def near(got, truth):
    value, size = truth
    return abs(got - value) <= DIGITS * size + 1e-250


# ---- Values ----


@settings(max_examples=400, deadline=None)
@given(anything, places)
@example(("/", S("x"), ("*", ("+", S("x"), S("y")), ("-", S("z"), ("number", 3.0)))), dict(x=2.0, y=5.0, z=4.0, w=1.0))
@example(("+", ("/", S("x"), S("z")), ("/", S("y"), S("z"))), dict(x=2.0, y=5.0, z=4.0, w=1.0))
@example(("-", ("*", ("number", 0.1), S("x")), ("*", ("number", 0.3), S("x"))), dict(x=2.0, y=5.0, z=4.0, w=1.0))
def test_a_rearranged_expression_has_the_value_of_plain_arithmetic(tree, at):
    truth = evaluated(tree, at)
    e = built(tree)
    assert near(value_of(e, at), truth)
    numbers = put(e, at)
    assert numbers.kind == "number" and near(numbers.value, truth)


@settings(max_examples=150, deadline=None)
@given(anything, trees(), places)
def test_something_put_in_for_a_symbol_is_as_if_it_had_been_there(outer, inner, at):
    within = evaluated(inner, at)[0]
    truth = evaluated(outer, {**at, "x": within})
    assume(1e-3 < abs(within) < 1e3)
    e = ex.rebuilt(built(outer), {ex.symbol("x"): built(inner)})
    value, size = truth
    assert abs(value_of(e, at) - value) <= 1e-6 * size + 1e-9 * evaluated(inner, at)[1]


@given(st.sampled_from(["and", "or"]), st.booleans(), st.booleans())
def test_logic_is_that_of_python(operator, one, two):
    truth = {"and": one and two, "or": one or two}[operator]
    conditions = [ex.compare(">", ex.symbol(name), 0.0) for name in "xy"]
    at = {"x": 1.0 if one else -1.0, "y": 1.0 if two else -1.0}
    assert value_of(ex.select(ex.logic(operator, *conditions), 3.0, 4.0), at) == (3 if truth else 4)
    assert value_of(ex.select(ex.logic("not", ex.logic(operator, *conditions)), 3.0, 4.0), at) == (4 if truth else 3)
    for known in (0.0, 0.5, 1.0):  # one side is a number already
        e = ex.select(ex.logic(operator, known, conditions[1]), 3.0, 4.0)
        truth = {"and": bool(known) and two, "or": bool(known) or two}[operator]
        assert value_of(e, at) == (3 if truth else 4)


@given(st.floats(0.1, 30), st.floats(-3, 3))
def test_a_power_that_is_no_whole_number_is_one(base, exponent):
    e = ex.raised(ex.symbol("x"), ex.symbol("y"))
    assert value_of(e, {"x": base, "y": exponent}) == pytest.approx(base**exponent, rel=1e-13)
    assert put(e, {"x": base, "y": exponent}).value == pytest.approx(base**exponent, rel=1e-13)


@settings(max_examples=150, deadline=None)
@given(sums(lowest=0))
def test_no_division_comes_of_an_expression_without_one(tree):
    """Or what is 0 in some lane would divide by 0 there."""
    for e in (built(tree), ex.rebuilt(built(tree), {ex.symbol("x"): ex.symbol("y")})):
        assert all(n > 0 for part in ex.parts_of(e) if part.kind == "product" for _, n in part.parts)


# ---- Equal is the same ----


@settings(max_examples=150, deadline=None)
@given(anything)
def test_the_same_thing_built_twice_is_one_object(tree):
    with_numbers = dict.fromkeys(NAMES, 1.37)
    evaluated(tree, with_numbers)
    assert built(tree) is built(tree)
    assert ex.rebuilt(built(tree), {}).kind == built(tree).kind


@given(st.lists(st.sampled_from([-4.0, -2.0, -1.0, -0.5, 0.5, 1.0, 2.0, 8.0]), min_size=2, max_size=5), st.randoms())
def test_neither_order_nor_brackets_of_a_sum_or_product_matter(coefficients, random):
    """Coefficients are powers of 2, so that no rounding hangs on the order."""
    terms = [c * ex.symbol(f"s{k}") for k, c in enumerate(coefficients)]
    for operate in (ex.add, ex.multiply):
        wanted, pool = operate(*terms), list(terms)
        while len(pool) > 1:
            random.shuffle(pool)
            pool.append(operate(pool.pop(), pool.pop()))
        assert pool[0] is wanted
        assert (pool[0].key, text(pool[0])) == (wanted.key, text(wanted))


def test_laws_of_arithmetic_make_one_object():
    x, y, z = map(ex.symbol, "xyz")
    pairs = [
        (x * y + x * z, x * (y + z)),
        (x / z + y / z, (x + y) / z),
        (x / y / z, x / (y * z)),
        (x / y * y, x),
        (x - x, ex.ZERO),
        (x / x, ex.ONE),
        (x * x * x, ex.raised(x, 3)),
        (1 / (1 / x), x),
        (2 * (x + y) - x - y, x + y),
        ((x + y) * (x + y) / (x + y), x + y),
        (ex.call("exp", x + y) / ex.call("exp", y + x), ex.ONE),
        (ex.select(ex.compare("<", x, y), z, z), z),
    ]
    for one, two in pairs:
        assert one is two, (one, two)
    assert x * y + z is not x * (y + z)


def test_a_difference_turned_around_twice_is_one_object():
    x, y = ex.symbol("x"), ex.symbol("y")
    assert -(x - y) is y - x


def test_numbers_that_differ_in_the_last_bit_stay_apart():
    x, more = ex.symbol("x"), 1 + 2.0**-52
    assert x * more is not x
    assert x + more is not x + 1
    assert ex.number(0.1) is not ex.number(np.nextafter(0.1, 1))


def test_keys_and_texts_are_those_of_another_process_that_built_other_things_before():
    """Sources are cached by their text, and ranks must have the same."""
    code = (
        "import sys\nfrom nrn_mlfit.simulator.lanes.expressions import *\n"
        "from nrn_mlfit.simulator.lanes.describe import text\n"
        "x, y, z = (symbol(n) for n in sys.argv[1])\n"
        "junk = [symbol(n) * 3 + call('exp', symbol(n)) for n in sys.argv[2]]\n"
        "x, y, z = map(symbol, 'xyz')\n"
        "e = select(compare('<', x, 2), (x*3 + y/7 - z)/(x + z), call('exp', y*z + x)*raised(y, 0.3)) + x*y*z\n"
        "print(e.key, text(e))"
    )
    told = set()
    for seed, order, junk in (("0", "xyz", ""), ("1", "zyx", "zwyqx"), ("2", "yzx", "xyz")):
        env = {**os.environ, "PYTHONHASHSEED": seed}
        words = [sys.executable, "-c", code, order, junk]
        told.add(subprocess.run(words, capture_output=True, text=True, env=env, check=True, timeout=60).stdout)
    assert len(told) == 1 and len(told.pop()) > 50


# ---- linear_in ----

free = trees(("y", "z"), 4) | sums(("y", "z"))
linear = st.recursive(
    st.just(S("x")) | free,
    lambda t: st.one_of(
        st.tuples(st.sampled_from("+-"), t, t),
        st.tuples(st.just("*"), free, t),
        st.tuples(st.just("/"), t, free),
        st.tuples(st.just("neg"), t),
    ),
    max_leaves=8,
)


@settings(max_examples=250, deadline=None)
@given(linear | anything, places, st.floats(-5, 5))
def test_where_linear_in_splits_the_parts_make_the_whole(tree, at, elsewhere):
    values = [evaluated(tree, {**at, "x": x}) for x in (at["x"], elsewhere)]
    pair = ex.linear_in(built(tree), "x")
    if pair is not None:
        p, q = pair
        assert "x" not in ex.symbols(p, q)
        numbers = [value_of(part, at) for part in pair]
        for x, truth in zip((at["x"], elsewhere), values, strict=True):
            size = truth[1] + abs(numbers[0]) + abs(numbers[1] * x)
            assert abs(numbers[0] + numbers[1] * x - truth[0]) <= 1e-10 * size


@settings(max_examples=200, deadline=None)
@given(linear, places)
def test_what_is_linear_as_it_is_written_is_found_to_be(tree, at):
    evaluated(tree, at)
    assert ex.linear_in(built(tree), "x") is not None


@pytest.mark.parametrize(
    "write",
    [
        lambda x, y: x * x,
        lambda x, y: (y + x) * (1 + x),
        lambda x, y: y / x,
        lambda x, y: y / (x + y),
        lambda x, y: ex.call("exp", x),
        lambda x, y: y + ex.call("fabs", x - y),
        lambda x, y: ex.raised(y, x),
        lambda x, y: ex.select(ex.compare("<", x, y), 1.0, 2.0),
        lambda x, y: y * ex.select(ex.compare("<", y, 0), x, x * x),
        lambda x, y: x + ex.raised(x + y, 3) / 7,
    ],
)
def test_what_is_not_linear_is_not_split(write):
    assert ex.linear_in(write(ex.symbol("x"), ex.symbol("y")), "x") is None


# ---- select ----


@pytest.mark.parametrize(
    "write",
    [
        lambda x: ex.select(ex.compare("!=", x, 0.0), 1.0 + 2 / x, 7.0),
        lambda x: ex.select(ex.compare("!=", x, 0.0), ex.call("exp", 2 / x), 7.0),
        lambda x: ex.select(ex.compare(">", x, 0.0), ex.call("log", x), 7.0),
        lambda x: ex.select(ex.compare(">", x, 0.0), ex.call("pow", x, -0.5), 7.0),
        lambda x: ex.select(ex.compare("!=", x, 0.0), 1.0, ex.call("exp", x + 800)) + 6,
    ],
)
def test_a_number_put_in_goes_the_way_that_its_condition_says(write):
    """A parameter that is the same in all sets becomes a number: IF (x != 0) { y = 1 + 2/x } ELSE { y = 7 } with x = 0."""
    x = ex.symbol("x")
    assert put(write(x), {"x": 0.0 if value_of(write(x), {"x": 0.0}) == 7 else 1.0}).value == 7


@given(st.sampled_from([-2.0, 0.0, 3.0]), st.floats(-5, 5).filter(lambda y: abs(y) > 0.1))
def test_a_division_that_its_condition_guards_divides_by_nothing_else(x, y):
    """Nowhere in the graph is there a divisor that vanishes, on whichever side of the select it was."""
    a, b = ex.symbol("x"), ex.symbol("y")
    there, not_there = ex.compare("!=", a, 0.0), ex.compare("==", a, 0.0)
    at, truth = {"x": x, "y": y}, (y / x if x else 7.0)
    for e in (
        ex.select(there, b / a, 7.0),
        ex.select(not_there, 7.0, b / a),
        ex.select(there, b / (a * b) * b, 7.0),
        3 * ex.select(there, 2 * b / a, 14.0) / 6,
        ex.select(there, ex.select(ex.compare(">", b, 0), b / a, b / a * 1.0), 7.0),
    ):
        assert value_of(e, at) == pytest.approx(truth, rel=1e-14)
        assert put(e, at).value == pytest.approx(truth, rel=1e-14)
        divisors = [base for part in ex.parts_of(e) if part.kind == "product" for base, n in part.parts if n < 0]
        assert divisors and all(value_of(base, at) != 0 for base in divisors)


@given(st.floats(-3, 3), st.floats(-3, 3))
def test_a_select_takes_one_side_of_each_variable(x, y):
    a, b = ex.symbol("x"), ex.symbol("y")
    for operator, method in OPERATORS.items():
        truth = 2 * x if getattr(x, f"__{method}__")(y) else y - 1
        assert value_of(ex.select(ex.compare(operator, a, b), 2 * a, b - 1), {"x": x, "y": y}) == truth


# ---- hoist ----


@settings(max_examples=200, deadline=None)
@given(st.lists(anything, min_size=1, max_size=3), st.sets(st.sampled_from(NAMES), max_size=3), places)
def test_hoisted_values_are_the_same_and_what_is_made_does_not_change(held, changing, at):
    truths = [evaluated(tree, at) for tree in held]
    values = {f"value{k}": built(tree) for k, tree in enumerate(held)}
    lifted, made = hoist(values, changing, "made")
    assert not ex.symbols(*made.values()) & (changing | set(made))
    there = {**at, **{name: value_of(e, at) for name, e in made.items()}}
    back = {ex.symbol(name): e for name, e in made.items()}
    for e, truth in zip(lifted.values(), truths, strict=True):
        assert near(value_of(e, there), truth)
        assert near(value_of(ex.rebuilt(e, dict(back)), at), truth)


LEFT = ("+", S("y"), ("exp", S("x")))
LEFT_IN_CONDITION = ("select", ("<", S("x"), ("^", S("x"), -3)), S("y"), S("x"))


@settings(max_examples=200, deadline=None, phases=[Phase.explicit, Phase.generate])
@given(anything, st.sets(st.sampled_from(NAMES), max_size=3), places)
@example(LEFT, {"y"}, dict.fromkeys(NAMES, 0.5))
@example(LEFT_IN_CONDITION, {"y"}, dict.fromkeys(NAMES, 0.5))
def test_nothing_that_costs_is_left_in_a_step_that_is_the_same_in_all(tree, changing, at):
    evaluated(tree, at)
    (e,) = hoist({"value": built(tree)}, changing, "made")[0].values()
    costly = [
        p for p in ex.parts_of(e) if p.kind in ("function", "select") or (p.kind == "product" and p.parts[0][1] != 1)
    ]
    assert not [part for part in costly if not ex.symbols(part) & changing]


def test_what_is_shared_is_made_once():
    v, a, b = map(ex.symbol, "vab")
    rate = ex.call("exp", a / b)
    lifted, made = hoist({"one": v * rate, "two": v - rate + 1, "three": v * v * rate}, {"v"}, "p")
    assert rate in made.values() and len(made) == 2
    assert ex.symbols(*lifted.values()) == {"v", *made}
