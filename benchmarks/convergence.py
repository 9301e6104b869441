"""Does a shipped cell change when its time step is halved or its segments doubled? Prints a Markdown table.

    python benchmarks/convergence.py [CELL ...]

Each row sets a run against the one with the coarser grid, in the network's window at the first probe. The
soma keeps its segments (it is isopotential), so that the probe stays at its middle.
"""

import sys
from dataclasses import replace

import numpy as np

from nrn_mlfit import cells
from nrn_mlfit.simulator.session import Session

STEPS = (0.02, 0.01, 0.005)  # ms
DRAWS, SEED = 4, 1
HEAD = """\
| cell | parameters | change | spikes | median shift (ms) | last spike's shift (ms) | rms (mV) |
|---|---|---|---|---|---|---|"""


def main(names):
    print(HEAD)
    for name in names or cells.SHIPPED:
        for label, values in parameter_sets(cells.load(name)):
            for row in rows(cells.load(name), values):
                print(f"| {name} | {label} |", " | ".join(row), "|", flush=True)


def parameter_sets(model):
    """(label, values): the template's own nominal values (None), then random sets."""
    drawn = model.space.to_phys(model.space.draw(SEED, 0, DRAWS))
    return [("nominal", None), *((f"draw {k}", row) for k, row in enumerate(drawn))]


def rows(model, values):
    traces = [trace(replace(model, dt=dt), values) for dt in STEPS]
    for k in range(1, len(STEPS)):
        yield compare(f"dt {STEPS[k - 1]} -> {STEPS[k]} ms", *traces[k - 1 : k + 1])
    if has_space(model):
        yield compare("nseg x 2", traces[0], trace(model, values, finer=True))


def trace(model, values, finer=False):
    """The window (T,) in mV."""
    session = Session(model)
    if values is not None:
        session.set(values)
    if finer:
        double_segments(session.cell)
    return session.run(model.protocol.stimuli[0])[0, model.protocol.start :]


def has_space(model):
    return "(" in model.inject


def double_segments(cell):
    for sec in cell.all:
        if not sec.same(cell.soma):
            sec.nseg *= 2
    if hasattr(cell, "hill"):  # its taper is resolved by the new segments, too
        for seg in cell.hill:
            seg.diam = cell.iseg.diam * (4 - 3 * seg.x)


def compare(label, coarse, fine):
    before, after = (spike_times(v) for v in (coarse, fine))
    counts = f"{before.size} -> {after.size}" if before.size != after.size else str(after.size)
    nearest = [np.abs(before - t).min() for t in after] if before.size else []
    shift = f"{np.median(nearest):.3f}" if nearest else "-"
    last = f"{after[-1] - before[-1]:+.3f}" if before.size == after.size > 0 else "-"
    return label, counts, shift, last, f"{np.sqrt(np.mean((fine - coarse) ** 2)):.2f}"


def spike_times(v, dt=0.02):
    """Upward crossings of -20 mV in ms from the window's start, by linear interpolation."""
    k = np.flatnonzero((v[:-1] < -20) & (v[1:] >= -20))
    return dt * (k + (-20 - v[k]) / (v[k + 1] - v[k]))


if __name__ == "__main__":
    main(sys.argv[1:])
