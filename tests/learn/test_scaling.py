"""Curation: the published formula, its floor, and counts against millivolts."""

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from nrn_mlfit.errors import EnsembleError
from nrn_mlfit.learn.scaling import TraceScaler, fit_scaler
from nrn_mlfit.shards import to_counts

volts = st.lists(st.floats(-300, 300, width=32), min_size=1, max_size=50)
floors = st.integers(-300, -80).map(float)


@given(volts=st.lists(st.floats(-80, 50), min_size=1, max_size=50))
def test_the_default_is_the_published_formula(volts):
    curated = TraceScaler().from_millivolts(torch.tensor(volts, dtype=torch.float64))
    assert np.allclose(curated, np.log10(np.array(volts) + 81), atol=2e-6)


@given(volts=volts, floor=floors)
def test_above_the_floor_nothing_is_lost(volts, floor):
    scaler = TraceScaler(floor)
    back = 10.0 ** scaler.from_millivolts(torch.tensor(volts)).double() + floor - 1
    assert np.allclose(back, np.maximum(volts, floor), atol=1e-3)


@given(volts=volts, floor=floors)
def test_counts_and_millivolts_curate_alike(volts, floor):
    counts = to_counts(volts)
    by_counts = TraceScaler(floor).from_counts(torch.from_numpy(counts))
    by_millivolts = TraceScaler(floor).from_millivolts(torch.from_numpy(counts * 0.01))
    assert by_counts.dtype == torch.float32
    assert np.allclose(by_counts, by_millivolts, atol=1e-4)


@given(floor=floors)
def test_a_scaler_survives_json(floor):
    assert TraceScaler(**TraceScaler(floor).to_json()) == TraceScaler(floor)


def test_millivolts_are_not_overwritten():
    held = torch.full((3,), -70.0)
    TraceScaler().from_millivolts(held)
    assert (held == -70).all()


def test_the_floor_is_the_published_one_unless_the_cell_goes_lower():
    shallow = to_counts(np.linspace(-75, 50, 2000)).reshape(2, 1, 1, 1000)
    deep = to_counts(np.linspace(-104.7, 50, 2000)).reshape(2, 1, 1, 1000)
    assert fit_scaler(shallow).floor == -80
    assert fit_scaler(deep).floor == -105


def test_one_odd_sample_does_not_set_the_floor():
    counts = to_counts(np.linspace(-90.2, 50, 20000)).reshape(20, 1, 1, 1000)
    counts[3, 0, 0, 7] = to_counts(-300)
    assert fit_scaler(counts).floor == -91


@pytest.mark.parametrize("floor", [np.nan, -2000, 5])
def test_a_floor_that_makes_no_sense_is_refused(floor):
    with pytest.raises(EnsembleError, match="is outside -1000..0 mV; train the ensemble again"):
        TraceScaler(floor)
