"""examples/plugin_package, installed as pip does it: cell and ensemble are known by name, and broken packages hide nothing."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from nrn_mlfit import cells, packages, shards

TOP = Path(__file__).parents[2]
EXAMPLE = TOP / "examples" / "plugin_package"


@pytest.fixture(scope="module")
def site(tmp_path_factory):
    """A folder with the package in it, built and installed without a network."""
    folder = tmp_path_factory.mktemp("site")
    copy = tmp_path_factory.mktemp("source") / "package"  # setuptools builds beside its sources
    subprocess.run(["cp", "-r", EXAMPLE, copy], check=True)
    words = ["install", "--quiet", "--no-deps", "--no-build-isolation", "--no-index", "--target", folder, copy]
    done = subprocess.run([sys.executable, "-m", "pip", *map(str, words)], capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stderr
    return folder


def others(folder, name, package, group="cells", value="nowhere:NOTHING"):
    """A package in a site folder, as its metadata have it."""
    held = folder / f"{package}-1.0.dist-info"
    held.mkdir(parents=True)
    (held / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {package}\nVersion: 1.0\n")
    (held / "entry_points.txt").write_text(f"[nrn_mlfit.{group}]\n{name} = {value}\n")


@pytest.fixture
def run(command, site):
    def with_sites(*words, sites=(), **settings):
        paths = [str(site), *map(str, sites), *filter(None, [os.environ.get("PYTHONPATH")])]
        return command(*words, env={"PYTHONPATH": os.pathsep.join(paths)}, **settings)

    return with_sites


def test_everything_of_the_example_is_installed(site):
    wanted = {p.relative_to(EXAMPLE) for p in (EXAMPLE / "morris_lecar_cells").rglob("*") if p.is_file()}
    wanted = {path for path in wanted if "__pycache__" not in path.parts}
    assert len(wanted) > 10 and all((site / path).is_file() for path in wanted)
    assert sum((EXAMPLE / path).stat().st_size for path in wanted) < 300_000


def test_the_ensemble_is_of_the_cell_as_it_is():
    """The hash of a cell changes with its files, its parameters and its stimulus."""
    held = json.loads((EXAMPLE / "morris_lecar_cells" / "ensemble" / "ensemble.json").read_text())
    assert held["record"]["cell_hash"] == cells.load(EXAMPLE / "morris_lecar_cells" / "cell").digest()


def test_cell_and_ensemble_are_known_by_name(run, tmp_path):
    listed = run("cells")
    assert "\nmorris_lecar " in listed.stdout and not listed.stderr
    assert "\nensembles of morris_lecar_cells (-e NAME): morris_lecar\n" in listed.stdout
    assert "template MorrisLecar" in run("cells", "show", "morris_lecar").stdout
    made = run("simulate", "morris_lecar", "-n", "5", "--seed", "9", "-o", tmp_path / "run", timeout=300)
    assert made.returncode == 0, made.stderr
    row = tmp_path / "run" / shards.name_of(0)
    named = run("fit", row, "--sweep", "3", "-e", "morris_lecar", "-o", tmp_path / "named", timeout=300)
    assert named.returncode == 0, named.stderr
    found = run("fit", row, "--sweep", "3", "-o", tmp_path / "found", timeout=300)
    assert found.stdout.startswith("ensemble: morris_lecar, of morris_lecar (comes with morris_lecar_cells)\n"), found
    both = [json.loads((tmp_path / name / "fit.json").read_text())["values"] for name in ("named", "found")]
    assert both[0] == both[1] and [value["name"] for value in both[0]] == ["gca", "gk", "phi"]
    told = run("fit", row, "--sweep", "3", "-e", "morris", "-o", tmp_path / "none").stderr
    assert "; those that come with morris_lecar_cells are morris_lecar; train one" in told


def test_two_packages_with_one_name_are_both_named(run, tmp_path):
    others(tmp_path / "a", "morris_lecar", "another_lab")
    others(tmp_path / "b", "morris_lecar", "yet_another_lab", "ensembles")
    done = run("cells", sites=[tmp_path / "a", tmp_path / "b"])
    assert done.returncode == 0 and "\nmainen " in done.stdout
    assert (
        "the packages morris_lecar_cells and yet_another_lab both have an ensemble morris_lecar; that of morris_lecar_cells is "
        "taken: uninstall one, or use the other by its path"
    ) in done.stderr
    # another_lab comes first by the alphabet, but does not load: the other one has the name
    assert (
        "cell morris_lecar of the package another_lab does not load: No module named 'nowhere'; mend or" in done.stderr
    )
    assert "/morris_lecar_cells/cell/morris_lecar.yaml" in done.stdout


def test_a_shipped_name_stays_and_a_broken_package_hides_nothing(run, tmp_path):
    others(tmp_path / "a", "mainen", "thief")
    others(tmp_path / "b", "lost", "broken_lab", "ensembles")
    done = run("cells", sites=[tmp_path / "a", tmp_path / "b"])
    assert (
        "the package thief calls a cell mainen, as one that comes with nrn_mlfit is called, which stays; use the cell of thief "
        "by its path"
    ) in done.stderr
    assert "ensemble lost of the package broken_lab does not load: No module named 'nowhere'" in done.stderr
    for name in ("mainen", "morris_lecar"):
        assert f"\n{name} " in done.stdout
    assert "(-e NAME): ball_two_sticks, " in done.stdout and "morris_lecar_cells (-e NAME)" in done.stdout


def test_a_package_that_ends_python_ends_no_command(run, tmp_path):
    others(tmp_path / "a", "leaver", "leaving_lab", value="leaving:CELL")
    (tmp_path / "a" / "leaving.py").write_text("import sys\nsys.exit('usage: leaving FILE')\n")
    done = run("cells", sites=[tmp_path / "a"])
    assert done.returncode == 0 and "\nmorris_lecar " in done.stdout
    assert (
        "cell leaver of the package leaving_lab does not load: it ends Python (sys.exit(usage: leaving FILE)); mend or "
        "uninstall it"
    ) in done.stderr


def test_a_relative_path_is_not_taken_from_the_working_folder(run, tmp_path, monkeypatch):
    others(tmp_path / "a", "near", "near_lab", value="near:CELL")
    (tmp_path / "a" / "near.py").write_text("CELL = 'near/cell.yaml'\n")
    (tmp_path / "near").mkdir()
    (tmp_path / "near" / "cell.yaml").write_text((cells.shipped_folder("hoc") / "mainen.yaml").read_text())
    monkeypatch.chdir(tmp_path)
    done = run("cells", sites=[tmp_path / "a"])
    assert done.returncode == 0 and "\nnear " not in done.stdout and "\nmorris_lecar " in done.stdout
    assert (
        "cell near of the package near_lab does not load: the path near/cell.yaml is relative, and is to be made of the "
        "package's __file__; mend or uninstall it"
    ) in done.stderr


def test_two_packages_that_load_share_no_name(monkeypatch, recwarn):
    """Whatever order the packages are found in, the first by the alphabet has the name."""
    from importlib.metadata import EntryPoint

    class Found(EntryPoint):
        def load(self):
            return f"/{self.value}"

    held = [Found("cell_x", f"{package}:X", "nrn_mlfit.cells") for package in ("b_lab", "a_lab")]
    for order in (held, held[::-1]):
        monkeypatch.setattr(packages, "entry_points", lambda group, order=order: order)
        found = packages.offered("cell", ())
        assert found == {"cell_x": packages.Offer(Path("/a_lab:X"), "a_lab")}
    assert {str(one.message) for one in recwarn} == {
        "the packages a_lab and b_lab both have a cell cell_x; that of a_lab is taken: uninstall one, or use the "
        "other by its path"
    }
