"""Real recordings, against what their sources and other programs say of them; runs where NRN_MLFIT_RECORDINGS names a folder."""

import json
import re
import shutil
import struct

import numpy as np
import pytest
from click.testing import CliRunner
from pytest import approx

from nrn_mlfit import recordings
from nrn_mlfit.cli import cli
from nrn_mlfit.errors import RecordingError
from nrn_mlfit.recordings import Reading

FILES = {  # folder/name: sweeps, kHz, ms, protocols, current
    "pyabf/171116sh_0018.abf": (17, 20, 3000, {"step"}, "commanded"),
    "pyabf/171116sh_0016.abf": (11, 20, 1000, {"ramp", "none"}, "commanded"),
    "pyabf/171116sh_0017.abf": (3, 10, 10_000, {"chirp"}, "commanded"),
    "bluepyefe/20303010_rita.abf": (13, 10, 5000, {"step", "none"}, "commanded"),
    "bluepyefe/B6_Ch3_IDRest_181.ibw": (1, 4, 3000, {"step"}, "measured"),
    "lantyer/LantyerEtAl2018_180817_ME_9_CC.nwb": (10, 20, 1160, {"step"}, "measured"),
}


@pytest.fixture(scope="module")
def held(recordings_folder):
    """The sweeps of each file."""
    return {name: recordings.sweeps(recordings_folder / name) for name in FILES}


@pytest.mark.parametrize("name", FILES)
def test_number_rate_length_protocol_and_current(held, name):
    count, rate, length, protocols, current = FILES[name]
    found = held[name]
    assert len(found) == count and not any(sweep.problem for sweep in found)
    assert [1 / sweep.dt for sweep in found] == approx([rate] * count)
    assert [sweep.duration for sweep in found] == approx([length] * count)
    assert {sweep.protocol for sweep in found} == protocols and {sweep.current for sweep in found} == {current}


def levels(recording):
    """The levels of a current in pA, in order."""
    current = 1e3 * recording.currents[0]
    changes = np.flatnonzero(np.diff(current)) + 1
    return [round(float(part[0]), 6) for part in np.split(current, changes)]


def test_steps_of_171116sh_are_those_of_its_protocol(recordings_folder, held):
    """Its protocol: `steps dual -100 to 300 step 25`."""
    for number in range(17):
        step = -100.0 + 25 * number
        found = levels(recordings.read(recordings_folder / "pyabf/171116sh_0018.abf", number))
        assert sorted({*found}) == sorted({0.0, step, -100.0})
    figures = [sweep.quality for sweep in held["pyabf/171116sh_0018.abf"]]
    assert np.median([q.rest_mv for q in figures]) == approx(-62, abs=0.5)
    assert np.median([q.noise_mv for q in figures]) == approx(0.085, abs=0.02)


def test_the_ramp_goes_on_over_the_sweeps(recordings_folder):
    ends = []
    for number in range(11):
        current = 1e3 * recordings.read(recordings_folder / "pyabf/171116sh_0016.abf", number).currents[0]
        assert np.diff(current).min() >= -1e-9
        ends.append((current[0], current[-1]))
    assert [begin for begin, _ in ends][1:] == approx([end for _, end in ends][:-1])
    assert ends[-1][1] == approx(100)


def test_the_chirp_needs_its_stimulus_file(recordings_folder, tmp_path):
    stimulus = recordings_folder / "pyabf" / "sine sweep magnitude 20.abf"
    alone = shutil.copy(recordings_folder / "pyabf" / "171116sh_0017.abf", tmp_path / "alone.abf")
    read = recordings.read(alone, 1)
    assert read.currents is None
    assert any("`sine sweep magnitude 20.abf`, which is not beside it" in text for text in read.warnings)
    given = recordings.read(alone, 1, Reading(stim_from=stimulus))
    beside = recordings.read(recordings_folder / "pyabf" / "171116sh_0017.abf", 1)
    assert np.array_equal(given.currents, beside.currents)
    assert 1e3 * np.abs(given.currents).max() == approx(20, rel=0.01)
    with pytest.raises(RecordingError, match="holds no voltage"):
        recordings.read(stimulus)


def test_steps_of_rita(recordings_folder, held):
    found = [levels(recordings.read(recordings_folder / "bluepyefe/20303010_rita.abf", k)) for k in range(13)]
    assert [part[1] if len(part) > 1 else 0.0 for part in found] == [-200.0 + 50 * k for k in range(13)]
    sweeps = held["bluepyefe/20303010_rita.abf"]
    assert np.median([sweep.quality.rest_mv for sweep in sweeps]) == approx(-65, abs=1)
    assert not any(sweep.fails for sweep in sweeps)  # its source calls it very clean


def test_igor_pairs_agree_with_their_notes(recordings_folder):
    """The note in each wave holds the command's third amplitude, 50 to 150 pA, and how long it lasted, 2000 ms."""
    for k, wanted in enumerate((50, 75, 100, 125, 150)):
        read = recordings.read(recordings_folder / f"bluepyefe/B6_Ch0_IDRest_{181 + k}.ibw")
        note = (recordings_folder / f"bluepyefe/B6_Ch0_IDRest_{181 + k}.ibw").read_bytes()
        assert float(re.search(rb"P0AMP3:(\d+)", note)[1]) == wanted
        high = np.flatnonzero(read.currents[0] > (read.currents[0].max() + read.currents[0].min()) / 2)
        assert (high[-1] - high[0]) * read.dt == approx(2000, abs=2)
        assert read.source["current_file"].endswith(f"Ch0_IDRest_{181 + k}.ibw") and read.volts.max() < 60


def test_input_resistance_and_time_constant_are_the_same_in_every_sweep(held):
    """One cell has one membrane: what its sweeps tell of it agrees."""
    for name, least in (("pyabf/171116sh_0018.abf", 5), ("bluepyefe/20303010_rita.abf", 4)):
        figures = [sweep.quality for sweep in held[name] if sweep.quality.input_resistance_mohm]
        assert len(figures) >= least
        assert all(50 < q.input_resistance_mohm < 400 for q in figures)
        assert np.std([q.input_resistance_mohm for q in figures]) < 0.1 * np.mean(
            [q.input_resistance_mohm for q in figures]
        )
        taus = [q.tau_ms for q in figures if q.tau_ms]
        assert len(taus) >= least and np.std(taus) < 0.2 * np.mean(taus)


@pytest.mark.parametrize("name", FILES)
def test_the_command_lists_and_draws_every_file(recordings_folder, tmp_path, name):
    shown = CliRunner().invoke(
        cli,
        ["recording", str(recordings_folder / name), "--json", "--sheet", str(tmp_path / "sheet.png")],
        catch_exceptions=False,
    )
    assert shown.exit_code == 0 and [held["sweep"] for held in json.loads(shown.output)] == list(range(FILES[name][0]))
    assert (tmp_path / "sheet.png").stat().st_size > 20_000


def with_user_list(whole: bytes, parameter: int, text: str) -> bytes:
    """An ABF 2 file whose command's `parameter` takes the values in `text`, by the layout in Axon's ABFHEADR.H."""
    block, width, _ = struct.unpack_from("<IIq", whole, 220)
    strings = whole[block * 512 : block * 512 + width].rstrip(b"\0") + b"\0" + text.encode() + b"\0"
    image = bytearray(whole) + bytes(-len(whole) % 512)
    for at, entry in ((220, strings), (172, struct.pack("<5h", 0, 1, parameter, 0, 0).ljust(64, b"\0"))):
        struct.pack_into("<IIq", image, at, len(image) // 512, len(entry), 1)
        image += entry + bytes(-len(entry) % 512)
    return bytes(image)


def test_a_user_list_of_an_abf_2_file_is_obeyed(recordings_folder, tmp_path):
    whole = (recordings_folder / "bluepyefe/20303010_rita.abf").read_bytes()
    wanted = [10.0, -35.0, 120.0, 5.0]
    (tmp_path / "a.abf").write_bytes(with_user_list(whole, 22, ",".join(map(str, wanted))))
    for number in range(6):
        read = recordings.read(tmp_path / "a.abf", number)
        assert levels(read)[1] == wanted[min(number, 3)]  # the last value serves for all later sweeps
        assert read.warnings == ("the command's level of epoch B comes from Clampex's user list",)
