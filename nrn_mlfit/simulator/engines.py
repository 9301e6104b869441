"""The engines. One has a `name`, takes up to `lanes` parameter sets at once, and turns them into traces and statuses.

`Engine(model).run(phys_par)`: volts (n, P, S, T) float mV in the window and status (n,) of the sets phys_par (n, K). An
engine need not survive what a cell does: it runs in a worker process, and whoever asks is told how that ended.
"""

from nrn_mlfit.simulator.neuron import NeuronEngine

ENGINES = {engine.name: engine for engine in (NeuronEngine,)}
