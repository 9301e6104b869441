"""Fits of several recordings as one folder; of one cell's also its parameters against time, and whether they drift.

N sweeps or files, K parameters. Each has a key: the number of a sweep, or a name in a folder of files.
"""

import contextlib
import shutil
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import astuple, dataclass, replace
from pathlib import Path
from types import MappingProxyType

import numpy as np

from nrn_mlfit import comparison, drift, fit, folders, progress, report, results, textfile
from nrn_mlfit.drift import Course, Trend
from nrn_mlfit.errors import FitError, MachineError, MlfitError
from nrn_mlfit.fit import Fit
from nrn_mlfit.recordings import Recording, starts
from nrn_mlfit.recordings.sweep import described
from nrn_mlfit.report.drift import TIME
from nrn_mlfit.results import Result
from nrn_mlfit.shards import claim

Key = int | str
SAME_AMPLITUDE = 0.01  # of the largest: what a measured current's noise changes
BESIDE = ("fits.csv", "left_out.csv", "drift.csv", "drift.png")  # the folders of fits
HEADS = ("parameter", "slope", "error", "lo95", "hi95", "unit", "drifts", "sweeps")


@dataclass(frozen=True)
class Search:
    """A search on from an ensemble's answer: `run` makes of a fit and its recording that of the nearest of `simulations`."""

    simulations: int
    run: Callable[[Fit, Recording], Fit]


@dataclass(frozen=True, eq=False)
class Series:
    """Fitted sweeps (or files) of one cell: results by key, times (N,) in `per` (min since the first one; where it is not known
    when they began "sweep", their numbers, or "file", their places in the order of all), and the K trends, or none of fewer than
    three.

    `used` (N,) tells those that the trends are of, `one_way` whether the current's amplitude rises or falls throughout.
    """

    results: Mapping[Key, Result]
    times: np.ndarray
    per: str
    trends: tuple[Trend, ...]
    used: np.ndarray
    one_way: bool

    @property
    def one(self) -> str:
        """What the series consists of."""
        return _kind(self.results)

    @property
    def outside(self) -> np.ndarray:
        """Which are out of range (N,)."""
        return _outside([result.fit for result in self.results.values()])

    def lines(self) -> list[str]:
        """How many there are, and the trends."""
        place = "number" if self.one == "sweep" else "place in the order"
        clock = "" if self.per == "min" else f"; when they began is not known, so time is the {self.one}'s {place}"
        return [
            f"{len(self.results)} {self.one}s fitted{clock}",
            *self.remarks(),
            *(_trend_line(trend) for trend in self.trends),
        ]

    def remarks(self) -> list[str]:
        """What is to be known of the trends before they are read."""
        one, searched = self.one, any(result.fit.searched for result in self.results.values())
        of_which = ["the drift is of the ensemble's answers, not of the values that a search found"] * searched
        if not self.trends:
            return [f"no trend: fewer than {drift.FEWEST} {one}s", *of_which]
        count = (self.outside & self.used).sum()
        of = f"{count} of them out of range: these trends are not to be trusted" if count else "in range"
        said = [f"trends of {self.used.sum()} {one}s, {of}", *of_which]
        if self.one_way:
            said.append(
                f"the current's amplitude rises or falls from {one} to {one}: a trend may be one with amplitude, not with time"
            )
        return said


def called(key: Key) -> str:
    """How a person is told of one."""
    return f"sweep {key}" if isinstance(key, int) else key


def usable(held: Mapping[Key, Recording | MlfitError], named: bool) -> tuple[dict[Key, Recording], dict[Key, str]]:
    """Those to be fitted, and why the others are not: they cannot be read, or (unless `named`) fail their quality checks."""
    kept, left = {}, {}
    for key, made in held.items():
        short = described(key if isinstance(key, int) else 0, made)
        if isinstance(made, MlfitError):
            left[key] = short.problem
        elif short.fails and not named:
            left[key] = f"not good enough to fit, unless it is named by its number: {'; '.join(short.fails)}"
        else:
            kept[key] = made
    return kept, left


def in_time(pieces: Mapping[Key, Recording]) -> dict[Key, Recording]:
    """Recordings in order of time, where it is known when they began."""
    keys = list(pieces)
    return {keys[place]: pieces[keys[place]] for place in starts.order(list(pieces.values()))}


def write(
    pairs: Mapping[Key, tuple[Recording, Fit]],
    ensemble,
    folder: Path,
    left: Mapping[Key, str] = MappingProxyType({}),
    one_cell: bool = True,
    report: progress.Report = progress.silent,
    search: Search | None = None,
    order: Sequence[Key] = (),
) -> Series | None:
    """Write fits, by key, each into a folder of its own in `folder`, and fits.csv; of one cell also drift.csv and drift.png.

    Where it is not known when they began, time is the place in `order`: the keys of all, also of those that are not in `pairs`.
    With a `search` each goes on from its ensemble's answer, and `provenance` gets `refine`, the simulations that were asked for.
    A fit that NEURON does not run, or whose search fails, is left out, as those that are `left` (why, by key), and named in
    left_out.csv. The folder has its name when it is whole; what a kill leaves beside it is taken by the same call again, with no
    new search. Raises FitError where none could be run, MachineError where nothing can be written, ShardError where another
    process writes there.
    """
    folders.check_free(folder)
    names, written, left, said = _names(pairs), {}, dict(left), []
    with _growing(folder, names.values()) as fresh:
        for key, (piece, found) in pairs.items():
            try:
                made = _written(found, ensemble, piece, fresh / names[key], search)
            except MachineError:  # no fault of that recording: the others would meet it, too
                raise
            except MlfitError as error:
                left[key] = str(error).removeprefix(f"{fresh / names[key]}: ")
                report(f"  {called(key)} is left out: {left[key]}")
            else:
                written[key] = replace(made, folder=folder / names[key])
                report(_line(key, made))
                news = [text for text in piece.warnings if text not in said]
                said += news
                for text in news:
                    report(f"    recording: {text}")
        if not written:
            key = next(iter(pairs))
            raise FitError(f"{folder}: none of the fits can be run; {called(key)}: {left[key]}")
        pieces = [pairs[key][0] for key in written]
        series = follow(written, pieces, order or list(pairs)) if one_cell else None
        _tables(written, left, series, fresh)
    return series


def _names(keys) -> dict[Key, str]:
    """The folder of each fit: of no name that a table beside it has, on a disk that takes a for A."""
    digits = max(len(str(key)) for key in keys)
    names = {key: f"sweep-{key:0{digits}d}" if isinstance(key, int) else key for key in keys}
    return {key: f"{name}-fit" if name.lower() in BESIDE else name for key, name in names.items()}


@contextlib.contextmanager
def _growing(folder, names) -> Iterator[Path]:
    """The hidden folder in which fits of these names gather, which gets the name `folder` at the end of a `with`.

    Those that are in it, from a call that was broken off, stay; anything else goes. No other process can take it before it has
    its name.
    """
    growing = folder.parent / f".{folder.name}-unfinished"
    try:
        with textfile.writing(folder), claim.held(growing):
            folders.check_free(folder)  # another process may have ended while we came
            for path in growing.iterdir():
                if path.name not in (*names, claim.LOCK):
                    shutil.rmtree(path) if path.is_dir() else path.unlink()
            yield growing
            growing.rename(folder)
            (folder / claim.LOCK).unlink()
    finally:
        with contextlib.suppress(OSError):  # it has its name, holds fits to go on with, or is somebody else's by now
            growing.rmdir()


def _written(found, ensemble, piece, folder, search) -> Result:
    """The fit as a folder, searched on if asked; one that is there and of the same answer need not be made again."""
    if search:
        found = replace(found, provenance={**found.provenance, "refine": search.simulations})
    if folder.is_dir():
        with contextlib.suppress(OSError, MlfitError):
            held = fit.load(folder / "fit.json")
            if held.unsearched.text == found.text:
                return Result(folder, held, comparison.load(folder / "comparison.json"))
        shutil.rmtree(folder)
    return results.write(search.run(found, piece) if search else found, ensemble, piece, folder)


def _tables(written, left, series, folder):
    clock = {"time_s": [f"{60 * time:.3f}" for time in series.times]} if series and series.per == "min" else {}
    number = {"sweep": list(written)} if _kind(written) == "sweep" else {}
    textfile.write_atomic(folder / "fits.csv", results.summary(list(written.values()), {**number, **clock}))
    if left:
        rows = ((called(key), why) for key, why in left.items())
        textfile.write_atomic(folder / "left_out.csv", textfile.to_csv([("recording", "reason"), *rows]))
    if series and series.trends:
        textfile.write_atomic(folder / "drift.csv", textfile.to_csv([HEADS, *_rows(series)]))
    if series:
        _picture(series, folder / "drift.png")


def _kind(keys) -> str:
    return "sweep" if all(isinstance(key, int) for key in keys) else "file"


def follow(written: Mapping[Key, Result], pieces, order: Sequence[Key] = ()) -> Series:
    """The trends in results of one cell, by key, with their recordings: of those in range, of all where they are too few.

    `order` has the keys of all, also of those that are left out.
    """
    fits = [result.fit for result in written.values()]
    seconds, per = starts.seconds(pieces), _kind(written)
    places = {key: key if per == "sweep" else place for place, key in enumerate(order or written, 1)}
    counted = np.array([places[key] for key in written], float)
    per, times = (per, counted) if seconds is None else ("min", np.array(seconds) / 60)
    used = ~_outside(fits)
    if used.sum() < drift.FEWEST:
        used = np.ones(len(fits), bool)
    trends = tuple(trend for k in range(len(fits[0].values)) if (trend := _trend(times, fits, used, k, per)))
    return Series(written, times, per, trends, used, drift.one_way(_amplitudes(pieces)[used]))


def _outside(fits) -> np.ndarray:
    return np.array([bool(found.warnings) for found in fits])


def _trend(times, fits, used, k, per) -> Trend | None:
    """The trend of parameter k in the sweeps that are `used` (N,): of the ensemble's answers, which the intervals are about."""
    held = [found.values[k] for found, take in zip(fits, used, strict=True) if take]
    first, columns = held[0], ([getattr(value, name) for value in held] for name in ("of_ensemble", "lo68", "hi68"))
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


def _line(key, result) -> str:
    c = result.comparison
    reasons = [*result.fit.warnings, *(["DOES NOT AGREE, why: fits.csv"] if c.disagreements else [])]
    spikes = f"spikes: {c.spikes_recorded} recorded, {c.spikes_simulated} simulated"
    return "; ".join([f"  {called(key)}: {result.fit.verdict}", spikes, *reasons])


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
        title=f"{found[0].fit.provenance['cell']} fitted to {len(found)} {made.one}s\n" + "; ".join(made.remarks()),
        times=made.times,
        axis=TIME if made.per == "min" else made.one,
        values=[result.fit.values for result in found],
        outside=made.outside,
        spikes=[(result.comparison.spikes_recorded, result.comparison.spikes_simulated) for result in found],
        said=said,
    )
