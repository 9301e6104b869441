"""nrn-mlfit train"""

import click

from nrn_mlfit import workers
from nrn_mlfit.cli.options import any_path, become_mpi_job, say


@click.command()
@click.argument("folders", metavar="DIR...", type=any_path, nargs=-1, required=True)
@click.option("-o", "--output", metavar="ENSEMBLE", type=any_path, required=True, help="New folder for the ensemble.")
@click.option(
    "--design",
    default="residual",
    show_default=True,
    help="residual, model1, golden203, 693, 410, 335, or the path of a YAML file.",
)
@click.option(
    "--folds", type=click.IntRange(min=2), default=5, show_default=True, help="Networks, one a held-out fold."
)
@click.option("--epochs", type=click.IntRange(min=1), help="Passes over the traces, at most  [default: 60]")
@click.option("--minutes", type=click.FloatRange(min=0, min_open=True), help="Time for all networks together, at most.")
@click.option("-j", "--ranks", type=click.IntRange(min=1), default=1, help="Train so many networks side by side (MPI).")
@click.option("--batch", type=click.IntRange(min=1), help="Traces in one step  [default: the design's]")
@click.option("--limit", type=click.IntRange(min=1), help="Use the first so many traces only.")
@click.option(
    "--seed", type=click.IntRange(0, 2**32), default=1, show_default=True, help="Of folds, weights and order."
)
@click.option("--precision", type=click.Choice(["auto", "f32", "bf16"]), default="auto", show_default=True)
@click.option("--device", type=click.Choice(["auto", "cpu", "cuda", "mps"]), default="auto", show_default=True)
@click.option(
    "--weights",
    type=click.Choice(["float32", "float16"]),
    default="float32",
    show_default=True,
    help="How they are saved; float16 takes half the space.",
)
def train(folders, output, design, limit, ranks, **settings):
    """Train an ensemble of networks on the simulated traces in the folders DIR, runs of one cell and stimulus.

    The learning rate cools down towards the end of the budget (--epochs, --minutes), so a short budget is used well.
    A GPU is used when there is one. A training that was broken off is continued by the same command.

    \b
    Examples:
      nrn-mlfit train runs/mainen -o ensembles/mainen --minutes 30 -j 2
      nrn-mlfit train runs/a runs/b -o ensembles/ab --design mydesign.yaml --folds 8 --epochs 100
    """
    if ranks > 1 and workers.launched_size() == 1:
        become_mpi_job(ranks)
    from nrn_mlfit import learn
    from nrn_mlfit.learn import card

    corpus = learn.open_corpus(list(folders), limit)
    ensemble = learn.train(corpus, output, design, learn.Settings(**settings), say)
    for line in card.summary(ensemble):
        say(line)
    say(f"ensemble: {output}; learning curves: {output / 'learning.png'}; what it is: {output / 'MODEL_CARD.md'}")
