"""Small bars that stand in a table's cell: a value with its intervals in its range, a signal beside the alarm's threshold."""

import numpy as np

from nrn_mlfit.fit import Value
from nrn_mlfit.report.html import Html, tag
from nrn_mlfit.report.style import number

WIDTH, HEIGHT = 200, 26
EDGE = 6  # free at either end, so that a mark at the range's end is whole


def range_bar(value: Value) -> Html:
    """The range, the 90 and 68 % intervals in it, the fitted value, and the true one where it is known."""
    marks = [_bar("range", 0, 1, 8), _bar("ninety", *_ends(value, "90"), 8), _bar("sixtyeight", *_ends(value, "68"), 3)]
    marks.append(tag("circle", cx=_x(value.share(value.value)), cy=HEIGHT / 2, r=4, class_="value"))
    if value.truth is not None:
        x = _x(value.share(value.truth))
        marks.append(tag("line", x1=x, x2=x, y1=3, y2=HEIGHT - 3, class_="truth"))
    return _picture(_in_words(value), marks)


def distance_bar(distance: float, threshold: float | None, largest: float) -> Html:
    """How far out a signal lies, from 0 to `largest`, with the alarm's threshold as a line."""
    loud = threshold is not None and distance > threshold
    marks = [_bar("range", 0, 1, 8), _bar("loud" if loud else "ninety", 0, float(np.clip(distance / largest, 0, 1)), 8)]
    said = f"{distance:.2f}"
    if threshold is not None:
        x = _x(min(1.0, threshold / largest))
        marks.append(tag("line", x1=x, x2=x, y1=3, y2=HEIGHT - 3, class_="truth"))
        said += f", {'above' if loud else 'below'} the alarm's threshold of {threshold:.2f}"
    return _picture(said, marks)


def _picture(words, marks) -> Html:
    return tag("svg", *marks, class_="bar", role="img", aria_label=words, viewBox=f"0 0 {WIDTH} {HEIGHT}")


def _in_words(value) -> str:
    place = f"{value.name}: {100 * value.share(value.value):.0f} % of the way from {number(value.low)} to {number(value.high)}"
    low, high = (100 * end for end in _ends(value, "90"))
    return f"{place}; 90 % interval from {low:.0f} to {high:.0f} %"


def _ends(value, level) -> tuple[float, float]:
    """The ends of an interval, inside the range."""
    low, high = (value.share(getattr(value, f"{side}{level}")) for side in ("lo", "hi"))
    return float(np.clip(low, 0, 1)), float(np.clip(high, 0, 1))


def _bar(kind, low, high, thick) -> Html:
    span = {"x": _x(low), "y": (HEIGHT - thick) / 2, "width": round(_x(high) - _x(low), 2), "height": thick}
    return tag("rect", class_=kind, **span)


def _x(share) -> float:
    """Where a share of the range lies across the bar; beyond the range only as far as the bar goes."""
    return round(float(np.clip(EDGE + share * (WIDTH - 2 * EDGE), 1, WIDTH - 1)), 2)
