"""NEURON is the truth: the first sets that a faster engine simulates go through plain NEURON, too."""

from collections.abc import Callable

from nrn_mlfit import progress
from nrn_mlfit.errors import EngineError
from nrn_mlfit.simulator.lanes import Disagreement
from nrn_mlfit.simulator.neuron import NeuronEngine
from nrn_mlfit.simulator.worker import Worker

CHECKED = 8  # sets whose traces must be NEURON's
TRIED = 64  # sets among which so many with a trace are sought,
MOST_FAILED = 8  # unless so many end the worker: each may cost it minutes


def check_engine(
    worker: Worker,
    rows,
    first: int = 0,
    report: progress.Report = progress.silent,
    draw: Callable[[Disagreement], object] | None = None,
):
    """Compare a worker's engine with plain NEURON on the first 8 sets of `rows` that give a trace.

    Raises EngineError where they differ, after `draw` has drawn how; `first` is the number of the first set.
    """
    engine, compared, tried, failed = worker.made.name, 0, 0, 0
    if engine == NeuronEngine.name:
        return
    while compared < CHECKED and tried < min(len(rows), TRIED) and failed < MOST_FAILED:
        some = rows[tried : tried + CHECKED - compared]
        found = worker.check(some)
        if found.disagreement:
            if draw:
                draw(found.disagreement)
            raise EngineError(
                f"{worker.model.name}: in set {first + tried + found.disagreement.number} engine {engine} differs from "
                f"plain NEURON: {_apart(found.disagreement.difference)}; {found.disagreement.began}. Simulate with "
                "--engine neuron, and please report it"
            )
        compared, tried, failed = compared + found.compared, tried + len(some), failed + found.failed
    report(_told(compared, tried, failed))


def _told(compared, tried, failed) -> str:
    if compared:
        return f"{compared} set{'s' * (compared != 1)} compared with plain NEURON: the same"
    cause = f"; {failed} could not be checked" if failed else ""
    return f"nothing was compared with plain NEURON: none of the {tried} sets tried gave a trace in both engines{cause}"


def _apart(difference) -> str:
    if not difference.same_counts:
        return "another number of spikes, or another status"
    return f"spikes up to {difference.shift:.2g} ms and voltages up to {difference.apart:.2g} mV apart"
