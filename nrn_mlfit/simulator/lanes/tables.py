"""TABLEs: filled as NEURON fills them, once, since what they depend on must be the same for all sets."""

from dataclasses import dataclass, field

from nrn_mlfit.simulator.lanes.expressions import Expression, is_number, number, rebuilt, symbol, symbols
from nrn_mlfit.simulator.lanes.outside import Outside
from nrn_mlfit.simulator.lanes.walk import Table


@dataclass(frozen=True)
class Filled:
    """A table's columns, each (count + 1,), at points `step` apart from `low` on."""

    name: str
    low: float
    step: float
    count: int
    columns: dict[str, list[float]] = field(repr=False)


def fill(table: Table, known: dict[Expression, Expression]) -> Filled:
    """The values of a table; `known` maps symbols to numbers. Raises Outside where something else is in there."""
    low, high = (_number(e, known, table.name) for e in (table.low, table.high))
    step = (high - low) / table.count
    points = [low]
    for _ in range(table.count):
        points.append(points[-1] + step)  # NEURON adds up its points, too
    free = {name: rebuilt(e, dict(known)) for name, e in table.columns.items()}
    columns = {name: [_at(e, table, point) for point in points] for name, e in free.items()}
    return Filled(table.name, low, step, table.count, columns)


def _at(e, table, point) -> float:
    return _number(e, {symbol(table.argument): number(point)}, table.name)


def _number(e, known, name) -> float:
    value = rebuilt(e, dict(known))
    if not is_number(value):
        raise Outside(
            f"TABLE {name} depends on {', '.join(sorted(symbols(value)))}, which the parameters or time change"
        )
    return float(value.value)
