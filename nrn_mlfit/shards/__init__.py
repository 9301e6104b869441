"""Simulated traces on disk (docs/format.md): the shard files, the run folders that hold them, and their care.

Letters: N sets, K parameters, P probes, S stimuli, T time points.
"""

from nrn_mlfit.shards.format import (
    FORMAT,
    FORMAT_VERSION,
    LARGEST_MV,
    MISSING,
    MV_PER_COUNT,
    Shard,
    Status,
    attributes_of,
    name_of,
    read,
    rows,
    to_counts,
    to_millivolts,
    write,
)
from nrn_mlfit.shards.run import Run, Traces, load_runs, nothing_good, open_run, open_runs

__all__ = [
    "FORMAT",
    "FORMAT_VERSION",
    "LARGEST_MV",
    "MISSING",
    "MV_PER_COUNT",
    "Run",
    "Shard",
    "Status",
    "Traces",
    "attributes_of",
    "load_runs",
    "name_of",
    "nothing_good",
    "open_run",
    "open_runs",
    "read",
    "rows",
    "to_counts",
    "to_millivolts",
    "write",
]
