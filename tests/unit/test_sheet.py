"""The sheet of all sweeps: no spike is lost in drawing, and any number of sweeps finds its place."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from nrn_mlfit.errors import MlfitError
from nrn_mlfit.report import sheet
from nrn_mlfit.report.sheet import sheet_picture


@settings(max_examples=30, deadline=None)
@given(st.integers(2, 30_000), st.integers(0, 1000))
def test_thinning_keeps_every_extreme_in_its_place(size, seed):
    values = np.random.default_rng(seed).standard_normal(size)
    time, drawn = sheet._thinned(values, 0.1)
    assert len(drawn) <= max(size, sheet.MOST_POINTS) and np.all(np.diff(time) >= 0)
    index = np.rint(time / 0.1).astype(int)
    assert np.array_equal(values[index], drawn)
    width = max(1, size // (sheet.MOST_POINTS // 2))
    inside = values[: size // width * width]
    assert drawn.max() == inside.max() and drawn.min() == inside.min()


def sweeps(count):
    return [
        {
            "number": k,
            "volts": np.linspace(-80, 20, 50),
            "currents": np.linspace(0, 100, 50) if k % 3 else None,
            "dt": 0.1,
            "caption": "step",
            "fails": ("x",) if k == 1 else (),
        }
        for k in range(count)
    ]


@pytest.mark.parametrize("count", [1, 2, 7, 17, 60])
def test_any_number_of_sweeps_is_drawn(tmp_path, count):
    sheet_picture(tmp_path / "a.svg", "a.abf", sweeps(count))
    shown = (tmp_path / "a.svg").read_text()
    for k in range(min(count, sheet.MOST_SWEEPS)):
        assert f"<!-- sweep {k}   step" in shown
    assert ("10 more" in shown) == (count == 60)
    assert shown.count("FAILS") == (count > 1)


def test_each_probe_has_its_line(tmp_path, monkeypatch):
    held = []
    monkeypatch.setattr(sheet, "save", lambda figure, path: held.append(figure))
    volts = np.stack([np.linspace(-80, 20, 50), np.linspace(-70, 30, 50), np.linspace(-60, 40, 50)])
    sheet_picture(tmp_path / "a.png", "a.npz", [{**sweeps(2)[1], "volts": volts}])
    lines = held[0].axes[0].lines
    assert [tuple(line.get_ydata()[[0, -1]]) for line in lines] == [(-80, 20), (-70, 30), (-60, 40)]
    assert len({str(line.get_color()) for line in lines}) == 3


@pytest.mark.parametrize("count", [7, 17])
def test_a_short_column_leaves_no_gap_in_the_others(tmp_path, monkeypatch, count):
    """All rows are equally far from each other, also the last one below the end of a column with fewer sweeps."""
    held = []
    monkeypatch.setattr(sheet, "save", lambda figure, path: (figure.draw_without_rendering(), held.append(figure)))
    sheet_picture(tmp_path / "a.png", "a.abf", sweeps(count))
    tops = sorted({round(axes.get_position().y1, 4) for axes in held[0].axes}, reverse=True)
    assert np.ptp(np.diff(tops[::2])) < 2e-3


def test_the_same_sweeps_give_the_same_bytes(tmp_path):
    for name in ("a.png", "b.png"):
        sheet_picture(tmp_path / name, "a.abf", sweeps(3))
    assert (tmp_path / "a.png").read_bytes() == (tmp_path / "b.png").read_bytes()


def test_another_suffix_is_refused(tmp_path):
    with pytest.raises(MlfitError, match=r"ends in \.png, \.pdf, \.svg; choose one of them$"):
        sheet_picture(tmp_path / "a.gif", "a", sweeps(1))
