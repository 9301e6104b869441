"""nrn-mlfit doctor"""

import click

from nrn_mlfit import workers
from nrn_mlfit.cli.options import say


@click.command()
@click.pass_context
def doctor(ctx):
    """Look at this machine: what is there, what is missing, and what to type.

    Compiler, make, perl, NEURON, compiled mechanisms, MPI, PyTorch, HDF5, processor, memory. Exit code 0 if
    everything needed is there (MPI is not needed), else 2.

    \b
    Example:
      nrn-mlfit doctor
    """
    from nrn_mlfit import doctor as surgery

    if workers.launched_rank():
        return  # the other ranks see the same machine, or should be asked there
    lines = []
    for line in surgery.examine():
        lines.append(line)
        say(f"{line.mark:<8} {line.name:<11} {line.found}")
        if line.todo and line.mark != surgery.OK:
            say(f"{'':<20} -> {line.todo}")
    if surgery.is_healthy(lines):
        say("everything needed is here")
        return
    problems = [line.name for line in lines if line.mark == surgery.PROBLEM]
    say(f"to be mended: {', '.join(problems)}")
    ctx.exit(2)
