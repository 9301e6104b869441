"""The engine that is the truth: plain NEURON, one cell, one set after the other."""

import numpy as np

from nrn_mlfit.cells import CellModel
from nrn_mlfit.shards import LARGEST_MV, Status
from nrn_mlfit.simulator.session import Session
from nrn_mlfit.simulator.structure import Structure


class NeuronEngine:
    """Parameter sets to traces with NEURON itself.

    The cell is used again from set to set, but for a set that has changed its sections, segments, mechanisms or point
    processes: they would be there in the next one, too.
    """

    name = "neuron"
    lanes = 1

    def __init__(self, model: CellModel, session: Session | None = None):
        self.model = model
        self._held: tuple[Session, Structure] | None = (session, Structure(session.cell)) if session else None
        self.made_with: dict[str, str] = {}
        self._cell()

    def check(self, rows) -> None:
        """NEURON is what others are compared with."""

    def run(self, rows):
        """volts (n, P, S, T) float mV in the window and status (n,) of sets, as rows (n, K) or (n, K + 2) of CellModel.rows."""
        pairs = [self._one(*one) for one in zip(*self.model.split(np.asarray(rows)), strict=True)]
        volts, status = zip(*pairs, strict=True)
        return np.array(volts), np.array(status, np.uint8)

    def _cell(self) -> tuple[Session, Structure]:
        """The cell in use, or a new one."""
        if self._held is None:
            session = Session(self.model)
            self._held = session, Structure(session.cell)
        return self._held

    def _one(self, parameters, index, factor):
        model, protocol = self.model, self.model.protocol.of(index, factor)
        session, structure = self._cell()
        try:
            session.set(parameters)
            volts = np.stack([session.run(s)[:, protocol.start :] for s in protocol.stimuli], axis=1)
            status, changed = judge(volts), structure.has_changed()
        except RuntimeError:  # what NEURON raises for an error in HOC
            volts = np.zeros((len(model.probes), len(protocol.stimuli), protocol.length))
            status, changed = Status.HOC_ERROR, structure.is_another()
        if changed:
            self._held = None
        return volts, status


def judge(volts) -> Status:
    """The status of a set by its voltages (P, S, T)."""
    if not np.isfinite(volts).all():
        return Status.NON_FINITE
    return Status.VOLTAGE_RANGE if np.abs(volts).max() > LARGEST_MV else Status.OK
