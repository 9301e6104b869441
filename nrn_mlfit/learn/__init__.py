"""From simulated traces to networks that read parameters off a recording; the only home of PyTorch."""

from nrn_mlfit.learn.augment import Augmentation
from nrn_mlfit.learn.corpus import Corpus, open_corpus
from nrn_mlfit.learn.ensemble import Ensemble
from nrn_mlfit.learn.folds import Settings, train
from nrn_mlfit.learn.networks import Design, load_design

__all__ = ["Augmentation", "Corpus", "Design", "Ensemble", "Settings", "load_design", "open_corpus", "train"]
