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
    help="Folder of a trained ensemble, or the name of one that comes with nrn_mlfit (mainen) or with another package  [default: "
    "one that knows the recording's stimulus]",
)
@click.option("-o", "--output", type=any_path, required=True, help="New folder for the fit.")
@click.option(
    "--sweep", metavar="N", help="Which sweep of the file (or row of a shard); of a series all, or such as 3-8,10."
)
@click.option(
    "--one-cell", is_flag=True, help="The files of the folder are of one cell: follow its parameters from file to file."
)
@click.option("--stimulus", metavar="NAME", help="What was injected, where the recording does not hold it.")
@click.option("--train", is_flag=True, help="Make an ensemble for the recording's stimulus where there is none.")
@click.option(
    "--cell",
    help="Only by an ensemble of this cell (name or cell file), which --train makes where there is none  [default: of any cell; "
    "--train makes one of mainen_wide]",
)
@click.option(
    "--refine",
    type=click.IntRange(min=1),
    metavar="N",
    help="Search on from the ensemble's answer: the nearest of so many simulated cells, such as 2000.",
)
@reading_options
def fit(recording, ensemble, output, sweep, one_cell, stimulus, train, cell, refine, reading):
    """Fit RECORDING: parameters with their spread, a verdict, and files that open in NEURON.

    RECORDING is an ABF, NWB, Igor, HDF5, npz, CSV or TXT file, a shard of simulated traces, or a folder of such files. The
    stretch that is under the ensemble's stimulus is found in it, and resampled.

    Of several sweeps (--sweep), and of the files of a folder, each is fitted by itself; what cannot be fitted is named, and left
    out. fits.csv has a row each. Sweeps are of one cell, so drift.png shows its values against time, and drift.csv tells which of
    them drift. The files of a folder may be of different cells: say --one-cell where they are not. A broken-off series goes on
    where it stopped by the same command.

    Without -e an ensemble is looked for that knows the stimulus. Of several the cell decides: mainen_wide, then the others that
    come with nrn_mlfit, point cells last, then your own and those of other packages (--cell takes one of them only). Of one cell
    it is the latest made here by --train, then that which comes with nrn_mlfit or another package, by name. The one that is taken
    is named, and so are the others. Where none knows the stimulus, the commands that make one are said, with the time they take
    on this machine.

    The ensemble's answer is the mean over all cells that could have given the trace, and need not be one of them. --refine
    simulates cells around it and gives the values of that whose trace comes nearest; intervals and verdict stay the ensemble's.

    \b
    Examples:
      nrn-mlfit fit cell7.abf --sweep 9 -o fits/cell7
      nrn-mlfit fit cell7.abf --sweep 9 --refine 2000 -o fits/cell7-nearest
      nrn-mlfit fit ramp.abf --sweep 2 --train -o fits/ramp
      nrn-mlfit fit cell7.abf --sweep all -o fits/series
      nrn-mlfit fit sweep.npz -e ensembles/mainen -o fits/cell7
      nrn-mlfit fit runs/test/shard-0000000000.h5 --sweep 12 -e ensembles/mainen -o fits/test12
      nrn-mlfit fit recordings/ -e ensembles/mainen -o fits/all
      nrn-mlfit fit cell7/ --one-cell -o fits/cell7
    """
    one_process("fit")
    from nrn_mlfit import folders, recordings
    from nrn_mlfit.errors import RecordingError

    folders.check_free(output)
    asked = _asked(sweep)
    wish = ensemble, reading, train, cell
    if recording.is_dir():
        files = recordings.read_folder(recording, asked, reading)
        return _several(recording, files, asked != [], wish, stimulus, output, refine, one_cell)
    if one_cell:
        raise RecordingError(f"--one-cell: is for a folder of files, and {recording.name} is none; leave it out")
    if isinstance(asked, list):
        held = recordings.read_some(recording, asked, reading)
        return _several(recording, held, asked != [], wish, stimulus, output, refine)
    whole = recordings.read(recording, asked, reading)
    folder, about = _ensemble([whole], *wish)
    _one(folder, _piece(about, whole, stimulus), output, refine)


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


def _several(path, held, named, wish, stimulus, output, refine, one_cell=True):
    """Fit several sweeps of a file, or the files of a folder; those that cannot be fitted are named, and left out."""
    from nrn_mlfit import series

    kept, left = series.usable(held, named)
    pieces = {}
    if kept:
        folder, about = _ensemble(list(kept.values()), *wish)
        pieces = _each(kept, lambda whole: _piece(about, whole, stimulus), left)
    _check_some(path, pieces, left)
    networks = _loaded(folder)
    ordered = series.in_time(pieces) if one_cell else pieces
    fits = _each(ordered, lambda piece: (piece, _fit(networks, piece)), left)
    _check_some(path, fits, left)
    for key, why in sorted(left.items()):
        say(f"{series.called(key)} is left out: {why}")
    search = series.Search(refine, _search(networks, refine)) if refine else None
    # Put in order of time, those that are left out have no place.
    order = list(held if list(ordered) == list(pieces) else ordered)
    made = series.write(fits, networks, output, left, one_cell, say, search, order)
    if made:
        for line in made.lines():
            say(line)
        return say(f"one folder a {made.one}, fits.csv, and the drift: {output / 'drift.png'}")
    say(f"one folder a recording, and a table: {output / 'fits.csv'}")
    if len(fits) > 1 and not any(piece.source["format"] == "shard" for piece, _ in fits.values()):
        say("are they of one cell? --one-cell follows its parameters from file to file, in order of time")


def _each(held, do, left) -> dict:
    """What `do` makes of each; where it cannot, it is left, with the reason. What this machine lacks ends it: all lack it."""
    from nrn_mlfit.errors import MachineError, MlfitError

    made = {}
    for key, recording in held.items():
        try:
            made[key] = do(recording)
        except MachineError:
            raise
        except MlfitError as error:
            left[key] = str(error).removeprefix(f"{recording.name}: ")
    return made


def _check_some(path, held, left):
    """Refuse where there is nothing to be fitted."""
    from nrn_mlfit import series
    from nrn_mlfit.errors import RecordingError

    if not held:
        key, why = min(left.items())
        none = "no sweep of it" if isinstance(key, int) else "none of its recordings"
        raise RecordingError(f"{path.absolute().name}: {none} can be fitted; {series.called(key)}: {why}")


def _ensemble(pieces, name, reading, train, cell):
    """Folder and outline of the ensemble of that name; without one, of an ensemble that serves the first of the recordings that
    has any, or after --train will. Networks are not loaded: that takes seconds, and what is refused does not need them."""
    from nrn_mlfit import serving
    from nrn_mlfit.errors import EnsembleError
    from nrn_mlfit.learn import outline, shipped

    if name:
        folder = shipped.find(name)
        about = outline.read(folder)
        serving.check_cell(name, about, cell)
        return folder, about
    if not (served := serving.find(*pieces, cell=cell)):
        one = next((piece for piece in pieces if piece.currents is not None and piece.currents.any()), pieces[0])
        _make_one(one, reading, train, cell)
        served = serving.find(one, cell=cell)
        if not served:
            raise EnsembleError(f"{one.name}: the ensemble that was made does not know its stimulus; name one with -e")
    first, *others = served
    say(f"ensemble: {first.name}, {first.told}")
    _say_others("as well", others)
    return first.folder, first.outline


def _say_others(how, known):
    for one in known:
        say(f"  {how}: -e {one.typed}, {one.told}")


def _make_one(recording, reading, train, cell):
    """Make an ensemble for the stimulus in a recording, or say how and refuse."""
    from nrn_mlfit import serving
    from nrn_mlfit.errors import EnsembleError
    from nrn_mlfit.recordings import Reading

    name, of = recording.name, f" of {cell}" if cell else ""
    if recording.currents is None:
        raise EnsembleError(
            f"{name}: holds no current, so no ensemble can be looked for; give it with --stim-from, or name one with -e"
        )
    _say_others("known to", serving.find(recording) if cell else [])
    if recording.source["format"] == "shard" or replace(reading, junction_potential=0.0) != Reading():
        raise EnsembleError(
            f"{name}: no ensemble{of} here knows its stimulus; name one with -e, or save the piece to be fitted (nrn-mlfit "
            "recording ... -o piece.npz) and fit that, to have one made"
        )
    plan = serving.plan(Path(recording.source["file"]), recording, cell or serving.CELL, say)
    if train:
        return plan.carry_out(say)
    for line in plan.lines:
        say(f"  {line}")
    raise EnsembleError(
        f"{name}: no ensemble{of} here knows its stimulus; the commands above make one in about {plan.time} on this "
        "machine, and --train runs them; or name an ensemble with -e"
    )


def _piece(about, recording, stimulus):
    """What of a recording is under the stimulus of an ensemble with that outline; raises EnsembleError where none is."""
    from nrn_mlfit import alignment
    from nrn_mlfit import fit as fits

    if stimulus:
        recording = fits.with_stimulus(about.protocol, recording, stimulus)
    piece = alignment.aligned(about.protocol, recording)
    fits.check(about.protocol, about.probes, piece)
    return piece


def _loaded(folder):
    from nrn_mlfit.learn import Ensemble

    return Ensemble.load(folder)


def _fit(ensemble, piece):
    from nrn_mlfit import fit as fits

    found = fits.fit_recording(ensemble, piece)
    return replace(found, provenance={**found.provenance, "command": command_line()})


def _search(ensemble, simulations):
    """A search on from a fit to a recording by that ensemble."""
    from nrn_mlfit.refine import refined

    return lambda found, piece: refined(found, ensemble, piece, simulations, report=say)


def _one(folder, piece, output, refine):
    from nrn_mlfit import results

    held = _loaded(folder)
    found = _fit(held, piece)
    if refine:
        found = _search(held, refine)(found, piece)
    _print(results.write(found, held, piece, output), piece.warnings)


def _print(result, of_the_recording):
    from nrn_mlfit import results

    for line in results.table(result):
        say(line)
    if cut := result.fit.recording.get("cut_ms"):
        say("fitted: {:g} to {:g} ms of the recording".format(*cut))
    say(f"verdict: {result.fit.verdict}")
    for line in [
        *result.fit.warnings,
        *filter(None, [result.fit.searched]),
        *result.comparison.lines(),
        *(f"recording: {said}" for said in of_the_recording),
    ]:
        say(f"  {line}")
    if result.comparison.disagreements and not result.fit.searched:
        say("a search from here may find a cell that does: the same with --refine 2000 and another -o")
    folder = Path(result.folder)
    compile_first = "nrnivmodl mod && " if (folder / "mod").is_dir() else ""
    say(f"look at {folder / 'fit.png'}, or at a page: nrn-mlfit report {folder}")
    say(f"open it in NEURON: cd {folder} && {compile_first}nrngui fit.hoc")
