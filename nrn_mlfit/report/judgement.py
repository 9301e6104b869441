"""What the networks say of a recording, for its page: values in their ranges, what the stimulus constrains, the alarm."""

import numpy as np

from nrn_mlfit.evaluate import UNKNOWN
from nrn_mlfit.fit import Fit, Value
from nrn_mlfit.report.bars import distance_bar, range_bar
from nrn_mlfit.report.html import Html, join, paragraphs, table, tag
from nrn_mlfit.report.style import fixed, number

WELL = 0.5  # R2 from which on a parameter counts as constrained: half of what was not known
LEVEL = 0.9  # of the interval that stands for R2 where the ensemble was not judged
NO_GUARANTEE = (
    "The true parameters of this cell are not known to the program. The intervals were calibrated on simulated cells: for a "
    "recording of a real cell they carry no coverage guarantee."
)


def parameters(fit: Fit) -> Html:
    """The table of values: intervals in their ranges, and which of them the stimulus constrains."""
    r2 = fit.provenance.get("evaluation", {}).get("r2", {})
    known = is_known(fit)
    heads = ["parameter", "value", "68 % interval", "90 % interval", "in its range", "constrained"]
    heads += ["true value; error in % of range"] if known else []
    rows = [_row(value, r2.get(value.name), known) for value in fit.values]
    held = table("Fitted parameters", heads, rows, figures=(1, 2, 3, 6))
    return join([_key(known), held, _meaning(fit, r2)])


def is_known(fit: Fit) -> bool:
    """Whether the trace was simulated by a cell whose parameters are known."""
    return any(value.truth is not None for value in fit.values)


def constraint(value: Value, r2: float | None) -> str:
    """yes, weakly or no: whether the stimulus constrains a parameter, by R2 over simulated cells that no network had met.

    Without one, by how much of its range the 90 % interval fills: where the truth lies anywhere in a share s of the range alike,
    R2 is 1 - s^2, and the 90 % interval is 0.9 s wide.
    """
    if r2 is None:
        r2 = 1 - (width(value) / LEVEL) ** 2
    return "yes" if r2 >= WELL else "weakly" if r2 >= UNKNOWN else "no"


def width(value: Value) -> float:
    """How much of its range the 90 % interval fills, 0 to 1."""
    low, high = np.clip([value.share(value.lo90), value.share(value.hi90)], 0, 1)
    return float(high - low)


def alarm(fit: Fit) -> Html:
    """The score, and each of its signals beside the threshold."""
    threshold, signals = fit.alarm.get("threshold"), fit.alarm.get("signals", {})
    if not signals:
        return paragraphs(
            f"Score {fit.score:.2f}. This fit was made by a version that did not keep the signals; fit again to see them."
        )
    loud = [name for name, distance in signals.items() if threshold is not None and distance > threshold]
    largest = 1.05 * max([threshold or 1.0, *signals.values()])
    ordered = sorted(signals.items(), key=lambda signal: -signal[1])
    rows = [[n, f"{d:.2f}", distance_bar(d, threshold, largest), "loud" if n in loud else "quiet"] for n, d in ordered]
    held = table(
        "Signals of the alarm, the loudest first", ["signal", "distance", "beside the threshold", "state"], rows, (1,)
    )
    return join([_heard(fit.score, threshold, loud), held, _measured()])


def _row(value, r2, known):
    spread = value.hi68 - value.lo68
    low68, high68, low90, high90 = (fixed(x, spread) for x in (value.lo68, value.hi68, value.lo90, value.hi90))
    ends = tag("span", number(value.low), class_="end"), tag("span", number(value.high), class_="end")
    bar = tag("div", ends[0], range_bar(value), ends[1], class_="inrange")
    name = join([value.name, " ", tag("small", value.unit)])
    row = [name, _value(value, spread), f"{low68} to {high68}", f"{low90} to {high90}", bar]
    row += [_constrained(value, r2)]
    return row + ([_truth(value, spread)] if known else [])


def _value(value, spread) -> Html | str:
    """The value, and where a search went on from the ensemble's answer, that."""
    if value.answer is None:
        return fixed(value.value, spread)
    return join([fixed(value.value, spread), " ", tag("small", f"ensemble: {fixed(value.answer, spread)}")])


def _truth(value, spread) -> str:
    return "" if value.truth is None else f"{fixed(value.truth, spread)}; {value.error:+.1f}"


def _constrained(value, r2) -> Html:
    word = constraint(value, r2)
    why = f"interval {100 * width(value):.0f} %"
    why = f"{why} of range" if r2 is None else f"R2 {r2:.2f}; {why}"
    return join([tag("strong", word, class_=f"is-{word}"), " ", tag("small", why)])


def _key(known) -> Html:
    """What the marks in the bars are."""
    marks = [
        ("value", "fitted value"),
        ("sixtyeight", "68 % interval"),
        ("ninety", "90 % interval"),
        ("range", "range"),
    ]
    marks += [("truth", "true value")] if known else []
    shown = (tag("li", tag("span", "", class_=f"swatch {kind}", aria_hidden="true"), words) for kind, words in marks)
    return tag("ul", *shown, class_="key", aria_label="Marks in the bars")


def _meaning(fit, r2) -> Html:
    if r2:
        traces = fit.provenance["evaluation"]["traces"]
        by = (
            f"Constrained tells whether this stimulus lets one learn a parameter at all, by R2 over {traces:,} simulated "
            "cells that no network had met (0: no better than the middle of the range, 1: exact). The width of this "
            "recording's own 90 % interval stands beside it."
        )
    else:
        by = (
            "Constrained is judged by this recording's own 90 % interval, as the ensemble keeps no evaluation: an interval that "
            f"fills a share w of the range counts as R2 = 1 - (w/{LEVEL:g})\N{SUPERSCRIPT TWO}."
        )
    held = [
        f"{by} Yes: R2 of {WELL:g} or more; weakly: {UNKNOWN:g} to {WELL:g}; no: below {UNKNOWN:g}, do not use the value."
    ]
    held += (
        ["The recording is out of range: neither intervals nor this column tell anything of it."]
        if fit.warnings
        else []
    )
    return paragraphs(*held, *([] if is_known(fit) else [NO_GUARANTEE]))


def _heard(score, threshold, loud) -> Html:
    if threshold is None:
        return paragraphs(f"Score {score:.2f}. The ensemble was made from too few traces to have a threshold.")
    said = (
        f"The alarm speaks: {len(loud)} of its signals {'is' if len(loud) == 1 else 'are'} loud."
        if loud
        else "The alarm is silent."
    )
    return paragraphs(join([tag("strong", said), f" Score {score:.2f}, alarm from {threshold:.2f}."]))


def _measured() -> Html:
    return paragraphs(
        "The score is the largest distance. A signal at 0 is as far out as in the most unusual 5 of 100 simulated traces of the "
        "training kind; with each further 1 a signal is about e times rarer among them. The threshold lets 5 of 100 of them give "
        "the alarm for nothing. Simulated traces have no noise: a recording's noise alone can make a signal loud."
    )
