"""nrn-mlfit predict"""

import click

from nrn_mlfit.cli.options import any_path, ensemble_option, one_process, say


@click.command()
@click.argument("folders", metavar="DIR...", type=any_path, nargs=-1, required=True)
@ensemble_option
@click.option("-o", "--output", metavar="TABLE", type=any_path, required=True, help="A .csv or .h5 file.")
def predict(folders, ensemble, output):
    """Ask an ensemble about all traces in the folders DIR, runs of any cell under its stimulus; a table, a row a trace.

    Its columns: index; for each parameter NAME, NAME_lo68, NAME_hi68, NAME_lo90, NAME_hi90 in physical units; score; warn (1:
    the trace is not like those that were learned from).

    \b
    Examples:
      nrn-mlfit predict runs/test -e ensembles/mainen -o test.csv
      nrn-mlfit predict runs/a runs/b -e ensembles/mainen -o ab.h5
    """
    one_process("predict")
    from nrn_mlfit import predict as rules
    from nrn_mlfit.learn import Ensemble

    count = rules.predict(Ensemble.load(ensemble), list(folders), output, say)
    say(f"{output}: {count} traces")
