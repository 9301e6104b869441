"""A fit as a folder: fit.json, the NEURON files, the recording's trace, the re-simulated one, picture and page of both."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from types import MappingProxyType

import numpy as np

from nrn_mlfit import around, cells, comparison, export, fit, folders, report, resimulate, textfile
from nrn_mlfit.around import Around
from nrn_mlfit.comparison import Comparison
from nrn_mlfit.errors import FitError
from nrn_mlfit.fit import Fit
from nrn_mlfit.parameters import Parameter, ParameterSpace
from nrn_mlfit.recordings import Recording, read
from nrn_mlfit.report import page

PAGE = ".html"
KEPT = (
    "recording.npz",
    "fit.hoc",
    "fitted_cell.hoc",
    "simulated.npz",
    "comparison.json",
    "expected.txt",
)  # beside fit.json
BUILT = ("x86_64", "aarch64", "arm64")  # folders that nrnivmodl makes
AROUND = "around.npz"  # by `around`, if it was asked
AT_ONCE = 50  # cells around a fit that one NEURON runs: their traces at every step are in memory
MADE = ("simulated.npz", "comparison.json", "expected.txt")  # by `resimulate`


@dataclass(frozen=True, eq=False)
class Result:
    """A fit, where it lies, and how its re-simulated trace compares with the recording."""

    folder: Path
    fit: Fit
    comparison: Comparison


def write(found: Fit, ensemble, recording: Recording, folder: Path | str) -> Result:
    """Write a fit's folder whole, re-simulate it in plain NEURON, and draw the overlay.

    Everything is made in a hidden folder beside it that gets the name at the end: a fit that has its name is whole.
    """
    folder = Path(folder)
    folders.check_free(folder)
    with folders.whole(folder) as fresh:
        try:
            compared = _fill(found, ensemble, recording, fresh)
        except FitError as error:  # NEURON's, which names the folder that goes
            raise FitError(str(error).replace(str(fresh.resolve()), str(folder))) from None
    return Result(folder, found, compared)


def _fill(found, ensemble, recording, folder) -> Comparison:
    model = cells.load(ensemble.cell_folder)
    export.write(found, model, ensemble.protocol.rescaled_to(recording.currents), folder)
    found.save(folder / "fit.json")
    recording.save(folder / "recording.npz")
    return again(folder).comparison


def again(folder: Path) -> Result:
    """Re-simulate the fit in `folder` through its fit.hoc, compare with its recording, and draw fit.png anew."""
    found, recording = fit.load(folder / "fit.json"), read(folder / "recording.npz")
    probes, stimuli, length = recording.volts.shape
    whole = resimulate.run(folder, stimuli, probes)
    simulated = _seen(found, whole)
    if simulated.shape != recording.volts.shape:
        raise FitError(
            f"{folder}: its fit.hoc gives {simulated.shape[-1]} samples, its recording has {length}; fit again"
        )
    unit = found.provenance["simulation"]["current_unit"]
    compared = comparison.compare(recording, simulated, unit, found.probes(probes))
    replace(recording, volts=simulated, name="fitted cell", source={"of": recording.name}, truth={}).save(
        folder / "simulated.npz"
    )
    textfile.write_atomic(folder / "expected.txt", export.column(whole.transpose(1, 0, 2).ravel()))
    compared.save(folder / "comparison.json")
    picture(folder / "fit.png", found, recording, simulated, compared)
    return Result(folder, found, compared)


def _seen(found, traces):
    """Of traces (..., steps) at every integration step those samples (..., T) that the network sees."""
    wanted = found.provenance["simulation"]
    return traces[..., :: wanted["substeps"]][..., wanted["start"] :]


@dataclass(frozen=True, eq=False)
class Neighbours:
    """The cells around a fit, beside it and its recording (P, S, T) in mV; `picture` is where they are drawn."""

    cells: Around
    fit: Fit
    recording: Recording
    comparison: Comparison
    picture: Path

    def lines(self) -> list[str]:
        held, c = self.cells, self.comparison
        low, middle, high = np.percentile(held.rms(self.recording.volts), [0, 50, 100])
        lost = held.asked - len(held.volts)
        return [
            f"{len(held.volts)} cells, each parameter within {held.within:g}% of its range around the fitted value "
            f"(seed {held.seed})" + (f"; {lost} more gave no finite voltage" if lost else ""),
            f"spikes: {c.spikes_recorded} recorded, {c.spikes_simulated} fitted cell; around it {held.counts}",
            f"rms difference from the recording: {c.rms:.2f} mV fitted cell; around it {low:.2f} to {high:.2f} mV, "
            f"median {middle:.2f}",
        ]


def neighbours(folder: Path, count: int = 20, within: float = 10.0, seed: int = 1, ending: str = "png") -> Neighbours:
    """Run `count` cells with each parameter within `within` % of its range around the fit in `folder`, in plain NEURON.

    Writes around.npz and the picture around.png (or another `ending`) there. Raises FitError where the folder is no whole fit,
    or where NEURON does not run the cells.
    """
    found, recording, _, compared = _kept(folder)
    space = ParameterSpace(tuple(Parameter(v.name, v.low, v.high, v.unit, scale=v.scale) for v in found.values))
    drawn = around.draw(space, [v.value for v in found.values], count, within, seed)
    volts = np.concatenate(
        [_run_around(folder, found, recording, space.names, drawn[k : k + AT_ONCE]) for k in range(0, count, AT_ONCE)]
    )
    sound = np.isfinite(volts).all(axis=(1, 2, 3))
    if not sound.any():
        raise FitError(
            f"{folder}: none of the {count} cells around the fit gives a finite voltage; try a smaller --within"
        )
    held = Around(tuple(space.names), drawn[sound], volts[sound], within, seed, count)
    done = Neighbours(held, found, recording, compared, folder / f"around.{ending}")
    unit = found.provenance["simulation"]["current_unit"]
    probes = found.probes(len(recording.volts))
    report.around_picture(
        done.picture, title(found), held, recording.volts, recording.currents, recording.dt, unit, probes
    )
    held.save(folder / AROUND)
    return done


def _run_around(folder, found, recording, names, sets):
    """The traces (n, P, S, T) float32 in mV of the sets (n, K)."""
    probes, stimuli, _ = recording.volts.shape
    variants = [export.with_values(folder, dict(zip(names, map(float, row), strict=True))) for row in sets]
    volts = _seen(found, resimulate.run_variants(folder, variants, stimuli, probes)).astype(np.float32)
    if volts.shape[1:] != recording.volts.shape:
        raise FitError(
            f"{folder}: its fit.hoc gives {volts.shape[-1]} samples, its recording has {recording.volts.shape[-1]}; fit again"
        )
    return volts


def show(folder: Path, path: Path, command: str = ""):
    """Write the page of the fit in `folder` to `path` (.html), or its picture (.png, .pdf or .svg), from the traces kept there.

    `command` goes into the page as what made it. Raises FitError where the folder lacks a file, MlfitError for another suffix.
    """
    kind = path.suffix.lower()
    if kind not in (PAGE, *report.FORMATS):
        raise FitError(
            f"{path}: a page's name ends in {PAGE}, a picture's in {', '.join(report.FORMATS)}; choose one of them"
        )
    found, recording, simulated, compared = _kept(folder)
    if kind != PAGE:
        picture(path, found, recording, simulated.volts, compared)
        return
    files = {str(name): (folder / name).read_bytes() for name in _files(folder)}
    shown = page.Shown(found, recording, simulated.volts, compared, files, command, _drawn_around(folder, recording))
    textfile.write_atomic(path, page.fit_page(shown))


def _kept(folder: Path) -> tuple[Fit, Recording, Recording, Comparison]:
    """The fit in a folder, its recording, the re-simulated one, and how they compare."""
    found = fit.load(folder / "fit.json")
    for name in KEPT:
        if not (folder / name).is_file():
            mend = (
                f"`nrn-mlfit resimulate {folder}` makes it" if name in MADE else "copy the whole folder, or fit again"
            )
            raise FitError(f"{folder}: {name} is missing; {mend}")
    recording, simulated = read(folder / "recording.npz"), read(folder / "simulated.npz")
    if recording.volts.shape != simulated.volts.shape:
        raise FitError(
            f"{folder}: simulated.npz is not of its recording.npz; `nrn-mlfit resimulate {folder}` makes it anew"
        )
    return found, recording, simulated, comparison.load(folder / "comparison.json")


def _drawn_around(folder, recording) -> Around | None:
    """The cells around the fit, if they were drawn."""
    if not (folder / AROUND).is_file():
        return None
    held = around.load(folder / AROUND)
    if held.volts.shape[1:] != recording.volts.shape:
        raise FitError(f"{folder}: {AROUND} is not of its recording.npz; `nrn-mlfit around {folder}` makes it anew")
    return held


def _files(folder: Path) -> list[Path]:
    """The files of a fit by their names in its folder: not pictures and pages, nor what nrnivmodl has built there."""
    held = (path.relative_to(folder) for path in sorted(folder.rglob("*")) if path.is_file())
    drawn = (PAGE, *report.FORMATS)
    return [x for x in held if x.suffix.lower() not in drawn and x.parts[0] not in BUILT and not x.name.startswith(".")]


def title(found: Fit) -> str:
    """What stands above a picture of a fit."""
    search = found.provenance.get("search")
    nearest = f", the nearest of {search['simulations']} cells" if search else ""
    return f"{found.provenance['cell']} fitted to {found.recording['name']}{nearest}"


def picture(path: Path, found: Fit, recording: Recording, simulated, compared: Comparison, where: str = ""):
    """Draw a recording (P, S, T) beside the fitted cell's traces; `where` is added to the title."""
    report.fit_picture(
        path,
        title=title(found) + where,
        recorded=recording.volts,
        simulated=simulated,
        currents=recording.currents,
        dt=recording.dt,
        t0=0.0,
        current_unit=found.provenance["simulation"]["current_unit"],
        values=[asdict(v) for v in found.values],
        verdict=found.verdict,
        probes=found.probes(len(recording.volts)),
        numbers={
            "warnings": found.warnings,
            "disagreement": compared.warning(),
            "comparison": compared.closeness(),
        },
    )


def table(result: Result) -> list[str]:
    """The fit as lines of a table: name, value, spread, range, and the truth where it is known."""
    known = any(v.truth is not None for v in result.fit.values)
    searched = bool(result.fit.searched)
    columns = ["value", *["ensemble"] * searched, "68% from", "to", "90% from", "to"]
    head = f"{'parameter':<11}" + "".join(f"{c:>12}" for c in columns) + f"  {'range':<18}{'unit':<11}"
    lines = [(head + ("truth, error in % of range" if known else "")).rstrip()]
    for v in result.fit.values:
        span = f"{v.low:g} .. {v.high:g}"
        truth = f"{v.truth:.4g} ({v.error:+.1f}%)" if v.truth is not None else ""
        shown = (v.value, *[v.answer] * searched, v.lo68, v.hi68, v.lo90, v.hi90)
        numbers = "".join(f"{x:>12.4g}" for x in shown)
        lines.append(f"{v.name:<11}{numbers}  {span:<18}{v.unit:<11}{truth}".rstrip())
    known = result.fit.provenance.get("fixed", {})
    return lines + [f"{name:<11}{value:>12.4g}  given, not fitted" for name, value in known.items()]


def summary(results: Sequence[Result], more: Mapping[str, Sequence] = MappingProxyType({})) -> str:
    """Many fits as CSV, one row each: columns `more`, values, verdict, and how the re-simulated trace compares."""
    names = [v.name for v in results[0].fit.values]
    rows = [
        [
            "recording",
            *more,
            *names,
            "verdict",
            "rms_mV",
            "spikes_recorded",
            "spikes_simulated",
            "coincidence",
            "disagreement",
        ]
    ]
    for k, r in enumerate(results):
        c = r.comparison
        values = [f"{v.value:.6g}" for v in r.fit.values]
        verdict = "out of range" if r.fit.warnings else "in range"
        numbers = [f"{c.rms:.3f}", str(c.spikes_recorded), str(c.spikes_simulated), f"{c.coincidence:.3f}"]
        first = [r.folder.name, *(column[k] for column in more.values())]
        rows.append([*first, *values, verdict, *numbers, "; ".join(c.disagreements)])
    return textfile.to_csv(rows)
