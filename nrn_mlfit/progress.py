"""Progress as lines a person can read, on a terminal and in a log: done, rate, time left, every few seconds."""

import time
from collections.abc import Callable

Report = Callable[[str], None]
SECONDS_BETWEEN_LINES = 3.0


def silent(_line: str):
    """A report that goes nowhere."""


def duration(seconds: float) -> str:
    """A time span in words: 42 s, 3 min 05 s, 2 h 10 min."""
    seconds = max(0, round(seconds))
    if seconds < 60:
        return f"{seconds} s"
    if seconds < 3600:
        return f"{seconds // 60} min {seconds % 60:02d} s"
    return f"{seconds // 3600} h {seconds % 3600 // 60:02d} min"


def counted(number: int, thing: str) -> str:
    """So many things in words: 1 set, 2 sets."""
    return f"{number} {thing}{'s' * (number != 1)}"


class Meter:
    """Says how far along `total` things are, at most once in a few seconds."""

    def __init__(self, total: int, things: str, report: Report):
        self._total, self._things, self._report = total, things, report
        self._began = self._said = time.monotonic()

    @property
    def seconds(self) -> float:
        return time.monotonic() - self._began

    def at(self, done: int):
        now = time.monotonic()
        if done <= 0 or now - self._said < SECONDS_BETWEEN_LINES:
            return
        self._said = now
        rate = done / self.seconds
        left = duration((self._total - done) / rate)
        self._report(f"  {done}/{self._total} {self._things}, {rate:.3g}/s, {left} left")
