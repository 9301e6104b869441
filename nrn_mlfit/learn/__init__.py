"""From simulated traces to networks that read parameters off a recording; the only home of PyTorch.

The public names load on first use: to look for an ensemble needs no PyTorch.
"""

from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from nrn_mlfit.learn.augment import Augmentation
    from nrn_mlfit.learn.corpus import Corpus, open_corpus
    from nrn_mlfit.learn.ensemble import Ensemble
    from nrn_mlfit.learn.folds import Settings, train
    from nrn_mlfit.learn.networks import Design, load_design

_HOMES = {
    "Augmentation": "augment",
    "Corpus": "corpus",
    "open_corpus": "corpus",
    "Ensemble": "ensemble",
    "Settings": "folds",
    "train": "folds",
    "Design": "networks",
    "load_design": "networks",
}
__all__ = ["Augmentation", "Corpus", "Design", "Ensemble", "Settings", "load_design", "open_corpus", "train"]


def __getattr__(name: str):
    if name not in _HOMES:
        raise AttributeError(f"nrn_mlfit.learn has no {name!r}")
    return getattr(import_module(f"nrn_mlfit.learn.{_HOMES[name]}"), name)
