"""nrn-mlfit cells new"""

import shlex
from functools import partial

import click

from nrn_mlfit.cli import cells_like
from nrn_mlfit.cli.options import any_path, one_process, say, table


@click.command()
@click.argument("hoc", type=any_path, required=False)
@click.option("--template", metavar="NAME", help="Which template of HOC, where it defines several.")
@click.option("--mod", type=any_path, help="Folder of its MOD files.  [default: mod/ beside HOC, if there]")
@click.option(
    "--celsius",
    type=click.FloatRange(0, 50),
    help="Temperature of the runs, degC.  [default: what NEURON has once the cell is built]",
)
@click.option("-o", "--output", type=any_path, required=True, help="New folder for the cell.")
@click.option(
    "--like", "cell", metavar="CELL", help="In place of HOC: a cell whose channels and parameters the new one gets."
)
@click.option("--morphology", type=any_path, help="With --like: a reconstruction, .swc, Neurolucida .asc, or .hoc.")
@click.option(
    "--spines",
    type=click.FloatRange(0, 100),
    help="With --like: spines a um of dendrite; 0: none.  [default: the cell's, 1 of mainen]",
)
def new(hoc, template, mod, celsius, output, cell, morphology, spines):
    """Begin a cell of your own from the template in the file HOC, or from a known cell on a reconstruction.

    HOC: the template is opened in NEURON, and what it has is listed: SectionLists, and each quantity with NEURON's unit
    and its value now. The new folder gets copies of the HOC and MOD files and a commented cell file, with parameters, ranges
    and a stimulus to begin with. Edit it, then run `nrn-mlfit cells check FOLDER`. Your own files stay as they are.

    --like CELL --morphology FILE: CELL is a name of `nrn-mlfit cells` (mainen, mainen_slice, mainen_wide), a cell that was
    made so, or a cell of yours whose `files` names a reconstruction. Soma and dendrites are the reconstruction's, channels
    and axon the other cell's. The new folder's name becomes the cell's.

    \b
    Examples:
      nrn-mlfit cells new my_cell.hoc -o my_cell
      nrn-mlfit cells new L5.hoc --template L5PC --mod mechanisms --celsius 34 -o l5
      nrn-mlfit cells new --like mainen --morphology cell.swc -o my_cell
    """
    one_process("cells new")
    _check(hoc, cell, morphology, {"--template": template, "--mod": mod, "--celsius": celsius}, spines)
    if cell:
        cells_like.make_like(cell, morphology, output, spines)
    else:
        _from_template(hoc, template, mod, celsius, output)


def _check(hoc, cell, morphology, of_hoc, spines):
    """Raises UsageError where what is given belongs to two ways, or to none."""
    if (hoc is None) == (cell is None):
        raise click.UsageError(
            "name the HOC file that defines your template, or a known cell with --like CELL --morphology FILE"
        )
    if cell and morphology is None:
        raise click.UsageError("--like goes with --morphology FILE, a reconstruction (.swc, .asc or .hoc)")
    if hoc and (morphology is not None or spines is not None):
        raise click.UsageError("--morphology and --spines go with --like CELL; a template reads its own morphology")
    if cell and (given := [name for name, value in of_hoc.items() if value is not None]):
        raise click.UsageError(f"{', '.join(given)}: for a HOC file; with --like it is as in {cell}")


def _from_template(hoc, template, mod, celsius, output):
    from nrn_mlfit import newcell

    source = newcell.source_of(hoc, template, mod)
    begun = newcell.begin(source, output, celsius, partial(click.echo, err=True))
    for line in _told(begun):
        say(line)


def _told(begun):
    from nrn_mlfit import celltext
    from nrn_mlfit.progress import counted
    from nrn_mlfit.proposal import has_channels
    from nrn_mlfit.simulator.inventory import in_pieces
    from nrn_mlfit.strength import advice

    draft = begun.draft
    found, drawn = draft.found, draft.proposal.drawn
    size = f"{counted(len(found.sections), 'section')}, {counted(found.segments, 'segment')}"
    yield f"{found.template}: {size}, read and driven at {_site(draft)}"
    yield f"  SectionLists  {draft.lists}"
    if found.processes:
        yield f"  points        {', '.join(f'{name} ({kind})' for name, kind in found.processes.items())}"
    if found.strangers:
        yield f"  besides       {counted(found.strangers, 'section')} outside of the cell; let HOC only define the template"
    if found.loose:
        yield f"  in pieces     {'; '.join(in_pieces(found.loose, found.site))}"
    yield "  conditions    {:g} degC, {}".format(*draft.celsius)
    yield "                {:g} mV, {}".format(*draft.v_init)
    yield from table([("variable", "unit", "now", "sections"), *celltext.listed(found)])
    yield f"parameters: {', '.join(one.parameter.name for one in drawn)}"
    if draft.proposal.left_out:
        yield f"{celltext.LEFT_OUT}: {'; '.join(draft.proposal.left_out)}"
    yield f"stimulus: reset_chirp, scale {draft.look.scale:g} {_unit(draft)}, reset {draft.look.reset:g}: {draft.look.told}"
    if told := advice(draft.look, bool(draft.proposal.own) or has_channels(found)):
        yield told
    if begun.added:
        yield f"added to the copy of {draft.hoc}, so that a cell file can name them: {begun.added}"
    yield f"cell file: {begun.folder / draft.name}.yaml; edit it, then"
    yield f"  nrn-mlfit cells check {shlex.quote(str(begun.folder))}"


def _site(draft) -> str:
    return f"{draft.probe[1]}, {draft.inject}" if draft.proposal.own else draft.inject


def _unit(draft) -> str:
    return f"({draft.current_unit})" if draft.proposal.own else "nA"
