"""nrn-mlfit cells check"""

import math
import shlex
from functools import partial

import click

from nrn_mlfit.cli.options import any_path, cell_argument, one_process, say, table


@click.command()
@cell_argument
@click.option("-n", "--sets", type=click.IntRange(min=2), default=200, show_default=True, help="Random sets.")
@click.option(
    "--points", type=click.IntRange(min=0), default=12, show_default=True, help="Of `design`; 0: leave it out."
)
@click.option("-o", "--output", type=any_path, help="Picture of the cell and its traces (.png, .pdf, .svg).")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object in place of lines.")
@click.pass_context
def check(ctx, cell, sets, points, output, as_json):
    """Try CELL out before anyone trains on it: a minute for a shipped cell.

    Does each parameter reach the segments that it names, and nothing else? Which engine runs the cell, at what cost? How many
    random sets fail or stay silent, what does half the time step change, and what will `design` let one learn? It ends
    with what to change and the time that 50,000 traces take here. CELL is a name of `nrn-mlfit cells`, a cell file, or its
    folder. Exit code 0 if the cell is sound, else 2: a parameter does not do what it says, a section is
    not connected, or more than a tenth of the sets fail.

    \b
    Examples:
      nrn-mlfit cells check my_cell
      nrn-mlfit cells check my_cell/my_cell.yaml -o my_cell.png --sets 50
      nrn-mlfit cells check mainen --json > mainen.json
    """
    one_process("cells check")
    from nrn_mlfit import cells, checkup, textfile

    model = cells.load(cell)
    if output:
        _check_picture(output)
    to_stderr = partial(click.echo, err=True)
    done = checkup.check(model, sets, points, to_stderr, (lambda line: None) if as_json else _say_line)
    if output and done.can_run:
        _draw(model, output, to_stderr)
    if as_json:
        say(textfile.to_json(done.to_json()).rstrip())
    else:
        for line in _told(done, cell, output):
            say(line)
    if not done.is_sound:
        ctx.exit(2)


def _check_picture(output):
    from nrn_mlfit import report

    report.check_format(output)


def _draw(model, output, report):
    """In a process of its own, as what HOC prints must not mix with ours."""
    from nrn_mlfit.report import cell_picture
    from nrn_mlfit.simulator import apart

    report("drawing")
    apart.ask_of_cell(cell_picture, model, output.absolute())


def _say_line(line):
    say(f"{line.mark:<8} {line.name:<8} {line.found}")


def _told(done, cell, output):
    """What comes at the end: the parameters, what to change, and how long it will take."""
    if done.can_run:
        rows = [(r.parameter, r.told, _r2(done.r2.get(r.parameter))) for r in done.reaches]
        yield from table([("parameter", "reaches", "R2"), *rows])
    if output and done.can_run:
        yield f"picture: {output}"
    if done.changes:
        yield "to change:"
        yield from (f"  {k}. {change}" for k, change in enumerate(done.changes, 1))
    else:
        yield "nothing to change"
    if done.can_run:
        yield from _time(done, cell)


def _r2(value) -> str:
    return "-" if value is None or math.isnan(value) else f"{value:.2f}"


def _time(done, cell):
    from nrn_mlfit import machine, progress
    from nrn_mlfit.checkup import TRACES

    cores = machine.cores()
    ranks = f" -j {cores}" if cores > 1 else ""
    lasts = progress.duration(done.figures["seconds_of_a_run"])
    yield f"{TRACES:,} traces on {cores} core{'s' * (cores != 1)} of this machine: about {lasts}"
    yield f"  nrn-mlfit simulate {shlex.quote(cell)} -n {TRACES}{ranks} -o runs/{done.cell}"
