"""A series of sweeps as one folder: a fit each, its parameters against time, and whether they drift. N sweeps, K parameters."""

from collections.abc import Mapping
from dataclasses import astuple, dataclass
from pathlib import Path

import numpy as np

from nrn_mlfit import drift, report, results, textfile
from nrn_mlfit.drift import Course, Trend
from nrn_mlfit.errors import MlfitError
from nrn_mlfit.fit import Fit
from nrn_mlfit.recordings import Recording, starts
from nrn_mlfit.recordings.sweep import described
from nrn_mlfit.results import Result

SAME_AMPLITUDE = 0.01  # of the largest: what a measured current's noise changes
HEADS = ("parameter", "slope", "error", "lo95", "hi95", "unit", "drifts", "sweeps")


@dataclass(frozen=True, eq=False)
class Series:
    """Fitted sweeps of one file: results by sweep number, times (N,) in `per` (min since the first sweep; "sweep": their numbers,
    since it is not known when they began), and the K trends, or none of fewer than three sweeps.

    `used` (N,) tells the sweeps that the trends are of, `one_way` whether the current's amplitude rises or falls throughout.
    """

    results: Mapping[int, Result]
    times: np.ndarray
    per: str
    trends: tuple[Trend, ...]
    used: np.ndarray
    one_way: bool

    @property
    def outside(self) -> np.ndarray:
        """Which sweeps are out of range (N,)."""
        return _outside([result.fit for result in self.results.values()])

    def lines(self) -> list[str]:
        """A line a sweep, and the trends."""
        clock = "" if self.per == "min" else "; when they began is not known, so time is the sweep's number"
        return [
            f"{len(self.results)} sweeps fitted{clock}",
            *(_sweep_line(number, result) for number, result in self.results.items()),
            *self.remarks(),
            *(_trend_line(trend) for trend in self.trends),
        ]

    def remarks(self) -> list[str]:
        """What is to be known of the trends before they are read."""
        if not self.trends:
            return [f"no trend: fewer than {drift.FEWEST} sweeps"]
        count = (self.outside & self.used).sum()
        of = f"{count} of them out of range: these trends are not to be trusted" if count else "in range"
        said = [f"trends of {self.used.sum()} sweeps, {of}"]
        if self.one_way:
            said.append(
                "the current's amplitude rises or falls from sweep to sweep: a trend may be one with amplitude, not with time"
            )
        return said


def usable(held: Mapping[int, Recording | MlfitError], named: bool) -> tuple[dict[int, Recording], dict[int, str]]:
    """The sweeps to be fitted, and why the others are not: they cannot be read, or (unless `named`) fail their quality checks."""
    kept, left = {}, {}
    for number, made in held.items():
        short = described(number, made)
        if isinstance(made, MlfitError):
            left[number] = short.problem
        elif short.fails and not named:
            left[number] = f"not good enough to fit, unless it is named by its number: {'; '.join(short.fails)}"
        else:
            kept[number] = made
    return kept, left


def write(pairs: Mapping[int, tuple[Recording, Fit]], ensemble, folder: Path) -> Series:
    """Write the fits of sweeps, by number, each into a folder of its own in `folder`; fits.csv, drift.csv and drift.png."""
    digits = len(str(max(pairs)))
    written = {
        number: results.write(found, ensemble, piece, folder / f"sweep-{number:0{digits}d}")
        for number, (piece, found) in pairs.items()
    }
    made = follow(written, [piece for piece, _ in pairs.values()])
    clock = {"time_s": [f"{60 * time:.3f}" for time in made.times]} if made.per == "min" else {}
    textfile.write_atomic(folder / "fits.csv", results.summary(list(written.values()), {"sweep": list(pairs), **clock}))
    if made.trends:
        textfile.write_atomic(folder / "drift.csv", textfile.to_csv([HEADS, *_rows(made)]))
    _picture(made, folder / "drift.png")
    return made


def follow(written: Mapping[int, Result], pieces) -> Series:
    """The trends in the results of sweeps, by number, with their recordings: of those in range, of all where they are too few."""
    fits = [result.fit for result in written.values()]
    seconds = starts.seconds(pieces)
    per, times = ("sweep", np.array(list(written), float)) if seconds is None else ("min", np.array(seconds) / 60)
    used = ~_outside(fits)
    if used.sum() < drift.FEWEST:
        used = np.ones(len(fits), bool)
    trends = tuple(trend for k in range(len(fits[0].values)) if (trend := _trend(times, fits, used, k, per)))
    return Series(written, times, per, trends, used, drift.one_way(_amplitudes(pieces)[used]))


def _outside(fits) -> np.ndarray:
    return np.array([bool(fit.warnings) for fit in fits])


def _trend(times, fits, used, k, per) -> Trend | None:
    """The trend of parameter k in the sweeps that are `used` (N,)."""
    held = [fit.values[k] for fit, take in zip(fits, used, strict=True) if take]
    first, columns = held[0], ([getattr(value, name) for value in held] for name in ("value", "lo68", "hi68"))
    course = Course(first.name, first.unit, first.scale, first.low, first.high, *map(np.array, columns))
    return drift.trend(times[used], course, per)


def _amplitudes(pieces) -> np.ndarray:
    """How strong the first current of each piece is about its beginning (N,): the rms with the mean's sign, as a share of the
    largest, in steps that noise does not reach."""
    currents = [np.zeros(1) if piece.currents is None else piece.currents[0] - piece.currents[0, 0] for piece in pieces]
    strong = np.array([np.sqrt(np.mean(c**2)) * (-1 if c.mean() < 0 else 1) for c in currents])
    return np.round(strong / max(np.abs(strong).max(), 1e-300) / SAME_AMPLITUDE)


def _rows(made):
    trusted = "out of range, too" if (made.outside & made.used).any() else "in range"
    for name, *numbers, unit, differs in map(astuple, made.trends):
        yield name, *(f"{number:.6g}" for number in numbers), unit, "yes" if differs else "no", trusted


def _sweep_line(number, result) -> str:
    c = result.comparison
    reasons = [*result.fit.warnings, *(["DOES NOT AGREE, why: fits.csv"] if c.disagreements else [])]
    spikes = f"spikes: {c.spikes_recorded} recorded, {c.spikes_simulated} simulated"
    return "; ".join([f"  sweep {number}: {result.fit.verdict}", spikes, *reasons])


def _trend_line(trend) -> str:
    verdict = "drifts" if trend.differs else "no drift to be seen"
    return f"  {trend.name:<14} {_slope(trend):<32} {verdict} (95% from {trend.lo95:.3g} to {trend.hi95:.3g})"


def _slope(trend) -> str:
    return f"{trend.slope:.3g} +- {trend.error:.2g} {trend.unit}"


def _picture(made, path):
    found = list(made.results.values())
    said = {trend.name: f"{_slope(trend)}{', drifts' if trend.differs else ''}" for trend in made.trends}
    report.drift_picture(
        path,
        title=f"{found[0].fit.provenance['cell']} fitted to {len(found)} sweeps\n" + "; ".join(made.remarks()),
        times=made.times,
        axis="time (min)" if made.per == "min" else "sweep",
        values=[result.fit.values for result in found],
        outside=made.outside,
        spikes=[(result.comparison.spikes_recorded, result.comparison.spikes_simulated) for result in found],
        said=said,
    )
