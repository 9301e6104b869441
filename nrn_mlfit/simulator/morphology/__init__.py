"""Reconstructions of neurons: SWC, Neurolucida ASC and HOC files as branches with 3-d points."""

from nrn_mlfit.simulator.morphology.reading import SUFFIXES, read
from nrn_mlfit.simulator.morphology.tree import Branch, Morphology

__all__ = ["SUFFIXES", "Branch", "Morphology", "read"]
