"""nrn-mlfit resimulate"""

import click

from nrn_mlfit.cli.options import any_path, one_process, say


@click.command()
@click.argument("fit", type=any_path)
def resimulate(fit):
    """Run the fitted cell of folder FIT in plain NEURON under its recording's stimulus, and compare.

    Runs FIT/fit.hoc as it is now, and draws FIT/fit.png anew.

    \b
    Example:
      nrn-mlfit resimulate fits/cell7
    """
    one_process("resimulate")
    from nrn_mlfit import results

    result = results.again(fit)
    for line in result.comparison.lines():
        say(line)
    say(f"verdict of the fit: {result.fit.verdict}")
    say(f"overlay: {fit / 'fit.png'}")
