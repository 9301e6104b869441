"""Pictures: a cell, a fit, the stimuli. Beside learn's curves the only place that imports matplotlib.

Figures are made without pyplot, so that no display, no global state and no open window is involved.
"""

from nrn_mlfit.report.cell import cell_picture
from nrn_mlfit.report.fit import fit_picture
# from nrn_mlfit.report.stimuli import stimulus_picture

__all__ = ["cell_picture", "fit_picture"]
