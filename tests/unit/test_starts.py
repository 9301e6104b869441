"""When sweeps began, by their files' clocks; what a file does not know is not made up."""

import struct

import numpy as np
import pytest

from nrn_mlfit import recordings
from nrn_mlfit.recordings import Recording, starts
from tests.writers import axon


def sources(*held):
    return [Recording(np.full(9, -70.0), None, 0.1, "a", source) for source in held]


def test_abf_1_sweeps_begin_where_the_synch_array_says(tmp_path):
    """12.5 us a count (fSynchTimeUnit, byte 130): 240000 counts are 3 s."""
    sweeps = np.full((3, 200), -70.0) + 0.1 * np.random.default_rng(1).standard_normal((3, 200))
    path = axon.whole(tmp_path / "a.abf", sweeps)
    image = bytearray(path.read_bytes())
    image += bytes(-len(image) % 512)
    struct.pack_into("<2i", image, 92, len(image) // 512, 3)
    struct.pack_into("<f", image, 130, 12.5)
    image += struct.pack("<6i", 0, 200, 240_000, 200, 560_000, 200)
    path.write_bytes(image)
    assert starts.seconds(recordings.read_all(path)) == pytest.approx([0, 3, 7])


def test_dates_tell_how_far_apart_files_are():
    made = sources(
        {"start_s": 1.0, "since": "2020-01-31T23:59:58"}, {"start_s": 0.5, "since": "2020-02-01T00:01:00.250"}
    )
    assert starts.seconds(made) == pytest.approx([0, 61.75])


@pytest.mark.parametrize(
    "held",
    [
        [{"start_s": 0.0, "file": "a"}, {"file": "a"}],  # one is not known
        [{"start_s": 0.0, "file": "a"}, {"start_s": 0.0, "file": "a"}],  # all alike
        [{"start_s": 0.0, "file": "a"}, {"start_s": 3.0, "file": "b"}],  # two clocks that nothing connects
        [{"start_s": 0.0, "since": "2020-01-01T00:00:00"}, {"start_s": 0.0, "since": "2020-01-01T01:00:00+02:00"}],
    ],
)
def test_what_is_not_known_is_not_made_up(held):
    assert starts.seconds(sources(*held)) is None


def test_files_are_put_in_order_of_time_where_it_is_known():
    dates = ["2020-01-01T12:00:00", "2020-01-01T11:00:00", "2020-01-02T01:00:00"]
    assert starts.order(sources(*({"start_s": 1.0, "since": date} for date in dates))) == [1, 0, 2]
    assert starts.order(sources({"start_s": 1.0, "since": dates[0]}, {"since": dates[1]})) == [0, 1]
