"""Which sweeps the trends of a series are of, and what is said of them; the picture."""

import warnings
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from nrn_mlfit import report, series
from nrn_mlfit.errors import MachineError, ShardError
from nrn_mlfit.fit import Fit, Value
from nrn_mlfit.recordings import Recording
from nrn_mlfit.results import Result
from nrn_mlfit.shards import claim

EVEN = (0.2, 0.3, 0.1, 0.3)


def value(middle, scale="linear"):
    return Value(
        "rm", middle, middle - 1, middle + 1, middle - 2, middle + 2, 0.5, 1.0, 100.0, "MOhm", 0.0, scale=scale
    )


def follow(values, outside=(), strengths=EVEN, starts=None):
    """A series of one parameter with these values; the sweeps in `outside` are out of range."""
    fits = [Fit((value(v),), ("strange",) if k in outside else (), {}) for k, v in enumerate(values)]
    pieces = pieces_of(len(values), strengths, starts)
    return series.follow({k: Result(Path(), found, None) for k, found in enumerate(fits)}, pieces)


def pieces_of(count, strengths=EVEN, starts=None):
    return [
        Recording(
            np.full(9, -70.0), a * np.arange(9.0), 0.1, "a", {"file": "a", **({"start_s": s} if s is not None else {})}
        )
        for a, s in zip(strengths, starts or [None] * count, strict=False)
    ]


def test_a_sweep_out_of_range_counts_in_no_trend():
    made = follow([10, 99, 12, 13], outside=(1,))
    assert made.trends[0].slope == pytest.approx(np.polyfit([0, 2, 3], [10, 12, 13], 1)[0])
    assert made.trends[0].unit == "MOhm/sweep" and made.remarks() == ["trends of 3 sweeps, in range"]


def test_where_too_few_are_in_range_all_count_and_are_not_to_be_trusted():
    made = follow([10, 11, 12, 14], outside=(1, 2))
    assert made.trends[0].slope == pytest.approx(np.polyfit(range(4), [10, 11, 12, 14], 1)[0])
    assert made.remarks() == ["trends of 4 sweeps, 2 of them out of range: these trends are not to be trusted"]


def searched(found, values):
    """Fits with values that a search found, near and far from the ensemble's answer."""
    told = {"search": {"simulations": 9, "seed": 1, "distance": [2.0, 1.0]}}
    kept = [replace(f.values[0], value=v, answer=f.values[0].value) for f, v in zip(found, values, strict=True)]
    return [replace(f, values=(v,), provenance=told) for f, v in zip(found, kept, strict=True)]


def test_after_a_search_the_drift_is_that_of_the_ensembles_answers(tmp_path):
    """A search finds one cell of many; the intervals, and so the weights of the line, are about the answer."""
    plain = follow([10, 11, 12, 14])
    found = searched([result.fit for result in plain.results.values()], [50, 20, 90, 40])
    made = series.follow({k: Result(Path(), f, None) for k, f in enumerate(found)}, pieces_of(4))
    assert made.trends == plain.trends
    assert made.remarks() == [
        *plain.remarks(),
        "the drift is of the ensemble's answers, not of the values that a search found",
    ]
    pictures = [tmp_path / name for name in ("plain.png", "searched.png")]
    for path, fits in zip(pictures, ([r.fit for r in plain.results.values()], found), strict=True):
        report.drift_picture(path, "", made.times, "sweep", [f.values for f in fits], made.outside, [(1, 1)] * 4, {})
    assert pictures[0].read_bytes() == pictures[1].read_bytes()
    assert [f.unsearched.values for f in found] == [r.fit.values for r in plain.results.values()]


def test_two_sweeps_have_no_trend_and_that_is_said():
    made = follow([10, 12])
    assert not made.trends and made.remarks() == ["no trend: fewer than 3 sweeps"]


@pytest.mark.parametrize(
    ("strengths", "one_way"),
    [
        ((0.1, 0.2, 0.3, 0.4), True),
        ((0.3, -0.1, -0.2, -0.4), True),
        ((0.2, 0.2001, 0.2002, 0.2003), False),
        (EVEN, False),
    ],
)
def test_a_current_that_grows_from_sweep_to_sweep_is_told_of_but_not_its_noise(strengths, one_way):
    said = follow([10, 11, 12, 13], strengths=strengths).remarks()
    assert any("a trend may be one with amplitude, not with time" in line for line in said) == one_way


def test_time_is_in_minutes_where_the_file_tells_when_sweeps_began():
    made = follow([10, 11, 12, 13], starts=(100.0, 160.0, 220.0, 280.0))
    assert made.trends[0].slope == pytest.approx(1) and made.trends[0].unit == "MOhm/min"
    assert list(made.times) == [0, 1, 2, 3]


def test_a_file_that_is_left_out_keeps_its_place_on_the_axis_of_time():
    fits = {f"cell_{k}.abf": Result(Path(), Fit((value(v),), (), {}), None) for k, v in ((1, 10), (2, 11), (5, 14))}
    made = series.follow(fits, pieces_of(3), [f"cell_{k}.abf" for k in range(1, 7)])
    assert list(made.times) == [1, 2, 5] and made.trends[0].slope == pytest.approx(1)
    assert made.lines()[0] == "3 files fitted; when they began is not known, so time is the file's place in the order"
    assert list(series.follow(fits, pieces_of(3)).times) == [1, 2, 3]


def test_nobody_takes_a_series_before_it_has_its_name(tmp_path, monkeypatch):
    rename, tried = Path.rename, []

    def watched(path, target):
        with pytest.raises(ShardError, match="is writing there"), claim.held(path):
            pass
        tried.append(path.name)
        return rename(path, target)

    monkeypatch.setattr(Path, "rename", watched)
    with series._growing(tmp_path / "fits", ["sweep-0"]) as growing:
        (growing / "sweep-0").mkdir()
    assert tried == [".fits-unfinished"]
    assert [path.relative_to(tmp_path) for path in tmp_path.rglob("*")] == [Path("fits"), Path("fits/sweep-0")]


def test_a_series_that_another_process_has_ended_meanwhile_is_not_begun(tmp_path):
    (tmp_path / "fits" / "sweep-0").mkdir(parents=True)
    with pytest.raises(MachineError, match="already there and not empty"), series._growing(tmp_path / "fits", []):
        pytest.fail("begun")
    assert [path.name for path in tmp_path.iterdir()] == ["fits"]


def test_only_a_sweep_that_is_named_is_fitted_though_it_fails():
    loud = Recording(
        np.random.default_rng(1).normal(-70, 5, 20_000), np.repeat([0, 0.1], 10_000), 0.05, "a", {"format": "npz"}
    )
    assert series.usable({4: loud}, named=True)[0] == {4: loud}
    kept, left = series.usable({4: loud}, named=False)
    assert not kept and "noise of" in left[4]


@pytest.mark.parametrize("scale", ["linear", "log"])
def test_each_sweep_is_drawn_in_its_parameters_range(tmp_path, scale):
    import matplotlib

    values = [(value(10 + k, scale),) for k in range(3)]
    with matplotlib.rc_context({"svg.fonttype": "none"}):
        report.drift_picture(
            tmp_path / "drift.svg",
            "mine",
            [0, 1, 2],
            "sweep",
            values,
            [False, True, False],
            [(1, 2)] * 3,
            {"rm": "2 +- 1"},
        )
    text = (tmp_path / "drift.svg").read_text()
    assert all(
        f">{word}<" in text for word in ("mine", "rm", "2 +- 1", "MOhm", "sweep out of range", "sweep", "spikes")
    )
    assert (">10<" in text) == (scale == "log")  # the middle of 1 to 100


@pytest.mark.parametrize("outside", [[False] * 3, [True] * 3, [False, True, False]])
def test_a_picture_is_laid_out_whatever_is_in_range(tmp_path, outside):
    """Matplotlib warns where it finds no place for labels and titles, and they then lie on each other."""
    values = [tuple(value(10 + k, scale) for scale in ("linear", "log")) for k in range(3)]
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        report.drift_picture(
            tmp_path / "drift.png",
            "mine",
            [0, 1, 2],
            "sweep",
            values,
            outside,
            [(1, 2)] * 3,
            {},
        )
