"""The engine that is the truth: plain NEURON, one reused cell, one set after the other."""

from collections.abc import Callable

import numpy as np

from nrn_mlfit.cells import CellModel
from nrn_mlfit.shards import LARGEST_MV, Status
from nrn_mlfit.simulator.session import Session


class NeuronEngine:
    """Turns a chunk of parameter sets into traces and statuses."""

    name = "neuron"

    def __init__(self, model: CellModel):
        self._session = Session(model)

    def run(self, phys_par, tick: Callable[[], None] = lambda: None):
        """volts (N, P, S, T) float mV in the window and status (N,) of the sets phys_par (N, K); `tick` after each set."""
        pairs = [self._one(row, tick) for row in phys_par]
        volts, status = zip(*pairs, strict=True)
        return np.array(volts), np.array(status, np.uint8)

    def _one(self, row, tick):
        protocol = self._session.model.protocol
        try:
            self._session.set(row)
            volts = np.stack([self._session.run(s)[:, protocol.start :] for s in protocol.stimuli], axis=1)
        except RuntimeError:  # what NEURON raises for an error in HOC
            volts = np.zeros((len(self._session.model.probes), len(protocol.stimuli), protocol.length))
            return volts, Status.HOC_ERROR
        finally:
            tick()
        return volts, judge(volts)


def judge(volts) -> Status:
    """The status of a set by its voltages (P, S, T)."""
    if not np.isfinite(volts).all():
        return Status.NON_FINITE
    return Status.VOLTAGE_RANGE if np.abs(volts).max() > LARGEST_MV else Status.OK
