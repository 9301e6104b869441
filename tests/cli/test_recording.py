"""`nrn-mlfit recording`: the list, the piece, and what is said."""

import re

import numpy as np
import pytest
from click.testing import CliRunner

from nrn_mlfit import recordings, stimuli
from nrn_mlfit.cli import cli
from nrn_mlfit.errors import RecordingError


def run(*words):
    return CliRunner().invoke(cli, ["recording", *map(str, words)], catch_exceptions=False)


@pytest.fixture
def cell7(tmp_path):
    """1000 ms at 0.1 ms, a step of 200 pA from 200 to 700 ms and one spike at 300 ms."""
    time = np.arange(10000) * 0.1
    volts = np.where(np.abs(time - 300) < 1, 30.0, -70.0)
    path = tmp_path / "cell7.npz"
    np.savez(path, volts=volts, current=np.where((time >= 200) & (time < 700), 0.2, 0), dt=0.1)
    return path


def test_the_list_shows_every_sweep(cell7):
    assert run(cell7).output.splitlines() == [
        "cell7.npz: 1 sweep",
        "sweep  name       length ms  step ms  voltage mV     current pA",
        "0      cell7.npz  1000       0.1      -70.0 to 30.0  0.0 to 200.0",
        f"cut a piece to fit: nrn-mlfit recording {cell7} -o piece.npz",
    ]


def test_the_list_says_where_no_current_is_stored(tmp_path):
    np.savez(tmp_path / "a.npz", volts=np.full(100, -70.0), dt=0.1)
    assert run(tmp_path / "a.npz").output.splitlines()[2].endswith("-70.0 to -70.0  no current")


def test_the_piece_is_cut_around_the_change_and_can_be_used_at_once(cell7, tmp_path):
    out = tmp_path / "piece.npz"
    assert run(cell7, "-o", out).output.splitlines() == [
        f"{out}: 140 to 440 ms of cell7.npz",
        "3000 samples of 0.1 ms, -70.0 to 30.0 mV, 1 spike, 0.0 to 200.0 pA",
        "next: train on cells under its current, then fit it",
        f"  nrn-mlfit simulate CELL --stimulus {out} -n 2000 -o RUN",
        "  nrn-mlfit train RUN -o ENSEMBLE",
        f"  nrn-mlfit fit {out} -e ENSEMBLE -o FIT",
    ]
    assert stimuli.from_file(out).window.size == recordings.read(out).volts.size == 3000


@pytest.mark.parametrize(
    "words, wanted",
    [
        (("--start", 100, "--stop", 250), [100, 250]),
        (("--start", 100), [100, 400]),
        (("--start", 900), [900, 1000]),
        (("--stop", 250), [0, 250]),
    ],
)
def test_start_and_stop_say_what_is_cut(cell7, tmp_path, words, wanted):
    run(cell7, *words, "-o", tmp_path / "piece.npz")
    assert recordings.read(tmp_path / "piece.npz").source["origin"]["cut_ms"] == wanted


def test_a_piece_without_current_says_what_fit_will_need(tmp_path):
    np.savez(tmp_path / "a.npz", volts=np.full(1000, -70.0), dt=0.1)
    out = tmp_path / "piece.npz"
    assert run(tmp_path / "a.npz", "--stop", 50, "-o", out).output.splitlines()[-2:] == [
        "it holds no current: `nrn-mlfit fit` needs to be told which one flowed",
        f"  nrn-mlfit fit {out} -e ENSEMBLE --stimulus NAME -o FIT",
    ]


def test_help_shows_an_example():
    assert "nrn-mlfit recording cell7.nwb --sweep 5 -o piece.npz" in run("--help").output


PROBLEMS = [
    (("--start", 100), "--start and --stop say what to cut; say with -o OUT.npz where to write it"),
    (("--sweep", 3), "cell7.npz: there is no sweep 3; it holds one sweep (0)"),
    (
        ("--start", 900, "--stop", 1100, "-o", "OUT"),
        "cell7.npz: 900 to 1100 ms is no piece of its 0 to 1000 ms",
    ),
    (("-o", "FILE"), "FILE: is the recording itself; write the piece to another file"),
]


@pytest.mark.parametrize("words, text", PROBLEMS)
def test_bad_input_ends_in_one_sentence_and_writes_nothing(cell7, words, text):
    places = {"OUT": cell7.with_name("out.npz"), "FILE": cell7}
    before = cell7.read_bytes()
    with pytest.raises(RecordingError, match=f"^{re.escape(text.replace('FILE', str(cell7)))}$"):
        run(cell7, *(places.get(w, w) for w in words))
    assert [p.name for p in cell7.parent.iterdir()] == ["cell7.npz"] and cell7.read_bytes() == before
