"""nrn-mlfit around"""

import click

from nrn_mlfit.cli.options import any_path, one_process, pictures_option, say


@click.command()
@click.argument("fit", type=any_path)
@click.option("-n", "--count", type=click.IntRange(1, 1000), default=20, show_default=True, help="How many cells.")
@click.option(
    "--within",
    type=click.FloatRange(0, 100, min_open=True),
    default=10.0,
    show_default=True,
    help="How far a parameter may lie from its fitted value, in % of its range.",
)
@click.option("--seed", type=click.IntRange(min=0), default=1, show_default=True, help="Which cells are drawn.")
@pictures_option
def around(fit, count, within, seed, ending):
    """Draw the cells around the fit in the folder FIT: what the recording would be with slightly other parameters.

    Each parameter is drawn evenly within 10 % of its range (of a log range: of its decades) around the fitted value, not beyond
    the range, and each cell runs in plain NEURON under the stimulus of the recording. Writes FIT/around.npz and
    FIT/around.png; `nrn-mlfit report FIT` then shows them, too.

    \b
    Examples:
      nrn-mlfit around fits/cell7
      nrn-mlfit around fits/cell7 -n 50 --within 5 --pictures pdf
    """
    one_process("around")
    from nrn_mlfit import results

    done = results.neighbours(fit, count, within, seed, ending)
    for line in done.lines():
        say(line)
    say(f"look at {done.picture}")
