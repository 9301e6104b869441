"""What a cell is made of: sections, segments, mechanisms, point processes; and whether a parameter set has changed it."""

from typing import Any

from nrn_mlfit.simulator.door import hoc


def sections_of(cell) -> list:
    """The sections of a HOC object, and what is connected to them."""
    own: dict[Any, None] = {}
    for section in hoc().allsec():
        if section.cell() == cell and section not in own:
            own |= dict.fromkeys(section.wholetree())
    return list(own)


class Structure:
    """The structure of a live cell as it is now, which is taken for its own."""

    def __init__(self, cell):
        self._cell, self._own, self._changes = cell, _makeup(cell), -1

    def has_changed(self) -> bool:
        """Whether it is another one after NEURON has initialized the cell.

        NEURON counts how often it had to put the cell together anew; only then is there something to compare.
        """
        changes = hoc().CVode().structure_change_count()
        if changes == self._changes:
            return False
        self._changes = changes
        return self.is_another()

    def is_another(self) -> bool:
        """Whether it is another one, looked at whatever NEURON has counted: HOC may have ended before NEURON could."""
        return _makeup(self._cell) != self._own


def _makeup(cell) -> list[tuple]:
    return [
        (s.name(), s.nseg, str(s.parentseg()), [m.name() for m in s(0.5)], [p.hname() for p in point_processes(s)])
        for s in sections_of(cell)
    ]


def point_processes(section) -> list:
    """The point processes that sit in a section."""
    return [process for place in section.allseg() for process in place.point_processes()]
