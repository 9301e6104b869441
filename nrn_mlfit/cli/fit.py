"""nrn-mlfit fit"""

from dataclasses import replace
from pathlib import Path

import click

from nrn_mlfit.cli.options import any_path, command_line, ensemble_option, one_process, say


@click.command()
@click.argument("recording", type=any_path)
@ensemble_option
@click.option("-o", "--output", type=any_path, required=True, help="New folder for the fit.")
@click.option("--sweep", type=click.IntRange(min=0), help="Which sweep of the file (or row of a shard).")
@click.option("--stimulus", metavar="NAME", help="What was injected, where the recording does not hold it.")
def fit(recording, ensemble, output, sweep, stimulus):
    """Fit RECORDING: parameters with their spread, a verdict, and files that open in NEURON.

    RECORDING is an NWB, HDF5, npz or CSV file, a shard of simulated traces, or a folder of such files (one fit each).

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
        _many(held, recordings.files(recording), sweep, stimulus, output)
    else:
        piece, found = _fit(held, recordings.read(recording, sweep), stimulus)
        _print(results.write(found, held, piece, output))


def _fit(ensemble, recording, stimulus):
    from nrn_mlfit import banks
    from nrn_mlfit import fit as fits

    recording = banks.as_cut(ensemble.protocol, recording)
    if stimulus:
        recording = fits.with_stimulus(ensemble, recording, stimulus)
    found = fits.fit_recording(ensemble, recording)
    return recording, replace(found, provenance={**found.provenance, "command": command_line()})


def _many(ensemble, files, sweep, stimulus, output):
    """All are fitted before anything is written, so that a recording that does not belong leaves nothing behind."""
    from nrn_mlfit import recordings, results, textfile

    pairs = [_fit(ensemble, recordings.read(path, sweep), stimulus) for path in files]
    done = []
    for path, (piece, found) in zip(files, pairs, strict=True):
        done.append(results.write(found, ensemble, piece, output / path.name))
        say(f"{path.name}: {found.verdict}")
    table = results.summary(done)
    textfile.write_atomic(output / "fits.csv", table)
    say(table.rstrip())
    say(f"one folder a recording, and this table: {output / 'fits.csv'}")


def _print(result):
    from nrn_mlfit import results

    for line in results.table(result):
        say(line)
    say(f"verdict: {result.fit.verdict}")
    for line in [*result.fit.warnings, *result.comparison.lines()]:
        say(f"  {line}")
    folder = Path(result.folder)
    compile_first = "nrnivmodl mod && " if (folder / "mod").is_dir() else ""
    say(f"look at {folder / 'fit.png'}, or at a page: nrn-mlfit report {folder}")
    say(f"open it in NEURON: cd {folder} && {compile_first}nrngui fit.hoc")
