"""The piece of a recording that is under an ensemble's stimulus: found wherever it was put, at whatever rate and strength."""

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pytest import approx

from nrn_mlfit.alignment import aligned
from nrn_mlfit.errors import EnsembleError
from nrn_mlfit.recordings import Recording
from nrn_mlfit.stimuli import Protocol, make_protocol, reset_chirp

STEPS = make_protocol("steps")
RNG = np.random.default_rng(1)


def steps(*stretches, dt=0.05, total=3000.0, hold=0.0):
    """A recording whose current is (begin ms, duration ms, pA) stretches on `hold` pA; its voltage is the sample's time in s."""
    time = np.arange(round(total / dt)) * dt
    current = np.full(time.size, hold)
    for begin, duration, height in stretches:
        current[(time >= begin - 1e-9) & (time < begin + duration - 1e-9)] += height
    return Recording(time / 1000, current / 1000, dt, "cell7", {"current": "commanded"})


@settings(max_examples=30, deadline=None)
@given(
    begin=st.floats(60, 2300),
    duration=st.sampled_from([400, 500, 550, 690]),
    height=st.floats(10, 600),
    sign=st.sampled_from([1, -1]),
    dt=st.sampled_from([0.02, 0.05, 0.1, 0.2]),
)
def test_a_step_is_found_wherever_it_is(begin, duration, height, sign, dt):
    """50 ms before the step the piece begins; its voltage comes from there, too."""
    begin = round(begin / dt) * dt
    piece = aligned(STEPS, steps((begin, duration, sign * height), dt=dt))
    assert (piece.dt, piece.volts.shape) == (0.1, (1, 1, 6000))
    assert piece.source["cut_ms"][0] == approx(begin - 50, abs=0.11 + dt)
    assert 1000 * piece.volts[0, 0, 3000] == approx(
        begin + 250, rel=1e-3, abs=0.5
    )  # the gain of the filter is 1 to some 1e-4
    assert STEPS.difference(piece.currents) < 0.05
    assert STEPS.rescaled_to(piece.currents).stimuli[0].window.max() == approx(max(0, sign * height / 1000), rel=0.01)


def test_of_two_steps_the_first_is_taken():
    assert aligned(STEPS, steps((100, 500, 100), (1100, 500, 100))).source["cut_ms"] == approx([50, 650], abs=0.2)
    # A step of another length before it is passed over.
    assert aligned(STEPS, steps((100, 300, 100), (1100, 500, 100))).source["cut_ms"] == approx([1050, 1650], abs=0.2)


def test_noise_and_a_holding_current_of_a_measured_step_do_no_harm():
    """What BluePyEfe's B6 sweeps have: 2 s steps of 340 pA, -13 pA before, noise of 4 pA."""
    made = steps((700, 2000, 340), hold=-13)
    noisy = replace(
        made, currents=made.currents + RNG.normal(0, 0.004, made.currents.shape), source={"current": "measured"}
    )
    assert aligned(STEPS, noisy).source["cut_ms"][0] == approx(650, abs=0.3)


def test_a_chirp_is_found_in_a_longer_recording():
    stimulus = reset_chirp(0.3)
    whole = np.concatenate([np.zeros(7000), 2 * stimulus.current, np.zeros(3000)])
    piece = aligned(Protocol((stimulus,)), Recording(np.arange(whole.size) * 1e-3, whole, 0.02))
    assert piece.source["cut_ms"] == approx([140 + 110, 140 + 290])
    assert np.array_equal(piece.currents[0], 2 * stimulus.window)


def test_a_bank_may_hold_a_sweep_without_a_current():
    stimulus = reset_chirp(0.3)
    silent = replace(stimulus, current=np.zeros_like(stimulus.current))
    whole = np.concatenate([np.zeros(7000), stimulus.current, np.zeros(3000)])
    piece = aligned(Protocol((silent,), ((stimulus,),)), Recording(np.arange(whole.size) * 1e-3, whole, 0.02))
    assert piece.source["cut_ms"] == approx([140 + 110, 140 + 290])


def test_what_is_cut_already_or_holds_no_current_stays_as_it_is():
    piece = aligned(STEPS, steps((100, 500, 100)))
    assert aligned(STEPS, piece) is piece
    blind = Recording(np.zeros(9000), None, 0.1)
    assert aligned(STEPS, blind) is blind


@pytest.mark.parametrize(
    ("recording", "sentence"),
    [
        (
            steps((100, 200, 100)),
            "cell7: its current is like none of the ensemble's bank of 9 (step): 71% of it differs in shape; simulate and train "
            "with this current (--stimulus), or fit a recording made with that stimulus",
        ),
        (
            steps(),
            "cell7: its current is like none of the ensemble's bank of 9 (step): all of it differs in shape; simulate and train "
            "with this current (--stimulus), or fit a recording made with that stimulus",
        ),
        (
            steps((100, 500, 100), total=599.76, dt=0.28),
            "cell7: lasts 599.76 ms, the ensemble needs 600 ms; take a longer stretch (--window), or another ensemble",
        ),
        (
            steps((100, 300, 100), total=420),
            "cell7: lasts 420 ms, the ensemble needs 600 ms; take a longer stretch (--window), or another ensemble",
        ),
    ],
)
def test_where_the_stimulus_is_nowhere(recording, sentence):
    with pytest.raises(EnsembleError) as error:
        aligned(STEPS, recording)
    assert str(error.value) == sentence
