"""State never leaks: a set simulated after any other equals the same set simulated alone."""

import numpy as np
import pytest

from nrn_mlfit import cells
from nrn_mlfit.simulator.worker import Worker


def alone(model, row):
    """The trace of a set in a NEURON of its own."""
    with Worker(model, "neuron") as worker:
        worker.begin()
        return worker.run(row[None])[0].copy()


@pytest.mark.parametrize("name", cells.SHIPPED)
def test_a_set_does_not_hang_on_the_one_before_it(name, rounds):
    model, pairs = cells.load(name), rounds(200, 10)
    chance = np.random.default_rng(8)
    draws = model.space.to_phys(model.space.draw(3, 0, pairs))
    corners = model.space.to_phys(chance.choice([-1.0, 1.0], (pairs, len(model.space.parameters))))
    single = [alone(model, row) for row in draws]
    with Worker(model, "neuron") as worker:
        worker.begin()
        for k in chance.permutation(pairs):
            worker.run(corners[k : k + 1])
            after, _ = worker.run(draws[k : k + 1])
            assert np.array_equal(after, single[k], equal_nan=True), (k, np.abs(after - single[k]).max())
