"""What does not change from step to step is taken out of the step and made once, at the start."""

from nrn_mlfit.simulator.lanes.expressions import Expression, add, multiply, power, rebuilt, scaled, symbol, symbols


def hoist(
    values: dict[str, Expression], changing: set[str], prefix: str
) -> tuple[dict[str, Expression], dict[str, Expression]]:
    """(values, made): the same values with their constant parts as symbols, and what those symbols stand for.

    `changing` are the symbols that a step changes; the new symbols are called prefix0, prefix1, ...
    """
    hoister = _Hoister(changing, prefix)
    return {name: hoister.of(e) for name, e in values.items()}, {str(s.value): e for e, s in hoister.made.items()}


class _Hoister:
    def __init__(self, changing, prefix):
        self._changing, self._prefix = changing, prefix
        self.made: dict[Expression, Expression] = {}
        self._known: dict[Expression, Expression] = {}

    def of(self, e: Expression) -> Expression:
        if e not in self._known:
            self._known[e] = self._without_constant_parts(e)
        return self._known[e]

    def _is_constant(self, e) -> bool:
        return not symbols(e) & self._changing

    def _named(self, e) -> Expression:
        """A symbol for a constant expression; plain numbers and symbols stay as they are."""
        if scaled(e)[1].kind in ("number", "symbol") and scaled(e)[0] == 1.0 or e.kind == "number":
            return e
        return self.made.setdefault(e, symbol(f"{self._prefix}{len(self.made)}"))

    def _without_constant_parts(self, e) -> Expression:
        if self._is_constant(e):
            return rebuilt_from(e, self.of) if e.kind in ("comparison", "logic") else self._named(e)
        coefficient, base = scaled(e)
        if base.kind == "product":
            return self._product(coefficient, base)
        if e.kind == "sum" and e is not base or base.kind == "sum":
            return self._sum(e)
        return rebuilt_from(e, self.of)

    def _product(self, coefficient, base) -> Expression:
        constant = [power(b, n) for b, n in base.parts if self._is_constant(b)]
        moving = [power(self.of(b), n) for b, n in base.parts if not self._is_constant(b)]
        if not constant:
            return multiply(coefficient, *moving)
        return multiply(self._named(multiply(coefficient, *constant)), *moving)

    def _sum(self, e) -> Expression:
        terms = [multiply(c, t) for c, t in e.parts]
        constant = [t for t in terms if self._is_constant(t)]
        moving = [
            self.of(multiply(c, t)) if t.kind == "product" else multiply(c, self.of(t))
            for c, t in e.parts
            if not self._is_constant(t)
        ]
        if len(constant) > 1 or (constant and e.value):
            return add(self._named(add(e.value, *constant)), *moving)
        return add(e.value, *map(self._named, constant), *moving)


def rebuilt_from(e: Expression, change) -> Expression:
    """e with each of its own parts changed."""
    return rebuilt(e, {child: change(child) for child in e.children})
