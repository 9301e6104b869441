"""nrn-mlfit cells new --like"""

from pathlib import Path

import click

from nrn_mlfit.cli.options import any_path, say


@click.command("new")
@click.option(
    "--like", "cell", required=True, help="A cell whose channels, parameters and conditions the new one gets."
)
@click.option("--morphology", required=True, type=any_path, help="A reconstruction: .swc, Neurolucida .asc, or .hoc.")
@click.option("-o", "--output", required=True, type=any_path, help="New folder; its name becomes the cell's.")
@click.option(
    "--spines",
    type=click.FloatRange(0, 100),
    help="Spines a um of dendrite; 0: none.  [default: the cell's, 1 of mainen]",
)
def new(cell, morphology, output, spines):
    """Write a cell of your own: a known cell on a reconstruction.

    CELL is a name of `nrn-mlfit cells` (mainen, mainen_slice, mainen_wide), a cell that was made so, or a cell of yours whose
    `files` names a reconstruction. Soma and dendrites are the reconstruction's, channels and axon the other cell's.

    \b
    Example:
      nrn-mlfit cells new --like mainen --morphology cell.swc -o my_cell
      nrn-mlfit cells show my_cell -o my_cell.png
    """
    make_like(cell, morphology, output, spines)


def make_like(cell, source: Path, output: Path, spines: float | None):
    """Make the folder and say what it is."""
    from nrn_mlfit import reconstructed

    made = reconstructed.like(cell, source, output, spines)
    for line in made.found.lines():
        say(line)
    if made.megohm:
        say(f"{made.segments} segments; input resistance {made.megohm:.3g} MOhm, of {cell} {made.of_other:.3g} MOhm")
        say(_stimulus(cell, made.factor))
    say(f"cell: {output}; look at it, and see how many sets spike, before a long run:")
    say(f"  nrn-mlfit cells show {output} -o {output.absolute().name}.png")
    say(f"  nrn-mlfit simulate {output} -n 100 -o runs/{output.absolute().name}")


def _stimulus(cell, factor) -> str:
    if factor is None:
        return f"stimulus: that of {cell} as it is, which has no scale; see what it does"
    return f"stimulus: that of {cell} times {factor:g}, so that it moves the voltage as far"
