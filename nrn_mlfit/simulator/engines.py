"""The engines. One has a `name`, takes up to `lanes` parameter sets at once, and turns them into traces and statuses.

`engine.run(rows)`: volts (n, P, S, T) float mV in the window and status (n,) of sets, rows of `CellModel.rows`: parameters
(n, K), and from a bank which stimuli they get. What a set gives hangs on the set alone. `engine.made_with` says on what
else the bytes hang. `engine.check(rows)` compares it with plain NEURON. AnotherCell says that a set is for plain NEURON, and
the engine of no more use. An engine need not survive what a cell does: it runs in a worker process, and whoever asks is told
how that ended.
"""

from typing import Protocol

from nrn_mlfit.cells import CellModel
from nrn_mlfit.errors import MachineError, MlfitError, ParameterError
from nrn_mlfit.simulator.lanes import Checked, LaneEngine, Outside
from nrn_mlfit.simulator.lanes.compiling import PRECISIONS
from nrn_mlfit.simulator.neuron import NeuronEngine

CHOICES = ("auto", "lanes", "neuron")
MOST_LANES = LaneEngine.lanes  # of any engine


class Engine(Protocol):
    """What the engines have in common."""

    name: str
    lanes: int
    made_with: dict[str, str]

    def run(self, rows): ...

    def check(self, rows) -> Checked | None: ...


def make(choice: str, precision: str, model: CellModel) -> tuple[Engine, str]:
    """The engine of a choice, and why it is not the fast one where that was left open: `auto` prefers lanes.

    Raises Outside where the lane engine is asked for and the cell is not for it.
    """
    if choice not in CHOICES or precision not in PRECISIONS:
        raise ParameterError(
            f"engine {choice}, precision {precision}: an engine is one of {', '.join(CHOICES)}, a precision one of "
            f"{', '.join(PRECISIONS)}"
        )
    if choice == "neuron":
        if precision != "double":
            raise ParameterError(f"precision {precision}: is for engine lanes only; leave it out, or take engine lanes")
        return NeuronEngine(model), ""
    try:
        return LaneEngine(model, precision), ""
    except Outside as reason:
        if choice == "lanes":
            raise Outside(f"{model.name}: not for the lane engine: {reason}; simulate with --engine neuron") from None
        why = str(reason)
    except Exception as reason:
        if choice == "lanes" or not (why := _why_neuron(reason)):
            raise
    return NeuronEngine(model), why + ("; in double precision" if precision != "double" else "")


def _why_neuron(reason: Exception) -> str:
    """Why plain NEURON can do what the lane engine can't; empty where it can't either: the cell itself is at fault."""
    if isinstance(reason, MachineError):  # without a compiler NEURON's mechanisms may yet be built
        return str(reason)
    return "" if isinstance(reason, MlfitError) else f"the lane engine failed with {reason!r}, please report it"
