"""nrn-mlfit evaluate"""

import click

from nrn_mlfit.cli.options import any_path, ensemble_option, one_process, pictures_option, say


@click.command()
@click.argument("folders", metavar="DIR...", type=any_path, nargs=-1, required=True)
@ensemble_option
@click.option("-o", "--output", type=any_path, help="New folder for evaluation.json and pictures.")
@pictures_option
@click.option("--clean", is_flag=True, help="Take the traces as they are, whatever the ensemble was trained for.")
def evaluate(folders, ensemble, output, ending, clean):
    """Tell how good an ensemble is on the traces in the folders DIR, runs of its cell that it has not learned from.

    Per parameter: R2 against the middle of the range, rms error in % of the range and in its unit, how often the intervals
    hold the truth and how wide they are. Then which parameters' errors go together, and how many traces give a false alarm.

    An ensemble that was trained for noise, offset, ... is judged by traces to which the same was done.

    \b
    Examples:
      nrn-mlfit evaluate runs/test -e ensembles/mainen
      nrn-mlfit evaluate runs/test -e ensembles/mainen -o evaluations/mainen
    """
    one_process("evaluate")
    from nrn_mlfit import evaluate as rules
    from nrn_mlfit import folders as places
    from nrn_mlfit.learn import Ensemble

    if output:
        places.check_free(output)
    held = Ensemble.load(ensemble)
    found = rules.evaluate(held, list(folders), say, clean)
    for line in [*_done_to_them(held.augmentation, clean), *_told(found)]:
        say(line)
    if output:
        _write(found, held, output, ending)


def _write(found, ensemble, output, ending):
    from nrn_mlfit import evaluate as rules
    from nrn_mlfit.learn import curves
    from nrn_mlfit.report import evaluation as pictures

    rules.write(found, output)
    title, count = ensemble.record["cell"], len(found.truth)
    drawn = [
        output / f"{name}.{ending}" for name in ("correlation", "distributions", "learning", "predicted", "residuals")
    ]
    correlation, distributions, learning, predicted, residuals = drawn
    pictures.truth_picture(found, predicted, f"{title}: predicted against true, {count} traces")
    pictures.error_picture(found, residuals, f"{title}: errors, {count} traces")
    pictures.distribution_picture(found, distributions, f"{title}: what is predicted, {count} traces")
    pictures.correlation_picture(found, correlation, f"{title}: correlation of errors")
    curves.draw(ensemble, learning)
    say(f"figures: {output / 'evaluation.json'}; pictures: {', '.join(path.name for path in drawn)}")


def _done_to_them(augmentation, clean):
    """What the traces are judged with, where the ensemble was trained for more than clean ones."""
    if augmentation and clean:
        yield f"traces as they are, though the ensemble was trained for {augmentation.told()}"
    elif augmentation:
        yield f"traces with what the ensemble was trained for: {augmentation.told()}"


def _told(found):
    """The figures as a person reads them."""
    yield _row("parameter", "R2", "rms, % of range", "rms", "unit")
    for k, name in enumerate(found.names):
        numbers = f"{found.r2[k]:.3f}", f"{found.rms_percent[k]:.2f}", f"{found.rms[k]:.3g}", found.units[k] or "-"
        yield _row(name, *numbers)
    yield f"mean square error {found.mse.mean():.4f} (guessing the middle: 0.333), {len(found.truth)} traces"
    for name in found.unconstrained:
        yield f"this stimulus does not constrain {name}, as far as these networks can tell: R2 below 0.1"
    for one, other, correlation in found.pairs[:5]:
        sign = "together" if correlation > 0 else "against each other"
        yield f"errors of {one} and {other} go {sign} (correlation {correlation:.2f})"
    yield ""
    yield from _intervals(found)
    yield f"false alarms: {found.alarms:.1%}"


def _intervals(found):
    levels, widest = list(found.coverage), 0.9
    yield _row(
        "true value in the", *(f"{level:.0%}" for level in levels), "raw 68%", "raw 90%", "90% width", "to constant"
    )
    for k, name in enumerate(found.names):
        held = [found.coverage[level][k] for level in levels] + [found.raw[level][k] for level in (0.68, widest)]
        width = f"{found.width_percent[widest][k]:.1f} %", f"{found.against_constant[widest][k]:.2f}"
        yield _row(name, *(f"{share:.1%}" for share in held), *width)
    yield "raw: of the spread of the networks alone; 90% width: in % of the range, and as a share of one width for all traces"


def _row(name, *columns) -> str:
    return f"{name:<18}" + "".join(f"{column:>{max(10, len(column) + 2)}}" for column in columns)
