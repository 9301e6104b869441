"""A fitted cell, or others in its place, under the recording's stimulus: in plain NEURON, by way of its own fit.hoc."""

import shutil
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from nrn_mlfit.errors import FitError
from nrn_mlfit.simulator.mechanisms import build

SCRIPT = """\
{load_file(1, "%(first)s")}
objref out
proc write_traces() { local s, p
    for s = 0, %(stimuli)d - 1 {
        stimulate(s)
        run()
        for p = 0, %(probes)d - 1 { traces[p].printf(out, "%%.17g\\n") }
    }
}
{out = new File()}
{out.wopen("%(out)s")}
{write_traces()}
%(others)s
{out.close()}
{quit()}
"""
OTHER = """\
{load_file(1, "%s")}
{write_traces()}"""
LEFT = shutil.ignore_patterns("*.npz", "*.html", "*.png", "*.pdf", "*.svg", "x86_64", "aarch64", "arm64")  # of a copy


def run(folder: Path, stimuli: int, probes: int):
    """The traces (P, S, steps) in mV, from t = 0 on and at every integration step, of the fit in `folder`.

    They are simulated by plain nrniv in a process of its own, through fit.hoc.

    Raises FitError with NEURON's own words if that fails, MachineError without a compiler for its channels.
    """
    return _runs(_checked(folder), ["fit.hoc"], stimuli, probes)[0]


def run_variants(folder: Path, variants: Sequence[tuple[str, str]], stimuli: int, probes: int):
    """As `run`, (n, P, S, steps), of n cells in place of the fitted one: each a fitted_cell.hoc and a fit.hoc, as text.

    They are run one after the other by one nrniv, in a copy of the folder.
    """
    with tempfile.TemporaryDirectory(prefix="nrn_mlfit-") as scratch:
        copy = Path(shutil.copytree(_checked(folder), Path(scratch) / "fit", ignore=LEFT))
        starts = []
        for number, (cell, start) in enumerate(variants):
            starts.append(f"fit-{number}.hoc")
            own = f"fitted_cell-{number}.hoc"
            (copy / own).write_text(cell, encoding="utf-8")
            (copy / starts[-1]).write_text(
                start.replace('load_file("fitted_cell.hoc")', f'load_file("{own}")'), encoding="utf-8"
            )
        return _runs(copy, starts, stimuli, probes)


def run_under(folder: Path, start: str, current: str, probes: int):
    """As `run`, (P, 1, steps), under another stimulus: a fit.hoc and the current, which takes the place of all of the fit's own,
    as text, in a copy of the folder."""
    with tempfile.TemporaryDirectory(prefix="nrn_mlfit-") as scratch:
        copy = Path(shutil.copytree(_checked(folder), Path(scratch) / "fit", ignore=LEFT))
        (copy / "fit.hoc").write_text(start, encoding="utf-8")
        for held in copy.glob("stimulus*.txt"):
            held.write_text(current, encoding="utf-8")
        return _runs(copy, ["fit.hoc"], 1, probes)[0]


def _checked(folder) -> Path:
    folder = folder.resolve()
    if not (folder / "fit.hoc").is_file():
        raise FitError(f"{folder}: holds no fit.hoc; make a fit with `nrn-mlfit fit`, or name its folder")
    return folder


def _runs(folder, starts, stimuli, probes):
    """The traces (n, P, S, steps) of n files that are like fit.hoc."""
    with tempfile.TemporaryDirectory(prefix="nrn_mlfit-") as scratch:
        out = Path(scratch) / "traces.txt"
        script = Path(scratch) / "run.hoc"
        first, *others = starts
        more = "\n".join(OTHER % start for start in others)
        script.write_text(
            SCRIPT % {"first": first, "others": more, "stimuli": stimuli, "probes": probes, "out": out},
            encoding="utf-8",
        )
        _nrniv(folder, script, out)
        traces = np.loadtxt(out).reshape(len(starts), stimuli, probes, -1)
    return traces.transpose(0, 2, 1, 3)


def _nrniv(folder, script, out):
    library = ["-dll", str(build(folder / "mod"))] if (folder / "mod").is_dir() else []
    beside = Path(sys.executable).with_name("nrniv")
    command = [str(beside) if beside.exists() else "nrniv", "-nogui", "-nobanner", *library, str(script)]
    done = subprocess.run(
        command, cwd=folder, capture_output=True, text=True, errors="replace", stdin=subprocess.DEVNULL
    )
    if done.returncode or not out.is_file() or not out.stat().st_size:
        said = (x.strip() for x in (done.stderr + done.stdout).splitlines())
        lines = [x for x in said if x and not x.endswith("nrniv:")]
        raise FitError(f"{folder}: fit.hoc does not run in NEURON ({'; '.join(lines[:2]) or 'no message'})")
