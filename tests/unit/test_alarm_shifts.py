"""The shifts of benchmarks/alarm.py are what their names say, and its AUROC is right."""

import importlib
import json
from dataclasses import replace
from pathlib import Path
from statistics import NormalDist
from types import SimpleNamespace

import numpy as np
import pytest

from nrn_mlfit import cells, recordings
from nrn_mlfit.learn.alarm import SIGNALS
from nrn_mlfit.parameters import Parameter
from nrn_mlfit.spikes import spike_times

FOLDER = Path(__file__).parents[2] / "benchmarks"
DT = 0.02
SIZE = 9000


@pytest.fixture
def shifts(monkeypatch):
    monkeypatch.syspath_prepend(str(FOLDER))
    return importlib.import_module("alarm_shifts")


@pytest.fixture
def alarm(shifts):
    return importlib.import_module("alarm")


@pytest.fixture
def volts():
    """Three traces (3, T), mV, with a spike of 1 ms every 20 ms."""
    time = DT * np.arange(SIZE)
    trace = -70 + 3 * np.sin(time / 7) + 100 * (time % 20 > 19)
    return np.stack([trace, trace + 1, trace - 2]).astype(np.float32)


def test_every_change_keeps_the_shape_and_its_input(shifts, volts):
    before = volts.copy()
    for name, change in shifts.CHANGES.items():
        got, again = change(volts, DT), change(volts, DT)
        assert got.shape == volts.shape and np.isfinite(got).all(), name
        assert (got == again).all() and (got != volts).any(), name
    assert (volts == before).all()


@pytest.mark.parametrize("sd", [0.1, 2])
def test_noise_is_white_and_of_its_size(shifts, volts, sd):
    added = shifts.CHANGES[f"white noise, sd {sd:g} mV"](volts, DT) - volts
    assert added.std() == pytest.approx(sd, rel=0.02) and abs(added.mean()) < 0.02 * sd
    assert abs(np.corrcoef(added[:, 1:].ravel(), added[:, :-1].ravel())[0, 1]) < 0.02
    assert abs(np.corrcoef(added[0], added[1])[0, 1]) < 0.05


def test_offset_gain_and_clip(shifts, volts):
    assert shifts.CHANGES["offset -10 mV"](volts, DT) == pytest.approx(volts - 10)
    assert shifts.CHANGES["voltage times 1.03"](volts, DT) == pytest.approx(1.03 * volts)
    cut = shifts.CHANGES["clipped at 0 mV"](volts, DT)
    assert cut.max() == 0 and (cut[volts < 0] == volts[volts < 0]).all()


def test_later_moves_spikes_by_5_ms(shifts, volts):
    moved = shifts.CHANGES[shifts.LATER](volts, DT)
    before, after = (spike_times(v[0], DT) for v in (volts, moved))
    inside = before[before < DT * SIZE - 5]
    assert len(inside) == 8 and after[: len(inside)] == pytest.approx(inside + 5)
    assert (moved[:, :250] == volts[:, :1]).all()


def test_a_dropped_piece_is_20_ms_of_the_last_value(shifts, volts):
    rising = np.arange(2 * SIZE, dtype=float).reshape(2, SIZE)
    got = shifts.CHANGES[shifts.DROPPED](rising, DT)
    for row, was in zip(got, rising, strict=True):
        held = np.flatnonzero(row != was)
        assert len(held) == 1000 and held[-1] - held[0] == 999
        assert (row[held] == was[held[0] - 1]).all()
    assert np.argmax(got[0] != rising[0]) != np.argmax(got[1] != rising[1])


def test_a_flat_line_is_the_median(shifts, volts):
    got = shifts.CHANGES[shifts.FLAT](volts, DT)
    assert (got == np.median(volts, axis=1)[:, None]).all()


def test_the_filter_halves_the_power_at_2_khz(shifts):
    time = DT * np.arange(SIZE)
    waves = np.stack([np.sin(2 * np.pi * khz * time) for khz in (0.02, 2, 10)])
    power = shifts.smoothed(waves, DT)[:, 2000:].var(axis=1) / waves[:, 2000:].var(axis=1)
    assert power[:2] == pytest.approx([1, 0.5], rel=0.01)
    assert power[2] < 1e-3


def test_the_filter_is_causal_and_begins_settled(shifts, volts):
    step = np.full((1, SIZE), -70.0)
    step[:, 500:] = 0
    got = shifts.smoothed(step, DT)
    assert got[0, :500] == pytest.approx(-70) and got[0, -1] == pytest.approx(0, abs=1e-6)


def test_ranges_beside_a_range(shifts):
    linear = Parameter("g", 2, 6)
    log = replace(linear, scale="log")
    ends = [(p.low, p.high) for p in (shifts.above(linear), shifts.above(log), shifts.below(linear))]
    assert ends == [(6, 10), (6, 18), (1, 2)]
    assert (shifts.wider(linear).low, shifts.wider(linear).high) == (1, 10)
    assert (shifts.wider(Parameter("e", -80, -50)).low, shifts.wider(Parameter("e", -80, -50)).high) == (-80, -20)
    assert shifts.blocked(linear).high < 1e-5


@pytest.mark.parametrize(
    "name, blocked",
    [
        ("mainen", ["gkv_axon", "gkv_soma", "gkm_dend", "gkca_dend", "gca_dend"]),
        ("ball_two_sticks", ["gkv_soma", "gkv_apic", "gkv_basal", "gca_soma", "gca_apic", "gca_basal"]),
        ("izhikevich", []),
    ],
)
def test_variants_of_a_cell_have_its_window(shifts, name, blocked):
    model = cells.load(name)
    made = shifts.variants(model)
    assert [key.removesuffix(" blocked") for key in made if key.endswith(" blocked")] == blocked
    assert {key[5:] for key in made if key.startswith("cell ")} == {"mainen", "ball_two_sticks", "izhikevich"} - {name}
    assert ("dimensions times 0.7" in made) == (name != "izhikevich")
    for one in (one for some in made.values() for one in some):
        assert (one.protocol.dt, one.protocol.start, one.protocol.stop) == (0.02, 5500, 14500)
        assert one.digest() != model.digest() or one.protocol.digest() != model.protocol.digest()


def test_other_cells_feel_the_same_current_or_their_own_scale_of_it(shifts):
    model = cells.load("mainen")
    same, point = (shifts.other_cell(name, model).protocol for name in ("ball_two_sticks", "izhikevich"))
    assert same.digest() == model.protocol.digest()
    assert point.difference(model.protocol.windows) == pytest.approx(0, abs=1e-9)
    assert np.ptp(point.currents) / np.ptp(model.protocol.currents) == pytest.approx(15 / 0.8)
    weak = shifts.variants(model)["stimulus times 0.8"][0].protocol
    assert weak.currents == pytest.approx(0.8 * model.protocol.currents)


def test_dimensions_are_the_templates_and_the_cell_files(shifts):
    assert shifts.sizes(cells.load("mainen"))["apical_length"] == 1000
    ball = cells.load("ball_two_sticks")
    larger = shifts.resized(replace(ball, geometry=ball.geometry | {"basal_length": 30}), 1.3)
    assert larger.geometry["basal_length"] == pytest.approx(39)
    assert larger.geometry["soma_diameter"] == pytest.approx(1.3 * 21)
    assert larger.geometry["apical_nseg"] == ball.geometry["apical_nseg"]


def test_auroc(alarm):
    random = np.random.Generator(np.random.Philox(key=3))
    known, same = random.standard_normal((2, 40_000))
    assert alarm.auroc(known, known) == 0.5 and alarm.auroc(np.ones(3), np.ones(5)) == 0.5
    assert alarm.auroc(known, same) == pytest.approx(0.5, abs=0.01)
    assert alarm.auroc(known, same + 20) == 1 and alarm.auroc(known, same - 20) == 0
    assert alarm.auroc(known, same + 1) == pytest.approx(NormalDist().cdf(2**-0.5), abs=0.01)
    assert alarm.auroc(np.array([1, 2, 3]), np.array([2.0])) == 0.5


def test_a_row_and_its_verdict(alarm):
    own, strange = np.zeros((4, len(SIGNALS))), np.zeros((3, len(SIGNALS)))
    strange[:2, 4], strange[2, 1] = 2, 0.5
    row = alarm.judged("cell x", SimpleNamespace(alarm=SimpleNamespace(threshold=1.0)), own, strange)
    assert row == {
        "name": "cell x",
        "sets": 3,
        "auroc": 1.0,
        "detected": pytest.approx(2 / 3),
        "signal": list(SIGNALS)[4],
    }
    assert f"| cell x | 3 | 1.0000 | 66.7 | {list(SIGNALS)[4]} | pass |" in list(alarm.table([row]))
    assert alarm.verdict(row | {"auroc": 0.98}) == "FAIL" and alarm.verdict(row | {"name": "low-pass"}) == ""


def test_recordings_are_cut_around_the_step_and_resampled(alarm, tmp_path):
    time = 0.05 * np.arange(8000)  # 400 ms, the current steps at 200
    current = 0.1 * (time >= 200)
    recordings.Recording(-70 + 0.01 * time, current, 0.05).save(tmp_path / "a.npz")
    recordings.Recording(-70 + 0.01 * time, None, 0.05).save(tmp_path / "b.npz")
    recordings.Recording(np.full(100, -70.0), None, 0.05).save(tmp_path / "short.npz")
    ensemble = SimpleNamespace(protocol=SimpleNamespace(length=SIZE, dt=DT))
    got = alarm.recorded(ensemble, tmp_path)
    assert got.shape == (2, 1, 1, SIZE)
    assert np.ptp(got[:, 0, 0] - 0.01 * DT * np.arange(SIZE), axis=1) == pytest.approx(0, abs=0.011)
    assert 100 * got == pytest.approx(np.rint(100 * got), abs=1e-3), "not rounded as simulated traces are"
    starts = 100 * (got[:, 0, 0, 0] + 70)
    assert starts == pytest.approx([200 - 0.2 * 180, 0], abs=0.6)


def test_changed_voltages_are_rounded_as_simulated_ones_are(alarm, shifts, volts):
    own, ensemble = volts[:, None, None], SimpleNamespace(protocol=SimpleNamespace(dt=DT))
    made = dict(alarm.changed(ensemble, own))
    assert list(made) == list(shifts.CHANGES)
    got = made["low-pass 2 kHz"]()
    assert got.shape == own.shape and 100 * got == pytest.approx(np.rint(100 * got), abs=2e-3)


def test_what_the_file_holds_is_kept(alarm, tmp_path):
    path = tmp_path / "alarm.jsonl"
    assert alarm.rows(None) == alarm.rows(path) == []
    path.write_text(json.dumps({"name": "a"}) + "\n")
    assert alarm.rows(path) == [{"name": "a"}]
