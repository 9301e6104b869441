"""Neurolucida ASC files, looked at before NEURON reads them: brackets that match, and a cell body."""

import re
from pathlib import Path

from nrn_mlfit.errors import MorphologyError

IGNORED = re.compile(r';[^\n]*|"[^"\n]*"')  # comments and names


def check(path: Path):
    """Raises MorphologyError, with the line, for a file that is cut off or something else."""
    raw = path.read_text(encoding="utf-8", errors="replace")
    text = IGNORED.sub("", raw)
    if not text.strip().startswith("("):
        raise MorphologyError(f"{path}: is no Neurolucida ASC file, which begins with a bracket; name another file")
    depth = 0
    for number, line in enumerate(text.splitlines(), 1):
        for mark in re.findall(r"[()]", line):
            depth += 1 if mark == "(" else -1
            if depth < 0:
                raise MorphologyError(f"{path}, line {number}: closes a bracket that is not open; get the file anew")
    if depth:
        raise MorphologyError(f"{path}: ends with {depth} brackets open; the file is cut off: get it anew")
    if not re.search(r"Cell ?Body|\bSoma\b", raw, re.IGNORECASE):
        raise MorphologyError(
            f"{path}: has no soma, a contour marked (CellBody); add one to the file, or take another reconstruction"
        )
