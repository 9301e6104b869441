"""The fitted cell under the recording's stimulus, in plain NEURON by way of its own fit.hoc, beside the recording."""

import subprocess
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from nrn_mlfit.errors import FitError
from nrn_mlfit.simulator.mechanisms import build
from nrn_mlfit.spikes import coincidence, spike_times

PRECISION_MS = 2.0  # within which spikes coincide

SCRIPT = """\
{load_file(1, "fit.hoc")}
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
{out.close()}
{quit()}
"""


@dataclass(frozen=True)
class Comparison:
    """A re-simulated trace beside its recording: rms in mV, spikes, and the coincidence factor (1: all within 2 ms)."""

    rms: float
    spikes_recorded: int
    spikes_simulated: int
    coincidence: float

    def lines(self) -> list[str]:
        return [
            f"rms difference {self.rms:.2f} mV",
            f"spikes: {self.spikes_recorded} recorded, {self.spikes_simulated} simulated; "
            f"coincidence within {PRECISION_MS:g} ms: {self.coincidence:.2f}",
        ]


def run(folder: Path, stimuli: int, probes: int):
    """The traces (P, S, steps) in mV, from t = 0 on and at every integration step, of the fit in `folder`.

    They are simulated by plain nrniv in a process of its own, through fit.hoc.

    Raises FitError with NEURON's own words if that fails, MachineError without a compiler for its channels.
    """
    folder = folder.resolve()
    if not (folder / "fit.hoc").is_file():
        raise FitError(f"{folder}: holds no fit.hoc; make a fit with `nrn-mlfit fit`, or name its folder")
    with tempfile.TemporaryDirectory(prefix="nrn_mlfit-") as scratch:
        out = Path(scratch) / "traces.txt"
        script = Path(scratch) / "run.hoc"
        script.write_text(SCRIPT % {"stimuli": stimuli, "probes": probes, "out": out})
        _nrniv(folder, script, out)
        traces = np.loadtxt(out).reshape(stimuli, probes, -1)
    return traces.transpose(1, 0, 2)


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


def compare(recorded, simulated, dt: float) -> Comparison:
    """A recording beside its re-simulation, both (P, S, T) in mV; spikes are those of the first probe."""
    duration = recorded.shape[-1] * dt
    pairs = [(spike_times(a, dt), spike_times(b, dt)) for a, b in zip(recorded[0], simulated[0], strict=True)]
    return Comparison(
        rms=float(np.sqrt(np.mean((recorded - simulated) ** 2))),
        spikes_recorded=sum(a.size for a, _ in pairs),
        spikes_simulated=sum(b.size for _, b in pairs),
        coincidence=float(np.mean([coincidence(a, b, duration, PRECISION_MS) for a, b in pairs])),
    )
