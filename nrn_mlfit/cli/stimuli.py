"""nrn-mlfit stimuli"""

import inspect

import click

from nrn_mlfit.cli.options import any_path, say

UNITS = {
    **dict.fromkeys(["delay", "duration", "total", "tau", "dt", "lead"], "ms"),
    "scale": "nA",
    "mean": "x scale",
    "reset": "x scale",
}
EXAMPLES = {
    "reset_chirp": "{kind: reset_chirp, scale: 0.2}",
    "step": "{kind: step, scale: 0.2, delay: 50, duration: 200}",
    "ramp": "{kind: ramp, scale: 0.3, duration: 200}",
    "noise": "{kind: noise, scale: 0.1, mean: 0.5, tau: 3, seed: 1}",
    "file": "{kind: file, path: piece.npz}",
}


@click.command()
@click.option(
    "-o", "--output", type=any_path, help="Draw the kinds at their defaults into this .png, .pdf or .svg file."
)
def stimuli(output):
    """List the kinds of stimuli: what they are, their settings, and the line of a cell file that asks for one.

    \b
    Examples:
      nrn-mlfit stimuli
      nrn-mlfit stimuli -o stimuli.png
    """
    for line in _listed():
        say(line)
    if output:
        from nrn_mlfit import report
        from nrn_mlfit.stimuli import KINDS, make

        report.stimulus_picture([make({"kind": kind}) for kind in KINDS], output)
        say(f"picture: {output}")


def _listed():
    from nrn_mlfit.stimuli import KINDS, NAMED, from_file, make_protocol

    for kind, make in {**KINDS, "file": from_file}.items():
        yield kind
        yield f"  {(inspect.getdoc(make) or '').splitlines()[0]}"
        yield f"  settings  {', '.join(_settings(kind, make))}"
        yield f"  example   stimulus: {EXAMPLES[kind]}"
    yield "Scales are in nA, or in a point process' own unit. Several stimuli of one cell: a list of such lines."
    yield "A bank, of which each parameter set gets one stimulus and a factor: {bank: [...], amplitudes: [0.8, 1.2]}"
    for name in NAMED:
        bank = make_protocol(name)
        yield f"By name: {name}, a {bank.name} of {bank.length * bank.dt:g} ms each, for steps of 400, 500 or more ms"
        yield f"  in a cell file `stimulus: {name}`, or nrn-mlfit simulate mainen_wide --stimulus {name} -n 2000 -o runs/{name}"
    yield "A recorded current as the stimulus, whatever the cell file says:"
    yield "  nrn-mlfit recording cell7.nwb -o piece.npz"
    yield "  nrn-mlfit simulate mainen --stimulus piece.npz -n 2000 -o runs/piece"
    yield "  nrn-mlfit simulate mainen --stimulus cell7.nwb -n 2000 -o runs/cell7     # all its sweeps, as a bank"


def _settings(kind, make):
    for name, parameter in inspect.signature(make).parameters.items():
        if name == "origin":  # written by us, into copies of a cell
            continue
        if parameter.default is parameter.empty:
            yield f"{name} (needed)"
        else:
            unit = "times" if (kind, name) == ("file", "scale") else UNITS.get(name, "")
            yield f"{name} {parameter.default:g} {unit}".rstrip()
