"""The lane engine: a program made from a cell's MOD files and from the cell as NEURON built it, in which every lane of the
processor's vectors simulates a cell of its own.

read the model (modfile, walk, cable) -> plan the layout (groups, survey, tasks, plan) -> emit (expressions, emit,
source) -> compile (compiling) -> run (engine)
"""

from nrn_mlfit.simulator.lanes.check import Checked, Disagreement
from nrn_mlfit.simulator.lanes.describe import describe
from nrn_mlfit.simulator.lanes.engine import LaneEngine
from nrn_mlfit.simulator.lanes.outside import AnotherCell, Outside

__all__ = ["AnotherCell", "Checked", "Disagreement", "LaneEngine", "Outside", "describe"]
