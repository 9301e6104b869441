"""nrn-mlfit fit"""

from dataclasses import replace
from pathlib import Path

import click

from nrn_mlfit.cli.options import any_path, command_line, ensemble_option, one_process, reading_options, say


@click.command()
@click.argument("recording", type=any_path)
@ensemble_option
@click.option("-o", "--output", type=any_path, required=True, help="New folder for the fit.")
@click.option("--sweep", type=click.IntRange(min=0), help="Which sweep of the file (or row of a shard).")
@click.option("--stimulus", metavar="NAME", help="What was injected, where the recording does not hold it.")
@reading_options
def fit(recording, ensemble, output, sweep, stimulus, reading):
    """Fit RECORDING: parameters with their spread, a verdict, and files that open in NEURON.

    RECORDING is an ABF, NWB, Igor, HDF5, npz, CSV or TXT file, a shard of simulated traces, or a folder of such files (one fit
    each).

    \b
    Examples:
      nrn-mlfit fit sweep.npz -e ensembles/mainen -o fits/cell7
      nrn-mlfit fit runs/test/shard-0000000000.h5 --sweep 12 -e ensembles/mainen -o fits/test12
      nrn-mlfit fit recordings/ -e ensembles/mainen -o fits/all
    """
    one_process("fit")
    from nrn_mlfit import recordings, results
    from nrn_mlfit.learn import Ensemble

    results.check_free(output)
    held = Ensemble.load(ensemble)
    if recording.is_dir():
        pieces = [recordings.read(path, sweep, reading) for path in recordings.files(recording)]
        _many(held, pieces, stimulus, output)
    else:
        piece, found = _fit(held, recordings.read(recording, sweep, reading), stimulus)
        _print(results.write(found, held, piece, output), piece.warnings)


def _fit(ensemble, recording, stimulus):
    from nrn_mlfit import banks
    from nrn_mlfit import fit as fits

    recording = banks.as_cut(ensemble.protocol, recording)
    if stimulus:
        recording = fits.with_stimulus(ensemble, recording, stimulus)
    found = fits.fit_recording(ensemble, recording)
    return recording, replace(found, provenance={**found.provenance, "command": command_line()})


def _many(ensemble, whole, stimulus, output):
    """All are fitted before anything is written, so that a recording that does not belong leaves nothing behind."""
    from nrn_mlfit import results, textfile

    pairs = [_fit(ensemble, recording, stimulus) for recording in whole]
    done = []
    for piece, found in pairs:
        name = Path(piece.source["file"]).name
        done.append(results.write(found, ensemble, piece, output / name))
        say(f"{name}: {found.verdict}")
        for said in piece.warnings:
            say(f"  recording: {said}")
    table = results.summary(done)
    textfile.write_atomic(output / "fits.csv", table)
    say(table.rstrip())
    say(f"one folder a recording, and this table: {output / 'fits.csv'}")


def _print(result, of_the_recording):
    from nrn_mlfit import results

    for line in results.table(result):
        say(line)
    say(f"verdict: {result.fit.verdict}")
    for line in [
        *result.fit.warnings,
        *result.comparison.lines(),
        *(f"recording: {said}" for said in of_the_recording),
    ]:
        say(f"  {line}")
    folder = Path(result.folder)
    compile_first = "nrnivmodl mod && " if (folder / "mod").is_dir() else ""
    say(f"look at {folder / 'fit.png'}, or at a page: nrn-mlfit report {folder}")
    say(f"open it in NEURON: cd {folder} && {compile_first}nrngui fit.hoc")
