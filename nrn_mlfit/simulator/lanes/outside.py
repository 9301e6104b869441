"""What the lane engine does not do."""

from nrn_mlfit.errors import CellError


class Outside(CellError):
    """A cell, or something in its MOD files, lies outside what the lane engine knows; the message says what, in a line."""
