"""Files of each format, written by numpy and h5py themselves, and what is said about bad ones."""

import json
import re

import h5py
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from pytest import approx

from nrn_mlfit import cells, recordings, shards
from nrn_mlfit.errors import RecordingError, ShardError
from nrn_mlfit.shards import Shard, Status

READ_ARE = (
    "read are NWB 2 (.nwb), HDF5 and shards (.h5, .hdf5), ABF (.abf), Igor waves (.ibw), .npz, .csv and .txt; "
    "convert it to one of them"
)
VOLTS = np.linspace(-80, 40, 50)
CURRENT = np.linspace(-0.1, 0.4, 50)


def says(text, error=RecordingError):
    return pytest.raises(error, match=f"^{re.escape(text)}$")


def npz(folder, **held):
    np.savez(folder / "a.npz", **held)
    return folder / "a.npz"


def hdf5(folder, dt=None, **held):
    with h5py.File(folder / "a.h5", "w") as file:
        for name, value in held.items():
            file[name] = value
        if dt is not None:
            file.attrs["dt"] = dt
    return folder / "a.h5"


def csv(folder, text):
    (folder / "a.csv").write_text(text)
    return folder / "a.csv"


def rows(*columns):
    return "".join(",".join(repr(float(v)) for v in row) + "\n" for row in zip(*columns, strict=True))


def same(recording, volts, current, dt):
    assert np.array_equal(recording.volts[0, 0], volts) and recording.dt == dt
    assert recording.currents is None if current is None else np.array_equal(recording.currents[0], current)


# --- round trips

lengths = st.shared(st.integers(2, 40), key="length")
millivolts = arrays(float, lengths, elements=st.floats(-150, 100)).map(lambda v: v - 2 * (np.abs(v).max() < 1))
nanoamperes = arrays(float, lengths, elements=st.integers(-2000, 2000).map(lambda n: n / 1000))
steps = st.sampled_from([0.01, 0.02, 0.025, 0.05, 0.1, 0.25, 1 / 30, 1.0])


@settings(max_examples=40, deadline=None)
@given(millivolts, st.none() | nanoamperes, steps)
def test_npz_gives_back_what_was_saved(tmp_path_factory, volts, current, dt):
    held = {"volts": volts, "dt": dt} | ({} if current is None else {"current": current})
    same(recordings.read(npz(tmp_path_factory.mktemp("npz"), **held)), volts, current, dt)


@settings(max_examples=40, deadline=None)
@given(millivolts, st.none() | nanoamperes, steps, st.floats(0, 1000))
def test_csv_gives_back_what_was_written(tmp_path_factory, volts, current, dt, begin):
    columns = [begin + dt * np.arange(volts.size), volts] + ([] if current is None else [current])
    head = "time,voltage\n" if current is None else "time,voltage,current\n"
    read = recordings.read(csv(tmp_path_factory.mktemp("csv"), head + rows(*columns)))
    same(read, volts, current, approx(dt, abs=1e-9))


@pytest.mark.parametrize("names", [("volts", "current"), ("voltage", "stims"), ("volts", None)])
def test_hdf5_is_read_under_both_names(tmp_path, names):
    held = {names[0]: VOLTS} | ({names[1]: CURRENT} if names[1] else {})
    same(recordings.read(hdf5(tmp_path, 0.05, **held)), VOLTS, CURRENT if names[1] else None, 0.05)


def test_hdf5_may_hold_dt_as_a_dataset_and_many_rows(tmp_path):
    volts = np.arange(60.0).reshape(2, 3, 10)
    path = hdf5(tmp_path, volts=volts, current=volts[0])
    with h5py.File(path, "a") as file:
        file["dt"] = [0.1]
    read = recordings.read(path)
    assert np.array_equal(read.volts, volts) and np.array_equal(read.currents, volts[0]) and read.dt == 0.1


def test_csv_units_in_the_header_are_obeyed(tmp_path):
    head = '"Time (s)","current [pA]",note,"Voltage (V)"\n'
    table = rows(np.arange(50) * 5e-5, CURRENT * 1000, CURRENT, VOLTS / 1000)
    read = recordings.read(csv(tmp_path, head + table))
    assert read.dt == 0.05
    assert read.volts[0, 0] == approx(VOLTS) and read.currents[0] == approx(CURRENT)


def test_a_csv_of_a_spreadsheet_is_read(tmp_path):
    text = "\ufefftime,voltage\r\n" + '"0.0","-70"\r\n\r\n"0.1","-69"\r\n'
    (tmp_path / "a.csv").write_bytes(text.encode())
    assert recordings.read(tmp_path / "a.csv").volts[0, 0].tolist() == [-70, -69]


# --- shards

WINDOW = np.linspace(0, 1, 30)


@pytest.fixture
def shard(tmp_path):
    """A run's folder with a shard of 3 Izhikevich sets, of which the second failed."""
    model = cells.load("izhikevich")
    unit_par = np.array([[-1, 0, 0.5, 1.0]] * 3)
    counts = np.full((3, 1, 1, 30), -7000, np.int16)
    counts[2, 0, 0] += np.arange(30, dtype=np.int16)
    status = np.array([Status.OK, Status.TIMEOUT, Status.OK])
    currents = np.concatenate([np.full(10, -1.0), WINDOW])[None]
    attributes = {"format": shards.FORMAT, "format_version": shards.FORMAT_VERSION, "dt": 0.02}
    attributes["cell"] = json.dumps(model.settings())
    held = Shard(model.space.to_phys(unit_par), unit_par, counts, status, currents, attributes)
    shards.write(tmp_path / "shard-0000000000.h5", held)
    return tmp_path / "shard-0000000000.h5"


def test_a_shard_row_is_its_window_in_millivolts_with_its_truth(shard):
    read = recordings.read(shard, 2)
    assert read.volts[0, 0] == approx(-70 + 0.01 * np.arange(30), abs=1e-5)
    assert read.currents[0].tolist() == WINDOW.tolist() and read.dt == 0.02
    assert read.truth == {"a": approx(0.01), "b": approx(0.25), "c": approx(-57.5), "d": approx(5)}


def test_simulated_rows_are_not_judged(shard):
    held = shards.read(shard)
    held.volts[0] -= 3000  # 30 mV below the others
    shards.write(shard, held)
    assert not any(sweep.fails or sweep.warnings for sweep in recordings.sweeps(shard))


def test_a_shard_away_from_its_run_keeps_its_truth(shard, tmp_path):
    (tmp_path / "alone").mkdir()
    moved = shard.rename(tmp_path / "alone" / shard.name)
    assert list(recordings.read(moved, 0).truth) == ["a", "b", "c", "d"]


def test_a_failed_row_names_its_status(shard):
    with says(f"{shard.name}, sweep 1: its simulation ended with timeout; choose a row that went well"):
        recordings.read(shard, 1)
    assert [s.problem for s in recordings.sweeps(shard)] == [
        "",
        "its simulation ended with timeout; choose a row that went well",
        "",
    ]


def test_a_damaged_shard_is_said_to_be_one(shard):
    with h5py.File(shard, "a") as file:
        del file["status"]
    with pytest.raises(ShardError, match=r"cut short or damaged .*; delete it and simulate again"):
        recordings.read(shard, 0)


def test_a_simulated_row_may_count_in_units_of_its_own(shard, tmp_path):
    held = shards.read(shard)
    shards.write(shard, Shard(**{**vars(held), "currents": held.currents * 500}))
    row = recordings.read(shard, 0)
    assert row.currents.max() == 500
    row.save(tmp_path / "row.npz")
    assert recordings.read(tmp_path / "row.npz").currents.max() == 500


# --- several sweeps


def test_one_of_several_sweeps_must_be_chosen(shard):
    with says(f"{shard.name}: holds 3 sweeps (0-2); choose one with --sweep"):
        recordings.read(shard)


@pytest.mark.parametrize("sweep", [3, -1])
def test_a_sweep_that_is_not_there(shard, sweep):
    with says(f"{shard.name}: there is no sweep {sweep}; it holds 3 sweeps (0-2)"):
        recordings.read(shard, sweep)


def test_a_file_with_one_sweep_holds_sweep_0_only(tmp_path):
    path = npz(tmp_path, volts=VOLTS, dt=0.1)
    same(recordings.read(path, 0), VOLTS, None, 0.1)
    with says("a.npz: there is no sweep 4; it holds one sweep (0)"):
        recordings.read(path, 4)


def test_a_sweep_in_short(tmp_path):
    (sweep,) = recordings.sweeps(npz(tmp_path, volts=VOLTS, current=CURRENT, dt=0.1))
    assert (sweep.number, sweep.name, sweep.duration, sweep.dt) == (0, "a.npz", 5.0, 0.1)
    assert sweep.mv == (-80, 40) and sweep.pa == approx((-100, 400))
    assert recordings.sweeps(npz(tmp_path, volts=VOLTS, dt=0.1))[0].pa is None


# --- bad files


def test_a_file_that_is_not_there_or_a_folder(tmp_path):
    with says(f"{tmp_path / 'b.npz'}: no such file; {READ_ARE}"):
        recordings.read(tmp_path / "b.npz")
    with says(f"{tmp_path}: is a folder; name one file in it"):
        recordings.read(tmp_path)


def test_the_recordings_of_a_folder_are_found(tmp_path):
    with says(f"{tmp_path}: holds no recording; {READ_ARE}"):
        recordings.files(tmp_path)
    (tmp_path / "notes.txt").write_text("x")
    paths = [hdf5(tmp_path, 0.1, volts=VOLTS), npz(tmp_path, volts=VOLTS, dt=0.1)]
    assert recordings.files(tmp_path) == paths


def test_numbered_files_are_in_order_of_their_numbers(tmp_path):
    numbers = [10, 9, 2, 100]
    for number in numbers:
        (tmp_path / f"cell7_{number}.npz").touch()
    assert [path.name for path in recordings.files(tmp_path)] == [f"cell7_{number}.npz" for number in sorted(numbers)]


def test_of_a_folder_each_file_is_read_or_says_why_not(tmp_path):
    npz(tmp_path, volts=VOLTS, current=CURRENT, dt=0.1)
    (tmp_path / "b.npz").write_bytes(b"cut short")
    held = recordings.read_folder(tmp_path)
    assert list(held) == ["a.npz", "b.npz"] and held["a.npz"].volts.size == np.size(VOLTS)
    assert isinstance(held["b.npz"], RecordingError)
    assert list(recordings.read_folder(tmp_path, [])) == ["a.npz", "b.npz"]  # one sweep each


def test_an_unknown_suffix_says_what_is_read(tmp_path):
    (tmp_path / "a.xyz").write_text("1,2,3")
    with says(f"a.xyz: a format that is not read; {READ_ARE}"):
        recordings.read(tmp_path / "a.xyz")


def test_hdf5_is_recognised_by_content(tmp_path):
    path = hdf5(tmp_path, 0.05, volts=VOLTS).rename(tmp_path / "a.dat")
    same(recordings.read(path), VOLTS, None, 0.05)


@pytest.mark.parametrize("size", [20, 200, 2000])
def test_an_hdf5_file_cut_short(tmp_path, size):
    path = hdf5(tmp_path, 0.05, volts=VOLTS)
    path.write_bytes(path.read_bytes()[:size])
    with says("a.h5: cut short or damaged; copy it anew from where it came"):
        recordings.read(path)


@pytest.mark.parametrize("content", [b"", b"no HDF5"])
def test_a_file_that_only_has_the_name_of_hdf5(tmp_path, content):
    (tmp_path / "a.nwb").write_bytes(content)
    with says("a.nwb: cut short, damaged or no HDF5 at all; copy it anew from where it came"):
        recordings.read(tmp_path / "a.nwb")


@pytest.mark.parametrize("share", [0, 0.3, 0.9])
def test_an_npz_file_cut_short(tmp_path, share):
    path = npz(tmp_path, volts=VOLTS, dt=0.1)
    whole = path.read_bytes()
    path.write_bytes(whole[: int(share * len(whole))])
    with says("a.npz: cut short or damaged; copy it anew from where it came"):
        recordings.read(path)


def test_npz_without_what_is_needed(tmp_path):
    with says("a.npz: no volts and no dt inside; it holds trace, current"):
        recordings.read(npz(tmp_path, trace=VOLTS, current=CURRENT))
    with says("a.npz: dt must be one number, the sample step in ms"):
        recordings.read(npz(tmp_path, volts=VOLTS, dt=[0.1, 0.2]))


def test_npz_with_python_objects_is_not_unpickled(tmp_path):
    path = npz(tmp_path, volts=np.array([{}, None]), dt=0.1)
    with says("a.npz: holds Python objects; save plain arrays of numbers"):
        recordings.read(path)


def test_hdf5_without_what_is_needed(tmp_path):
    with says("a.h5: no dataset volts or voltage inside; it holds current"):
        recordings.read(hdf5(tmp_path, 0.1, current=CURRENT))
    with says("a.h5: no attribute or dataset dt inside; add the sample step in ms"):
        recordings.read(hdf5(tmp_path, volts=VOLTS))


NAME_COLUMNS = ": the first line must name the columns, such as `time (ms),voltage (mV),current (pA)`; got "
CSV_PROBLEMS = {
    "": NAME_COLUMNS + "``",
    "0,-70\n1,-70\n": NAME_COLUMNS + "`0,-70`",
    "time;voltage\n0;-70\n": NAME_COLUMNS + "`time;voltage`",
    "time,voltage,voltage\n": ": names two columns voltage; leave one",
    "time,voltage (furlong)\n": ", column voltage: the unit 'furlong' is not known; there are "
    "V, volt, volts, mV, millivolts, uV",
    "time,voltage\n": ": holds 0 samples; at least 2 are needed",
    "time,voltage\n0,-70\n": ": holds 1 samples; at least 2 are needed",
    "time,voltage\n0,-70\n\n1,x\n": ", line 4: 'x' is not a number",
    "time,voltage\n0,-70\n1\n": ", line 3: '' is not a number",
    "time,voltage\n0,-70\n1,nan\n": ": the voltage is nan at sample 1 (1 ms); use a stretch without gaps (--window)",
    "time,voltage\n0,-70\nnan,-70\n": ": the times must be at least 2 finite numbers",
    "time,voltage\n1,-70\n0,-70\n": ": the times do not rise",
    "time,voltage\n0,-70\n1,-70\n2,-70\n4,-70\n5,-70\n": ": the samples are not evenly spaced "
    "(2 ms after sample 2, 1 ms elsewhere); resample it to one step first",
}


@pytest.mark.parametrize("text", CSV_PROBLEMS)
def test_a_bad_csv(tmp_path, text):
    with says("a.csv" + CSV_PROBLEMS[text]):
        recordings.read(csv(tmp_path, text))


def test_a_csv_that_is_no_text(tmp_path):
    (tmp_path / "a.csv").write_bytes(b"\xff\xfe\x00t")
    with says("a.csv: cannot be read as text; save it as CSV in UTF-8"):
        recordings.read(tmp_path / "a.csv")


def test_times_with_few_digits_are_even_enough(tmp_path):
    times = "".join(f"{k / 30:.3f},-70\n" for k in range(3000))  # 30 kHz, in ms
    assert recordings.read(csv(tmp_path, "time,voltage\n" + times)).dt == approx(1 / 30, rel=1e-4)


UNIT_PROBLEMS = [
    ({"volts": VOLTS / 1000}, "no voltage is beyond 0.08 mV, which looks like volts; give it in mV"),
    ({"volts": VOLTS * 1000}, "a voltage of 8e+04 mV is beyond any cell; mend its unit"),
    ({"current": CURRENT * 1e3}, "a current of 400 nA looks like pA; give it in nA"),
    ({"current": CURRENT / 1e9}, "no current is beyond 4e-10 nA, which looks like A; give it in nA"),
    ({"dt": 5e-5}, "the sample step of 5e-05 ms looks like seconds; give it in ms"),
]


@pytest.mark.parametrize("wrong, text", UNIT_PROBLEMS)
def test_values_that_look_like_another_unit(tmp_path, wrong, text):
    with says(f"a.npz: {text}"):
        recordings.read(npz(tmp_path, **({"volts": VOLTS, "current": CURRENT, "dt": 0.05} | wrong)))


def test_a_csv_in_volts_is_told_how_to_say_so(tmp_path):
    path = csv(tmp_path, "time,voltage\n" + rows(np.arange(50) * 0.1, VOLTS / 1000))
    with says("a.csv: no voltage is beyond 0.08 mV, which looks like volts; name the column `voltage (V)`"):
        recordings.read(path)
