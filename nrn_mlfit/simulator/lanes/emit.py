"""From expressions to C++ statements, one temporary a part, shared parts once.

Two kinds of number occur (vector.h): `wide`, always double, and `rate`, which is float in mixed precision. A part of a
step that hangs on nothing that the step itself changes (a gate's rate, its steady state) is a rate if it is costly, that
is, if a function or a division is in it; all that is stored, added up or solved for is wide.
"""

import itertools
import math
from collections import Counter
from collections.abc import Callable

from nrn_mlfit.simulator.lanes.expressions import Expression, parts_of, scaled, symbol, symbols

LOGIC = {"and": "&", "or": "|"}


class Block:
    """Statements that compute some expressions.

    `resolve` gives a symbol's C++ (wide), `shift` that of a * (v + b) as a rate, without the rounding of v. `precise` are the
    symbols that make a part wide; None: all of it is. `columns` numbers the columns of tables.
    """

    def __init__(
        self,
        resolve: Callable[[str], str],
        precise: set[str] | None = None,
        shift: Callable[[float, float], str] | None = None,
        columns: dict[str, int] | None = None,
    ):
        self.lines: list[str] = []
        self._resolve, self._precise, self._shift, self._columns = resolve, precise, shift, columns or {}
        self._known: dict[tuple, str] = {}  # (expression, narrow), or (what of it, expression, ...)
        self._numbers = itertools.count()
        self._divided: Counter[Expression] = Counter()

    def values(self, *expressions: Expression) -> list[str]:
        """C++ words, of type wide or double, for the expressions."""
        parts = parts_of(*expressions)
        self._divided.update(base for e in parts if e.kind == "product" for base, n in e.parts if n < 0)
        return [self._value(e, False) for e in expressions]

    def _value(self, e, narrow) -> str:
        if e.kind == "number":
            return literal(float(e.value))
        key = (e, narrow)
        if key not in self._known:
            self._known[key] = self._converted(e) if not narrow and self._is_rate(e) else self._made(e, narrow)
        return self._known[key]

    def _is_rate(self, e) -> bool:
        if self._precise is None or symbols(e) & self._precise:
            return False
        return any(p.kind == "function" and ":" not in str(p.value) or _divides(p) for p in parts_of(e)) and all(
            ":" not in str(p.value) for p in parts_of(e) if p.kind == "function"
        )

    def _converted(self, e) -> str:
        if e.kind in ("comparison", "logic"):
            return self._made(e, False)
        return self._temporary(f"widen({self._value(e, True)})", False)

    def _temporary(self, code, narrow, kind=None) -> str:
        name = f"x{next(self._numbers)}"
        self.lines.append(f"const {kind or ('rate' if narrow else 'wide')} {name} = {code};")
        return name

    def _made(self, e, narrow) -> str:
        return getattr(self, f"_{e.kind}")(e, narrow)

    def _symbol(self, e, narrow) -> str:
        if not narrow:
            return self._resolve(str(e.value))
        if e.value == "v" and self._shift:
            return self._temporary(self._shift(1.0, 0.0), True)
        return self._temporary(f"narrow(splat<wide>({self._resolve(str(e.value))}))", True)

    def _sum(self, e, narrow) -> str:
        if _is_expm1(e):
            return self._exponential(e.parts[0][1].parts[0], narrow, "em")
        if narrow and any(t.kind == "symbol" and t.value == "v" for _, t in e.parts):
            return self._voltage_sum(e)
        if narrow and (inner := _shifted_voltage(e)) and self._shift:
            return self._temporary(self._shift(*inner), True)
        terms = [self._term(c, t, narrow) for c, t in e.parts]
        if e.value:
            terms.append(f"{'+' if e.value > 0 else '-'} {literal(abs(float(e.value)))}")
        return self._temporary(" ".join(terms).removeprefix("+ "), narrow)

    def _voltage_sum(self, e) -> str:
        """v + ... as a rate: formed in double, since a rate may hang on the distance to a singular voltage."""
        return self._temporary(f"narrow({self._made(e, False)})", True)

    def _term(self, coefficient, term, narrow) -> str:
        """A summand with its sign in front."""
        inner, sign = self._value(term, narrow), "+" if coefficient > 0 else "-"
        return f"{sign} {inner}" if abs(coefficient) == 1.0 else f"{sign} {literal(abs(coefficient))} * {inner}"

    def _product(self, e, narrow) -> str:
        above = [self._power(self._value(b, narrow), n) for b, n in e.parts if n > 0]
        below = [(b, n) for b, n in e.parts if n < 0]
        single = [self._power(self._value(b, narrow), -n) for b, n in below if self._divided[b] == 1]
        shared = [self._power(self._reciprocal(b, narrow), -n) for b, n in below if self._divided[b] > 1]
        code = " * ".join(above + shared)
        if single:
            divisor = " * ".join(single)
            code = f"({code}) / ({divisor})" if code else f"reciprocal({divisor})"
        return self._temporary(code, narrow)

    def _reciprocal(self, base, narrow) -> str:
        key = (("reciprocal", base), narrow)
        if key not in self._known:
            self._known[key] = self._temporary(f"reciprocal({self._value(base, narrow)})", narrow)
        return self._known[key]

    def _power(self, word, exponent) -> str:
        return " * ".join([word] * exponent) if exponent < 4 else self._squared(word, exponent)

    def _squared(self, word, exponent) -> str:
        half = f"({self._power(word, exponent // 2)})"
        return f"{half} * {half}" + (f" * {word}" if exponent % 2 else "")

    def _function(self, e, narrow) -> str:
        name = str(e.value)
        if ":" in name:
            place = self._place(name.split(":")[0], e.parts[0])
            return self._temporary(f"{identifier(name.split(':')[0])}.value({self._columns[name]}, {place})", False)
        if name == "exp":
            return self._exponential(e.parts[0], narrow, "e")
        return self._temporary(f"{name}({', '.join(self._value(p, narrow) for p in e.parts)})", narrow)

    def _exponential(self, argument, narrow, wanted) -> str:
        """exp, expm1, or both from one polynomial."""
        key = (("exponential", argument), narrow)
        if key not in self._known:
            at, kind = self._value(argument, narrow), "rate" if narrow else "wide"
            name = self._known[key] = f"x{next(self._numbers)}"
            self.lines.append(f"{kind} {name}, {name}m;")
            self.lines.append(f"exp_and_expm1({at}, {name}, {name}m);")
        return self._known[key] + ("m" if wanted == "em" else "")

    def _place(self, table, at) -> str:
        key = (("place", table, at), False)
        if key not in self._known:
            place = f"{identifier(table)}.at(splat<wide>({self._value(at, False)}))"
            self._known[key] = self._temporary(place, False, "auto")
        return self._known[key]

    def _select(self, e, narrow) -> str:
        condition, yes, no = e.parts
        words = [self._value(part, narrow) for part in (yes, no)]
        return self._temporary(f"select({self._condition(condition, narrow)}, {', '.join(words)})", narrow)

    def _condition(self, e, narrow) -> str:
        key = (e, narrow)
        if key not in self._known:
            if e.kind == "comparison":
                words = [f"splat<{'rate' if narrow else 'wide'}>({self._value(p, narrow)})" for p in e.parts]
                code = f"{words[0]} {e.value} {words[1]}"
            elif e.value == "not":
                code = f"!{self._condition(e.parts[0], narrow)}"
            else:
                code = f" {LOGIC[str(e.value)]} ".join(self._condition(p, narrow) for p in e.parts)
            self._known[key] = self._temporary(code, narrow, "auto")
        return self._known[key]

    def _comparison(self, e, narrow) -> str:
        """A condition where a number is asked for: 1 or 0."""
        kind = "rate" if narrow else "wide"
        return self._temporary(f"select({self._condition(e, narrow)}, splat<{kind}>(1.0), splat<{kind}>(0.0))", narrow)

    _logic = _comparison


def literal(value: float) -> str:
    """A double in C++, to the last bit."""
    if math.isnan(value):
        return "NAN"
    if math.isinf(value):
        return "HUGE_VAL" if value > 0 else "(-HUGE_VAL)"
    return repr(value) if value >= 0 else f"({value!r})"


def identifier(name: str) -> str:
    """The name of an array, a table or a function in C++; the $ keeps apart what the dot does."""
    return name.replace(".", "$")


def _is_expm1(e) -> bool:
    if e.kind != "sum" or e.value != -1.0 or len(e.parts) != 1 or e.parts[0][0] != 1.0:
        return False
    return e.parts[0][1].kind == "function" and e.parts[0][1].value == "exp"


def _shifted_voltage(e) -> tuple[float, float] | None:
    """(a, b) where e is a * (v + b)."""
    scale, base = scaled(e)
    if base.kind == "sum" and len(base.parts) == 1 and base.parts[0] == (1.0, symbol("v")):
        return scale, float(base.value)
    return (scale, 0.0) if base is symbol("v") else None


def _divides(e) -> bool:
    return e.kind == "product" and any(n < 0 for _, n in e.parts)
