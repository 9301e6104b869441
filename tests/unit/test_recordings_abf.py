"""ABF files that pyabf's writer made, with commands, user lists and second channels set field by field."""

import builtins
import re

import numpy as np
import pytest
from pytest import approx

from nrn_mlfit import recordings
from nrn_mlfit.errors import RecordingError
from nrn_mlfit.recordings import Reading, abf

pytest.importorskip("pyabf", reason="no pyabf here; it comes with nrn_mlfit[abf]")
axon = pytest.importorskip("axon")

T = 6400  # 320 ms at 20 kHz; Clampex holds for the first 1/64 of a sweep
LEAD = T // 64
RNG = np.random.default_rng(5)
VOLTS = -65 + RNG.normal(0, 0.1, (3, T))
STEPS = axon.epochs((1, 1), (0.0, 50.0), (0.0, 25.0), (1000, 4000), holding=-20.0)


def says(text):
    return pytest.raises(RecordingError, match=f"^{re.escape(text)}$")


def stepped(number, level=None):
    """The command of STEPS in pA, from its definition."""
    wanted = np.full(T, -20.0)
    wanted[LEAD : LEAD + 1000] = 0
    wanted[LEAD + 1000 : LEAD + 5000] = 50.0 + 25 * number if level is None else level
    return wanted


def test_values_and_rate_are_those_that_were_written(tmp_path):
    path = axon.plain(tmp_path / "a.abf", VOLTS, rate=20_000)
    for number in range(3):
        read = recordings.read(path, number)
        assert read.dt == 0.05 and read.volts.shape == (1, 1, T)
        assert read.volts[0, 0] == approx(VOLTS[number], abs=0.01)


def test_a_file_without_a_command_has_no_current_and_says_so(tmp_path):
    read = recordings.read(axon.plain(tmp_path / "a.abf", VOLTS), 0)
    assert read.currents is None
    assert read.warnings == ("the file holds no command and no measured current; give it with --stim-from",)


def test_the_epoch_table_is_the_commanded_current_between_holding_levels(tmp_path):
    path = axon.whole(tmp_path / "a.abf", VOLTS, **STEPS)
    for number in range(3):
        read = recordings.read(path, number)
        assert 1e3 * read.currents[0] == approx(stepped(number))
        assert read.source["current"] == "commanded" and read.warnings == ()
    assert [s.protocol for s in recordings.sweeps(path)] == ["step"] * 3


def test_a_ramp_runs_from_level_to_level(tmp_path):
    fields = axon.epochs((1, 2), (0.0, 100.0), (0.0, 0.0), (1000, 4000))
    current = 1e3 * recordings.read(axon.whole(tmp_path / "a.abf", VOLTS, **fields), 0).currents[0]
    assert current[LEAD + 1000 : LEAD + 5000] == approx(np.linspace(0, 100, 4000), abs=0.05)


LISTS = [("10,20,70", 0, (10, 20, 70)), ("10,20", 0, (10, 20, 20)), ("10,20", 1, (10, 20, 10))]


@pytest.mark.parametrize("text, repeat, levels", LISTS)
def test_a_user_list_takes_the_place_of_the_epoch_tables_level(tmp_path, text, repeat, levels):
    fields = {**STEPS, **axon.user_list(22, text, repeat)}  # 21 is the level of epoch A, by ABFHEADR.H
    path = axon.whole(tmp_path / "a.abf", VOLTS, **fields)
    for number, level in enumerate(levels):
        read = recordings.read(path, number)
        assert 1e3 * read.currents[0] == approx(stepped(number, level))
        assert read.warnings == ("the command's level of epoch B comes from Clampex's user list",)


def test_a_user_list_of_durations_is_read_too(tmp_path):
    path = axon.whole(tmp_path / "a.abf", VOLTS, **STEPS, **axon.user_list(32, "100,200,300"))
    for number in range(3):
        current = 1e3 * recordings.read(path, number).currents[0]
        assert np.count_nonzero(current == 50.0 + 25 * number) == 100 * (number + 1)


def test_a_user_list_of_something_else_leaves_the_current_unknown(tmp_path):
    path = axon.whole(tmp_path / "a.abf", VOLTS, **STEPS, **axon.user_list(8, "1,2,3"))
    read = recordings.read(path, 0)
    assert read.currents is None
    assert read.warnings == (
        "Clampex's user list changed parameter 8, which is not read; give the current with --stim-from FILE",
    )


def measured_beside(tmp_path, gain):
    """A file with voltage, and a measured current that is `gain` times its command."""
    current = np.stack([gain * stepped(k) + RNG.normal(0, 1, T) for k in range(3)])
    sweeps, fields = axon.two_channels(VOLTS, current)
    return axon.whole(tmp_path / "a.abf", sweeps, rate=40_000, **STEPS, **fields, **axon.units("mV", "pA")), current


def test_a_measured_current_is_preferred_to_the_command(tmp_path):
    path, current = measured_beside(tmp_path, 1.0)
    read = recordings.read(path, 1)
    assert read.dt == 0.05 and read.volts[0, 0] == approx(VOLTS[1], abs=0.04)
    assert 1e3 * read.currents[0] == approx(current[1], abs=0.04)
    assert read.source["current"] == "measured" and read.warnings == ()


@pytest.mark.parametrize("gain, differs", [(1.05, False), (0.5, True), (2.0, True)])
def test_a_command_that_differs_by_more_than_a_tenth_is_said(tmp_path, gain, differs):
    path, _ = measured_beside(tmp_path, gain)
    said = [text for text in recordings.read(path, 2).warnings if "differ by" in text]
    assert bool(said) == differs
    if differs:
        ratio = float(re.search(r"measured / commanded = ([\d.]+)", said[0])[1])
        assert ratio == approx(gain, rel=0.02)


def test_the_scale_mends_a_measured_current(tmp_path):
    path, current = measured_beside(tmp_path, 0.5)
    read = recordings.read(path, 0, Reading(current_scale=2.0))
    assert 1e3 * read.currents[0] == approx(2 * current[0], abs=0.08)
    assert not [text for text in read.warnings if "differ by" in text]


def test_the_channel_of_the_current_can_be_named(tmp_path):
    path, current = measured_beside(tmp_path, 1.0)
    read = recordings.read(path, 0, Reading(current_channel="1"))
    assert 1e3 * read.currents[0] == approx(current[0], abs=0.04)
    with pytest.raises(
        RecordingError, match=r"^a\.abf: there is no channel 7; --current-channel takes a name or number of 0: "
    ):
        recordings.read(path, 0, Reading(current_channel="7"))


def test_a_wrong_unit_of_the_command_is_taken_for_picoamperes_and_said(tmp_path):
    fields = axon.epochs((1, 1), (0.0, 50.0), (0.0, 25.0), (1000, 4000), unit=b"mV", holding=-20.0)
    read = recordings.read(axon.whole(tmp_path / "a.abf", VOLTS, **fields), 0)
    assert 1e3 * read.currents[0] == approx(stepped(0))
    assert read.warnings == (
        "the command of output 0 has the unit 'mV', which is no current: it is taken for pA; correct it with --current-scale",
    )


def test_nanoamperes_that_are_picoamperes_are_said(tmp_path):
    fields = axon.epochs((1, 1), (0.0, 300.0), (0.0, 0.0), (1000, 4000), unit=b"nA")
    read = recordings.read(axon.whole(tmp_path / "a.abf", VOLTS, **fields), 0)
    assert read.currents.max() == approx(0.3)
    assert read.warnings == ("the currents look like pA, although the file says nA: they are taken for pA",)


def test_volts_that_the_file_calls_millivolts_are_said(tmp_path):
    read = recordings.read(axon.plain(tmp_path / "a.abf", VOLTS / 1000), 0)
    assert read.volts.mean() == approx(-65, abs=0.1)
    assert "the voltages look like volts, although the file says mV: they are taken for volts" in read.warnings


def test_volts_that_the_file_calls_millivolts_are_mended_before_a_junction_potential_in_millivolts(tmp_path):
    read = recordings.read(axon.plain(tmp_path / "a.abf", VOLTS / 1000), 0, Reading(junction_potential=14))
    assert read.volts.mean() == approx(-65 - 14, abs=0.1)
    assert "the voltages look like volts, although the file says mV: they are taken for volts" in read.warnings


def test_voltage_clamp_is_refused(tmp_path):
    path = axon.plain(tmp_path / "a.abf", VOLTS, unit="pA")
    with says("a.abf: holds no voltage, its channels are channel 0 (pA); only current-clamp recordings are read"):
        recordings.read(path, 0)


# --- stimulus files


def with_stimulus_file(folder):
    name = b"L:\\protocols\\sine 20.abf"
    fields = {"on": ("h", 2296, (1,)), "source": ("h", 2300, (2,)), "output_unit": ("8s", 1346, (b"pA      ",))}
    path = axon.whole(folder / "a.abf", VOLTS, **fields, name=("256s", 2736, (name,)), scale=("f", 2708, (1.0,)))
    wave = 20 * np.sin(np.arange(T) / 200)
    return path, wave, axon.plain(folder / "sine 20.abf", wave[None], unit="?")


def test_the_stimulus_file_beside_a_recording_is_its_command(tmp_path):
    path, wave, _ = with_stimulus_file(tmp_path)
    read = recordings.read(path, 2)
    assert 1e3 * read.currents[0] == approx(wave, abs=0.01)
    assert read.source["current"] == "commanded" and read.warnings == ()


def test_a_missing_stimulus_file_is_named_and_can_be_given(tmp_path):
    path, wave, stimulus = with_stimulus_file(tmp_path)
    (tmp_path / "elsewhere").mkdir()
    moved = stimulus.rename(tmp_path / "elsewhere" / "other.abf")
    read = recordings.read(path, 0)
    assert read.currents is None and read.warnings == (
        "its current lies in a stimulus file `sine 20.abf`, which is not beside it; give it with --stim-from FILE",
    )
    given = recordings.read(path, 0, Reading(stim_from=moved))
    assert 1e3 * given.currents[0] == approx(wave, abs=0.01)
    assert given.source["current"] == "given" and given.warnings == ()


def test_of_a_stimulus_of_several_sweeps_each_is_that_of_its_own_sweep_only(tmp_path):
    path, wave, stimulus = with_stimulus_file(tmp_path)
    axon.plain(stimulus, np.stack([wave, 2 * wave]), unit="?")
    assert 1e3 * recordings.read(path, 1).currents[0] == approx(2 * wave, abs=0.02)
    read, told = (
        recordings.read(path, 2),
        "sine 20.abf: holds 2 sweeps of current, none for sweep 2; give one for each sweep",
    )
    assert read.currents is None
    assert read.warnings == (f"its stimulus file cannot be used: {told}, or the current with --stim-from",)
    with says(told):
        recordings.read(path, 2, Reading(stim_from=stimulus))


def test_a_given_stimulus_must_be_as_long_as_the_recording(tmp_path):
    path, wave, _ = with_stimulus_file(tmp_path)
    short = axon.plain(tmp_path / "short.abf", wave[None, :5000], unit="?")
    with says(
        "a.abf, sweep 0: --stim-from short.abf holds 5000 samples of 0.05 ms, the recording 6400 of 0.05 ms; "
        "give one of the same length and step"
    ):
        recordings.read(path, 0, Reading(stim_from=short))
    with says(f"{tmp_path / 'x.abf'}: no such file; --stim-from takes a stimulus file: .abf, .atf, .npz or .csv"):
        recordings.read(path, 0, Reading(stim_from=tmp_path / "x.abf"))


def test_an_npz_stimulus_can_be_given(tmp_path):
    path, wave, _ = with_stimulus_file(tmp_path)
    np.savez(tmp_path / "wave.npz", current=wave / 1000, dt=0.05)
    assert recordings.read(path, 1, Reading(stim_from=tmp_path / "wave.npz")).currents[0] == approx(wave / 1000)


def test_a_stimulus_file_is_no_recording_of_its_folder(tmp_path):
    path, _, stimulus = with_stimulus_file(tmp_path)
    assert stimulus.is_file() and recordings.files(tmp_path) == [path]


# --- damage

DAMAGED = "a.abf: cut short, damaged or no ABF at all; copy it anew from where it came"


@pytest.mark.parametrize("content", [b"", b"ABF ", b"ABF2", b"ABF2" + bytes(600), b"no ABF at all" * 100])
def test_a_file_that_only_has_the_name(tmp_path, content):
    (tmp_path / "a.abf").write_bytes(content)
    with says(DAMAGED):
        recordings.sweeps(tmp_path / "a.abf")


@pytest.mark.parametrize("share", [0.1, 0.5, 0.9])
def test_a_file_cut_short(tmp_path, share):
    path = axon.whole(tmp_path / "a.abf", VOLTS, **STEPS)
    held = path.read_bytes()
    path.write_bytes(held[: int(share * len(held))])
    with says(DAMAGED):
        recordings.sweeps(path)


def test_epochs_longer_than_the_sweep_take_no_memory(tmp_path):
    fields = axon.epochs((1,), (50.0,), (0.0,), (2**26,))
    read = recordings.read(axon.whole(tmp_path / "a.abf", VOLTS, **fields), 0)
    assert read.currents is None
    assert read.warnings == ("its epoch table is longer than the sweep; give the current with --stim-from FILE",)


def test_without_pyabf_the_sentence_says_what_to_install(tmp_path, monkeypatch):
    def none(name, *args, real=builtins.__import__, **more):
        if name.split(".")[0] == "pyabf":
            raise ImportError(name)
        return real(name, *args, **more)

    path = axon.plain(tmp_path / "a.abf", VOLTS)
    abf._pyabf.cache_clear()
    monkeypatch.setattr(builtins, "__import__", none)
    with says("ABF files need pyabf; install it with `pip install nrn_mlfit[abf]`"):
        recordings.sweeps(path)


@pytest.mark.filterwarnings("error")
def test_an_epoch_of_a_kind_that_pyabf_does_not_know_leaves_the_current_unknown(tmp_path):
    fields = axon.epochs((6,), (50.0,), (0.0,), (100,))
    read = recordings.read(axon.whole(tmp_path / "a.abf", VOLTS, **fields), 0)
    assert read.currents is None
    assert read.warnings == ("its epoch table is of a kind that is not read; give it with --stim-from FILE",)
