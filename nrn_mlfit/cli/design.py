"""nrn-mlfit design"""

from math import isnan

import click

from nrn_mlfit.cli.options import any_path, cell_argument, one_process, pictures_option, say

SEVERAL = ("--stimuli", "--scales", "--probe", "--geometry")
WEAKEST = 3  # parameters that are named
TIED = ", which lie no further apart than the steps and the points leave open"
UNSURE = "; not to be relied on, as few points count or most are unlike"
OVERALL = ("spikes", "silent", "lowest mV", "mean R2", "log det", "weakest")
TOLD = (
    "R2: 0 is no better than the middle of the range, 1 is exact; the median over the points that count. It is a local",
    "estimate, and an optimistic one: it does not see a distant point of the parameter space that gives the same trace.",
    "jumps: differences over whose ends the number of spikes changes, so that the derivative is not one; points with any",
    "are left out. unlike: points where an R2 changes by more than 0.05 with a step of {1:g} in place of {0:g}; where they",
    "are many, believe the order of the candidates rather than the numbers.",
)


class _Several(click.Command):
    """A command some of whose options take all words up to the next option: `--scales 0.1 0.2`."""

    def parse_args(self, ctx, args):
        _two_numbers(args)
        words = list(_repeated(args))
        if not set(args) & set(self.get_help_option_names(ctx)):
            _cell_first(self.make_parser(ctx).parse_args(list(words))[0], args)
        return super().parse_args(ctx, words)


def _repeated(args):
    """`--scales 0.1 0.2` as `--scales=0.1 --scales=0.2`, which click understands."""
    rest = list(args)
    while rest:
        word = rest.pop(0)
        if word not in SEVERAL:
            yield word
            continue
        if not rest or _is_option(rest[0]):
            raise click.BadOptionUsage(word, f"Option {word!r} requires an argument.")
        while rest and not _is_option(rest[0]):
            yield f"{word}={rest.pop(0)}"


def _cell_first(given, args):
    """Raises where there is no CELL among the values `given`, and an option that takes many words has swallowed it."""
    several = [word for word in args if word in SEVERAL]
    if several and not isinstance(given.get("cell"), str):
        raise click.UsageError(
            f"CELL comes before {several[-1]}, which takes all words after it: design CELL {several[-1]} ..."
        )


def _two_numbers(args):
    """Raises where --steps has not got its two numbers: click would take the next option for the second one."""
    for k, word in enumerate(args):
        got = args[k + 1 : k + 3]
        if word == "--steps" and not (len(got) == 2 and all(map(_is_number, got))):
            raise click.BadOptionUsage(
                word,
                f"--steps {' '.join(got)}: takes two numbers, the half width that counts and one to check it, "
                "such as --steps 0.002 0.01",
            )


def _is_option(word) -> bool:
    return word.startswith("-") and not _is_number(word)


def _is_number(word) -> bool:
    try:
        float(word)
    except ValueError:
        return False
    return True


@click.command(cls=_Several)
@cell_argument
@click.option(
    "--stimuli", metavar="NAME...", multiple=True, default=["own"], help="Stimuli to compare.  [default: own]"
)
@click.option(
    "--scales",
    metavar="SCALE...",
    type=float,
    multiple=True,
    help="Scales for each of them, in nA or the point process' own unit (the table says which).",
)
@click.option("--probe", metavar="SITES...", multiple=True, default=["own"], help="Where to record, such as soma(0.5).")
@click.option("--geometry", metavar="K=V,...", multiple=True, default=["own"], help="Settings of the cell's geometry.")
@click.option("-n", "--points", type=click.IntRange(min=1), default=64, show_default=True, help="Random points, each.")
@click.option("--seed", type=click.IntRange(min=0), default=1, show_default=True, help="Of the points.")
@click.option(
    "--steps",
    type=click.FloatRange(0, 0.2, min_open=True),
    nargs=2,
    default=(0.002, 0.01),
    show_default=True,
    help="Half widths of the differences, of a unit parameter: one that counts, one to check it.",
)
@click.option("-j", "--workers", type=click.IntRange(min=1), help="Processes  [default: one a core]")
@click.option("-o", "--output", type=any_path, help="New folder for design.json, design.csv and design.png.")
@pictures_option
def design(cell, stimuli, scales, probe, geometry, points, seed, steps, workers, output, ending):
    """Tell which stimulus lets one learn which parameter of CELL, before anyone trains.

    At random points of the parameter space each parameter is moved a little; what the trace changes by, against noise,
    is the Fisher information. It gives the R2 that each parameter can be learned with: a local estimate, and an
    optimistic one. All combinations of what is given are compared. CELL comes first.

    \b
    NAME    own (what the cell file says), a kind of `nrn-mlfit stimuli`
            (the cell's own kind has its settings, another one has its
            defaults), or the path of a .npz, .csv or .yaml file
    SITES   own, or sites with commas: soma(0.5),dend[0](1)
    K=V     own, or settings with commas: apical_length=600,soma_diameter=20

    \b
    Examples:
      nrn-mlfit design izhikevich --stimuli own step noise -n 16
      nrn-mlfit design mainen --stimuli reset_chirp noise --scales 0.4 0.8 -o designs/mainen
      nrn-mlfit design mainen --geometry own apical_length=400
    """
    one_process("design")
    from nrn_mlfit import cells, folders
    from nrn_mlfit import design as rules
    from nrn_mlfit.candidates import candidates

    compared = candidates(cells.load(cell), stimuli, scales, probe, geometry)
    if output:
        folders.check_free(output)
    found = rules.design(compared, points, seed, steps, workers, report=say)
    say(f"engine: {', '.join(dict.fromkeys(f.engine for f in found))}")
    for line in _told(found, points, steps):
        say(line)
    if output:
        _write(found, output, ending, cell=compared[0].model.name, points=points, seed=seed, steps=list(steps))


def _write(found, output, ending, **about):
    from nrn_mlfit import design as rules
    from nrn_mlfit.report.design import design_picture

    rules.write(found, output, **about)
    picture = output / f"design.{ending}"
    design_picture(found, picture, f"{about['cell']}: what can be learned", about["steps"][0])
    say(f"picture: {picture}; tables: {output / 'design.csv'}, {output / 'design.json'}")


def _told(found, points, steps):
    """The findings as a person reads them: candidates, what each parameter gets, how far to trust it."""
    from nrn_mlfit import design as rules

    doubts = ("", "points", "jumps", "failed", "unlike", f"R2 at {steps[1]:g}", "least known direction")
    numbered = list(enumerate(found, 1))
    yield ""
    unit = found[0].candidate.model.current_unit or "own unit"
    yield from _table([("", f"candidate, {unit}", *OVERALL), *(_overall(k, f) for k, f in numbered)], text=(1, 7))
    yield ""
    yield from _table([("R2", *found[0].information.names), *((str(k), *_values(f)) for k, f in numbered)])
    yield ""
    yield from _table([doubts, *(_doubts(k, f, points) for k, f in numbered)], text=(6,))
    yield ""
    yield from (line.format(*steps) for line in TOLD)
    if doubtful := [str(k) for k, f in numbered if not f.information.is_reliable]:
        yield f"an order rather than numbers, as few points count or most are unlike: {', '.join(doubtful)}"
    if len(found) > 1 and (best := rules.leaders(found)):
        unsure = "" if all(f.information.is_reliable for f in best) else UNSURE
        yield f"the highest mean R2: {' or '.join(f.name for f in best)}{TIED if len(best) > 1 else ''}{unsure}"


def _overall(k, f):
    told = f.information
    weakest = ", ".join(f"{name} {_short(r2)}" for name, r2 in told.weakest[:WEAKEST])
    spikes, log_det = f"{f.typical_spikes:g}", _short(told.typical_log_det, 1)
    return str(k), f.name, spikes, f"{f.silent:.0%}", f"{f.lowest:.1f}", _short(told.mean), log_det, weakest


def _values(f):
    return [_short(value) for value in f.information.median]


def _short(value, digits=2) -> str:
    return "-" if isnan(value) else f"{value:.{digits}f}"


def _doubts(k, f, points):
    """How many points count, what was left out, what the other step says, and what is known least."""
    told = f.information
    jumps, failed = told.jumps.mean(), int(told.failed.any(axis=1).sum())
    unlike = told.unlike_in_words
    direction, along = told.worst_in_words
    least = f"{direction} (R2 {_short(along)})" if len(told.r2) else "-"
    return str(k), f"{len(told.r2)}/{points}", f"{jumps:.0%}", str(failed), unlike, _short(told.other_mean), least


def _table(rows, text=()):
    """Rows of words as lines of aligned columns, numbers to the right, the columns `text` to the left."""
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    for row in rows:
        cells = enumerate(zip(row, widths, strict=True))
        yield "  ".join(w.ljust(size) if k in text else w.rjust(size) for k, (w, size) in cells).rstrip()
