"""nrn-mlfit cells"""

from functools import partial

import click

from nrn_mlfit.cli.cells_check import check
from nrn_mlfit.cli.cells_new import new
from nrn_mlfit.cli.options import any_path, say, table


@click.group(invoke_without_command=True)
@click.pass_context
def cells(ctx):
    """List the cells known by name; `cells show NAME` tells about one of them.

    `cells new` begins a cell of your own from its HOC template, and `cells check` tries a cell out before anyone trains.

    \b
    Examples:
      nrn-mlfit cells
      nrn-mlfit cells show mainen -o mainen.png
      nrn-mlfit cells new my_cell.hoc -o my_cell
      nrn-mlfit cells check my_cell
    """
    if ctx.invoked_subcommand is None:
        for line in _listed():
            say(line)


cells.add_command(new)
cells.add_command(check)


@cells.command()
@click.argument("cell")
@click.option("-o", "--output", type=any_path, help="The picture (.png, .pdf, .svg); with --engine a folder.")
@click.option("--engine", type=click.Choice(["lanes"]), help="Print what this engine makes of the cell, too.")
def show(cell, output, engine):
    """Print parameters, probes and stimulus of CELL; with -o FILE simulate and draw it.

    CELL is a name of `nrn-mlfit cells`, or the path of your own cell file. The picture has the sections, the stimulus
    with what the network sees of it, the trace raw and curated, and what each parameter does. With --engine lanes comes
    the plan of the program that simulates the cell; -o FOLDER then writes plan.txt, with all formulas in full, and
    source.cpp in place of the picture.

    \b
    Examples:
      nrn-mlfit cells show izhikevich
      nrn-mlfit cells show mycell/mycell.yaml -o mycell.png
      nrn-mlfit cells show mainen --engine lanes -o mainen_lanes
    """
    from nrn_mlfit import cells as rules

    model = rules.load(cell)
    if output:
        (_check_folder if engine else _check_picture)(output)
    for line in _shown(model):
        say(line)
    if engine:
        _plan(model, output)
    elif output:
        _draw(model, output)


def _check_picture(output):
    from nrn_mlfit import report

    report.check_format(output)


def _check_folder(output):
    if output.suffix in (".png", ".pdf", ".svg"):
        raise click.UsageError(
            f"{output}: with --engine -o is a folder for plan.txt and source.cpp; name one, or leave out --engine for the "
            "picture"
        )


def _plan(model, output):
    from nrn_mlfit import textfile
    from nrn_mlfit.simulator import lanes

    _tell_of_compiling(model)
    click.echo(f"making the plan of {model.name}", err=True)
    made = lanes.describe(model)
    for line in made.brief:
        say(line)
    if not output:
        say("formulas in full (… ends what is cut), and the C++: -o FOLDER")
        return
    textfile.write_atomic(output / "plan.txt", "\n".join([*made.plan, ""]))
    textfile.write_atomic(output / "source.cpp", made.source)
    say(f"plan: {output / 'plan.txt'}; C++: {output / 'source.cpp'}")


def _draw(model, output):
    from nrn_mlfit import report

    _tell_of_compiling(model)
    report.cell_picture(model, output)
    say(f"picture: {output}")


def _tell_of_compiling(model):
    from nrn_mlfit.simulator import mechanisms

    mechanisms.tell_if_new(model.mod, partial(click.echo, err=True))


def _listed():
    from nrn_mlfit import cells as rules

    known = rules.available()
    rows = [("cell", "parameters", "stimulus", "from"), *(_row(name, path) for name, path in known.items())]
    yield from table(rows)
    yield from _ensembles()
    yield "more about one: nrn-mlfit cells show NAME; your own: give the path of its cell file in place of a name"


def _ensembles():
    """The ensembles that are known by name, a line for each package that brings some."""
    from nrn_mlfit.learn import shipped

    known = shipped.available()
    for package in dict.fromkeys(offer.package for offer in known.values()):
        yield f"ensembles of {package} (-e NAME): {', '.join(name for name in known if known[name].package == package)}"


def _row(name, path):
    from nrn_mlfit import cells as rules
    from nrn_mlfit.errors import MlfitError

    source = "shipped" if name in rules.SHIPPED else str(path)
    try:
        model = rules.read(path)
    except MlfitError as error:  # one broken package must not hide the other cells
        return name, "-", "-", f"cannot be used: {error}"
    return name, str(len(model.space)), _stimuli(model), source


def _stimuli(model) -> str:
    protocol = model.protocol
    return protocol.name if protocol.is_bank else "; ".join(_words(s, model) for s in protocol.stimuli)


def _words(stimulus, model) -> str:
    return f"{stimulus.name}, scale {stimulus.scale:g} {model.current_unit}".rstrip()


def _more(stimulus) -> str:
    sweep = f", sweep {stimulus.spec['origin']['sweep']}" if "origin" in stimulus.spec else ""
    settings = ((key, value) for key, value in stimulus.spec.items() if key not in ("kind", "scale", "origin"))
    return "".join(f", {key} {value}" for key, value in settings) + sweep


def _shown(model):
    protocol = model.protocol
    yield f"{model.name}: template {model.template} of {model.hoc}"
    yield f"  MOD files    {model.mod or 'none'}"
    yield f"  conditions   {_conditions(model)}, step {model.step:g} ms"
    for stimulus in protocol.every:
        yield f"  stimulus     {_words(stimulus, model)}{_more(stimulus)}, into {model.inject}"
    if protocol.is_bank:
        yield "  a bank       each set gets one of these, times {:g} to {:g}".format(*protocol.amplitudes)
    yield (
        f"  window       {protocol.t0:g} to {protocol.stop * protocol.dt:g} ms, "
        f"{protocol.length} samples of {protocol.dt:g} ms"
    )
    for name, site in model.probes.items():
        yield f"  probe        {name}: {site}"
    for name, value in model.geometry.items():
        yield f"  geometry     {name} = {value:g}"
    if gain := _gain(model):
        yield f"  gain         {gain}"
    for one in model.fixed:
        yield f"  fixed        {one.parameter.name} = {one.value:g} {one.parameter.unit}".rstrip()
    formulas = [formula for _, formula in model.formulas]
    for formula in formulas:
        yield f"  formula      {formula}"
    if any(formula.by_distance for formula in formulas):
        yield f"  distance     in um along the dendrite, from {model.origin}"
    rows = [_parameter(p, formulas) for p in model.space.parameters]
    yield from table([("parameter", "low", "high", "unit", "scale", "sets"), *rows])


def _conditions(model) -> str:
    """Temperature and start, or the parameter that says them."""
    by = {target: p.name for p in model.parameters for target in p.sets}
    warmth = f"celsius by {by['celsius']}" if "celsius" in by else f"{model.celsius:g} degC"
    return f"{warmth}, from {by.get('v_init', f'{model.v_init:g} mV')}"


def _gain(model) -> str:
    """What 1 nA is to the cell: a parameter, drawn or held, comes before what the cell file says; empty where nothing is said."""
    if name := next((p.name for p in model.parameters if "current_gain" in p.sets), None):
        return f"1 nA of a stimulus is, of {model.inject}, what the parameter {name} says"
    return "" if model.current_gain is None else f"1 nA of a stimulus file is {model.current_gain:g} of {model.inject}"


def _parameter(p, formulas):
    from nrn_mlfit.formulas import is_formula

    plain = [entry for entry in p.sets if not is_formula(entry)]
    told = [*plain, *(f"{formula.target} (formula)" for formula in formulas if p.name in formula.names)]
    return p.name, f"{p.low:g}", f"{p.high:g}", p.unit, p.scale, ", ".join(told)
