"""Implicit Euler for linear equations: what NEURON's derivimplicit gives where the right-hand sides are linear."""

from nrn_mlfit.simulator.lanes.expressions import ONE, ZERO, Expression, linear_in, symbol

Row = list[Expression]


def solve(before: dict[str, Expression], slopes: dict[str, Expression]) -> dict[str, Expression] | None:
    """The states after dt, with x' = slopes taken at the end of the step; None where a slope is not linear.

    `before` are the states at its start; in `slopes` they are the symbols NAME'. (1 - dt J) x = before + dt p is solved by
    elimination without pivoting: its diagonal dominates for what decays.
    """
    names, dt = list(before), symbol("dt")
    matrix, right = list[Row](), Row()
    for name in names:
        split = _split(slopes[name], [f"{other}'" for other in names])
        if split is None:
            return None
        rest, factors = split
        matrix.append([(ONE if other == name else ZERO) - dt * f for other, f in zip(names, factors, strict=True)])
        right.append(before[name] + dt * rest)
    return dict(zip(names, _eliminated(matrix, right), strict=True))


def _split(slope: Expression, moving: list[str]) -> tuple[Expression, Row] | None:
    """(p, factors) with slope = p + factors * moving."""
    factors = Row()
    for name in moving:
        pair = linear_in(slope, name)
        if pair is None:
            return None
        slope, factor = pair
        factors.append(factor)
    return slope, factors


def _eliminated(matrix: list[Row], right: Row) -> Row:
    count = len(right)
    for k in range(count):
        for row in range(k + 1, count):
            if (part := matrix[row][k] / matrix[k][k]) is not ZERO:
                matrix[row] = [a - part * b for a, b in zip(matrix[row], matrix[k], strict=True)]
                right[row] = right[row] - part * right[k]
    solved: dict[int, Expression] = {}
    for k in reversed(range(count)):
        known = [matrix[k][j] * solved[j] for j in range(k + 1, count)]
        solved[k] = (right[k] - sum(known, ZERO)) / matrix[k][k]
    return [solved[k] for k in range(count)]
