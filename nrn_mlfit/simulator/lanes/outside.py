"""What the lane engine does not do."""

from nrn_mlfit.errors import CellError


class Outside(CellError):
    """A cell, or something in its MOD files, lies outside what the lane engine knows; the message says what, in a line."""


class AnotherCell(Outside):
    """A parameter set makes another cell than the one that the program was made for. What the engine reads of its cell may
    be gone now: plain NEURON simulates that set, and an engine that is made anew the next."""
