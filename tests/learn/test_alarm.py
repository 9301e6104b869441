"""The alarm: silent for its own kind as often as it says, loud for what is not."""

from dataclasses import replace

import numpy as np
import pytest

from nrn_mlfit.learn.alarm import FALSE_ALARMS, SIGNALS, Cloud, cloud_of, make_alarm
from nrn_mlfit.learn.look import Look
from nrn_mlfit.learn.traits import traits_of


def kind(random, sets, **change):
    """A look at traces that hang on two hidden numbers, with some noise, rounded: 3 members, 20 features, 50 ms."""
    hidden = random.uniform(-1, 1, (sets, 2))
    if "hidden" in change:
        hidden = change["hidden"](hidden)
    mix = np.random.default_rng(7)
    to_features, to_trace = mix.normal(size=(3, 2, 20)), mix.normal(size=(2, 500))
    answers = hidden + random.normal(0, 0.03, (3, sets, 2)) * change.get("spread", 1)
    features = np.tanh(hidden @ to_features) + random.normal(0, 0.02, (3, sets, 20))
    smooth = np.apply_along_axis(lambda x: np.convolve(x, np.hanning(60) / 30, "same"), 1, to_trace)
    traces = -60 + 10 * hidden @ smooth + random.normal(0, 0.05, (sets, 500))
    volts = np.round(change.get("trace", lambda x: x)(traces), 1)[:, None]
    return Look(answers, features, traits_of(volts, volts / 10, 0.1))


@pytest.fixture(scope="module")
def alarm():
    return make_alarm(kind(np.random.default_rng(1), 4000))


def test_other_traces_of_the_kind_give_as_many_false_alarms_as_promised(alarm):
    score = alarm.score(kind(np.random.default_rng(2), 5000))
    assert abs((score > alarm.threshold).mean() - FALSE_ALARMS) < 0.015


def test_few_sets_do_not_make_more_false_alarms_than_promised():
    """On average over ensembles: the sets whose tails are the distances' units must not judge the threshold, too."""
    random = np.random.default_rng(12)
    other = kind(random, 500)
    rates = []
    for _ in range(15):
        made = make_alarm(kind(random, 120))
        rates.append((made.score(other) > made.threshold).mean())
    assert np.mean(rates) < FALSE_ALARMS + 0.02


@pytest.mark.parametrize(
    "change",
    [
        {"hidden": lambda x: 1.5 * np.sign(x)},  # parameters out of range
        {"spread": 6},  # members that disagree
        {"trace": lambda x: np.full_like(x, -60.0)},  # a flat line
        {"trace": lambda x: x + 3 * np.sin(np.arange(500) / 5)},  # something on top that no trace of the kind has
        {"trace": lambda x: x + np.random.default_rng(4).normal(0, 0.1, x.shape)},  # rougher
        {"trace": lambda x: x + 100},  # an offset
        {"trace": lambda x: np.where(np.arange(500) // 25 == 8, x[:, 200:201], x)},  # 2.5 ms held where others go on
    ],
)
def test_what_is_not_of_the_kind_gives_the_alarm(alarm, change):
    score = alarm.score(kind(np.random.default_rng(3), 300, **change))
    assert (score > alarm.threshold).mean() > 0.95


@pytest.mark.parametrize("sets", [1, 2, 3, 20])
def test_too_few_sets_make_an_alarm_that_never_speaks(sets):
    alarm = make_alarm(kind(np.random.default_rng(1), sets))
    score = alarm.score(kind(np.random.default_rng(2), 50, hidden=lambda x: 5 * np.sign(x)))
    assert np.isfinite(score).all()
    assert not (score > alarm.threshold).any()


def test_each_signal_has_its_distance(alarm):
    distances = alarm.distances(kind(np.random.default_rng(4), 2000))
    assert distances.shape == (2000, len(SIGNALS))
    beyond = (distances > 0).mean(axis=0), (distances > 1).mean(axis=0)
    assert beyond[0] == pytest.approx(np.full(len(SIGNALS), 0.05), abs=0.025)
    assert (beyond[1] < 0.05 / np.e + 0.015).all()  # an exponential tail's, or a shorter one


def test_a_cloud_has_mahalanobis_distances_of_one_on_average():
    """Of points from a Gaussian whose covariance is known: the mean square of its whitened coordinates is 1."""
    random = np.random.default_rng(5)
    points = random.normal(size=(5000, 3)) * np.array([1.0, 10.0, 0.1]) + 4
    cloud = cloud_of(points)
    assert cloud.distances(points)[:, 0].mean() == pytest.approx(1, rel=0.01)
    along = cloud.mean + np.array([[0, 30.0, 0]])
    assert cloud.distances(along)[0, 0] == pytest.approx(9 / cloud.basis.shape[1], rel=0.05)


def test_what_lies_beside_a_flat_cloud_is_told_apart():
    random = np.random.default_rng(6)
    flat = random.normal(size=(2000, 2)) @ random.normal(size=(2, 10)) + random.normal(0, 0.03, (2000, 10))
    cloud = cloud_of(flat)
    assert cloud.basis.shape == (10, 2)
    own, moved = cloud.distances(flat)[:, 1].mean(), cloud.distances(flat + 3)[:, 1].mean()
    assert own == pytest.approx(1, rel=0.05) and moved > 100


def test_few_traces_make_an_alarm_all_the_same():
    made = make_alarm(kind(np.random.default_rng(8), 5))
    assert np.isfinite(made.score(kind(np.random.default_rng(9), 20))).all() and isinstance(made.known.shape, Cloud)
    assert made.threshold == np.inf  # of too few no threshold can be promised
    assert np.isfinite(make_alarm(kind(np.random.default_rng(8), 80)).threshold)


def test_features_with_nothing_beside_their_directions_give_no_alarm_by_rounding():
    """Few features, all of them directions: what is left is rounding, in single precision as it comes from a file."""
    look, other = kind(np.random.default_rng(10), 2000), kind(np.random.default_rng(11), 2000)
    made = make_alarm(replace(look, features=look.features[:, :, :4].astype(np.float32)))
    known = made.known
    rounded = [Cloud(*(np.float32(part).astype(float) for part in (c.mean, c.basis, c.rest))) for c in known.features]
    loaded = replace(made, known=replace(known, features=tuple(rounded)))
    score = loaded.score(replace(other, features=other.features[:, :, :4]))
    assert abs((score > made.threshold).mean() - FALSE_ALARMS) < 0.03
