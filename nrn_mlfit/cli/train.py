"""nrn-mlfit train"""

from pathlib import Path

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
@click.option(
    "--minutes",
    type=click.FloatRange(min=0, min_open=True),
    help="Time of the training itself, for all networks together, at most; see above for what comes on top.",
)
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
@click.option("--noise", metavar="MV|FILE", help="Train for noise of up to so many mV, or of a recording's.")
@click.option(
    "--offset", metavar="MV", type=float, default=0.0, help="Train for offsets of up to so many mV, up or down."
)
@click.option(
    "--gain", metavar="PERCENT", type=float, default=0.0, help="Train for an amplifier's gain that is off by so much."
)
@click.option("--jitter", metavar="MS", type=float, default=0.0, help="Train for times that are off by so much.")
@click.option("--lowpass", metavar="KHZ", type=float, help="Train for low-pass filters from this cut-off on.")
def train(folders, output, design, limit, ranks, noise, offset, gain, jitter, lowpass, **settings):
    """Train an ensemble of networks on the simulated traces in the folders DIR, runs of one cell and stimulus.

    The learning rate cools down towards the end of the budget (--epochs, --minutes), so a short budget is used well.
    A GPU is used when there is one. A training that was broken off is continued by the same command.

    On top of --minutes come the start, about 5 s and 2 s a network, and at the end intervals and alarm, by a tenth of the traces,
    at most 20,000. With 4 networks that is about 4 ms a trace: 20 s for 50,000 traces, a minute and a half from 200,000 on (one
    core that does nothing else, windows of 6,000 to 9,000 samples).

    Simulated traces are clean, and the alarm tells a recording from them by its noise alone. With --noise, --offset, --gain,
    --jitter and --lowpass each trace is met with another draw of what an electrode and its amplifier do; intervals and alarm
    are made for such traces. Of a recording FILE the noise before the stimulus is taken.

    \b
    Examples:
      nrn-mlfit train runs/mainen -o ensembles/mainen --minutes 30 -j 2
      nrn-mlfit train runs/a runs/b -o ensembles/ab --design mydesign.yaml --folds 8 --epochs 100
      nrn-mlfit train runs/cell7 -o ensembles/cell7 --noise cell7.abf --offset 3 --gain 2 --lowpass 4
    """
    if ranks > 1 and workers.launched_size() == 1:
        become_mpi_job(ranks)
    from nrn_mlfit import learn
    from nrn_mlfit.learn import card

    corpus = learn.open_corpus(list(folders), limit)
    added = learn.Augmentation(_noise(noise), offset, gain / 100, jitter, lowpass)
    ensemble = learn.train(corpus, output, design, learn.Settings(**settings, augmentation=added), say)
    for line in card.summary(ensemble):
        say(line)
    say(f"ensemble: {output}; learning curves: {output / 'learning.png'}; what it is: {output / 'MODEL_CARD.md'}")


def _noise(given: str | None) -> float:
    """mV: the number, or what a recording tells."""
    if given is None:
        return 0.0
    try:
        return float(given)
    except ValueError:
        return _measured(Path(given))


def _measured(file: Path) -> float:
    from nrn_mlfit import recordings
    from nrn_mlfit.errors import RecordingError

    if not file.is_file():
        raise RecordingError(f"--noise {file}: is neither a number of mV nor a recording's file")
    found = recordings.noise(file)
    left_out = f" ({found.restless} sweeps with slow potentials left out)" if found.restless else ""
    say(f"{file.name}: noise of {found.fast_mv:.3f} mV within 1.5 ms, {found.slow_mv:.3f} mV within 500 ms{left_out}")
    return round(found.mv, 4)
