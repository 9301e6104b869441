"""Where a cell rests: a run without a current, until nothing moves any more."""

import numpy as np

from nrn_mlfit.cells import CellModel
from nrn_mlfit.places import place
from nrn_mlfit.simulator.door import hoc
from nrn_mlfit.simulator.session import advance, build_cell, conditions, segment

DURATION_MS, STEP_MS = 1000.0, 0.1  # a rest is where the derivatives are 0, whatever the step
LAST_MS, STILL_MV = 100.0, 0.1  # what the voltage may move by in the last of it


def of_cell(model: CellModel, site: str) -> float | None:
    """The voltage in mV at `site` at which the cell rests, its parameters as the template has them, begun at v_init.

    None where it fires or moves after a second, or cannot be run. Raises what build_cell raises.
    """
    cell = build_cell(model)
    volts = hoc().Vector().record(segment(cell, place(site))._ref_v)
    with conditions(model.celsius, STEP_MS):
        try:
            hoc().finitialize(model.v_init)
            advance(round(DURATION_MS / STEP_MS))
        except RuntimeError:  # what NEURON raises for an error in HOC or in a mechanism
            return None
    last = volts.as_numpy()[-round(LAST_MS / STEP_MS) :]
    return float(last[-1]) if np.ptp(last) <= STILL_MV else None  # a NaN is not
