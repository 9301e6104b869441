"""What spikes are held against: bells whose peaks and widths are known by formula, in steps and under currents that move."""

import numpy as np
import pytest
from pytest import approx

from nrn_mlfit import comparison
from nrn_mlfit.recordings import Recording, firing, pieces

DT, BEGIN = 0.05, 100.0
TIME = np.arange(0, 600, DT)
STEP = np.where((TIME >= BEGIN) & (TIME < 500), 0.2, 0.0)
CHIRP = np.where((TIME >= BEGIN) & (TIME < 500), 0.2 * np.sin(2 * np.pi * (TIME / 60) ** 2), 0.0)
LATE = np.array([140.0, 210, 290, 380])


def bells(times, peak=30.0, width=1.2, rest=-70.0):
    """(T,) mV with a bell at each of `times`, `width` ms wide at half its height."""
    sd = width / (2 * np.sqrt(2 * np.log(2)))
    return rest + (peak - rest) * sum((np.exp(-0.5 * ((TIME - at) / sd) ** 2) for at in times), np.zeros(TIME.size))


def measured(one, other, current=STEP):
    return firing.compared(np.atleast_2d(one), np.atleast_2d(other), np.atleast_2d(current), DT)


def disagreements(one, other, current=STEP):
    return comparison.compare(Recording(one, current, DT), other[None, None]).disagreements


def test_peak_width_and_first_spike_are_those_of_the_bells():
    first, peak, width = measured(bells(LATE), bells(LATE + 3, peak=22, width=1.6))
    assert (first.recorded, first.fitted) == approx((40, 43), abs=DT)
    assert (peak.recorded, peak.fitted) == approx((30, 22), abs=0.1)
    # the onset is where the rise passes 10 mV/ms, a few mV above rest: half of the height is a little higher, and narrower
    assert width.recorded == approx(1.2, rel=0.05) and width.fitted == approx(1.6, rel=0.05)


def test_without_spikes_there_is_nothing_to_measure_and_that_is_said():
    first, peak, width = measured(bells(LATE), bells([]))
    assert first.fitted is peak.fitted is width.fitted is None and peak.recorded == approx(30, abs=0.1)
    assert first.why == peak.why == width.why == "the fitted cell has no whole spike"


def test_under_a_current_that_moves_there_is_no_first_spike_of_a_step():
    first, _, _ = measured(bells(LATE), bells(LATE), CHIRP)
    assert (first.recorded, first.why) == (
        None,
        "the stimulus has no steady part of 50 ms in which most spikes are",
    )


def test_a_short_pulse_places_its_spikes_and_a_long_step_does_not():
    """Of one neuron the spikes late in a step come at other times in every repeat, those of short pulses do not."""
    pulses = np.where((TIME % 80 >= 40) & (TIME % 80 < 45), 1.0, 0.0)
    tops = [np.array([850, 2450, 4050])] * 2
    assert firing.steady_from(pulses, DT, tops) is None
    assert firing.steady_from(STEP, DT, [np.array([3000, 4000]), np.array([5000])]) == round(BEGIN / DT)
    assert firing.steady_from(STEP + 0.01 * np.random.default_rng(1).standard_normal(TIME.size), DT, tops) is not None


@pytest.mark.parametrize(("share", "counts"), [(0.045, 1), (0.06, 2)])
def test_a_level_goes_on_after_noise_that_stays_at_it(share, counts):
    """1.5 ms off by 4.5% of the whole range are within what a level may stray by, 6% are not."""
    current = STEP.copy()
    current[round(300 / DT) : round(301.5 / DT)] += share * 0.2
    inside = [part for part in pieces.stretches(current, DT) if part.level > 0.1 and part.size * DT > 50]
    assert len(inside) == counts


@pytest.mark.parametrize(("current", "agrees"), [(STEP, True), (CHIRP, False)])
def test_later_spikes_at_other_times_agree_in_a_step_only(current, agrees):
    """Mainen & Sejnowski (Science 268:1503, 1995): in a step spike times wander, under a fluctuating current they do not."""
    told = disagreements(bells(LATE), bells(LATE + [1, 12, 20, 25]), current)
    assert told == (() if agrees else ("few spikes coincide (0.23, wanted 0.5)",))


@pytest.mark.parametrize(
    ("changed", "told"),
    [
        (bells(LATE + 12), ""),
        (bells(LATE + 25), "first spike 40.0 ms recorded, 65.0 ms simulated (limit 22 ms apart)"),
        (bells(LATE, peak=38), ""),
        (bells(LATE, peak=42), "spike peak 30.0 mV recorded, 42.0 mV simulated (limit 10 mV apart)"),
        (bells(LATE, width=1.6), ""),
        (bells(LATE, width=2.4), "spike width 1.19 ms recorded, 2.33 ms simulated (limit 0.78 ms apart)"),
    ],
)
def test_spikes_that_are_not_alike_do_not_agree(changed, told):
    assert disagreements(bells(LATE), changed) == ((told,) if told else ())
