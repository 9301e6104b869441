"""nrn-mlfit report"""

import click

from nrn_mlfit.cli.options import any_path, command_line, one_process, say


@click.command()
@click.argument("fit", type=any_path)
@click.option(
    "-o",
    "--output",
    type=any_path,
    help="The page (.html), or a picture (.png, .pdf, .svg).  [default: FIT/report.html]",
)
def report(fit, output):
    """Show how good the fit in the folder FIT is: one page to open in a browser, to print and to send.

    The page is one file and loads nothing: verdict, traces, values in their ranges, the alarm, features of recording and
    fitted cell by eFEL where that is installed, and the files for NEURON. With a picture's name: the traces and values alone.

    \b
    Examples:
      nrn-mlfit report fits/cell7
      nrn-mlfit report fits/cell7 -o cell7.pdf
    """
    one_process("report")
    from nrn_mlfit import results

    output = output or fit / "report.html"
    results.show(fit, output, command_line())
    say(f"{output}: {output.stat().st_size / 1e6:.1f} MB")
