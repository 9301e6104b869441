"""The cells around a fit: where they lie in the ranges."""

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from nrn_mlfit import around
from nrn_mlfit.parameters import Parameter, ParameterSpace

SPACE = ParameterSpace((Parameter("e", -85, -55, "mV"), Parameter("g", 1, 10_000, "pS/um2", scale="log")))


@given(st.floats(0, 1), st.floats(0, 1), st.floats(0.1, 100), st.integers(0, 1000))
def test_each_lies_within_a_share_of_its_range_and_inside_it(e, g, within, seed):
    middle = np.array([-85 + 30 * e, 10 ** (4 * g)])
    sets = around.draw(SPACE, middle, 30, within, seed)
    assert (np.abs(sets[:, 0] - middle[0]) <= 0.30 * within + 1e-9).all()
    assert (np.abs(np.log10(sets[:, 1] / middle[1])) <= 0.04 * within + 1e-9).all()  # of 4 decades
    assert (sets >= [-85 - 1e-9, 1 - 1e-9]).all() and (sets <= [-55 + 1e-9, 10_000 * (1 + 1e-9)]).all()


def test_they_fill_it_evenly_also_at_the_end_of_a_range():
    sets = around.draw(SPACE, [-70, 10_000], 4000, 10, 1)
    for values in (sets[:, 0], np.log10(sets[:, 1])):
        low, high = values.min(), values.max()
        assert np.histogram(values, 4, (low, high))[0].min() > 900
    assert np.allclose([sets[:, 0].min(), sets[:, 0].max()], [-73, -67], atol=0.01)
    assert np.allclose(np.log10([sets[:, 1].min(), sets[:, 1].max()]), [3.6, 4], atol=0.001)


def test_more_cells_begin_with_the_same():
    assert np.array_equal(around.draw(SPACE, [-70, 5], 8, 10, 3)[:5], around.draw(SPACE, [-70, 5], 5, 10, 3))


def test_a_file_is_read_as_it_was_written(tmp_path):
    held = around.Around(("e", "g"), np.ones((3, 2)), np.full((3, 1, 1, 4), -70, np.float32), 7.5, 2, 4)
    held.save(tmp_path / "around.npz")
    again = around.load(tmp_path / "around.npz")
    assert (again.names, again.within, again.seed, again.asked) == (("e", "g"), 7.5, 2, 4)
    assert np.array_equal(again.phys_par, held.phys_par) and np.array_equal(again.volts, held.volts)
