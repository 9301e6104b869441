"""The one import of NEURON, done so that it neither takes MPI over nor loads what lies in the working folder."""

import contextlib
import functools
import os
from pathlib import Path

from nrn_mlfit import workers


@functools.cache
def hoc():
    """NEURON's `h`, with the standard run library."""
    if workers.launched_size() > 1:
        # With mpi4py first, NEURON finds MPI initialised and stays out of it: its errors stay errors, not MPI_Abort.
        workers.connect()
    os.environ.setdefault("NEURON_MODULE_OPTIONS", "-nogui")
    with contextlib.chdir("/"):  # at import NEURON loads an x86_64/ of the working folder without being asked
        from neuron import h
    h.load_file("stdrun.hoc")
    return h


def load_file(path: Path) -> bool:
    """Load a HOC file, again if need be. From inside its folder, since NEURON takes ASCII paths only."""
    with contextlib.chdir(path.parent):
        return bool(hoc().load_file(1, path.name))


def load_library(path: Path):
    """Load compiled mechanisms; that nothing is raised does not mean that they are there.

    By its folder's name, too: under a name that is loaded already, dlopen gives that other library again.
    """
    with contextlib.chdir(path.parent.parent):
        hoc().nrn_load_dll(f"./{path.parent.name}/{path.name}")


@functools.cache
def nmodl():
    """NEURON's parser of MOD files: the module `nmodl` with its syntax trees, `nmodl.dsl`."""
    hoc()
    from neuron import nmodl
    from neuron.nmodl import dsl  # noqa: F401 (becomes an attribute of nmodl)

    return nmodl


def shipped_mods() -> Path:
    """The folder of the MOD files that are built into NEURON."""
    return _data() / "share" / "modfile"


def translator() -> str:
    """nocmodl, which makes C++ of MOD files for NEURON."""
    return str(_data() / "bin" / "nocmodl")


def _data() -> Path:
    import neuron

    return Path(neuron.__file__).parent / ".data"
