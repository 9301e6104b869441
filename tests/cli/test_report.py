"""`nrn-mlfit report`: the page of a folder that `fit` made, and what is said where it cannot be made."""

import base64
import io
import json
import os
import re
import shutil
import zipfile
from html import unescape

import numpy as np
import pytest

from nrn_mlfit import around, cells, comparison
from nrn_mlfit.recordings import read
from nrn_mlfit.simulator import Session

FIGURES = ("rms", "spikes_recorded", "spikes_simulated", "coincidence")


@pytest.fixture(scope="module")
def folder(command, izhikevich_run, tmp_path_factory):
    """A fit of a simulated cell by the ensemble that comes with the package."""
    made = tmp_path_factory.mktemp("fits") / "cell 3"
    done = command("fit", izhikevich_run / "shard-0000000000.h5", "--sweep", 3, "-e", "izhikevich", "-o", made)
    assert done.returncode == 0, done.stderr
    return made


@pytest.fixture(scope="module")
def text(command, folder):
    done = command("report", folder)
    assert done.returncode == 0, done.stderr
    assert re.fullmatch(rf"{re.escape(str(folder / 'report.html'))}: \d\.\d MB\n", done.stdout)
    return (folder / "report.html").read_text(encoding="utf-8")


@pytest.fixture
def copy(folder, tmp_path):
    """A copy of the fit, to be spoilt."""
    shutil.copytree(folder, tmp_path / "fit", ignore=shutil.ignore_patterns("report.html"))
    return tmp_path / "fit"


def sentence(done):
    assert done.returncode == 2 and done.stdout == ""
    return re.fullmatch(r"(?:nrn-mlfit: )?(.*)\n", done.stderr)[1]


def downloads(text):
    """What the links of a page save: names and bytes."""
    for name, held in re.findall(r'download="([^"]+)" href="data:[^,]+,([^"]+)"', text):
        yield name, base64.b64decode(held)


def test_a_fit_keeps_what_its_page_needs(folder, izhikevich_run):
    held = json.loads((folder / "fit.json").read_text())
    told = held["provenance"]
    shard = izhikevich_run / "shard-0000000000.h5"
    assert told["command"] == f"nrn-mlfit fit {shard} --sweep 3 -e izhikevich -o '{folder}'"
    assert set(told["evaluation"]["r2"]) == {"a", "b", "c", "d"} and told["evaluation"]["traces"] == 20000
    assert told["made"][0].startswith("nrn-mlfit simulate izhikevich")
    assert max(held["alarm"]["signals"].values()) == pytest.approx(held["score"], rel=1e-4)
    assert len(held["alarm"]["signals"]) == 10 and held["alarm"]["threshold"] > 0


def test_the_kept_traces_are_those_that_were_compared(folder):
    recording, simulated = read(folder / "recording.npz"), read(folder / "simulated.npz")
    unit = json.loads((folder / "fit.json").read_text())["provenance"]["simulation"]["current_unit"]
    assert comparison.compare(recording, simulated.volts, unit) == comparison.load(folder / "comparison.json")
    assert np.array_equal(recording.currents, simulated.currents)
    expected = np.loadtxt(folder / "expected.txt")
    wanted = json.loads((folder / "fit.json").read_text())["provenance"]["simulation"]
    assert np.array_equal(expected[:: wanted["substeps"]][wanted["start"] :], simulated.volts[0, 0])


def test_the_page_says_what_the_folder_holds(folder, text):
    words = " ".join(unescape(re.sub(r"<[^>]*>", " ", text)).split())
    fit, found = (json.loads((folder / name).read_text()) for name in ("fit.json", "comparison.json"))
    assert all(key in found for key in FIGURES)
    assert f"rms difference {found['rms']:.2f} mV" in words
    assert f"spikes recorded {found['spikes_recorded']} " in words
    assert f"spikes in the fitted cell {found['spikes_simulated']} " in words
    assert f"coincidence {found['coincidence']:.2f} " in words
    assert f"Score {fit['score']:.2f}, alarm from {fit['alarm']['threshold']:.2f}" in words
    for value in fit["values"]:
        assert f"R2 {fit['provenance']['evaluation']['r2'][value['name']]:.2f}" in words
    for held in (fit["provenance"]["cell_hash"], fit["provenance"]["command"], f"nrn-mlfit report '{folder}'"):
        assert held in words


def test_what_is_downloaded_are_the_folder_s_files(folder, text):
    links = dict(downloads(text))
    packed = zipfile.ZipFile(io.BytesIO(links.pop("izhikevich_fitted_to_shard_0000000000_h5__sweep_3.zip")))
    wanted = {"fit.hoc", "fitted_cell.hoc", "izhikevich.hoc", "mod/izhikevich.mod", "stimulus0.txt", "expected.txt"}
    wanted |= {"fit.json", "comparison.json", "recording.npz", "simulated.npz"}
    assert wanted <= set(packed.namelist())
    for name in packed.namelist():
        assert packed.read(name) == (folder / name).read_bytes(), name
    assert {"fit.hoc", "fitted_cell.hoc", "fit.json"} <= set(links)
    for name, held in links.items():
        (path,) = [p for p in folder.rglob(name) if "x86_64" not in p.parts]
        assert held == path.read_bytes(), name


def test_the_page_is_one_small_file(text):
    assert len(text.encode()) < 5_000_000
    assert not re.search(r'(?:src|href|action|data)="(?!#|data:)', text)


@pytest.mark.parametrize("ending, head", [(".png", b"\x89PNG"), (".pdf", b"%PDF"), (".svg", b"<?xml")])
def test_a_picture_s_name_gives_the_picture(command, folder, tmp_path, ending, head):
    done = command("report", folder, "-o", tmp_path / f"fit{ending}")
    assert done.returncode == 0, done.stderr
    held = (tmp_path / f"fit{ending}").read_bytes()
    assert held.startswith(head)
    assert ending != ".png" or held == (folder / "fit.png").read_bytes()


def test_another_ending_is_refused(command, folder, tmp_path):
    assert sentence(command("report", folder, "-o", tmp_path / "fit.doc")) == (
        f"{tmp_path / 'fit.doc'}: a page's name ends in .html, a picture's in .png, .pdf, .svg; choose one of them"
    )


def test_what_is_no_fit_is_refused(command, tmp_path):
    assert sentence(command("report", tmp_path)) == (
        f"{tmp_path}: holds no fit (no fit.json); make one with `nrn-mlfit fit`"
    )
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("name", ["simulated.npz", "comparison.json", "expected.txt"])
def test_what_neuron_can_make_again_is_asked_for(command, copy, name):
    os.remove(copy / name)
    assert sentence(command("report", copy)) == f"{copy}: {name} is missing; `nrn-mlfit resimulate {copy}` makes it"
    assert not (copy / "report.html").exists()


@pytest.mark.parametrize("name", ["recording.npz", "fit.hoc", "fitted_cell.hoc"])
def test_what_is_lost_is_named(command, copy, name):
    os.remove(copy / name)
    assert sentence(command("report", copy)) == f"{copy}: {name} is missing; copy the whole folder, or fit again"


def test_a_damaged_comparison_is_refused(command, copy):
    (copy / "comparison.json").write_text('{"rms": 1.0}')
    assert re.fullmatch(
        r".*comparison\.json: is no comparison \(.*\); `nrn-mlfit resimulate .*` makes it anew",
        sentence(command("report", copy)),
    )


def test_traces_of_another_fit_are_refused(command, copy):
    recording = read(copy / "recording.npz")
    recording.cut(0, 100).save(copy / "simulated.npz")
    assert sentence(command("report", copy)) == (
        f"{copy}: simulated.npz is not of its recording.npz; `nrn-mlfit resimulate {copy}` makes it anew"
    )


def test_resimulating_makes_what_is_missing(command, copy):
    for name in ("simulated.npz", "comparison.json", "expected.txt"):
        os.remove(copy / name)
    assert command("resimulate", copy).returncode == 0
    assert command("report", copy).returncode == 0


def test_the_cells_around_a_fit_are_run_drawn_and_shown(command, copy):
    done = command("around", copy, "-n", 3, "--within", 5, "--seed", 2, "--pictures", "svg")
    assert done.returncode == 0, done.stderr
    held = around.load(copy / "around.npz")
    values = json.loads((copy / "fit.json").read_text())["values"]
    shares = (held.phys_par - [v["value"] for v in values]) / [v["high"] - v["low"] for v in values]
    assert shares.shape == (3, 4) and 0 < np.abs(shares).max() <= 0.05 + 1e-9  # all ranges of this cell are linear
    session = Session(cells.load("izhikevich"))
    for row, volts in zip(held.phys_par, held.volts, strict=True):
        session.set(row)
        own = session.run(session.model.protocol.stimuli[0])[0]
        assert np.array_equal(own[-volts.shape[-1] :].astype(np.float32), volts[0, 0])
    told = json.loads((copy / "comparison.json").read_text())
    assert "3 cells, each parameter within 5% of its range around the fitted value (seed 2)" in done.stdout
    assert (
        f"spikes: {told['spikes_recorded']} recorded, {told['spikes_simulated']} fitted cell; around it" in done.stdout
    )
    assert (copy / "around.svg").read_text().startswith("<?xml")
    assert command("report", copy).returncode == 0
    assert "3 cells with each parameter within 5% of its range" in (copy / "report.html").read_text(encoding="utf-8")


def test_cells_around_another_recording_are_refused(command, copy):
    held = around.Around(("a",), np.zeros((1, 1)), np.zeros((1, 1, 1, 5), np.float32), 10.0, 1, 1)
    held.save(copy / "around.npz")
    assert sentence(command("report", copy)) == (
        f"{copy}: around.npz is not of its recording.npz; `nrn-mlfit around {copy}` makes it anew"
    )
    (copy / "around.npz").write_bytes(b"no zip")
    assert re.fullmatch(r".*around\.npz: does not hold the cells .*makes it anew", sentence(command("report", copy)))


def test_a_fit_whose_hoc_was_changed_by_hand_has_no_cells_around(command, copy):
    path = copy / "fitted_cell.hoc"
    path.write_text(path.read_text().replace("    // b\n", ""))
    assert sentence(command("around", copy)) == f"{path}: sets no b any more, as `fit` writes it; fit again"
    assert not (copy / "around.npz").exists()


def test_what_nrnivmodl_built_there_stays_out_of_the_page(command, copy):
    (copy / "x86_64").mkdir()
    (copy / "x86_64" / "special").write_bytes(b"x" * 1000)
    assert command("report", copy).returncode == 0
    assert "special" not in (copy / "report.html").read_text()
