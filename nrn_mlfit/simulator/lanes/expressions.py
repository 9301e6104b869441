"""Expressions of a MOD file as a graph in normal form: what is equal is one object, and constants are folded.

A sum is `constant + sum of coefficient * term` with the first coefficient 1, a product is a set of factors with whole
exponents; a division is an exponent of -1. So `x/(a + b)` and `1/(c*(a + b))` share one reciprocal, and `inf/tau*tau`
is `inf`. The order of terms hangs on their content alone: one cell gives one source, whatever was built before it.
"""

import hashlib
import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import reduce

import numpy as np

_known: dict[str, "Expression"] = {}

COMPARISONS: dict[str, Callable] = {
    "<": lambda a, b: a < b,
    "<=": lambda a, b: a <= b,
    ">": lambda a, b: a > b,
    ">=": lambda a, b: a >= b,
    "==": lambda a, b: a == b,
    "!=": lambda a, b: a != b,
}
LOGIC = ("and", "or", "not")
FUNCTIONS: dict[str, Callable] = {
    **{name: getattr(math, name) for name in ("exp", "log", "log10", "sqrt", "pow", "fabs", "floor", "ceil", "fmod")},
    **{name: getattr(math, name) for name in ("sin", "cos", "tan", "asin", "acos", "atan", "sinh", "cosh", "tanh")},
    "fmin": min,
    "fmax": max,
}


@dataclass(frozen=True, eq=False, repr=False)
class Expression:
    """A node of the graph; equal expressions are the same object.

    kind and content: number (value), symbol (name), sum (constant; terms as (coefficient, expression)), product
    (factors as (expression, exponent)), function, select (condition, yes, no), comparison, logic (name; arguments).
    """

    kind: str
    value: float | str
    parts: tuple
    key: str

    def __add__(self, other):
        return add(self, other)

    def __radd__(self, other):
        return add(other, self)

    def __sub__(self, other):
        return add(self, multiply(-1.0, other))

    def __rsub__(self, other):
        return add(other, multiply(-1.0, self))

    def __mul__(self, other):
        return multiply(self, other)

    def __rmul__(self, other):
        return multiply(other, self)

    def __truediv__(self, other):
        return multiply(self, power(other, -1))

    def __rtruediv__(self, other):
        return multiply(other, power(self, -1))

    def __neg__(self):
        return multiply(-1.0, self)

    @property
    def children(self) -> tuple["Expression", ...]:
        """The expressions that this one is made of."""
        if self.kind == "sum":
            return tuple(term for _, term in self.parts)
        if self.kind == "product":
            return tuple(base for base, _ in self.parts)
        return self.parts


def _make(kind, value, parts=()) -> Expression:
    told = value.hex() if isinstance(value, float) else value
    words = [
        part.key
        if isinstance(part, Expression)
        else "/".join(p.key if isinstance(p, Expression) else repr(p) for p in part)
        for part in parts
    ]
    key = hashlib.blake2b(f"{kind} {told} {' '.join(words)}".encode(), digest_size=12).hexdigest()
    return _known.setdefault(key, Expression(kind, value, parts, key))


def number(value: float) -> Expression:
    return _make("number", float(value))


def symbol(name: str) -> Expression:
    return _make("symbol", name)


def of(thing) -> Expression:
    """An expression as it is, or a number as one."""
    return thing if isinstance(thing, Expression) else number(thing)


ZERO, ONE = number(0.0), number(1.0)


def is_number(e: Expression, value: float | None = None) -> bool:
    return e.kind == "number" and (value is None or e.value == value)


def scaled(e: Expression) -> tuple[float, Expression]:
    """(c, base) with e = c * base, where base is no number but 1 and has no factor in front."""
    if e.kind == "number":
        return float(e.value), ONE
    if e.kind == "sum" and e.value == 0.0 and len(e.parts) == 1:
        return e.parts[0]
    return 1.0, e


def _scale(coefficient: float, base: Expression) -> Expression:
    if coefficient == 0.0 or base is ONE:
        return number(coefficient)
    return base if coefficient == 1.0 else _make("sum", 0.0, ((coefficient, base),))


def add(*summands) -> Expression:
    """The sum in normal form; sums among the summands are taken apart."""
    constant, terms = 0.0, dict[Expression, float]()
    for coefficient, base in (scaled(of(s)) for s in summands):
        if base is ONE:
            constant += coefficient
        elif base.kind == "sum":
            constant += coefficient * float(base.value)
            for inner, term in base.parts:
                terms[term] = terms.get(term, 0.0) + coefficient * inner
        else:
            terms[base] = terms.get(base, 0.0) + coefficient
    kept = sorted(((c, t) for t, c in terms.items() if c != 0.0), key=lambda pair: pair[1].key)
    if not kept:
        return number(constant)
    if constant == 0.0:
        if len(kept) == 1:
            return _scale(*kept[0])
        if common := _common_factors(kept):
            rest = add(*(multiply(c, divide_by(t, common)) for c, t in kept))
            return multiply(_product(common), rest)
    first = kept[0][0]
    whole = constant / first + 0.0  # + 0.0: no -0.0, which would be another number to look up
    return _scale(first, _make("sum", whole, tuple((c / first, t) for c, t in kept)))


def _common_factors(terms) -> dict[Expression, int]:
    """The factors that all terms have, with the exponent nearest to 0."""

    def both(one, other):
        shared = {b: (one[b], other[b]) for b in one if b in other and one[b] * other[b] > 0}
        return {b: min(pair, key=abs) for b, pair in shared.items()}

    return reduce(both, (dict(_factors(term)) for _, term in terms))


def _factors(base: Expression) -> tuple:
    return () if base is ONE else base.parts if base.kind == "product" else ((base, 1),)


def divide_by(base: Expression, factors: Mapping[Expression, int]) -> Expression:
    held = dict(_factors(base))
    for factor, exponent in factors.items():
        held[factor] = held.get(factor, 0) - exponent
    return _product(held)


def _product(factors: Mapping[Expression, int]) -> Expression:
    kept = sorted(((b, n) for b, n in factors.items() if n), key=lambda pair: pair[0].key)
    if not kept:
        return ONE
    return kept[0][0] if len(kept) == 1 and kept[0][1] == 1 else _make("product", "", tuple(kept))


def multiply(*factors) -> Expression:
    """The product in normal form; equal factors become exponents, and what stands above and below goes."""
    coefficient, held = 1.0, dict[Expression, int]()
    for c, base in (scaled(of(f)) for f in factors):
        coefficient *= c
        for factor, exponent in _factors(base):
            held[factor] = held.get(factor, 0) + exponent
    return _scale(coefficient, _product(held))


def power(e, exponent: int) -> Expression:
    """e to a whole power."""
    c, base = scaled(of(e))
    factor = math.inf if c == 0.0 and exponent < 0 else c**exponent
    return _scale(factor, _product({factor: n * exponent for factor, n in _factors(base)}))


def raised(base, exponent) -> Expression:
    """base^exponent of a MOD file: a product where the exponent is a small whole number."""
    base, exponent = of(base), of(exponent)
    if is_number(exponent) and float(exponent.value).is_integer() and abs(exponent.value) <= 16:
        return power(base, int(exponent.value))
    return call("pow", base, exponent)


def call(name: str, *arguments) -> Expression:
    """A function of FUNCTIONS, of numbers at once; or the column of a table, `TABLE:COLUMN`, at a point."""
    given = tuple(of(a) for a in arguments)
    if name in FUNCTIONS and all(is_number(a) for a in given):
        return number(_of_numbers(name, *(a.value for a in given)))
    return _make("function", name, given)


def _of_numbers(name, *values) -> float:
    """What C gives where Python raises: log(0) is -inf. It may stand where no lane ever goes."""
    try:
        return FUNCTIONS[name](*values)
    except (ValueError, ArithmeticError):
        with np.errstate(all="ignore"):
            return float(getattr(np, {"pow": "power"}.get(name, name))(*values))


def compare(operator: str, left, right) -> Expression:
    """A condition; 1 or 0 where both sides are numbers."""
    left, right = of(left), of(right)
    if is_number(left) and is_number(right):
        return number(COMPARISONS[operator](left.value, right.value))
    return _make("comparison", operator, (left, right))


def logic(operator: str, *arguments) -> Expression:
    """and, or (of two) and not (of one) over conditions."""
    given = tuple(truth(of(a)) for a in arguments)
    if operator == "not":
        return number(given[0].value == 0) if is_number(given[0]) else _make("logic", "not", given)
    neutral = 1.0 if operator == "and" else 0.0
    left = [a for a in given if not is_number(a, neutral)]
    if any(is_number(a) for a in left):
        return number(1.0 - neutral)
    return _make("logic", operator, tuple(left)) if len(left) == 2 else left[0] if left else number(neutral)


def truth(e: Expression) -> Expression:
    """A number as a condition: whether it is not 0."""
    if e.kind in ("comparison", "logic"):
        return e
    return number(e.value != 0.0) if e.kind == "number" else compare("!=", e, 0.0)


def select(condition: Expression, yes, no) -> Expression:
    """yes where the condition holds, else no.

    A division on one side is made a division of the select, by 1 on the other side: so no lane divides by what its
    condition was there to avoid.
    """
    condition, yes, no = truth(condition), of(yes), of(no)
    if is_number(condition):
        return yes if condition.value else no
    if yes is no:
        return yes
    below = [_below(side) for side in (yes, no)]
    if below[0] is below[1] is ONE:
        return _make("select", "", (condition, yes, no))
    over = select(condition, multiply(yes, below[0]), multiply(no, below[1]))
    return multiply(over, power(select(condition, *below), -1))


def _below(e: Expression) -> Expression:
    """What a product is divided by."""
    return _product({base: -n for base, n in _factors(scaled(e)[1]) if n < 0})


def rebuilt(e: Expression, known: dict[Expression, Expression]) -> Expression:
    """e with what `known` maps put in, in normal form again; `known` gains every part of e."""
    if e not in known:
        if e.kind == "select" and is_number(condition := rebuilt(e.parts[0], known)):  # the other way may divide by 0
            known[e] = rebuilt(e.parts[1 if condition.value else 2], known)
        else:
            known[e] = _with_children(e, [rebuilt(child, known) for child in e.children])
    return known[e]


def _with_children(e, new) -> Expression:
    if e.kind == "sum":
        return add(e.value, *(multiply(c, child) for (c, _), child in zip(e.parts, new, strict=True)))
    if e.kind == "product":
        return multiply(*(power(child, n) for (_, n), child in zip(e.parts, new, strict=True)))
    builders: dict[str, Callable] = {"function": call, "comparison": compare, "logic": logic}
    if e.kind in builders:
        return builders[e.kind](e.value, *new)
    return select(*new) if e.kind == "select" else e


def symbols(*expressions: Expression) -> set[str]:
    """The names of all symbols in there."""
    return {str(e.value) for e in parts_of(*expressions) if e.kind == "symbol"}


def parts_of(*expressions: Expression) -> list[Expression]:
    """All parts, each once, after its own parts."""
    found: dict[Expression, None] = {}

    def visit(e):
        if e not in found:
            for child in e.children:
                visit(child)
            found[e] = None

    for e in expressions:
        visit(e)
    return list(found)


def linear_in(e: Expression, name: str) -> tuple[Expression, Expression] | None:
    """(p, q) with e = p + q * name and neither holding it; None where e is not linear in it."""
    if name not in symbols(e):
        return e, ZERO
    if e.kind == "symbol":
        return ZERO, ONE
    if e.kind == "sum":
        split = [linear_in(term, name) for _, term in e.parts]
        if any(pair is None for pair in split):
            return None
        terms = [
            (multiply(c, pair[0]), multiply(c, pair[1])) for (c, _), pair in zip(e.parts, split, strict=True) if pair
        ]
        return add(e.value, *(p for p, _ in terms)), add(*(q for _, q in terms))
    if e.kind == "product":
        holding = [(base, n) for base, n in e.parts if name in symbols(base)]
        if len(holding) == 1 and holding[0][1] == 1 and (pair := linear_in(holding[0][0], name)):
            rest = divide_by(e, {holding[0][0]: 1})
            return multiply(rest, pair[0]), multiply(rest, pair[1])
    return None
