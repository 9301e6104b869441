"""From parameter sets to traces: building mechanisms, one live cell a process, many sets on many ranks.

The only place that imports NEURON.
"""

from nrn_mlfit.simulator.bulk import simulate
from nrn_mlfit.simulator.mechanisms import load_mechanisms
from nrn_mlfit.simulator.session import Session, load_cell

__all__ = ["Session", "load_cell", "load_mechanisms", "simulate"]
