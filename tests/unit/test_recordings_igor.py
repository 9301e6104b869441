"""Igor waves: written by the format's published layout, read by igor2; voltage and current lie in two files."""

import builtins
import re

import numpy as np
import pytest
from pytest import approx

from nrn_mlfit import recordings
from nrn_mlfit.errors import RecordingError
from nrn_mlfit.recordings import Reading, igor

pytest.importorskip("igor2", reason="no igor2 here; it comes with nrn_mlfit[igor]")
waves = pytest.importorskip("waves")

RNG = np.random.default_rng(7)
VOLTS = -70 + RNG.normal(0, 0.3, 2000)
PICOAMPERES = np.where(np.arange(2000) > 800, 120.0, -10.0) + RNG.normal(0, 3, 2000)


def says(text):
    return pytest.raises(RecordingError, match=f"^{re.escape(text)}$")


@pytest.fixture
def pair(tmp_path):
    """A voltage and its current, as an amplifier's channels 3 and 0, and another sweep's current beside them."""
    waves.wave(tmp_path / "B6_Ch0_IDRest_2.ibw", PICOAMPERES * 5, unit="pA")
    return (
        waves.wave(tmp_path / "B6_Ch3_IDRest_1.ibw", VOLTS),
        waves.wave(tmp_path / "B6_Ch0_IDRest_1.ibw", PICOAMPERES, unit="pA"),
    )


@pytest.mark.parametrize("which", [0, 1])
def test_either_file_gives_voltage_and_current(pair, which):
    read = recordings.read(pair[which])
    assert read.dt == 0.05
    assert read.volts[0, 0] == approx(VOLTS, rel=1e-6) and 1e3 * read.currents[0] == approx(PICOAMPERES, rel=1e-6)
    assert read.source["current"] == "measured"
    assert (read.source["file"], read.source["current_file"]) == tuple(map(str, pair))


def test_a_folder_holds_one_recording_a_pair(pair):
    assert recordings.files(pair[0].parent) == [pair[0]]


@pytest.mark.parametrize("kind, order", [("f4", "<"), ("f8", ">"), ("f8", "<")])
def test_numbers_of_any_kind_and_order(tmp_path, kind, order):
    path = waves.wave(tmp_path / "v.ibw", VOLTS, kind=kind, order=order)
    assert recordings.read(path).volts[0, 0] == approx(VOLTS, rel=1e-6)


def test_units_are_those_of_the_wave(tmp_path):
    path = waves.wave(tmp_path / "v_ch1.ibw", VOLTS / 1000, unit="V", kind="f8")
    waves.wave(tmp_path / "v_ch2.ibw", PICOAMPERES / 1e12, unit="A", kind="f8")
    read = recordings.read(path)
    assert read.volts[0, 0] == approx(VOLTS) and 1e3 * read.currents[0] == approx(PICOAMPERES)
    with says("x.ibw: the unit 'fur' is not known; there are V, volt, volts, mV, millivolts, uV"):
        recordings.read(waves.wave(tmp_path / "x.ibw", VOLTS, unit="fur"))


def test_the_columns_of_a_wave_are_sweeps(tmp_path):
    volts = np.stack([VOLTS, VOLTS + 1], axis=1)
    path = waves.wave(tmp_path / "a_Ch1.ibw", volts)
    waves.wave(tmp_path / "a_Ch2.ibw", np.stack([PICOAMPERES, 2 * PICOAMPERES], axis=1), unit="pA")
    assert len(recordings.sweeps(path)) == 2
    read = recordings.read(path, 1)
    assert read.volts[0, 0] == approx(VOLTS + 1, rel=1e-6) and 1e3 * read.currents[0] == approx(
        2 * PICOAMPERES, rel=1e-6
    )


def test_a_voltage_alone_has_no_current_and_says_so(tmp_path):
    read = recordings.read(waves.wave(tmp_path / "v_Ch1.ibw", VOLTS))
    assert read.currents is None
    assert read.warnings == ("no wave beside it holds its current; give it with --stim-from FILE",)


def test_what_cannot_be_paired_says_why(tmp_path, pair):
    alone = waves.wave(tmp_path / "c_Ch0.ibw", PICOAMPERES, unit="pA")
    with says(
        "c_Ch0.ibw: is a current, and its voltage is to lie beside it in a wave of the same name but for the channel's "
        "number; there is none"
    ):
        recordings.read(alone)
    waves.wave(tmp_path / "B6_Ch1_IDRest_1.ibw", PICOAMPERES, unit="pA")
    with says(
        "B6_Ch3_IDRest_1.ibw: several waves hold its current: B6_Ch0_IDRest_1.ibw, B6_Ch1_IDRest_1.ibw; "
        "choose one with --current-channel"
    ):
        recordings.read(pair[0])
    for name in ("Ch0", "0", "B6_Ch0_IDRest_1.ibw"):
        read = recordings.read(pair[0], reading=Reading(current_channel=name))
        assert 1e3 * read.currents[0] == approx(PICOAMPERES, rel=1e-6)
    with says(
        "B6_Ch3_IDRest_1.ibw: --current-channel Ch9 names no wave beside it; of its name there is B6_Ch0_IDRest_1.ibw, "
        "B6_Ch1_IDRest_1.ibw"
    ):
        recordings.read(pair[0], reading=Reading(current_channel="Ch9"))


def test_a_current_of_another_length_is_refused(tmp_path):
    path = waves.wave(tmp_path / "v_Ch1.ibw", VOLTS)
    waves.wave(tmp_path / "v_Ch2.ibw", PICOAMPERES[:-1], unit="pA")
    with pytest.raises(
        RecordingError, match=r"^v_Ch1.ibw: its current in v_Ch2.ibw has 1999 samples of 5e-05, the voltage 2000"
    ):
        recordings.read(path)


DAMAGED = "v.ibw: cut short, damaged or no Igor wave at all; copy it anew from where it came"


@pytest.mark.parametrize("share", [0, 0.02, 0.5, 0.95])
def test_a_wave_cut_short(tmp_path, share):
    path = waves.wave(tmp_path / "v.ibw", VOLTS)
    held = path.read_bytes()
    path.write_bytes(held[: int(share * len(held))])
    with says(DAMAGED):
        recordings.sweeps(path)


@pytest.mark.parametrize("place", [12, 68, 72, -60, -56])
def test_a_length_that_the_file_cannot_hold_takes_no_memory(tmp_path, place, caplog):
    """Of samples, rows, columns, samples in bytes, and the formula."""
    path = waves.wave(tmp_path / "v.ibw", VOLTS)
    held = bytearray(path.read_bytes())
    held[64 + place : 64 + place + 4] = b"\x03\xff\xff\xff"
    path.write_bytes(held)
    with says(DAMAGED):
        recordings.sweeps(path)
    assert not caplog.records  # igor2 would log the whole wave


def test_without_igor2_the_sentence_says_what_to_install(pair, monkeypatch):
    def none(name, *args, real=builtins.__import__, **more):
        if name.split(".")[0] == "igor2":
            raise ImportError(name)
        return real(name, *args, **more)

    igor._igor.cache_clear()
    monkeypatch.setattr(builtins, "__import__", none)
    with says("Igor waves need igor2; install it with `pip install nrn_mlfit[igor]`"):
        recordings.sweeps(pair[0])
