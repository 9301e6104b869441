"""A fitted cell under a recording that it was not fitted to: how far its parameters carry."""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from nrn_mlfit import comparison, export, fit, folders, repeats, resimulate, results, stimuli
from nrn_mlfit.comparison import Comparison
from nrn_mlfit.errors import FitError, MachineError, MlfitError
from nrn_mlfit.recordings import Recording, read
from nrn_mlfit.repeats import Repeats


def run(folder: Path, other: Recording, output: Path) -> Comparison:
    """Run the fit in `folder` in plain NEURON under the current of another recording of the same cell, and compare.

    Before the first sample its level is held for 100 ms, so that the cell has settled. Writes recording.npz, simulated.npz,
    comparison.json and transfer.png to `output`, a new folder. Raises FitError for a recording without a current, of other
    probes, or of several stimuli, and where the folder is no fit.
    """
    folders.check_free(output)
    found = fit.load(folder / "fit.json")
    about, probes = found.provenance["simulation"], read(folder / "recording.npz").volts.shape[0]
    current = _current_of(found, other, probes)
    stimulus = stimuli.samples(current, other.dt, other.name)
    start, substeps = export.under(folder, stimulus, about["dt"] / about["substeps"])
    whole = resimulate.run_under(folder, start, export.column(stimulus.current), probes)
    simulated = whole[..., ::substeps][..., stimulus.start :]
    if simulated.shape != other.volts.shape:
        raise FitError(f"{folder}: its fit.hoc was changed by hand and gives {simulated.shape[-1]} samples; fit again")
    compared = comparison.compare(other, simulated, about["current_unit"], found.probes(probes))
    try:
        _write(found, other, simulated, compared, output)
    except OSError as error:
        raise MachineError(f"{output}: cannot be written ({error.strerror or error}); choose another folder") from None
    return compared


def _current_of(found, other, probes):
    """The current (T,) of a recording that a fit of so many probes can be compared with."""
    if other.currents is None:
        raise FitError(f"{other.name}: holds no current to run the cell under; give it with --stim-from")
    if other.volts.shape[0] != probes:
        raise FitError(
            f"{other.name}: holds {other.volts.shape[0]} probe{'s' * (len(other.volts) > 1)}, the cell was fitted to {probes} "
            f"({', '.join(found.probes(probes))}); give their voltages, in this order, as volts (P, S, T) (docs/recordings.md)"
        )
    if other.volts.shape[1] != 1:
        raise FitError(
            f"{other.name}: holds responses to {other.volts.shape[1]} stimuli; give one of them at a time, as volts (P, 1, T)"
        )
    return other.currents[0]


def beside_repeats(output: Path, sweeps: Sequence[Recording | MlfitError]) -> Repeats | None:
    """What `run` wrote to `output` beside those of some sweeps that are repeats of its recording; None of fewer than two.

    Writes repeats.json there.
    """
    whole = [sweep for sweep in sweeps if not isinstance(sweep, MlfitError)]
    alike = repeats.of(read(output / "recording.npz"), whole)
    if len(alike) < 2:
        return None
    compared = repeats.compare(alike, read(output / "simulated.npz").volts)
    compared.save(output / "repeats.json")
    return compared


def _write(found, other, simulated, compared, output):
    output.mkdir(parents=True, exist_ok=True)
    fitted = replace(other, volts=simulated, name="fitted cell", source={"of": other.name}, truth={}, warnings=())
    other.save(output / "recording.npz")
    fitted.save(output / "simulated.npz")
    compared.save(output / "comparison.json")
    results.picture(output / "transfer.png", found, other, simulated, compared, f", under {other.name}")
