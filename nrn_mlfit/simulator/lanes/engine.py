"""The lane engine: as many cells side by side as a vector register has lanes, each lane with a parameter set of its own."""

import ctypes
from collections.abc import Sequence

import numpy as np

from nrn_mlfit.cells import CellModel
from nrn_mlfit.shards import Status
from nrn_mlfit.simulator.agreement import DOUBLE, MIXED
from nrn_mlfit.simulator.lanes import compiling
from nrn_mlfit.simulator.lanes.check import Checked, compare_with_neuron
from nrn_mlfit.simulator.lanes.plan import make_plan
from nrn_mlfit.simulator.lanes.source import generate
from nrn_mlfit.simulator.neuron import NeuronEngine, judge
from nrn_mlfit.simulator.session import Session
from nrn_mlfit.stimuli import Protocol, Stimulus

BOUNDS = {"double": DOUBLE, "mixed": MIXED}


class LaneEngine:
    """Parameter sets to traces by a program made for the cell; raises Outside where it can't be made.

    NEURON sets the parameters and the start of every set; from there on the program does what NEURON's fixed step does.
    `width` is how many sets it runs side by side, `played` what each stimulus (of a bank the B times S of all alternatives)
    gives at each of its `steps`.
    """

    lanes = 32

    def __init__(
        self,
        model: CellModel,
        precision: str = "double",
        instruction_set: str | None = None,
        session: Session | None = None,
    ):
        self.model, self.name = model, f"lanes-{precision}"
        self._bounds = BOUNDS[precision]
        self.session = session or Session(model)
        self.plan = make_plan(self.session)
        self.source = generate(self.plan, model.protocol.is_bank)
        program = compiling.program_of(self.source, precision, instruction_set)
        self._code, self.made_with = compiling.load(program.library, model.protocol.is_bank), program.made_with
        self.width = self._code.lanes_count()
        self._rows = self.plan.rows()
        self.steps = (model.protocol.stop - 1) * model.substeps
        every = model.protocol.every
        gains = [1.0 if "gain" in self.plan.arrays else self.session.gain(s) for s in every]
        pairs = zip(every, gains, strict=True)
        self.played = [played(s, model.protocol.stop, model.step, self.steps, gain) for s, gain in pairs]

    def run(self, rows):
        """volts (n, P, S, T) float mV in the window and status (n,) of sets, as rows (n, K) or (n, K + 2) of CellModel.rows.

        Raises AnotherCell where one of them makes another cell than the program was made for.
        """
        protocol, count = self.model.protocol, len(rows)
        phys_par, index, factor = self.model.split(rows)
        own = [protocol.of(*chosen).stimuli for chosen in zip(index, factor, strict=True)]
        volts = np.zeros((count, len(self.model.probes), len(protocol.stimuli), protocol.length))
        status = np.full(count, Status.OK, np.uint8)
        for k in range(len(protocol.stimuli)):
            starts = self.starts(phys_par, [stimuli[k] for stimuli in own], status)
            for low in range(0, count, self.width):
                some = slice(low, min(low + self.width, count))
                volts[some, :, k] = self.traces(starts[some], self.currents(k, index[some], factor[some]))
        volts[status != Status.OK] = 0
        for row in np.flatnonzero(status == Status.OK):
            status[row] = judge(volts[row])
        return volts, status

    def check(self, rows) -> Checked:
        """Sets, as for `run`, held against plain NEURON, up to the first that it says something else of."""
        return compare_with_neuron(self, NeuronEngine(self.model, self.session), rows, self._bounds)

    def set_of(self, row) -> tuple[np.ndarray, Protocol]:
        """The parameters (K,) of a set and the protocol that it gets."""
        (parameters,), (index,), (factor,) = self.model.split(row[None])
        return parameters, self.model.protocol.of(index, factor)

    def state_after(self, row, steps: int):
        """What is stored for a set under its first stimulus after some steps, (gathered entries,)."""
        parameters, protocol = self.set_of(row)
        start = self.starts(parameters[None], [protocol.stimuli[0]], np.zeros(1, np.uint8))
        initial, middle, end = self.currents(0, *self.model.split(row[None])[1:])
        self.traces(start, (initial, middle[:steps], end[:steps]))
        held = np.empty((len(self._rows), self.width))
        self._code.lanes_read(_pointer(held))
        return held[:, 0].copy()

    def neuron_after(self, row, steps: int):
        """The same in NEURON."""
        parameters, protocol = self.set_of(row)
        return self.plan.reader.read(parameters, protocol.stimuli[0], protocol.stop, steps)[self._rows]

    def starts(self, phys_par, stimuli: Sequence[Stimulus], status):
        """What NEURON has at t = 0, (n, gathered entries), of the sets phys_par (n, K), each under its own of n stimuli; a
        set that HOC refuses gets its status (n,)."""
        readings = []
        for row, (parameters, stimulus) in enumerate(zip(phys_par, stimuli, strict=True)):
            try:
                readings.append(self.plan.reader.read(parameters, stimulus, self.model.protocol.stop))
            except RuntimeError:
                status[row] = Status.HOC_ERROR
                readings.append(np.where(np.isnan(self.plan.expected), 0.0, self.plan.expected))
        held = np.array(readings)
        self.plan.check(held)
        return held[:, self._rows]

    def currents(self, k: int, index, factor):
        """What stimulus k gives: as in `played`; in a bank, where each of n <= `width` sets has its own, a column a lane:
        initial (width,), middle and end (steps, width)."""
        if not self.model.protocol.is_bank:
            return self.played[k]
        index, factor = (np.pad(x, (0, self.width - len(x)), mode="edge") for x in (index, factor))
        own = [self.played[i * len(self.model.protocol.stimuli) + k] for i in index]
        return tuple(np.stack(part, axis=-1) * factor for part in zip(*own, strict=True))

    def traces(self, starts, currents):
        """volts (n, P, T) in mV from `starts` (n, gathered entries) of at most `width` sets on, under `currents`.

        Lanes that are left over repeat the last set.
        """
        protocol, model = self.model.protocol, self.model
        filled = np.concatenate([starts, np.repeat(starts[-1:], self.width - len(starts), axis=0)])
        traces = np.empty((protocol.length, len(model.probes), self.width))
        initial, middle, end = currents
        self._code.lanes_run(
            _pointer(np.ascontiguousarray(filled.T)),
            _pointer(initial) if self.model.protocol.is_bank else initial,
            _pointer(middle),
            _pointer(end),
            len(middle),
            model.substeps,
            protocol.start,
            _pointer(traces),
        )
        return traces[:, :, : len(starts)].transpose(2, 1, 0)


def played(stimulus: Stimulus, stop: int, dt: float, steps: int, gain: float = 1.0):
    """(initial, middle (steps,), end (steps,)): what NEURON's Vector.play gives at t = 0, in the middle and at the end of
    each step: samples up to `stop` times the gain, joined by lines, the last one after them. Time adds up as NEURON's does."""
    times = np.concatenate([[0.0], np.add.accumulate(np.full(2 * steps, 0.5 * dt))])
    current = gain * np.asarray(stimulus.current[:stop], float)
    grid = np.arange(len(current)) * stimulus.dt
    values = np.interp(times, grid, current)
    return float(current[0]), np.ascontiguousarray(values[1::2]), np.ascontiguousarray(values[2::2])


def _pointer(array):
    return array.ctypes.data_as(ctypes.POINTER(ctypes.c_double))
