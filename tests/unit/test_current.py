"""What a current is, and whether to believe it."""

import numpy as np
import pytest

from nrn_mlfit.recordings import current

DT = 0.05
TIME = np.arange(20000) * DT
STEP = np.where((TIME >= 200) & (TIME < 700), 0.2, 0.0)
NOISE = 0.002 * np.random.default_rng(4).standard_normal(TIME.size)


def overshooting(share, tau=0.4):
    """The step with a stray capacitance's share of it at both jumps, by an exponential."""
    begin, end = (np.where(at <= TIME, np.exp(-np.maximum(TIME - at, 0) / tau), 0.0) for at in (200, 700))
    return STEP + NOISE + share * 0.2 * (begin - end)


@pytest.mark.parametrize("share, found", [(0.0, False), (0.1, False), (0.6, True), (2.0, True)])
def test_a_capacitive_artefact_is_said_with_its_size(share, found):
    told = current.artefact(overshooting(share), DT)
    assert bool(told) == found
    if found:
        size = int(told[0].split("by ")[1].split("%")[0])
        assert abs(size / 100 - share) < 0.25 * share
        assert told[0].endswith("a model would take it for injected current: give the command with --stim-from")


@pytest.mark.parametrize("values, kind", [(STEP, "commanded"), (STEP + NOISE, "measured"), (NOISE, "measured")])
def test_noise_tells_a_measured_current(values, kind):
    assert current.kind(values, DT) == kind


def test_a_sine_and_a_ramp_are_commands():
    assert current.kind(np.sin(TIME / 10), DT) == current.kind(TIME / 1000, DT) == "commanded"


def test_a_current_that_follows_its_command_late_does_not_differ():
    lagging = np.convolve(STEP, np.full(10, 0.1))[: STEP.size] + NOISE  # 0.5 ms
    assert current.difference(lagging, STEP, DT) == ()
    (told,) = current.difference(1.5 * STEP + NOISE, STEP, DT)
    assert told.startswith("measured and commanded current differ by 50% of the command (measured / commanded = 1.5);")
    assert current.difference(NOISE, 0 * STEP, DT) == ()
