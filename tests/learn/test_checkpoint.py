"""The folder of a training that may be broken off: one process has it, and nobody's files go with those of one that ends."""

import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, suppress

import pytest

from nrn_mlfit.errors import EnsembleError, MachineError, ShardError
from nrn_mlfit.learn.checkpoint import Checkpoints


@pytest.fixture
def checkpoints(tmp_path):
    return Checkpoints(tmp_path / "ensemble")


def files(folder):
    return sorted(path.name for path in folder.iterdir())


def test_what_is_unfinished_stays_and_what_is_finished_goes(checkpoints, tmp_path):
    with ExitStack() as alone:
        checkpoints.begin({"seed": 1}, 1, alone)
        (checkpoints.folder / "member-0.pt").write_bytes(b"half")
    assert files(checkpoints.folder) == ["member-0.pt", "training.json"]
    with ExitStack() as alone:
        checkpoints.begin({"seed": 1}, 1, alone)
        checkpoints.remove()
    assert files(tmp_path) == []


def test_another_training_is_refused_and_nothing_is_touched(checkpoints):
    with ExitStack() as alone:
        checkpoints.begin({"seed": 1}, 1, alone)
    with pytest.raises(EnsembleError) as error, ExitStack() as alone:
        checkpoints.begin({"seed": 2}, 1, alone)
    assert str(error.value) == (
        f"{checkpoints.folder}: holds an unfinished training with other traces or settings; give its command again to go on, "
        "delete the folder, or name another ensemble with -o"
    )
    assert files(checkpoints.folder) == ["training.json"]


def test_with_another_number_of_threads_it_goes_on_and_all_of_them_are_told(checkpoints):
    told = []
    for threads in (2, 1, 2):
        with ExitStack() as alone:
            told.append(checkpoints.begin({"seed": 1}, threads, alone))
    assert told == [[2], [2, 1], [2, 1]]


def test_one_that_is_ending_still_holds_the_folder(checkpoints):
    """From the removal of its files to its end: a second training that began there would lose its own files and its lock."""
    with ExitStack() as alone:
        checkpoints.begin({}, 1, alone)
        checkpoints.remove()
        with pytest.raises(ShardError, match="is writing there"), ExitStack() as other:
            checkpoints.begin({}, 1, other)


def test_who_comes_when_the_ensemble_is_there_does_not_train_it_again(checkpoints, tmp_path):
    (tmp_path / "ensemble").mkdir()
    (tmp_path / "ensemble" / "ensemble.json").write_text("{}")
    with pytest.raises(MachineError, match="already there and not empty"), ExitStack() as alone:
        checkpoints.begin({}, 1, alone)
    assert files(tmp_path) == ["ensemble"]


def test_of_many_who_come_and_end_at_once_there_is_never_more_than_one(checkpoints, tmp_path):
    """mkdir of what another made would raise. The kernel's lock is one of open files, so threads stand for processes."""
    inside = tmp_path / "inside"

    def come_and_go(_):
        for _ in range(150):
            with suppress(ShardError), ExitStack() as alone:
                checkpoints.begin({}, 1, alone)
                inside.mkdir()
                time.sleep(0.001)
                inside.rmdir()
                checkpoints.remove()

    with ThreadPoolExecutor(4) as crowd:
        list(crowd.map(come_and_go, range(4)))
    assert files(tmp_path) == []
