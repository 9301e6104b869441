"""Recordings of several electrodes, or under several stimuli, as one."""

from dataclasses import replace

import numpy as np
import pytest

from nrn_mlfit import recordings
from nrn_mlfit.errors import RecordingError
from nrn_mlfit.recordings import Recording

STEP = np.where(np.arange(100) < 50, 0.0, 0.1)
SOMA = Recording(np.linspace(-70, -60, 100), STEP, 0.1, "soma.npz", {"file": "soma.npz"}, warnings=("a", "b"))
TIP = Recording(np.linspace(-70, -65, 100), 0 * STEP, 0.1, "tip.npz", {"file": "tip.npz"}, warnings=("b", "c"))


def refused(join, *those) -> str:
    with pytest.raises(RecordingError) as error:
        join(*those)
    return str(error.value)


@pytest.mark.parametrize("tip", [TIP, replace(TIP, currents=None), replace(TIP, currents=STEP)])
def test_electrodes_become_probes_under_the_current_that_flowed(tip, tmp_path):
    """Neither the command of both, nor an electrode without a current, is a second current."""
    both = recordings.as_probes(tip, SOMA)
    assert both.volts.shape == (2, 1, 100)
    assert (both.volts[0] == tip.volts[0]).all() and (both.volts[1] == SOMA.volts[0]).all()
    assert (both.currents == STEP).all()
    assert both.name == "tip.npz + soma.npz" and set(both.warnings) == {"a", "b", "c"}
    both.save(tmp_path / "both.npz")
    again = recordings.read(tmp_path / "both.npz")
    assert (again.volts == both.volts).all() and (again.currents == STEP).all()


def test_responses_become_stimuli_in_their_order():
    other = replace(SOMA, volts=SOMA.volts - 5, currents=-SOMA.currents, name="other.npz")
    both = recordings.as_stimuli(SOMA, other)
    assert both.volts.shape == (1, 2, 100)
    assert (both.volts[0, 1] == other.volts[0, 0]).all() and (both.currents == [STEP, -STEP]).all()
    four = recordings.as_probes(both, replace(both, volts=both.volts + 1))
    assert four.volts.shape == (2, 2, 100) and (four.volts[1] == both.volts[0] + 1).all()


def test_what_does_not_belong_together_is_said():
    assert refused(recordings.as_probes, SOMA, TIP.cut(0, 5)) == (
        "tip.npz: holds voltages (1, 1, 50) at 0.1 ms, soma.npz voltages (1, 1, 100) at 0.1 ms; bring them to one sample step, "
        "length and shape first (recordings.resampled, Recording.cut)"
    )
    assert "at 0.2 ms" in refused(recordings.as_stimuli, SOMA, replace(TIP, dt=0.2))
    assert refused(recordings.as_probes, SOMA, replace(TIP, currents=STEP[::-1])) == (
        "tip.npz: a current flows there and in soma.npz, a cell gets its current at one site; leave out one electrode, or take a "
        "sweep in which one of them injects"
    )
    assert refused(recordings.as_stimuli, SOMA, replace(TIP, currents=None)) == (
        "tip.npz: holds no current; give it (--stim-from), so that it can be told apart"
    )
    assert refused(recordings.as_probes) == "probes: no recordings to join; give two or more"
