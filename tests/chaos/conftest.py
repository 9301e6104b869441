"""The chaos suite: what a cluster does to a simulation. `make chaos` runs it in full, `make test` its short form."""

import contextlib
import os
from pathlib import Path

import pytest

FULL = bool(os.environ.get("NRN_MLFIT_CHAOS"))


@pytest.fixture(scope="session")
def rounds():
    """rounds(full, short): how often a test repeats."""
    return lambda full, short: full if FULL else short


@pytest.fixture(scope="session")
def pythons_of():
    """pythons_of(job): the processes of a job that are Python: ranks, their keepers and workers."""

    def find(job):
        """All but the first, which is the launcher or a rank of its own."""
        found = []
        for pid in family(job.pid)[1:]:
            with contextlib.suppress(OSError):  # it ended while we looked
                found += [pid] if "python" in os.readlink(f"/proc/{pid}/exe") else []
        return found

    return find


def family(pid):
    """The process and all below it."""
    children = []
    for task in Path("/proc").glob("[0-9]*/stat"):
        try:
            child, _, rest = task.read_text().partition(" (")
            if int(rest.rpartition(")")[2].split()[1]) == pid:
                children.append(int(child))
        except OSError:  # it ended while we looked
            continue
    return [pid, *(p for child in children for p in family(child))]


def pytest_collection_modifyitems(config, items):
    long = [] if FULL else [item for item in items if item.get_closest_marker("chaos")]
    config.hook.pytest_deselected(items=long)
    items[:] = [item for item in items if item not in long]
