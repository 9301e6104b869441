"""Grows pyramid.swc, the made-up tree of the pyramid: a soma, five basal trees, and an apical trunk with obliques and a tuft.

    python grow.py

111 branches and twigs, drawn from one seed. Diameters follow Rall's 3/2 power at every fork.
"""

from pathlib import Path

import numpy as np

SOMA, BASAL, APICAL = 1, 3, 4  # types of points in an SWC file
STEP = 10.0  # um between points


class Tree:
    """Rows of an SWC file: number, type, x, y, z and radius in um, number of the parent."""

    def __init__(self, seed):
        self.rows, self.random = [], np.random.default_rng(seed)

    def point(self, kind, place, radius, parent):
        self.rows.append((len(self.rows) + 1, kind, *place, radius, parent))
        return len(self.rows)

    def branch(self, kind, parent, place, heading, length, radius):
        """A branch of points on a slightly crooked way; returns its last point, that one's place and the heading there."""
        for _ in range(max(2, round(length / STEP))):
            heading = _unit(heading + 0.15 * self.random.standard_normal(3))
            place = place + STEP * heading
            parent = self.point(kind, place, radius, parent)
        return parent, place, heading

    def fork(self, kind, parent, place, heading, lengths, radius):
        """A tree that forks at the end of each branch, one length for each order of branches."""
        length = lengths[0] * self.random.uniform(0.8, 1.2)
        parent, place, heading = self.branch(kind, parent, place, heading, length, radius)
        for _ in range(2 if lengths[1:] else 0):
            aside = _unit(heading + 0.8 * self.random.standard_normal(3))
            self.fork(kind, parent, place, aside, lengths[1:], radius / 2 ** (2 / 3))


def _unit(vector):
    return vector / np.linalg.norm(vector)


def grow(seed: int = 1) -> str:
    """The text of the SWC file."""
    tree, up = Tree(seed), np.array([0.0, 1.0, 0.0])
    soma = tree.point(SOMA, np.zeros(3), 10.0, -1)
    for angle in 2 * np.pi * np.arange(5) / 5:
        away = _unit(np.array([np.cos(angle), -0.5, np.sin(angle)]))
        tree.fork(BASAL, soma, 10 * away, away, (20, 40, 60, 80), 1.0)
    parent, place, heading = soma, 10 * up, up
    for number in range(6):
        parent, place, heading = tree.branch(APICAL, parent, place, _unit(heading + up), 60, 2.0 - 0.15 * number)
        if number < 5:
            tree.fork(APICAL, parent, place, _unit(tree.random.standard_normal(3)), (30, 70), 0.7)
    for _ in range(2):
        tree.fork(APICAL, parent, place, _unit(up + 0.7 * tree.random.standard_normal(3)), (40, 60, 80), 0.8)
    lines = [f"{n} {kind} {x:.2f} {y:.2f} {z:.2f} {r:.3f} {parent}" for n, kind, x, y, z, r, parent in tree.rows]
    return "\n".join(["# a made-up pyramidal cell, by grow.py: number type x y z radius parent (um)", *lines, ""])


if __name__ == "__main__":
    (Path(__file__).parent / "pyramid.swc").write_text(grow())
