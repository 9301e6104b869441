"""Arguments and options that several commands share."""

import functools
import os
import shlex
import sys
from pathlib import Path
from typing import NoReturn

import click

from nrn_mlfit import workers
from nrn_mlfit.errors import MachineError

existing_folder = click.Path(exists=True, file_okay=False, path_type=Path)
any_path = click.Path(path_type=Path)
cell_argument = click.argument("cell")
ensemble_option = click.option(
    "-e",
    "--ensemble",
    type=any_path,
    required=True,
    help="Folder of a trained ensemble, or the name of one that comes with nrn_mlfit (mainen) or with another package.",
)
pictures_option = click.option(
    "--pictures",
    "ending",
    type=click.Choice(["png", "pdf", "svg"]),
    default="png",
    show_default=True,
    help="What kind of files the pictures in the folder are.",
)


def reading_options(command):
    """The options of a command that reads a recording, as one argument `reading`: a `recordings.Reading`."""

    @click.option("--current-channel", metavar="NAME", help="Channel, column or dataset that holds the current.")
    @click.option(
        "--current-scale", type=float, default=1.0, show_default=True, help="What to multiply the current by."
    )
    @click.option("--stim-from", type=any_path, help="A file whose current is taken: .abf, .atf, .npz or .csv.")
    @click.option(
        "--junction-potential",
        type=float,
        default=0.0,
        show_default=True,
        help="Liquid junction potential in mV; it is subtracted from the voltage.",
    )
    @click.option("--window", type=float, nargs=2, metavar="START STOP", help="Read only this stretch, in ms.")
    @functools.wraps(command)
    def reads(*args, current_channel, current_scale, stim_from, junction_potential, window, **more):
        from nrn_mlfit.recordings import Reading  # loads h5py

        reading = Reading(current_channel, current_scale, stim_from, junction_potential, window)
        return command(*args, reading=reading, **more)

    return reads


def say(line: str):
    """Print a line at once, on rank 0 only."""
    if workers.launched_rank() != 0:
        return
    try:
        click.echo(line)
        sys.stdout.flush()
    except BrokenPipeError:  # our output goes to `head`, which has seen enough; the work goes on unseen
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def table(rows):
    """Rows of words as lines of aligned columns."""
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    for row in rows:
        yield "  ".join(word.ljust(width) for word, width in zip(row, widths, strict=True)).rstrip()


def command_line() -> str:
    """The command that runs, as it can be typed again."""
    return shlex.join(["nrn-mlfit", *sys.argv[1:]])


def one_process(command: str):
    """Refuse to run as several MPI ranks, each of which would do the whole job into the same folder."""
    if workers.launched_size() > 1:
        raise MachineError(
            f"`nrn-mlfit {command}` is one process; start it without mpirun (only `simulate` and `train` share their work)"
        )


def become_mpi_job(ranks: int) -> NoReturn:
    """Become the launcher of this same command on so many MPI ranks, so that what ends us ends them."""
    mpiexec = workers.mpiexec()
    if not mpiexec:
        raise MachineError("no mpiexec found beside Python or on the PATH; install nrn_mlfit[mpi], or leave out -j")
    command = [mpiexec, "-n", str(ranks), sys.executable, "-m", "nrn_mlfit", *sys.argv[1:]]
    sys.stdout.flush()
    os.execve(mpiexec, command, {**os.environ, "PYTHONUNBUFFERED": "1"})
