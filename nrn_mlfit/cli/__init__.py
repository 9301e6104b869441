"""The command line: one file a command (group); each parses, calls one public function, prints. Nothing heavy loads here."""

from importlib import import_module

import click

import nrn_mlfit

# In the order in which they are used. Each name is a module of this folder that holds a command of that name.
COMMANDS = (
    "cells",
    "stimuli",
    "design",
    "simulate",
    "shards",
    "train",
    "evaluate",
    "recording",
    "fit",
    "predict",
    "resimulate",
    "around",
    "transfer",
    "report",
    "hoc",
    "doctor",
)


class _Lazy(click.Group):
    """Commands are imported when they are asked for."""

    def list_commands(self, ctx):
        return list(COMMANDS)

    def get_command(self, ctx, name):
        return getattr(import_module(f"nrn_mlfit.cli.{name}"), name) if name in COMMANDS else None


@click.group(cls=_Lazy, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(nrn_mlfit.__version__, "--version", prog_name="nrn-mlfit")
def cli():
    """From a current-clamp recording to a NEURON model: conductances, how far they may be off, and an alarm.

    \b
    The way from nothing to a fitted cell:
      nrn-mlfit simulate izhikevich -n 2000 -j 2 -o runs/izh
      nrn-mlfit train runs/izh -o ensembles/izh
      nrn-mlfit fit recording.npz -e ensembles/izh -o fits/mine
      nrn-mlfit report fits/mine
    """
