"""A fitted cell under a recording that it was not fitted to: how far its parameters carry."""

from dataclasses import asdict, replace
from pathlib import Path

from nrn_mlfit import comparison, export, fit, report, resimulate, stimuli
from nrn_mlfit.comparison import Comparison
from nrn_mlfit.errors import FitError, MachineError
from nrn_mlfit.recordings import Recording, read


def run(folder: Path, other: Recording, output: Path) -> Comparison:
    """Run the fit in `folder` in plain NEURON under the current of another recording of the same cell, and compare.

    Before the first sample its level is held for 100 ms, so that the cell has settled. Writes recording.npz, simulated.npz,
    comparison.json and transfer.png to `output`, a new folder. Raises FitError for a recording without a current, or of other
    probes, and where the folder is no fit, or one to several stimuli.
    """
    if output.is_file() or output.is_dir() and any(output.iterdir()):
        raise FitError(f"{output}: already there and not empty; name a new folder with -o")
    found = fit.load(folder / "fit.json")
    about, probes = found.provenance["simulation"], read(folder / "recording.npz").volts.shape[0]
    if other.currents is None or other.volts.shape[:2] != (probes, 1):
        raise FitError(
            f"{other.name}: a sweep with its current is needed, of as many probes as the fit has ({probes}); give a current with "
            "--stim-from"
        )
    stimulus = stimuli.samples(other.currents[0], other.dt, other.name)
    start, substeps = export.under(folder, stimulus, about["dt"] / about["substeps"])
    whole = resimulate.run_under(folder, start, export.column(stimulus.current), probes)
    simulated = whole[..., ::substeps][..., stimulus.start :]
    if simulated.shape != other.volts.shape:
        raise FitError(f"{folder}: its fit.hoc was changed by hand and gives {simulated.shape[-1]} samples; fit again")
    compared = comparison.compare(other, simulated, about["current_unit"])
    try:
        _write(found, other, simulated, compared, output)
    except OSError as error:
        raise MachineError(f"{output}: cannot be written ({error.strerror or error}); choose another folder") from None
    return compared


def _write(found, other, simulated, compared, output):
    output.mkdir(parents=True, exist_ok=True)
    fitted = replace(other, volts=simulated, name="fitted cell", source={"of": other.name}, truth={}, warnings=())
    other.save(output / "recording.npz")
    fitted.save(output / "simulated.npz")
    compared.save(output / "comparison.json")
    report.fit_picture(
        output / "transfer.png",
        title=f"{found.provenance['cell']} fitted to {found.recording['name']}, under {other.name}",
        recorded=other.volts,
        simulated=simulated,
        currents=other.currents,
        dt=other.dt,
        t0=0.0,
        current_unit=found.provenance["simulation"]["current_unit"],
        values=[asdict(value) for value in found.values],
        verdict=found.verdict,
        numbers={"warnings": found.warnings, "disagreement": compared.warning(), "comparison": compared.closeness()},
    )
