"""What an ensemble says of traces, in physical units."""

from dataclasses import dataclass, replace
from typing import Any

import numpy as np

ARRAYS = ("values", "spread", "score", "unit_par")  # a row a trace


@dataclass(frozen=True, eq=False)
class Answer:
    """`values` (N, K) and `spread` (N, K) over the members in the parameters' `units`; `bounds` a level -> the ends
    (2, N, K) of the interval that holds the truth with that probability; `score` (N,), above `threshold` for a trace that is
    not of the training kind; `unit_par` (N, K), the members' mean, which may leave [-1, 1].

    Of a lone trace all of them come without N.
    """

    names: list[str]
    units: list[str]
    values: np.ndarray
    spread: np.ndarray
    bounds: dict[float, np.ndarray]
    score: np.ndarray
    threshold: float
    unit_par: np.ndarray

    @property
    def warn(self):
        """(N,) bool: the trace is not like any that were learned from."""
        return self.score > self.threshold

    def of(self, row: int) -> "Answer":
        """The answer to one of the traces."""
        bounds = {level: ends[:, row] for level, ends in self.bounds.items()}
        arrays: dict[str, Any] = {name: getattr(self, name)[row] for name in ARRAYS}
        return replace(self, bounds=bounds, **arrays)

    def __str__(self) -> str:
        if self.values.ndim > 1:
            return f"{len(self.values)} answers of {', '.join(self.names)}; {int(self.warn.sum())} with a warning"
        low, high = self.bounds[0.9]
        rows = zip(self.names, self.values, low, high, self.units, strict=True)
        lines = [f"{name:<16}{value:>12.5g}  90% in {a:.5g} .. {b:.5g} {unit}" for name, value, a, b, unit in rows]
        return "\n".join([*lines, f"score {self.score:.2f}, alarm from {self.threshold:.2f}"])


def join_answers(parts: list[Answer]) -> Answer:
    """The answers to several blocks of traces as one."""
    arrays: dict[str, Any] = {name: np.concatenate([getattr(part, name) for part in parts]) for name in ARRAYS}
    bounds = {level: np.concatenate([part.bounds[level] for part in parts], axis=1) for level in parts[0].bounds}
    return replace(parts[0], bounds=bounds, **arrays)
