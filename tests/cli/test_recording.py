"""`nrn-mlfit recording`: the list, the piece, and what is said."""

import json
import re
from pathlib import Path

import h5py
import numpy as np
import pytest
from click.testing import CliRunner

from nrn_mlfit import recordings, stimuli
from nrn_mlfit.cli import cli
from nrn_mlfit.errors import MlfitError

TOP = Path(__file__).parents[2]


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
        "sweep  name       protocol  kHz  ms    rest mV  spikes  current pA             R MOhm  tau ms  fit?",
        "0      cell7.npz  step      10   1000  -70.0    1       200.0       commanded  -       -       no",
        "not good enough to fit:",
        "  sweep 0: 1 spike with a flat top: clipped by the amplifier",
        f"none of them should be fitted; see why: nrn-mlfit recording {cell7} --sheet cell7.png",
    ]


def test_the_list_says_where_no_current_is_stored(tmp_path):
    np.savez(tmp_path / "a.npz", volts=np.full(100, -70.0), dt=0.1)
    row = run(tmp_path / "a.npz").output.splitlines()[2].split()
    assert row == ["0", "a.npz", "none", "10", "10", "-70.0", "0", "none", "-", "-", "yes"]


def test_only_a_sweep_that_passes_the_checks_is_proposed_for_cutting(tmp_path):
    time = np.arange(20000) * 0.05
    noise, current = np.random.default_rng(4).standard_normal(time.size), np.where(time > 300, 100.0, 0.0)
    path = several(tmp_path, (-70 + noise, current), (-70 + 0.05 * noise, 0 * current), (-70 + 0.05 * noise, current))
    assert run(path).output.splitlines()[-1] == (
        f"cut a piece to fit: nrn-mlfit recording {path} --sweep 2 -o piece.npz"
    )


def test_a_piece_is_not_cut_again_but_used(tmp_path):
    time = np.arange(20000) * 0.05
    volts = -70 + 0.05 * np.random.default_rng(4).standard_normal(time.size)
    out = tmp_path / "piece.npz"
    run(several(tmp_path, (volts, np.where(time > 300, 100.0, 0.0))), "-o", out)
    lines = run(out).output.splitlines()
    assert lines[-1] == f"  nrn-mlfit fit {out} -e ENSEMBLE -o FIT" and not any("cut a piece" in line for line in lines)


def test_the_current_of_steps_is_what_they_step_to(tmp_path):
    """Not the lowest and the highest sample: noise, a test pulse of 10 ms and the holding current are no amplitude."""
    time, rng = np.arange(20000) * 0.05, np.random.default_rng(5)
    volts = -70 + 0.05 * rng.standard_normal(time.size)
    current = np.select([time < 100, time < 110, time < 300, time < 500, time < 700], [-20, 300, -20, 150, -20], -100.0)
    path = several(tmp_path, (volts, current + rng.standard_normal(time.size)))
    (sweep,) = json.loads(run(path, "--json").output)
    assert sweep["steps_pa"] == pytest.approx([150, -100], abs=0.5)
    assert re.search(r"  1(50\.\d|49\.\d), -(100|99)\.\d  measured", run(path).output)


def test_json_is_a_list_with_the_sweep_first(cell7):
    (sweep,) = json.loads(run(cell7, "--json").output)
    assert list(sweep)[:7] == ["sweep", "name", "protocol", "rate_khz", "length_ms", "rest_mv", "spikes"]
    assert (sweep["sweep"], sweep["protocol"], sweep["rate_khz"], sweep["length_ms"]) == (0, "step", 10, 1000)
    assert (sweep["rest_mv"], sweep["spikes"], sweep["current_source"]) == (-70, 1, "commanded")
    assert sweep["current_pa"] == [0, 200] and sweep["voltage_mv"] == [-70, 30]
    assert sweep["quality"]["clipped"] == 1 and sweep["fails"] and sweep["warnings"] == [] and sweep["problem"] is None


def several(folder, *pieces):
    """An NWB file with a sweep for each (volts in mV, current in pA), of 20 kHz."""
    path = folder / "several.nwb"
    with h5py.File(path, "w") as file:
        file.attrs["nwb_version"] = "2.2.2"
        for k, (volts, current) in enumerate(pieces):
            for place, kind, values in (
                ("acquisition", "CurrentClampSeries", volts),
                ("stimulus/presentation", "CurrentClampStimulusSeries", current),
            ):
                series = file.create_group(f"{place}/{kind}_{k}")
                series.attrs["neurodata_type"] = kind
                series["data"] = np.asarray(values) * (1e-3 if place == "acquisition" else 1e-12)
                series["starting_time"] = 0.0
                series["starting_time"].attrs["rate"] = 20000.0
    return path


@pytest.fixture
def mixed(tmp_path):
    """A step, a ramp, and a sweep with a gap."""
    time = np.arange(20000) * 0.05
    volts = -70 + 0.05 * np.random.default_rng(2).standard_normal(time.size)
    step, ramp = np.where((time > 300) & (time < 800), 100.0, 0.0), np.clip(time - 300, 0, 400)
    return several(tmp_path, (volts, step), (volts, ramp), (np.where(time > 500, np.nan, volts), step))


def test_the_documentation_names_the_keys_of_the_json(cell7):
    (sweep,) = json.loads(run(cell7, "--json").output)
    text = (TOP / "docs" / "recordings.md").read_text()
    table = text[text.index("| `sweep`, `name`") : text.index("## Formats")]
    firsts = [line.split("|")[1] for line in table.splitlines() if line.startswith("|")]
    assert sorted(re.findall(r"`(\w+)`", " ".join(firsts))) == sorted(sweep)


def test_mixed_protocols_and_sweeps_that_cannot_be_read_are_said(mixed):
    lines = run(mixed).output.splitlines()
    assert "2: the voltage is nan at sample 10001 (500.05 ms); use a stretch without gaps (--window)" in lines
    assert "several.nwb: mixes protocols: step (sweep 0), ramp (sweep 1); take one of them with --sweep" in lines
    found = json.loads(run(mixed, "--json").output)
    assert [sweep["protocol"] for sweep in found] == ["step", "ramp", None]
    assert found[2]["problem"].startswith("the voltage is nan") and found[2]["quality"] is None
    (read,) = json.loads(run(mixed, "--json", "--sweep", 2, "--window", 0, 500).output)
    assert read["sweep"] == 2 and read["length_ms"] == 500


def test_of_many_sweeps_the_first_fifty_are_shown(tmp_path):
    path = several(tmp_path, *((np.full(200, -70.0 + 0.01 * k), np.zeros(200)) for k in range(60)))
    lines = run(path).output.splitlines()
    assert (
        lines[0] == "several.nwb: 60 sweeps, the first 50 are shown" and sum("CurrentClamp" in x for x in lines) == 50
    )
    assert len(json.loads(run(path, "--json").output)) == 60


def test_remarks_that_differ_in_figures_are_one_line(tmp_path):
    rng = np.random.default_rng(3)
    current = np.where(np.arange(20000) > 10000, 100.0, 0.0)
    path = several(tmp_path, *((-70 + size * rng.standard_normal(20000), current) for size in (0.1, 0.2, 0.15)))
    (line,) = [line for line in run(path).output.splitlines() if "the alarm hears it" in line]
    assert re.match(r"  sweep 0-2 \(most in 1\): noise of (0\.19|0\.2)", line)


@pytest.mark.parametrize("suffix", ["png", "svg", "pdf"])
def test_the_sheet_is_drawn(mixed, tmp_path, suffix):
    sheet = tmp_path / f"sheet.{suffix}"
    assert run(mixed, "--sheet", sheet).output.splitlines()[-1] == f"all sweeps drawn: {sheet}"
    assert sheet.read_bytes().startswith({"png": b"\x89PNG", "svg": b"<?xml", "pdf": b"%PDF"}[suffix])
    if suffix == "svg":
        assert "sweep 0   step, 0 spikes" in sheet.read_text() and "sweep 1   ramp" in sheet.read_text()


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
        (("--window", 100, 250), [100, 250]),
        (("--window", 0, 1000), [0, 1000]),
    ],
)
def test_the_window_says_what_is_cut(cell7, tmp_path, words, wanted):
    run(cell7, *words, "-o", tmp_path / "piece.npz")
    assert recordings.read(tmp_path / "piece.npz").source["origin"]["cut_ms"] == wanted


def test_a_piece_without_current_says_what_fit_will_need(tmp_path):
    np.savez(tmp_path / "a.npz", volts=np.full(1000, -70.0), dt=0.1)
    out = tmp_path / "piece.npz"
    assert run(tmp_path / "a.npz", "--window", 0, 50, "-o", out).output.splitlines()[-2:] == [
        "it holds no current: `nrn-mlfit fit` needs to be told which one flowed",
        f"  nrn-mlfit fit {out} -e ENSEMBLE --stimulus NAME -o FIT",
    ]


def test_help_shows_an_example():
    assert "nrn-mlfit recording cell7.nwb --sweep 5 -o piece.npz" in run("--help").output


PROBLEMS = [
    (
        ("-o", "OUT", "--json"),
        "-o writes a piece of one sweep; --json and --sheet show the file: ask for them without -o",
    ),
    (("--sheet", "sheet.gif"), "sheet.gif: a picture's name ends in .png, .pdf, .svg; choose one of them"),
    (("--sweep", 3), "cell7.npz: there is no sweep 3; it holds one sweep (0)"),
    (
        ("--window", 900, 1100, "-o", "OUT"),
        "cell7.npz: 900 to 1100 ms is no piece of its 0 to 1000 ms; change --window",
    ),
    (("-o", "FILE"), "FILE: is the recording itself; write the piece to another file"),
]


@pytest.mark.parametrize("words, text", PROBLEMS)
def test_bad_input_ends_in_one_sentence_and_writes_nothing(cell7, words, text):
    places = {"OUT": cell7.with_name("out.npz"), "FILE": cell7}
    before = cell7.read_bytes()
    with pytest.raises(MlfitError, match=f"^{re.escape(text.replace('FILE', str(cell7)))}$"):
        run(cell7, *(places.get(w, w) for w in words))
    assert [p.name for p in cell7.parent.iterdir()] == ["cell7.npz"] and cell7.read_bytes() == before
