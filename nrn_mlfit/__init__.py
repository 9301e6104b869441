"""nrn_mlfit: from a current-clamp recording to a NEURON model, in milliseconds, with error bars and an alarm."""

__version__ = "0.1.0"
