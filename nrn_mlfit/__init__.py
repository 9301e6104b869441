"""nrn_mlfit: from a current-clamp recording to a NEURON model, in milliseconds, with error bars and an alarm.

The public names load on first use; importing the package loads neither NEURON, PyTorch nor MPI.
"""

from importlib import import_module

__version__ = "0.1.0"

_HOMES = {
    "CellModel": "cells",
    "load_model": "cells",
    "simulate": "simulator",
    "Session": "simulator",
    "load_cell": "simulator",
    "load_mechanisms": "simulator",
    "train": "learn",
    "Ensemble": "learn",
    "read_recording": "recordings",
    "fit": "fitting",
}
