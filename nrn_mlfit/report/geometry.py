"""The sections of a live cell as a drawing: from where they are connected, L and diam, or their own 3-d points."""

from collections import Counter
from dataclasses import dataclass, replace

import numpy as np
from matplotlib.axes import Axes
from matplotlib.patches import Ellipse

from nrn_mlfit.report.style import BLACK, BLUE, GREEN, GREY, ORANGE, PURPLE, SKY, VERMILION, number
from nrn_mlfit.simulator.door import hoc

COLOURS = (BLACK, BLUE, SKY, ORANGE, GREEN, PURPLE, VERMILION, GREY)
UP, FAN = (
    np.pi / 2,
    np.deg2rad(70),
)  # where the root points; the angle over which children of one point spread
DOT = 0.02  # sections shorter than this share of the drawing are drawn as dots, to be seen at all
ROOT = 0.03  # the least share of the drawing that a root's circle takes
MOST_KINDS = 10


@dataclass(frozen=True)
class Piece:
    """A section in the drawing: `points` (n, 2) in um from its 0 end on; `length` and `diam` in um."""

    kind: str
    points: np.ndarray
    length: float
    diam: float
    is_root: bool


def pieces(cell, traced=None) -> list[Piece]:
    """The sections of a live HOC cell, laid out in a plane: lengths true, directions ours unless 3-d points say, its own or those
    of `traced`, another cell of the same sections."""
    found = _laid_out(traced or cell)
    if not traced:
        return found
    pairs = zip(found, _laid_out(cell), strict=True)
    return [replace(shape, length=own.length, diam=own.diam) for shape, own in pairs]


def _laid_out(cell) -> list[Piece]:
    own = [section for section in hoc().allsec() if section.cell() == cell]
    found: list[Piece] = []
    for root in (section for section in own if section.parentseg() is None):
        _lay_out(root, np.zeros(2), UP, found)
    return found


def _lay_out(root, origin, direction, found):
    """Append the root's tree to `found`; a stack instead of recursion, for axons of thousands of sections."""
    waiting = [(root, origin, direction)]
    while waiting:
        section, start, towards = waiting.pop()
        points = _points(section, start, towards)
        is_root = section.parentseg() is None
        found.append(Piece(_kind(section), points, float(section.L), float(section(0.5).diam), is_root))
        waiting += _children(section, points, towards, is_root)


def _children(section, points, towards, is_root):
    """The children of a section with their starts and directions: they fan out where they are attached."""
    sites = Counter(child.parentseg().x for child in section.children())
    placed: Counter = Counter()
    for child in section.children():
        x = child.parentseg().x
        spread = _fan(placed[x], sites[x])
        placed[x] += 1
        yield child, _along(points, x), _base(x, towards, is_root) + spread


def _base(x, towards, is_root) -> float:
    """Onwards from the 1 end, backwards from a root's 0 end, to the right from in between."""
    if x == 1:
        return towards
    return towards + np.pi if x == 0 and is_root else towards - np.pi / 2


def _fan(number_, count) -> float:
    return 0.0 if count == 1 else FAN * (number_ / (count - 1) - 0.5)


def _points(section, start, towards):
    count = section.n3d()
    if count > 1:
        return np.array([[section.x3d(i), section.y3d(i)] for i in range(count)])
    return np.array([start, start + section.L * np.array([np.cos(towards), np.sin(towards)])])


def _along(points, x):
    steps = np.linalg.norm(np.diff(points, axis=0), axis=1)
    way = np.concatenate([[0.0], np.cumsum(steps)])
    return np.array([np.interp(x * way[-1], way, points[:, axis]) for axis in (0, 1)])


def _kind(section) -> str:
    """dend of L23Pyr[0].dend[3]: what its siblings are called, too."""
    return section.name().rpartition(".")[2].partition("[")[0]


def draw(axes: Axes, found: list[Piece]):
    """Draw the pieces with a scale bar and, by kind, their number, length and diameter."""
    corners = np.concatenate([piece.points for piece in found])
    size = float(np.ptp(corners, axis=0).max())
    kinds = list(dict.fromkeys(piece.kind for piece in found))
    colours = {kind: COLOURS[k % len(COLOURS)] for k, kind in enumerate(kinds)}
    for piece in found:
        _draw_piece(axes, piece, colours[piece.kind], size)
    for kind in kinds[:MOST_KINDS]:
        axes.plot([], [], color=colours[kind], linewidth=3, label=_words([p for p in found if p.kind == kind]))
    axes.set_aspect("equal", adjustable="datalim")
    axes.axis("off")
    _scale_bar(axes, corners, size)


def _draw_piece(axes, piece, colour, size):
    """Widths grow with the square root of the diameter: at true scale most would be thinner than a hair."""
    x, y = piece.points.T
    if piece.is_root and len(piece.points) == 2:
        across = max(piece.length, ROOT * size)
        axes.add_patch(Ellipse((x.mean(), y.mean()), across, across, color=colour, zorder=4, linewidth=0))
    elif piece.length < DOT * size:
        axes.plot(x.mean(), y.mean(), "o", color=colour, markersize=3.5, zorder=5)
    else:
        axes.plot(x, y, color=colour, linewidth=1.2 + 0.9 * np.sqrt(piece.diam), solid_capstyle="butt", zorder=2)


def _words(same: list[Piece]) -> str:
    many = f" x {len(same)}" if len(same) > 1 else ""
    return f"{same[0].kind}{many}: L {_span([p.length for p in same])}, diam {_span([p.diam for p in same])} µm"


def _span(values) -> str:
    low, high = number(min(values)), number(max(values))
    return low if low == high else f"{low}-{high}"


def _scale_bar(axes, corners, size):
    length = 10 ** np.floor(np.log10(size / 2))
    length *= 5 if 5 * length <= size / 2 else 2 if 2 * length <= size / 2 else 1
    left, bottom = corners.min(axis=0) - [0, 0.08 * size]
    axes.plot([left, left + length], [bottom, bottom], color=GREY, linewidth=1.5)
    axes.text(left + length / 2, bottom - 0.02 * size, f"{length:g} µm", ha="center", va="top", color=GREY)
