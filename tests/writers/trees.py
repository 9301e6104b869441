"""Random pyramidal cells as SWC files: a soma, tapering basal and apical trees, an axon. Same seed, same bytes."""

from dataclasses import dataclass, field

import numpy as np

SOMA, AXON, BASAL, APICAL = 1, 2, 3, 4


@dataclass
class Tree:
    """An SWC file in the making: rows of number, type, x, y, z, radius, parent in um."""

    seed: int
    step: float = 12.0  # um between points
    rows: list = field(default_factory=list)

    def __post_init__(self):
        self._random = np.random.default_rng(self.seed)

    def point(self, kind, where, radius, parent) -> int:
        x, y, z = (round(float(v), 3) for v in where)
        self.rows.append((len(self.rows) + 1, kind, x, y, z, round(float(radius), 4), parent))
        return len(self.rows)

    def where(self, number):
        return np.array(self.rows[number - 1][2:5])

    def grow(self, kind, parent, direction, radius, length, forks):
        """A branch that winds and tapers, and two at its end, `forks` times."""
        towards = np.array(direction, float) / np.linalg.norm(direction)
        place, last = self.where(parent), parent
        count = max(2, round(length * self._random.uniform(0.7, 1.3) / self.step))
        for k in range(count):
            towards = towards + 0.15 * self._random.normal(size=3)
            towards /= np.linalg.norm(towards)
            place = place + self.step * towards
            last = self.point(kind, place, radius * (1 - 0.3 * (k + 1) / count), last)
        for side in (-1, 1) if forks else ():
            turned = towards + side * 0.7 * np.cross(towards, self._random.normal(size=3))
            self.grow(kind, last, turned, 0.55 * radius, 0.9 * length, forks - 1)

    def text(self) -> str:
        rows = (" ".join(map(str, row)) for row in self.rows)
        return "\n".join([f"# a drawn cell, seed {self.seed}: number type x y z radius parent, um", *rows, ""])


def pyramid(seed: int, basals: int = 6, forks: int = 3, obliques: int = 4, soma: int = 3) -> Tree:
    """A cell with `basals` trees that fork `forks` times, an apical trunk with `obliques` and a tuft, and an axon; its soma of 1
    or 3 points."""
    tree = Tree(seed)
    tree.point(SOMA, (0, 0, 0), 8, -1)
    if soma == 3:
        tree.point(SOMA, (0, -8, 0), 8, 1)
        tree.point(SOMA, (0, 8, 0), 8, 1)
    for k in range(basals):
        angle = np.pi * (1 + (k + 0.5) / basals)
        _stem(tree, BASAL, (np.cos(angle), np.sin(angle), 0.2 * (-1) ** k), 1.2, 45, forks)
    _stem(tree, AXON, (0.1, -1, 0), 0.5, 150, 2)
    last = tree.point(APICAL, (0, 12, 0), 2.5, 1)
    for k in range(obliques):
        for j in range(5):
            last = tree.point(
                APICAL, tree.where(last) + (0.4 * np.sin(j + k), 14, 0), max(0.6, 2.5 - 0.06 * (5 * k + j)), last
            )
        tree.grow(APICAL, last, ((-1) ** k, 0.4, 0.1), 0.6, 70, 1)
    tree.grow(APICAL, last, (0, 1, 0), 1.2, 120, 3)
    return tree


def _stem(tree, kind, direction, radius, length, forks):
    """A tree whose first point lies on the soma's surface."""
    start = 9 * np.array(direction) / np.linalg.norm(direction)
    tree.grow(kind, tree.point(kind, start, radius, 1), direction, radius, length, forks)
