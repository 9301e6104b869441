"""nrn-mlfit fit"""

import re
from dataclasses import replace
from pathlib import Path

import click

from nrn_mlfit.cli.options import any_path, command_line, one_process, reading_options, say

NUMBER = "[0-9]{1,9}"
SPAN = f"{NUMBER}(-{NUMBER})?"


@click.command()
@click.argument("recording", type=any_path)
@click.option(
    "-e",
    "--ensemble",
    type=any_path,
    help="Folder of a trained ensemble, or the name of one that comes with nrn_mlfit (mainen)  [default: one that knows the "
    "recording's stimulus]",
)
@click.option("-o", "--output", type=any_path, required=True, help="New folder for the fit.")
@click.option(
    "--sweep", metavar="N", help="Which sweep of the file (or row of a shard); of a series all, or such as 3-8,10."
)
@click.option("--stimulus", metavar="NAME", help="What was injected, where the recording does not hold it.")
@click.option("--train", is_flag=True, help="Make an ensemble for the recording's stimulus where there is none.")
@click.option("--cell", default="mainen_slice", show_default=True, help="The cell that --train trains for.")
@reading_options
def fit(recording, ensemble, output, sweep, stimulus, train, cell, reading):
    """Fit RECORDING: parameters with their spread, a verdict, and files that open in NEURON.

    RECORDING is an ABF, NWB, Igor, HDF5, npz, CSV or TXT file, a shard of simulated traces, or a folder of such files (one fit
    each). Of several sweeps each is fitted; drift.png shows the values against time. The stretch that is under the ensemble's
    stimulus is found in it, and resampled. Without -e an ensemble is looked for that knows the stimulus; where there is none, the
    commands that make one are said, with the time they take on this machine.

    \b
    Examples:
      nrn-mlfit fit cell7.abf --sweep 9 -o fits/cell7
      nrn-mlfit fit ramp.abf --sweep 2 --train -o fits/ramp
      nrn-mlfit fit cell7.abf --sweep all -o fits/series
      nrn-mlfit fit sweep.npz -e ensembles/mainen -o fits/cell7
      nrn-mlfit fit runs/test/shard-0000000000.h5 --sweep 12 -e ensembles/mainen -o fits/test12
      nrn-mlfit fit recordings/ -e ensembles/mainen -o fits/all
    """
    one_process("fit")
    from nrn_mlfit import recordings, results

    results.check_free(output)
    asked = _asked(sweep)
    if isinstance(asked, list):
        return _series(recording, asked, reading, (ensemble, train, cell), stimulus, output)
    paths = recordings.files(recording) if recording.is_dir() else [recording]
    pieces = [recordings.read(path, asked, reading) for path in paths]
    held = _ensemble(ensemble, paths[0], pieces[:1], reading, (train, cell))
    if recording.is_dir():
        _many(held, pieces, stimulus, output)
    else:
        piece, found = _fit(held, pieces[0], stimulus)
        _print(results.write(found, held, piece, output), piece.warnings)


def _asked(sweep) -> int | list[range] | None:
    """A sweep's number; of several the ranges of numbers, of all an empty list."""
    from nrn_mlfit.errors import RecordingError

    if sweep is None or re.fullmatch(NUMBER, sweep):
        return None if sweep is None else int(sweep)
    listed = re.fullmatch(f"{SPAN}(,{SPAN})*", sweep)
    ends = [part.split("-") for part in sweep.split(",")] if listed else []
    spans = [range(int(part[0]), int(part[-1]) + 1) for part in ends]
    if sweep != "all" and not (spans and all(spans)):
        raise RecordingError(f"--sweep {sweep}: is no sweep; write a number, several such as 3-8,10, or all")
    return spans


def _series(path, spans, reading, wish, stimulus, output):
    """Fit several sweeps of a file; those that cannot be fitted are named, and left out."""
    from nrn_mlfit import recordings, series
    from nrn_mlfit.errors import MlfitError, RecordingError

    kept, left = series.usable(recordings.read_some(path, spans, reading), named=bool(spans))
    pairs = {}
    if kept:
        held = _ensemble(wish[0], path, list(kept.values()), reading, wish[1:])
    for number, whole in kept.items():
        try:
            pairs[number] = _fit(held, whole, stimulus)
        except MlfitError as error:
            left[number] = str(error).removeprefix(f"{whole.name}: ")
    if not pairs:
        number, why = min(left.items())
        raise RecordingError(f"{path.name}: no sweep of it can be fitted; sweep {number}: {why}")
    for number, why in sorted(left.items()):
        say(f"sweep {number} is left out: {why}")
    for line in series.write(pairs, held, output).lines():
        say(line)
    say(f"one folder a sweep, fits.csv, and the drift: {output / 'drift.png'}")


def _ensemble(name, path, pieces, reading, wish):
    """The ensemble of that name; without one, an ensemble that serves the first recording that has one, or after --train will."""
    from nrn_mlfit import serving
    from nrn_mlfit.errors import EnsembleError
    from nrn_mlfit.learn import Ensemble

    if name:
        return Ensemble.load(name)
    if not (served := _serving(pieces)):
        one = next((piece for piece in pieces if piece.currents is not None and piece.currents.any()), pieces[0])
        _make_one(path, one, reading, *wish)
        served = _serving(pieces)
    if not served:
        raise EnsembleError(f"{path.name}: the ensemble that was made does not know its stimulus; name one with -e")
    first, *others = served
    say(f"ensemble: {first}" + (f"; as well, with -e: {', '.join(others)}" if others else ""))
    return Ensemble.load(serving.known()[first])


def _serving(pieces) -> list[str]:
    """The ensembles that serve the first of the recordings that has any."""
    from nrn_mlfit import serving

    return next(filter(None, map(serving.find, pieces)), [])


def _make_one(path, recording, reading, train, cell):
    """Make an ensemble for the stimulus in a recording, or say how and refuse."""
    from nrn_mlfit import serving
    from nrn_mlfit.errors import EnsembleError
    from nrn_mlfit.recordings import Reading

    name = recording.name
    if recording.currents is None:
        raise EnsembleError(
            f"{name}: holds no current, so no ensemble can be looked for; give it with --stim-from, or name one with -e"
        )
    if recording.source["format"] == "shard" or replace(reading, junction_potential=0.0) != Reading():
        raise EnsembleError(
            f"{name}: no ensemble here knows its stimulus; name one with -e, or save the piece to be fitted (nrn-mlfit recording "
            "... -o piece.npz) and fit that, to have one made"
        )
    plan = serving.plan(path, recording, cell, say)
    if train:
        return plan.carry_out(say)
    for line in plan.lines:
        say(f"  {line}")
    raise EnsembleError(
        f"{name}: no ensemble here knows its stimulus; the commands above make one in about {plan.time} on this "
        "machine, and --train runs them; or name an ensemble with -e"
    )


def _fit(ensemble, recording, stimulus):
    from nrn_mlfit import alignment
    from nrn_mlfit import fit as fits

    if stimulus:
        recording = fits.with_stimulus(ensemble, recording, stimulus)
    recording = alignment.aligned(ensemble.protocol, recording)
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
