"""nrn-mlfit shards"""

import click

from nrn_mlfit.cli.options import any_path, one_process, say

WRONG = 3  # exit code of a run that is not as it was written
runs_argument = click.argument("runs", metavar="RUN...", type=any_path, nargs=-1, required=True)


@click.group()
def shards():
    """Look after runs, the folders of simulated traces: what they hold, whether they are whole, merge, export.

    \b
    Examples:
      nrn-mlfit shards info runs/mainen
      nrn-mlfit shards verify runs/mainen
    """
    one_process("shards")


@shards.command()
@runs_argument
def info(runs):
    """Tell what each RUN holds: cell, seed, engine, sets, how they ended, size. No trace is read.

    \b
    Example:
      nrn-mlfit shards info runs/*
    """
    from nrn_mlfit.shards.overview import overview

    for folder in runs:
        for line in overview(folder).lines():
            say(line)


@shards.command()
@runs_argument
@click.pass_context
def verify(ctx, runs):
    """Check each finished RUN to the last byte. Exit code 0 if all is as written, 3 if anything is not.

    \b
    Example:
      nrn-mlfit shards verify runs/mainen
    """
    from nrn_mlfit.shards.verify import verify as check

    code = 0
    for verdict in check(runs, say):
        code = WRONG if verdict.problems else code
        for line in verdict.lines():
            say(line)
    ctx.exit(code)


@shards.command()
@click.argument("parts", metavar="PART...", type=any_path, nargs=-1, required=True)
@click.option("-o", "--output", metavar="RUN", type=any_path, required=True, help="Folder for the whole run.")
def merge(parts, output):
    """Unite PARTs of one run, made with `simulate --first` on several machines or jobs, into one folder.

    The parts share cell, stimulus, seed and --sets-a-shard. The same command again copies what is missing.

    \b
    Example:
      nrn-mlfit simulate mainen -n 1000 -o runs/part0
      nrn-mlfit simulate mainen -n 1000 --first 1000 -o runs/part1
      nrn-mlfit shards merge runs/part0 runs/part1 -o runs/mainen
    """
    from nrn_mlfit.shards.merge import merge as unite

    for line in unite(parts, output, say).lines():
        say(line)


@shards.command()
@runs_argument
def failed(runs):
    """List the sets that failed, how, and the command that simulates each alone once more.

    \b
    Example:
      nrn-mlfit shards failed runs/mainen
    """
    from nrn_mlfit.shards.overview import failed as failures

    for folder in runs:
        found = failures(folder)
        say(f"{folder}: {len(found)} failed" if found else f"{folder}: not one set failed")
        for row in _table([("set", "status", "again"), *((str(f.number), f.status, f.command) for f in found)]):
            if found:
                say(row)


def _table(rows):
    """Rows of words as lines of aligned columns."""
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    for row in rows:
        yield "  ".join(word.ljust(width) for word, width in zip(row, widths, strict=True)).rstrip()


@shards.command()
@runs_argument
@click.option("-o", "--output", metavar="FILE", type=any_path, required=True, help="A .npz or .safetensors file.")
@click.option("-n", "--limit", type=click.IntRange(min=1), help="The first so many sets only.")
def export(runs, output, limit):
    """Write the good sets of RUNs of one cell to one file: .npz for NumPy, .safetensors for the sbi package.

    \b
    Examples:
      nrn-mlfit shards export runs/mainen -o mainen.npz
      nrn-mlfit shards export runs/a runs/b -n 5000 -o ab.safetensors
    """
    from nrn_mlfit.shards.export import export as write

    say(f"{output}: {write(runs, output, limit)} sets")
