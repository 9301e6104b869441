"""`nrn-mlfit report`: the page of a folder that `fit` made, and what is said where it cannot be made."""

import base64
import io
import json
import os
import re
import shutil
import zipfile
from dataclasses import asdict
from html import unescape

import numpy as np
import pytest

from nrn_mlfit.recordings import read
from nrn_mlfit.resimulate import compare

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
    found = asdict(compare(recording.volts, simulated.volts, recording.dt))
    assert found == json.loads((folder / "comparison.json").read_text())
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


def test_what_nrnivmodl_built_there_stays_out_of_the_page(command, copy):
    (copy / "x86_64").mkdir()
    (copy / "x86_64" / "special").write_bytes(b"x" * 1000)
    assert command("report", copy).returncode == 0
    assert "special" not in (copy / "report.html").read_text()
