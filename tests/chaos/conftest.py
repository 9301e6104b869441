"""The chaos suite: what a cluster does to a simulation. `make chaos` runs it in full, `make test` its short form."""

import os

import pytest

FULL = bool(os.environ.get("NRN_MLFIT_CHAOS"))


@pytest.fixture(scope="session")
def rounds():
    """rounds(full, short): how often a test repeats."""
    return lambda full, short: full if FULL else short


def pytest_collection_modifyitems(config, items):
    long = [] if FULL else [item for item in items if item.get_closest_marker("chaos")]
    config.hook.pytest_deselected(items=long)
    items[:] = [item for item in items if item not in long]
