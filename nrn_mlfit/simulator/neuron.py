"""The engine that is the truth: plain NEURON, one reused cell, one set after the other."""

import numpy as np

from nrn_mlfit.cells import CellModel
from nrn_mlfit.shards import LARGEST_MV, Status
from nrn_mlfit.simulator.session import Session


class NeuronEngine:
    """Parameter sets to traces with NEURON itself."""

    name = "neuron"
    lanes = 1

    def __init__(self, model: CellModel, session: Session | None = None):
        self._session = session or Session(model)
        self.made_with: dict[str, str] = {}

    def check(self, phys_par) -> None:
        """NEURON is what others are compared with."""

    def run(self, phys_par):
        """volts (n, P, S, T) float mV in the window and status (n,) of the sets phys_par (n, K)."""
        pairs = [self._one(row) for row in phys_par]
        volts, status = zip(*pairs, strict=True)
        return np.array(volts), np.array(status, np.uint8)

    def _one(self, row):
        model = self._session.model
        protocol = model.protocol
        try:
            self._session.set(row)
            volts = np.stack([self._session.run(s)[:, protocol.start :] for s in protocol.stimuli], axis=1)
        except RuntimeError:  # what NEURON raises for an error in HOC
            return np.zeros((len(model.probes), len(protocol.stimuli), protocol.length)), Status.HOC_ERROR
        return volts, judge(volts)


def judge(volts) -> Status:
    """The status of a set by its voltages (P, S, T)."""
    if not np.isfinite(volts).all():
        return Status.NON_FINITE
    return Status.VOLTAGE_RANGE if np.abs(volts).max() > LARGEST_MV else Status.OK
