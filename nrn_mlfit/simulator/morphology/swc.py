"""SWC files, looked at line by line before NEURON reads them: it takes what is wrong for something else, or asks nobody.

The form: `number type x y z radius parent` a line, in um; types 1 soma, 2 axon, 3 basal dendrite, 4 apical dendrite;
the parent of the first point is -1 (Cannon et al., J. Neurosci. Methods 84:49, 1998).
"""

import math
from collections import Counter
from dataclasses import dataclass, replace
from pathlib import Path

from nrn_mlfit.errors import MorphologyError

SOMA, BASAL = 1, 3
KNOWN = (1, 2, 3, 4)
COLUMNS = 7


@dataclass(frozen=True)
class Point:
    """A line of an SWC file: x, y, z and radius in um; the parent of a root is -1."""

    line: int
    number: int
    kind: int
    x: float
    y: float
    z: float
    radius: float
    parent: int

    def away(self, other: "Point") -> float:
        """The distance to another point, um."""
        return math.dist((self.x, self.y, self.z), (other.x, other.y, other.z))


def read(path: Path) -> tuple[list[Point], list[str]]:
    """The points of an SWC file, parents first, every type a known one, and what was made of the others.

    Raises MorphologyError, with the line, for what is no single tree around a soma.
    """
    lines = path.read_text(encoding="utf-8-sig", errors="replace").splitlines()
    rows = [(number, line) for number, line in enumerate(lines, 1) if line.split("#")[0].strip()]
    if not rows:
        raise MorphologyError(f"{path}: holds no point; an SWC file has `number type x y z radius parent` a line")
    points = _by_number(path, [_point(path, number, line.split("#")[0].split()) for number, line in rows])
    ordered = _parents_first(path, points)
    ordered, notes = _known_kinds(ordered)
    _check_soma(path, ordered)
    _check_lengths(path, ordered)
    return ordered, notes


def text(points: list[Point]) -> str:
    """The points as an SWC file, numbered from 1."""
    new = {-1: -1} | {p.number: k for k, p in enumerate(points, 1)}
    rows = ((new[p.number], p.kind, p.x, p.y, p.z, p.radius, new[p.parent]) for p in points)
    return "".join(" ".join(map(repr, row)) + "\n" for row in rows)


def _point(path, line, words) -> Point:
    if any("," in word or ";" in word for word in words):
        raise MorphologyError(
            f"{path}, line {line}: has commas or semicolons; the columns of an SWC file are separated by blanks: put blanks there"
        )
    if len(words) < COLUMNS:
        raise MorphologyError(
            f"{path}, line {line}: has {len(words)} of the {COLUMNS} columns number, type, x, y, z, radius and parent; the file "
            "may be cut off: get it anew"
        )
    try:
        number, kind, parent = (_whole(words[k]) for k in (0, 1, 6))
        x, y, z, radius = map(float, words[2:6])
    except (ValueError, OverflowError):
        said = " ".join(words)[:60]
        raise MorphologyError(
            f"{path}, line {line}: {said!r} is not seven numbers; an SWC file has `number type x y z radius parent` a line"
        ) from None
    if not all(map(math.isfinite, (x, y, z, radius))) or radius <= 0:
        raise MorphologyError(
            f"{path}, line {line}: x, y and z must be numbers and the radius above 0, got {' '.join(words[2:6])}; correct it "
            "there"
        )
    return Point(line, number, kind, x, y, z, radius, -1 if parent < 0 else parent)


def _whole(word) -> int:
    value = float(word)
    if value != int(value):
        raise ValueError(word)
    return int(value)


def _by_number(path, points) -> dict[int, Point]:
    known: dict[int, Point] = {}
    for point in points:
        if point.number in known or point.number < 0:
            before = f"line {known[point.number].line} has it already" if point.number in known else "it is below 0"
            raise MorphologyError(f"{path}, line {point.line}: the number {point.number}: {before}; give it another")
        known[point.number] = point
    for point in points:
        if point.parent == 0 and 0 not in known:
            raise MorphologyError(
                f"{path}, line {point.line}: its parent is 0, a number no point has; that of a root is -1"
            )
        if point.parent != -1 and point.parent not in known:
            raise MorphologyError(
                f"{path}, line {point.line}: its parent {point.parent} is in no line; the file may be cut off: get it anew"
            )
    return known


def _parents_first(path, known) -> list[Point]:
    """The points in the order of their tree: one branch after the other, as they come in the file."""
    children: dict[int, list[Point]] = {}
    for point in known.values():
        children.setdefault(point.parent, []).append(point)
    roots = children.get(-1, [])
    if len(roots) > 1:
        lines = ", ".join(str(p.line) for p in roots[:5])
        raise MorphologyError(
            f"{path}: has {len(roots)} trees, which begin in lines {lines}; a cell is one: join them, or leave the others out"
        )
    waiting, ordered = list(roots), []
    while waiting:
        ordered.append(point := waiting.pop())
        waiting += reversed(children.get(point.number, []))
    if len(ordered) < len(known):
        reached = {p.number for p in ordered}
        line = min(p.line for p in known.values() if p.number not in reached)
        raise MorphologyError(f"{path}, line {line}: is its own ancestor; the way along the parents must end at -1")
    return ordered


def _known_kinds(points) -> tuple[list[Point], list[str]]:
    """A type that is none of the four is that of the parent, and at the soma a basal dendrite."""
    kinds, unknown = {-1: SOMA}, Counter(p.kind for p in points if p.kind not in KNOWN)
    for point in points:
        above = kinds[point.parent]
        kinds[point.number] = point.kind if point.kind in KNOWN else BASAL if above == SOMA else above
    said = ", ".join(f"{kind} ({count} points)" for kind, count in sorted(unknown.items()))
    notes = [f"type {said}: taken for what they hang on, at the soma for basal dendrite"] if unknown else []
    return [replace(p, kind=kinds[p.number]) for p in points], notes


def _check_soma(path, points):
    soma = [p for p in points if p.kind == SOMA]
    if not soma:
        raise MorphologyError(
            f"{path}: has no soma, a point of type 1; add one to the file, or take another reconstruction"
        )
    if points[0].kind != SOMA:
        raise MorphologyError(
            f"{path}, line {points[0].line}: the tree begins with type {points[0].kind}; let it begin with the soma, type 1"
        )
    inside = {p.number for p in soma}
    if apart := [p for p in soma[1:] if p.parent not in inside]:
        raise MorphologyError(
            f"{path}, line {apart[0].line}: a second soma, away from the first one; a cell has one: correct the type there"
        )
    if len(soma) > 1 and not any(p.away(soma[0]) for p in soma):
        raise MorphologyError(
            f"{path}, line {soma[1].line}: all {len(soma)} points of the soma lie at one place; leave the first one alone there, "
            "which is a sphere of its radius"
        )
    branching = Counter(p.parent for p in soma)
    is_standard = (
        len(soma) == 3 and branching[soma[0].number] == 2
    )  # NeuroMorpho's: the centre, and two points beside it
    if not is_standard and (forks := [p for p in soma if branching[p.number] > 1]):
        raise MorphologyError(
            f"{path}, line {forks[0].line}: the soma branches; draw it as one point, as three as NeuroMorpho does, or as one line"
        )


def _check_lengths(path, points):
    """A branch may hold a point twice, but needs some length."""
    known = {p.number: p for p in points}
    branching = Counter(p.parent for p in points if p.kind != SOMA)
    length: dict[int, float] = {}
    last: dict[int, int] = {}  # the point that a point's branch begins with
    for point in (p for p in points if p.kind != SOMA):
        above = known[point.parent]
        goes_on = above.kind == point.kind and branching[above.number] == 1
        begin = last[above.number] if goes_on else point.number
        last[point.number] = begin
        length[begin] = length.get(begin, 0.0) + point.away(above)
    for begin, um in length.items():
        if um == 0:
            raise MorphologyError(
                f"{path}, line {known[begin].line}: the branch that begins here has no length; leave its points out"
            )
