"""A reconstruction as values: branches with their 3-d points, parents before children."""

from dataclasses import dataclass, field

import numpy as np


@dataclass(frozen=True)
class Branch:
    """An unbranched piece. `kind` is soma, basal or apical; `parent` the number of the branch it hangs on, -1 for the soma, and
    `at` where on it, 0..1; `points` (n, 4) are x, y, z and diameter in um, from the end that hangs there."""

    kind: str
    parent: int
    at: float
    points: np.ndarray = field(repr=False)

    @property
    def length(self) -> float:
        """Along the points, um."""
        return float(self._steps().sum())

    @property
    def area(self) -> float:
        """The membrane of its frusta, um2."""
        radius = self.points[:, 3] / 2
        slant = np.hypot(self._steps(), np.diff(radius))
        return float((np.pi * (radius[1:] + radius[:-1]) * slant).sum())

    def _steps(self):
        return np.linalg.norm(np.diff(self.points[:, :3], axis=0), axis=1)


@dataclass(frozen=True)
class Morphology:
    """Branches, the soma first, each after its parent; `notes` say what was left out or taken for something else."""

    branches: tuple[Branch, ...]
    notes: tuple[str, ...] = ()

    @property
    def soma(self) -> Branch:
        return self.branches[0]

    def of(self, kind: str) -> list[Branch]:
        return [b for b in self.branches if b.kind == kind]

    def lines(self) -> list[str]:
        """What it is, as a person reads it."""
        told = [f"soma: {self.soma.length:.3g} um long, membrane {self.soma.area:.4g} um2"]
        for kind in ("basal", "apical"):
            same = self.of(kind)
            length, area = sum(b.length for b in same), sum(b.area for b in same)
            told.append(f"{kind} dendrites: {len(same)} sections, {length:.4g} um, membrane {area:.4g} um2")
        return told + [f"note: {note}" for note in self.notes]
