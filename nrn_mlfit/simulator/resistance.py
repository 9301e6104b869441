"""The input resistance of a cell as its template makes it: what a stimulus of another cell has to be scaled by."""

from nrn_mlfit import cells
from nrn_mlfit.places import place
from nrn_mlfit.simulator import apart
from nrn_mlfit.simulator.door import hoc
from nrn_mlfit.simulator.session import Session, conditions, segment
from nrn_mlfit.simulator.structure import sections_of


def of_cell(path: str) -> tuple[float, int]:
    """(MOhm where the stimulus goes in, segments) of a cell file's cell; its parameters as the template has them, at v_init."""
    model = cells.load(path)
    session = Session(model)
    spot = segment(session.cell, place(model.inject))
    with conditions(model.celsius, model.step):
        hoc().finitialize(model.v_init)
        impedance = hoc().Impedance()
        impedance.loc(spot.x, sec=spot.sec)
        impedance.compute(0)
        megohm = impedance.input(spot.x, sec=spot.sec)
    return float(megohm), sum(section.nseg for section in sections_of(session.cell))


def ask(path) -> tuple[float, int]:
    """The same, found in a process of its own: this one can hold only one template of a name."""
    return apart.ask(of_cell, str(path))
