"""NWB files: what pynwb writes and reads back is the truth; a real file if NRN_MLFIT_RECORDINGS is set."""

import os
import re
from datetime import UTC, datetime
from pathlib import Path

import h5py
import numpy as np
import pytest
from pytest import approx

from nrn_mlfit import recordings
from nrn_mlfit.errors import RecordingError
from nrn_mlfit.spikes import spike_counts

pynwb = pytest.importorskip("pynwb")
icephys = pytest.importorskip("pynwb.icephys")

pytestmark = pytest.mark.filterwarnings("ignore")  # pynwb warns of what old files still do
RNG = np.random.default_rng(3)
COUNTS = RNG.integers(-7000, 4000, (4, 60)).astype(np.int16)
PICOAMPERES = RNG.integers(-100, 400, (4, 60)).astype(np.int16)
TO_VOLTS = {"conversion": 1e-5, "offset": 0.003}
TO_AMPERES = {"conversion": 1e-12, "offset": 2e-12}
RATE = {"rate": 20000.0}


def says(text):
    return pytest.raises(RecordingError, match=f"^{re.escape(text)}$")


class Writer:
    """Builds an NWB file by pynwb."""

    def __init__(self, path):
        self.path = path
        self.file = pynwb.NWBFile("test", "test", datetime(2024, 1, 1, tzinfo=UTC))
        device = self.file.create_device(name="amplifier")
        self.electrodes = [
            self.file.create_icephys_electrode(name=f"e{k}", description="tip", device=device) for k in range(2)
        ]

    def response(self, name, data, electrode=0, **more):
        held = {**TO_VOLTS, **({} if "timestamps" in more else RATE), **more}
        series = icephys.CurrentClampSeries(
            name=name, data=data, electrode=self.electrodes[electrode], gain=1.0, **held
        )
        self.file.add_acquisition(series)
        return series

    def stimulus(self, name, data, electrode=0, **more):
        held = {**TO_AMPERES, **({} if "timestamps" in more else RATE), **more}
        series = icephys.CurrentClampStimulusSeries(
            name=name, data=data, electrode=self.electrodes[electrode], gain=1.0, **held
        )
        self.file.add_stimulus(series)
        return series

    def row(self, response, stimulus, **more):
        held = {"stimulus": stimulus} if stimulus else {}
        electrode = self.electrodes[0]
        self.file.add_intracellular_recording(electrode=electrode, response=response, **held, **more)

    def close(self):
        with pynwb.NWBHDF5IO(self.path, "w") as io:
            io.write(self.file)
        return self.path


@pytest.fixture
def writer(tmp_path):
    return Writer(tmp_path / "a.nwb")


def in_units(path, *pairs):
    """mV and nA, as pynwb reads them back, of each pair of a response and its stimulus (or None)."""
    with pynwb.NWBHDF5IO(path, "r") as io:
        file = io.read()
        for response, stimulus in pairs:
            volts = 1e3 * file.acquisition[response].get_data_in_units()
            yield volts, None if stimulus is None else 1e9 * file.stimulus[stimulus].get_data_in_units()


def agrees(path, *pairs):
    """The sweeps of a file are these pairs of a response and its stimulus, with the values of pynwb."""
    assert len(recordings.sweeps(path)) == len(pairs)
    for sweep, held in enumerate(in_units(path, *pairs)):
        same(recordings.read(path, sweep), *held)


def same(read, volts, current):
    assert np.array_equal(read.volts[0, 0], volts) and read.dt == 0.05
    assert read.currents is None if current is None else np.array_equal(read.currents[0], current)


def test_values_are_exactly_those_of_pynwb(writer):
    writer.response("v", COUNTS[0])
    writer.stimulus("i", PICOAMPERES[0])
    agrees(writer.close(), ("v", "i"))


def test_sweep_numbers_pair_whatever_the_names_and_the_order(writer):
    for k, number in enumerate([7, 3, 5]):
        writer.response(f"v{k}", COUNTS[k], sweep_number=number)
        writer.stimulus(f"i{2 - k}", PICOAMPERES[k], sweep_number=number)
    agrees(writer.close(), ("v1", "i1"), ("v2", "i0"), ("v0", "i2"))
    assert [s.name for s in recordings.sweeps(writer.path)] == ["v1", "v2", "v0"]


def test_two_electrodes_of_one_sweep_keep_their_own_stimuli(writer):
    for k in range(2):
        writer.response(f"v{k}", COUNTS[k], electrode=k, sweep_number=0)
        writer.stimulus(f"i{1 - k}", PICOAMPERES[k], electrode=k, sweep_number=0)
    agrees(writer.close(), ("v0", "i1"), ("v1", "i0"))


def test_a_cell_that_only_listens_has_no_current(writer):
    for k in range(2):
        writer.response(f"v{k}", COUNTS[k], electrode=k, sweep_number=0)
    writer.stimulus("i", PICOAMPERES[0], electrode=1, sweep_number=0)
    agrees(writer.close(), ("v0", None), ("v1", "i"))


def test_two_stimuli_of_one_sweep_and_electrode_are_not_guessed_between(writer):
    writer.response("v", COUNTS[0], sweep_number=4)
    for k in range(2):
        writer.stimulus(f"i{k}", PICOAMPERES[k], sweep_number=4)
    with says("a.nwb: which stimulus of sweep_number 4 belongs to /acquisition/v is unclear; give each its own number"):
        recordings.read(writer.close())


def test_the_table_pairs_where_there_are_no_sweep_numbers(writer):
    for k in range(3):
        response = writer.response(f"v{k}", COUNTS[k])
        writer.row(response, writer.stimulus(f"i{2 - k}", PICOAMPERES[k]))
    agrees(writer.close(), ("v0", "i2"), ("v1", "i1"), ("v2", "i0"))


def test_a_row_of_the_table_can_be_a_piece_of_a_series(writer):
    response, stimulus = writer.response("v", COUNTS[0]), writer.stimulus("i", PICOAMPERES[0])
    for start in (0, 30):
        at = {"response_start_index": start, "response_index_count": 30}
        at |= {"stimulus_start_index": start, "stimulus_index_count": 30}
        writer.row(response, stimulus, **at)
    path = writer.close()
    ((volts, current),) = in_units(path, ("v", "i"))
    second = recordings.read(path, 1)
    assert np.array_equal(second.volts[0, 0], volts[30:]) and np.array_equal(second.currents[0], current[30:])


def test_a_row_without_stimulus_has_no_current(writer):
    writer.row(writer.response("v0", COUNTS[0]), None)
    writer.row(writer.response("v1", COUNTS[1]), writer.stimulus("i0", PICOAMPERES[1]))
    agrees(writer.close(), ("v0", None), ("v1", "i0"))


def test_names_that_end_in_the_same_number_pair_at_last(writer):
    for k in (2, 10, 1):
        writer.response(f"response_{k:03}", COUNTS[k % 4])
        writer.stimulus(f"stimulus_{k:02}", PICOAMPERES[k % 4])
    agrees(writer.close(), *((f"response_{k:03}", f"stimulus_{k:02}") for k in (1, 2, 10)))


def test_sweep_numbers_that_differ_outdo_names_that_agree(writer):
    writer.response("v_1", COUNTS[0], sweep_number=1)
    writer.stimulus("i_1", PICOAMPERES[0], sweep_number=2)
    agrees(writer.close(), ("v_1", None))


def test_names_without_a_number_pair_only_one_response_with_one_stimulus(writer):
    for name in ("va", "vb"):
        writer.response(name, COUNTS[0])
    writer.stimulus("i", PICOAMPERES[0])
    agrees(writer.close(), ("va", None), ("vb", None))


def test_timestamps_give_the_same_as_a_rate(writer):
    times = 3 + np.arange(60) / 20000
    writer.response("v", COUNTS[0], timestamps=times)
    writer.stimulus("i", PICOAMPERES[0], timestamps=times)
    agrees(writer.close(), ("v", "i"))


def test_only_the_time_that_both_cover_is_read(writer):
    writer.response("v", COUNTS[0], starting_time=10.0)
    writer.stimulus("i", PICOAMPERES[0, :40], starting_time=10.0005)
    path = writer.close()
    ((volts, current),) = in_units(path, ("v", "i"))
    read = recordings.read(path)
    assert np.array_equal(read.volts[0, 0], volts[10:50]) and np.array_equal(read.currents[0], current)
    assert read.source["cut_ms"] == [0.5, 2.5]


def test_a_current_of_another_time_is_refused(writer):
    writer.response("v", COUNTS[0], starting_time=10.0)
    writer.stimulus("i", PICOAMPERES[0])
    text = "voltage (from 10000 ms on) and current (from 0 ms on) share no time; mend their starting_time"
    with says(f"a.nwb, sweep 0: {text}"):
        recordings.read(writer.close())


def test_a_current_of_another_rate_is_refused(writer):
    writer.response("v", COUNTS[0])
    writer.stimulus("i", PICOAMPERES[0], rate=10000.0)
    with says("a.nwb, sweep 0: voltage and current have steps of 0.05 and 0.1 ms; resample one"):
        recordings.read(writer.close())


def test_timestamps_with_a_gap_are_refused(writer):
    times = np.arange(60) / 20000
    times[30:] += 0.01
    writer.response("v", COUNTS[0], timestamps=times)
    with says(
        "a.nwb, sweep 0, /acquisition/v: the samples are not evenly spaced (10.05 ms after sample 29, "
        "0.05 ms elsewhere); resample it to one step first"
    ):
        recordings.read(writer.close())


def test_voltage_clamp_is_not_read(writer):
    series = icephys.VoltageClampSeries("i", data=PICOAMPERES[0], electrode=writer.electrodes[0], gain=1.0, **RATE)
    writer.file.add_acquisition(series)
    with says("a.nwb: holds no CurrentClampSeries; only current-clamp recordings are read"):
        recordings.read(writer.close())


def test_without_a_rate_the_step_is_not_guessed(writer):
    writer.response("v", COUNTS[0])
    with h5py.File(writer.close(), "a") as file:
        del file["acquisition/v/starting_time"]
    with says("a.nwb, sweep 0: /acquisition/v has neither a rate nor timestamps; its sample step is not known"):
        recordings.read(writer.path)


def test_units_other_than_the_standard_ones_are_obeyed_or_refused(writer):
    writer.response("v", COUNTS[0], conversion=0.01, offset=0.0)
    path = writer.close()
    with h5py.File(path, "a") as file:
        file["acquisition/v/data"].attrs["unit"] = "mV"
    assert recordings.read(path).volts[0, 0] == approx(COUNTS[0] / 100)
    with h5py.File(path, "a") as file:
        file["acquisition/v/data"].attrs["unit"] = "lux"
    known = "V, volt, volts, mV, millivolts, uV"
    with says(f"a.nwb, sweep 0, /acquisition/v: the unit 'lux' is not known; there are {known}"):
        recordings.read(path)


def test_a_bad_sweep_is_listed_with_its_problem(writer):
    writer.response("v1", COUNTS[0])
    writer.response("v2", np.where(np.arange(60) == 5, np.nan, -7000.0))
    good, bad = recordings.sweeps(writer.close())
    assert good.problem == "" and good.duration == 3.0
    assert bad.problem == "the voltage is nan at sample 5 (0.25 ms); use a stretch without gaps (--window)"


# --- a real file: adult mouse S1, 10 sweeps of 500 ms steps


@pytest.fixture(scope="module")
def lantyer():
    folder = os.environ.get("NRN_MLFIT_RECORDINGS")
    if not folder:
        pytest.skip("NRN_MLFIT_RECORDINGS names no folder of real recordings")
    return Path(folder) / "lantyer" / "LantyerEtAl2018_180817_ME_9_CC.nwb"


def test_the_real_steps_are_40_to_400_pA(lantyer):
    for k, sweep in enumerate(recordings.sweeps(lantyer)):
        assert (sweep.duration, sweep.dt) == (approx(1160), 0.05)
        plateau = recordings.read(lantyer, k).cut(110, 590).currents
        assert 1e3 * plateau.mean() == approx(40 * (k + 1), rel=0.01)
        assert plateau.std() < 1e-3


def test_the_real_voltages_belong_to_their_currents(lantyer):
    """The descriptions in the file are wrong by one; Ohm's law and the spike counts tell the true pairing."""
    sweeps = [recordings.read(lantyer, k) for k in range(10)]
    rises = [np.median(s.cut(400, 590).volts) - np.median(s.cut(0, 90).volts) for s in sweeps[:3]]
    resistance = [rise / (0.04 * (k + 1)) for k, rise in enumerate(rises)]
    assert resistance == approx([183] * 3, rel=0.05)  # MOhm
    counts = [int(spike_counts(s.cut(100, 600).volts[0, 0])) for s in sweeps]
    assert counts == sorted(counts) and counts[:3] == [0, 0, 0] and counts[-1] > 40


def test_the_real_step_lies_a_fifth_into_its_piece(lantyer):
    for k in range(10):
        piece = recordings.around_change(recordings.read(lantyer, k))
        assert piece.source["cut_ms"] == approx([40, 340], abs=0.5)


def test_pynwb_agrees_on_every_real_sweep(lantyer):
    names = ("CurrentClampSeries", "CurrentClampStimulusSeries")
    agrees(lantyer, *(tuple(f"{name}_{k:02}" for name in names) for k in range(1, 11)))
