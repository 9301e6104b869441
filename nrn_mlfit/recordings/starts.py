"""When sweeps began: what readers note in a recording's source, and seconds since the first of a series.

`start_s` is when a sweep began in its file's clock, in seconds, `since` the date and time (ISO 8601) at which that clock was 0.
"""

from collections.abc import Sequence
from datetime import datetime
from itertools import pairwise
from math import isfinite

from nrn_mlfit.recordings.recording import Recording

LONGEST_S = 1e8  # three years: what a damaged header gives is beyond


def noted(seconds: float | None, since: str = "") -> dict:
    """The keys of a source; none where the time is not known."""
    if seconds is None or not (isfinite(seconds) and abs(seconds) < LONGEST_S):
        return {}
    return {"start_s": round(float(seconds), 6), **({"since": since} if since else {})}


def seconds(series: Sequence[Recording]) -> list[float] | None:
    """The start of each recording in s since that of the first; None where one is not known, or where they do not follow on
    each other, such as where a file notes 0 for all of them."""
    begins = _begins(series)
    if begins is None or not all(a < b for a, b in pairwise(begins)):
        return None
    return [begin - begins[0] for begin in begins]


def order(series: Sequence[Recording]) -> list[int]:
    """The places of recordings in order of time; as they are where it is not known of all."""
    begins = _begins(series)
    return sorted(range(len(series)), key=begins.__getitem__) if begins is not None else list(range(len(series)))


def _begins(series) -> list[float] | None:
    """When each began, in s by one clock; None where that is not known of all."""
    sources = [{**recording.source.get("origin", {}), **recording.source} for recording in series]
    if any("start_s" not in source for source in sources):
        return None
    clocks = _clocks(sources)
    if clocks is None:
        return None
    return [clock + float(source["start_s"]) for clock, source in zip(clocks, sources, strict=True)]


def _clocks(sources) -> list[float] | None:
    """When each source's clock was 0, in s after the first one's; None where that cannot be told."""
    dates = [source.get("since", "") for source in sources]
    if len(set(dates)) == 1 and (dates[0] or len({source.get("file") for source in sources}) == 1):
        return [0.0] * len(dates)
    try:
        read = [datetime.fromisoformat(date) for date in dates]
        return [(date - read[0]).total_seconds() for date in read]
    except (ValueError, TypeError):  # no date, or times of day with and without their zone
        return None
