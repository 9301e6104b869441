"""nrn-mlfit evaluate"""

import click

from nrn_mlfit.cli.options import any_path, one_process, say


@click.command()
@click.argument("folders", metavar="DIR...", type=any_path, nargs=-1, required=True)
@click.option("-e", "--ensemble", type=any_path, required=True, help="Folder of a trained ensemble.")
@click.option("-o", "--output", type=any_path, help="New folder for evaluation.json and pictures.")
def evaluate(folders, ensemble, output):
    """Tell how good an ensemble is on the traces in the folders DIR, runs of its cell that it has not learned from.

    Per parameter: R2 against the middle of the range, rms error in % of the range and in its unit, how often the intervals
    hold the truth. Then which parameters' errors go together, and how many traces give a false alarm.

    \b
    Examples:
      nrn-mlfit evaluate runs/test -e ensembles/mainen
      nrn-mlfit evaluate runs/test -e ensembles/mainen -o evaluations/mainen
    """
    one_process("evaluate")
    from nrn_mlfit import evaluate as rules
    from nrn_mlfit import results
    from nrn_mlfit.learn import Ensemble

    if output:
        results.check_free(output)
    held = Ensemble.load(ensemble)
    found = rules.evaluate(held, list(folders), say)
    for line in _told(found):
        say(line)
    if output:
        _write(found, output, held.record["cell"])


def _write(found, output, cell):
    from nrn_mlfit import evaluate as rules
    from nrn_mlfit.report.evaluation import correlation_picture, truth_picture

    rules.write(found, output)
    truth_picture(found, output / "predicted.png", f"{cell}: predicted against true, {len(found.truth)} traces")
    correlation_picture(found, output / "correlation.png", f"{cell}: correlation of errors")
    say(f"figures: {output / 'evaluation.json'}; pictures: {output / 'predicted.png'}, {output / 'correlation.png'}")


def _told(found):
    """The figures as a person reads them."""
    levels = list(found.coverage)
    columns = ["R2", "rms %", "rms", "unit", *(f"in {level:.0%}" for level in levels)]
    yield f"{'parameter':<16}" + "".join(f"{column:>11}" for column in columns)
    for k, name in enumerate(found.names):
        held = [f"{found.coverage[level][k]:.1%}" for level in levels]
        numbers = [
            f"{found.r2[k]:.3f}",
            f"{found.rms_percent[k]:.2f}",
            f"{found.rms[k]:.3g}",
            found.units[k] or "-",
            *held,
        ]
        yield f"{name:<16}" + "".join(f"{number:>11}" for number in numbers)
    yield f"mean square error {found.mse.mean():.4f} (guessing the middle: 0.333), {len(found.truth)} traces"
    for name in found.unconstrained:
        yield f"this stimulus does not constrain {name}: R2 below 0.1"
    for one, other, correlation in found.pairs[:5]:
        sign = "together" if correlation > 0 else "against each other"
        yield f"errors of {one} and {other} go {sign} (correlation {correlation:.2f})"
    yield f"false alarms: {found.alarms:.1%}"
