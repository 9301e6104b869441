"""Damaged files of every format: each is read, or refused in one sentence; nothing else, and in bounded time and memory."""

import resource
import time

import h5py
import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from nrn_mlfit import recordings
from nrn_mlfit.errors import MlfitError

axon, waves = pytest.importorskip("axon"), pytest.importorskip("waves")
pytestmark = pytest.mark.filterwarnings("ignore")

T = 2000
TIME = np.arange(T) * 0.1
VOLTS = -70 + np.random.default_rng(1).normal(0, 0.2, T)
CURRENT = np.where((TIME > 50) & (TIME < 150), 0.1, 0.0)
EXAMPLES = 80
MOST_SECONDS = 50.0  # of processor time, all formats together
MOST_KB = 300_000


def abf(folder):
    fields = axon.epochs((1, 1), (0.0, 50.0), (0.0, 25.0), (500, 1000)) | axon.user_list(22, "10,20,30")
    return axon.whole(folder / "a.abf", [VOLTS, VOLTS], 10_000, **fields)


def ibw(folder):
    waves.wave(folder / "a_Ch0.ibw", 1000 * CURRENT, 1e-4, "pA")
    return waves.wave(folder / "a_Ch1.ibw", VOLTS, 1e-4)


def npz(folder):
    np.savez(folder / "a.npz", volts=VOLTS, current=CURRENT, dt=0.1)
    return folder / "a.npz"


def csv(folder, name="a.csv", separator=","):
    head = separator.join(["time (ms)", "voltage (mV)", "current (nA)"])
    rows = [separator.join(f"{v:.6g}" for v in row) for row in zip(TIME, VOLTS, CURRENT, strict=True)]
    (folder / name).write_text("\n".join([head, *rows[:300]]))
    return folder / name


def txt(folder):
    return csv(folder, "a.txt", "\t")


def hdf5(folder):
    with h5py.File(folder / "a.h5", "w") as file:
        file["volts"], file["current"], file.attrs["dt"] = VOLTS, CURRENT, 0.1
    return folder / "a.h5"


def nwb(folder):
    with h5py.File(folder / "a.nwb", "w") as file:
        file.attrs["nwb_version"] = "2.2.2"
        for place, kind in (
            ("acquisition", "CurrentClampSeries"),
            ("stimulus/presentation", "CurrentClampStimulusSeries"),
        ):
            series = file.create_group(f"{place}/{kind}_0")
            series.attrs["neurodata_type"], series.attrs["sweep_number"] = kind, 0
            series["data"] = VOLTS / 1000 if place == "acquisition" else CURRENT / 1e9
            series["starting_time"] = 0.0
            series["starting_time"].attrs["rate"] = 10000.0
    return folder / "a.nwb"


FORMATS = [abf, ibw, npz, csv, txt, hdf5, nwb]
places = st.floats(0, 1, exclude_max=True)
early = st.floats(0, 1, exclude_max=True).map(lambda share: share**4)  # headers lie at the beginning
flips = st.lists(st.tuples(places | early, st.integers(1, 255)), min_size=1, max_size=8)
damages = st.one_of(
    st.tuples(st.just("flip"), flips),
    st.tuples(st.just("cut"), places | early),
    st.tuples(st.just("extend"), st.binary(min_size=1, max_size=300)),
    st.tuples(st.just("drop"), st.tuples(places | early, st.integers(1, 64))),
    st.tuples(st.just("fill"), st.tuples(places | early, st.sampled_from([0, 127, 255]), st.integers(1, 64))),
)


def damaged(whole: bytes, how, what) -> bytes:
    held, size = bytearray(whole), len(whole)
    if how == "flip":
        for place, bits in what:
            held[int(place * size)] ^= bits
    elif how == "cut":
        del held[int(what * size) :]
    elif how == "extend":
        held += what
    elif how == "drop":
        del held[int(what[0] * size) : int(what[0] * size) + what[1]]
    else:
        place, value, count = what
        held[int(place * size) : int(place * size) + count] = bytes([value]) * count
    return bytes(held)


SPENT = []


@pytest.mark.parametrize("make", FORMATS)
def test_a_damaged_file_is_read_or_refused_in_one_sentence(make, tmp_path_factory):
    folder = tmp_path_factory.mktemp(make.__name__)
    path = make(folder)
    whole, began, used = path.read_bytes(), time.process_time(), resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    assert recordings.sweeps(path)[0].problem == ""

    @settings(max_examples=EXAMPLES, deadline=None, suppress_health_check=list(HealthCheck), database=None)
    @given(damages)
    def check(damage):
        path.write_bytes(damaged(whole, *damage))
        try:
            for sweep in recordings.sweeps(path):
                assert sweep.problem or np.isfinite([*sweep.mv, sweep.duration]).all()
        except MlfitError as error:
            told = str(error)
            assert told and "\n" not in told and len(told) < 600

    check()
    SPENT.append(time.process_time() - began)
    assert sum(SPENT) < MOST_SECONDS
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - used < MOST_KB


WRONG = {"empty": b"", "text": b"The quick brown fox\n" * 40, "zeros": bytes(8000), "zip": b"PK\x03\x04" + bytes(400)}


@pytest.mark.parametrize("suffix", [".abf", ".ibw", ".npz", ".csv", ".txt", ".h5", ".nwb"])
@pytest.mark.parametrize("content", WRONG)
def test_a_file_of_another_kind_is_refused_with_the_next_step(tmp_path, suffix, content):
    path = tmp_path / f"a{suffix}"
    path.write_bytes(WRONG[content])
    with pytest.raises(MlfitError, match=r"^a\.\w+: .*(copy it anew|the first line must name|save it as)"):
        recordings.sweeps(path)
