"""nrn-mlfit transfer"""

import click

from nrn_mlfit.cli.options import any_path, one_process, reading_options, say

MOST_SWEEPS = 200  # of a file in which repeats are looked for


@click.command()
@click.argument("fit", type=any_path)
@click.argument("recording", type=any_path)
@click.option("--sweep", type=click.IntRange(min=0), help="Which sweep of the file.")
@click.option("-o", "--output", type=any_path, required=True, help="New folder for the traces and the picture.")
@reading_options
def transfer(fit, recording, sweep, output, reading):
    """Run the fitted cell of folder FIT under RECORDING, another one of the same neuron, and compare.

    A cell that was fitted to steps and also does what the neuron did under a ramp is a model of it; one that does not has learned
    the steps. The current of RECORDING is injected in plain NEURON as it was recorded, after 100 ms at its first level.
    Where other sweeps of the file have the same current, the neuron's own spread over them is the unit: z of each feature.

    \b
    Examples:
      nrn-mlfit transfer fits/cell7 ramp.abf --sweep 3 -o fits/cell7-ramp
      nrn-mlfit transfer fits/cell7 cell7.nwb --sweep 12 --window 0 1500 -o fits/cell7-12
    """
    one_process("transfer")
    from nrn_mlfit import recordings
    from nrn_mlfit import transfer as transfers

    other = recordings.read(recording, sweep, reading)
    for line in transfers.run(fit, other, output).lines():
        say(line)
    if several := transfers.beside_repeats(output, recordings.read_all(recording, reading, most=MOST_SWEEPS)):
        for line in several.lines():
            say(line)
    say(f"look at {output / 'transfer.png'}")
