"""A fit as a folder: fit.json, the NEURON files, the recording's trace, the re-simulated one, picture and page of both."""

import csv
import io
import tempfile
from dataclasses import asdict, dataclass, replace
from pathlib import Path

from nrn_mlfit import cells, export, fit, report, resimulate, textfile
from nrn_mlfit.errors import FitError, MachineError
from nrn_mlfit.fit import Fit
from nrn_mlfit.recordings import Recording, read
from nrn_mlfit.report import page
from nrn_mlfit.resimulate import Comparison

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
    check_free(folder)
    try:
        folder.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=folder.parent, prefix=f".{folder.name}-") as scratch:
            fresh = Path(scratch) / "fit"
            comparison = _fill(found, ensemble, recording, fresh)
            fresh.rename(folder)
    except OSError as error:
        raise MachineError(
            f"{folder}: cannot be written ({error.strerror or error}); choose another folder or free some space"
        ) from None
    return Result(folder, found, comparison)


def check_free(folder: Path):
    """Refuse a folder that holds anything, before any work is done for it."""
    if folder.is_file() or folder.is_dir() and any(folder.iterdir()):
        raise FitError(f"{folder}: already there and not empty; name a new folder with -o")


def _fill(found, ensemble, recording, folder) -> Comparison:
    model = cells.load(ensemble.cell_folder)
    export.write(found, model, ensemble.protocol.rescaled_to(recording.currents), folder)
    found.save(folder / "fit.json")
    recording.save(folder / "recording.npz")
    return again(folder).comparison


def again(folder: Path) -> Result:
    """Re-simulate the fit in `folder` through its fit.hoc, compare with its recording, and draw fit.png anew."""
    found, recording = fit.load(folder / "fit.json"), read(folder / "recording.npz")
    wanted = found.provenance["simulation"]
    probes, stimuli, length = recording.volts.shape
    whole = resimulate.run(folder, stimuli, probes)
    simulated = whole[..., :: wanted["substeps"]][..., wanted["start"] :]
    if simulated.shape != recording.volts.shape:
        raise FitError(
            f"{folder}: its fit.hoc gives {simulated.shape[-1]} samples, its recording has {length}; fit again"
        )
    comparison = resimulate.compare(recording.volts, simulated, recording.dt)
    replace(recording, volts=simulated, name="fitted cell", source={"of": recording.name}, truth={}).save(
        folder / "simulated.npz"
    )
    textfile.write_atomic(folder / "expected.txt", export.column(whole[0, 0]))
    textfile.write_atomic(folder / "comparison.json", textfile.to_json(asdict(comparison)))
    _picture(folder / "fit.png", found, recording, simulated, comparison)
    return Result(folder, found, comparison)


def show(folder: Path, path: Path, command: str = ""):
    """Write the page of the fit in `folder` to `path` (.html), or its picture (.png, .pdf or .svg), from the traces kept there.

    `command` goes into the page as what made it. Raises FitError where the folder lacks a file, MlfitError for another suffix.
    """
    kind = path.suffix.lower()
    if kind not in (PAGE, *report.FORMATS):
        raise FitError(
            f"{path}: a page's name ends in {PAGE}, a picture's in {', '.join(report.FORMATS)}; choose one of them"
        )
    found, recording, simulated, comparison = _kept(folder)
    if kind != PAGE:
        _picture(path, found, recording, simulated.volts, comparison)
        return
    files = {str(name): (folder / name).read_bytes() for name in _files(folder)}
    shown = page.Shown(found, recording, simulated.volts, asdict(comparison), files, command)
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
    path = folder / "comparison.json"
    try:
        return found, recording, simulated, Comparison(**textfile.read_json(path, FitError))
    except TypeError as error:
        raise FitError(f"{path}: is no comparison ({error}); `nrn-mlfit resimulate {folder}` makes it anew") from None


def _files(folder: Path) -> list[Path]:
    """The files of a fit by their names in its folder: not pictures and pages, nor what nrnivmodl has built there."""
    held = (path.relative_to(folder) for path in sorted(folder.rglob("*")) if path.is_file())
    drawn = (PAGE, *report.FORMATS)
    return [x for x in held if x.suffix.lower() not in drawn and x.parts[0] not in BUILT and not x.name.startswith(".")]


def _picture(path, found, recording, simulated, comparison):
    report.fit_picture(
        path,
        title=f"{found.provenance['cell']} fitted to {found.recording['name']}",
        recorded=recording.volts,
        simulated=simulated,
        currents=recording.currents,
        dt=recording.dt,
        t0=0.0,
        current_unit=found.provenance["simulation"]["current_unit"],
        values=[asdict(v) for v in found.values],
        verdict=found.verdict,
        numbers={"warnings": list(found.warnings), "comparison": comparison.lines()},
    )


def table(result: Result) -> list[str]:
    """The fit as lines of a table: name, value, spread, range, and the truth where it is known."""
    known = any(v.truth is not None for v in result.fit.values)
    columns = ["value", "68% from", "to", "90% from", "to"]
    head = f"{'parameter':<11}" + "".join(f"{c:>12}" for c in columns) + f"  {'range':<18}{'unit':<11}"
    lines = [(head + ("truth, error in % of range" if known else "")).rstrip()]
    for v in result.fit.values:
        span = f"{v.low:g} .. {v.high:g}"
        truth = f"{v.truth:.4g} ({v.error:+.1f}%)" if v.truth is not None else ""
        numbers = "".join(f"{x:>12.4g}" for x in (v.value, v.lo68, v.hi68, v.lo90, v.hi90))
        lines.append(f"{v.name:<11}{numbers}  {span:<18}{v.unit:<11}{truth}".rstrip())
    known = result.fit.provenance.get("fixed", {})
    return lines + [f"{name:<11}{value:>12.4g}  given, not fitted" for name, value in known.items()]


def summary(results: list[Result]) -> str:
    """Many fits as CSV, one row each: values, verdict, and how the re-simulated trace compares."""
    names = [v.name for v in results[0].fit.values]
    rows = [["recording", *names, "verdict", "rms_mV", "spikes_recorded", "spikes_simulated", "coincidence"]]
    for r in results:
        c = r.comparison
        values = [f"{v.value:.6g}" for v in r.fit.values]
        verdict = "out of range" if r.fit.warnings else "in range"
        numbers = [f"{c.rms:.3f}", str(c.spikes_recorded), str(c.spikes_simulated), f"{c.coincidence:.3f}"]
        rows.append([r.folder.name, *values, verdict, *numbers])
    table = io.StringIO()
    csv.writer(table, lineterminator="\n").writerows(rows)
    return table.getvalue()
