"""nrn_mlfit: from a current-clamp recording to a NEURON model, in milliseconds, with error bars and an alarm.

The public names load on first use: importing the package loads neither NEURON nor PyTorch nor MPI.
"""

from importlib import import_module
from typing import TYPE_CHECKING

__version__ = "0.1.0"

if TYPE_CHECKING:
    from nrn_mlfit.fit import Fit, fit_recording
    from nrn_mlfit.learn import Ensemble, Settings, open_corpus, train
    from nrn_mlfit.recordings import Recording, read
    from nrn_mlfit.simulator import Session, load_cell, load_mechanisms, simulate

_HOMES = {
    "Session": "simulator",
    "simulate": "simulator",
    "load_cell": "simulator",
    "load_mechanisms": "simulator",
    "train": "learn",
    "open_corpus": "learn",
    "Settings": "learn",
    "Ensemble": "learn",
    "Recording": "recordings",
    "read": "recordings",
    "Fit": "fit",
    "fit_recording": "fit",
}
__all__ = [
    "Ensemble",
    "Fit",
    "Recording",
    "Session",
    "Settings",
    "fit_recording",
    "load_cell",
    "load_mechanisms",
    "open_corpus",
    "read",
    "simulate",
    "train",
]


def __getattr__(name: str):
    if name not in _HOMES:
        raise AttributeError(f"nrn_mlfit has no {name!r}")
    return getattr(import_module(f"nrn_mlfit.{_HOMES[name]}"), name)
