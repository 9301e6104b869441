"""nrn-mlfit simulate"""

import math
from dataclasses import replace
from functools import partial
from pathlib import Path

import click

from nrn_mlfit import workers
from nrn_mlfit.cli.options import any_path, become_mpi_job, cell_argument, say


@click.command()
@cell_argument
@click.option("-n", "--samples", type=click.IntRange(min=1), required=True, help="Parameter sets to simulate.")
@click.option("-o", "--output", type=any_path, required=True, help="Folder for the shards.")
@click.option(
    "--seed", type=click.IntRange(min=0), default=1, show_default=True, help="Set i depends on (seed, i) alone."
)
@click.option("--first", type=click.IntRange(min=0), default=0, show_default=True, help="Number of the first set.")
@click.option("-j", "--ranks", type=click.IntRange(min=1), default=1, help="Start this many MPI processes ourselves.")
@click.option(
    "--fix",
    metavar="NAME=VALUE",
    multiple=True,
    help="Hold a parameter at a known value, in its own unit (celsius=34), instead of drawing it. May be given again.",
)
@click.option(
    "--stimulus",
    "files",
    metavar="FILE",
    type=any_path,
    multiple=True,
    help="A recording, or a .npz or .csv file with a current, in place of the cell's stimulus. Of several sweeps, or several "
    "--stimulus, each set draws one. Or `steps`: current steps of 10 to 500 pA (see `nrn-mlfit stimuli`).",
)
@click.option(
    "--amplitudes",
    metavar="LOW HIGH",
    type=click.FloatRange(min=0, min_open=True),
    nargs=2,
    help="Each set's stimulus is multiplied by a factor in LOW..HIGH  [default: 0.8 1.2 for several sweeps, else none]",
)
@click.option(
    "--window",
    metavar="START STOP",
    type=float,
    nargs=2,
    help="What of each sweep to take, in ms  [default: around the step]",
)
@click.option("--sets-a-shard", type=click.IntRange(min=1), default=100, show_default=True, help="Sets in one file.")
@click.option(
    "--timeout",
    type=click.FloatRange(min=0, min_open=True),
    help="CPU seconds a set may take, times 32 for the 32 that lanes run together (default: 30 x the longest).",
)
@click.option(
    "--engine",
    type=click.Choice(["auto", "lanes", "neuron"]),
    default="auto",
    show_default=True,
    help="lanes: a program made for the cell, 4 to 60 times as fast; neuron: plain NEURON; auto: lanes if it knows the cell.",
)
@click.option(
    "--precision",
    type=click.Choice(["double", "mixed"]),
    default="double",
    show_default=True,
    help="Of engine lanes: all in double, or the rates of gates in single precision.",
)
def simulate(cell, samples, output, seed, first, ranks, fix, sets_a_shard, timeout, engine, precision, **stimulus):
    """Simulate CELL for random parameter sets and write HDF5 shards.

    CELL is a shipped cell (see `nrn-mlfit cells`), or the path of your own cell file. The same command again does
    what is missing; a larger -n extends the run. The first sets also go through plain NEURON, which must agree.

    \b
    Examples:
      nrn-mlfit simulate mainen -n 2000 -j 2 -o runs/mainen
      nrn-mlfit simulate mainen_slice --fix celsius=34 -n 2000 -o runs/slice34
      mpirun -n 64 nrn-mlfit simulate mainen -n 100000 -o runs/mainen
      nrn-mlfit simulate mainen --stimulus cell7.nwb --amplitudes 0.7 1.3 -n 20000 -o runs/cell7
    """
    if ranks > 1 and workers.launched_size() == 1:
        become_mpi_job(ranks)
    from nrn_mlfit import cells, simulator

    model = cells.fixed(_model(cell, **stimulus), _known(fix))
    draw = partial(_draw, model, Path(f"{output}-difference.png"))
    summary = simulator.simulate(
        model, samples, output, seed, sets_a_shard, first, timeout, say, engine, precision, draw
    )
    for line in summary.lines():
        say(line)


def _known(words) -> dict[str, float]:
    """Name -> value of --fix NAME=VALUE."""
    known: dict[str, float] = {}
    for word in words:
        name, _, value = word.partition("=")
        number = _number(value)
        if not name or number is None:
            raise click.UsageError(f"--fix {word}: write NAME=VALUE with a number, as in --fix celsius=34")
        if name in known:
            raise click.UsageError(f"--fix {name}: given twice; say once at which value it is held")
        known[name] = number
    return known


def _number(text) -> float | None:
    try:
        value = float(text)
    except ValueError:
        return None
    return value if math.isfinite(value) else None


def _model(cell, files, amplitudes, window):
    """The cell under its own stimulus, or under those that were asked for."""
    from nrn_mlfit import banks, cells
    from nrn_mlfit.errors import StimulusError
    from nrn_mlfit.stimuli import NAMED

    named = str(files[0]) if len(files) == 1 and str(files[0]) in NAMED else None
    model = cells.load(cell, named)
    files = () if named else files
    if files:
        return replace(model, protocol=banks.from_files(files, amplitudes, window, say))
    if window:
        raise StimulusError("--window says what of a recording to take; name it with --stimulus")
    return replace(model, protocol=replace(model.protocol, amplitudes=amplitudes)) if amplitudes else model


def _draw(model, path, disagreement):
    from nrn_mlfit import report

    truth, other = (held.reshape(-1, held.shape[-1]) for held in (disagreement.truth, disagreement.other))
    protocol = model.protocol
    title = f"{model.name}: set {disagreement.number} of those checked. {disagreement.began}"
    report.engines_picture(path, title, truth, other, protocol.dt, protocol.t0, ("plain NEURON", "lanes"))
    say(f"picture: {path}")
