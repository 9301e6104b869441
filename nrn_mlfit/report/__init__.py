"""Pictures: a cell, a fit, a series of them, stimuli; and a fit's page. Beside learn's curves the only place with matplotlib.

Figures are made without pyplot, so that no display, no global state and no open window is involved.
"""

from nrn_mlfit.report.around import around_picture
from nrn_mlfit.report.cell import cell_picture
from nrn_mlfit.report.drift import drift_picture
from nrn_mlfit.report.engines import engines_picture
from nrn_mlfit.report.fit import fit_picture
from nrn_mlfit.report.stimuli import stimulus_picture
from nrn_mlfit.report.style import FORMATS, check_format

__all__ = [
    "FORMATS",
    "around_picture",
    "cell_picture",
    "check_format",
    "drift_picture",
    "engines_picture",
    "fit_picture",
    "stimulus_picture",
]
