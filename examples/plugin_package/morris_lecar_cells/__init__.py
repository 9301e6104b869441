"""A cell and an ensemble for nrn_mlfit: paths are all that it wants to know."""

from pathlib import Path

CELL = Path(__file__).parent / "cell" / "morris_lecar.yaml"
ENSEMBLE = Path(__file__).parent / "ensemble"
