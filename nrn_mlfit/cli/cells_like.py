"""nrn-mlfit cells new --like"""

from functools import partial
from pathlib import Path

import click

from nrn_mlfit.cli.options import say


def make_like(cell, source: Path, output: Path, spines: float | None):
    """Make the folder and say what it is."""
    from nrn_mlfit import reconstructed

    made = reconstructed.like(cell, source, output, spines, partial(click.echo, err=True))
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
