"""nrn-mlfit cells new"""

import shlex
from functools import partial

import click

from nrn_mlfit.cli.options import any_path, one_process, say, table


@click.command()
@click.argument("hoc", type=any_path)
@click.option("--template", metavar="NAME", help="Which template of HOC, where it defines several.")
@click.option("--mod", type=any_path, help="Folder of its MOD files.  [default: mod/ beside HOC, if there]")
@click.option(
    "--celsius",
    type=click.FloatRange(0, 50),
    help="Temperature of the runs, degC.  [default: what NEURON has once the cell is built]",
)
@click.option("-o", "--output", type=any_path, required=True, help="New folder for the cell.")
def new(hoc, template, mod, celsius, output):
    """Begin a cell of your own from the template in the file HOC.

    The template is opened in NEURON, and what it has is listed: SectionLists, and each quantity with NEURON's unit and
    its value now. The new folder gets copies of the HOC and MOD files and a commented cell file, with parameters, ranges
    and a stimulus to begin with. Edit it, then run `nrn-mlfit cells check FOLDER`. Your own files stay as they are.

    \b
    Examples:
      nrn-mlfit cells new my_cell.hoc -o my_cell
      nrn-mlfit cells new L5.hoc --template L5PC --mod mechanisms --celsius 34 -o l5
    """
    one_process("cells new")
    from nrn_mlfit import newcell

    source = newcell.source_of(hoc, template, mod)
    begun = newcell.begin(source, output, celsius, partial(click.echo, err=True))
    for line in _told(begun):
        say(line)


def _told(begun):
    from nrn_mlfit import celltext
    from nrn_mlfit.progress import counted
    from nrn_mlfit.strength import FEWEST, HIGHEST_MV, LOWEST_MV, MOST

    draft = begun.draft
    found, drawn = draft.found, draft.proposal.drawn
    size = f"{counted(len(found.sections), 'section')}, {counted(found.segments, 'segment')}"
    yield f"{found.template}: {size}, read and driven at {found.site}(0.5)"
    yield f"  SectionLists  {draft.lists}"
    if found.processes:
        yield f"  points        {', '.join(f'{name} ({kind})' for name, kind in found.processes.items())}"
    if found.strangers:
        yield f"  besides       {counted(found.strangers, 'section')} outside of the cell; let HOC only define the template"
    yield "  conditions    {:g} degC, {}".format(*draft.celsius)
    yield "                {:g} mV, {}".format(*draft.v_init)
    yield from table([("variable", "unit", "now", "sections"), *celltext.listed(found)])
    yield f"parameters: {', '.join(one.parameter.name for one in drawn)}"
    yield f"stimulus: reset_chirp, scale {draft.look.scale:g} nA, reset {draft.look.reset:g}: {draft.look.told}"
    if draft.look.is_silent:
        yield "no set spikes: for a passive cell that is as it should be, else look at its channels, ranges and temperature"
    elif not draft.look.is_fine:
        yield (
            f"no scale keeps these sets between {FEWEST} and {MOST} spikes and {LOWEST_MV:g} and {HIGHEST_MV:g} mV, as in a "
            "cell that fires by itself: look at temperature, channels and ranges"
        )
    if begun.added:
        yield f"added to the copy of {draft.hoc}, so that a cell file can name them: {begun.added}"
    yield f"cell file: {begun.folder / draft.name}.yaml; edit it, then"
    yield f"  nrn-mlfit cells check {shlex.quote(str(begun.folder))}"
