"""What is in the tree gets into the wheel."""

import configparser
import itertools
import re
import subprocess
import sys
from fnmatch import fnmatch
from pathlib import Path

import pytest

import nrn_mlfit

TOP = Path(__file__).parents[1]
SETUP = configparser.ConfigParser()
SETUP.read(TOP / "setup.cfg")
DATA = {name.strip(): value.split() for name, value in SETUP["options.package_data"].items()}
FOLDERS = {"nrn_mlfit.hoc": "hoc", "nrn_mlfit.mod": "mod"}


def test_every_folder_with_code_is_a_package():
    packages = set(SETUP["options"]["packages"].split())
    found = {".".join(p.parent.relative_to(TOP).parts) for p in (TOP / "nrn_mlfit").rglob("__init__.py")}
    assert packages == found | set(FOLDERS)


@pytest.mark.parametrize("package", ["nrn_mlfit.hoc", "nrn_mlfit.mod", "nrn_mlfit.learn", "nrn_mlfit.report"])
def test_every_data_file_is_package_data(package):
    folder = TOP / FOLDERS.get(package, package.replace(".", "/"))
    files = [p for p in folder.rglob("*") if p.is_file() and p.suffix in (".hoc", ".mod", ".yaml", ".html")]
    assert files
    for path in files:
        name = str(path.relative_to(folder))
        assert any(fnmatch(name, glob) and name.count("/") == glob.count("/") for glob in DATA[package]), name


@pytest.mark.parametrize("name", ["hoc", "mod"])
def test_hoc_and_mod_are_not_imported_from_the_top(name):
    done = subprocess.run([sys.executable, "-c", f"import {name}"], cwd=TOP, capture_output=True, text=True)
    assert "ImportError" in done.stderr


def test_versions_agree():
    assert f"version: {nrn_mlfit.__version__}" in (TOP / "CITATION.cff").read_text().replace('"', "")
    assert re.search(rf"^## {re.escape(nrn_mlfit.__version__)}\b", (TOP / "CHANGELOG.md").read_text(), re.MULTILINE)


def test_pytorch_is_pinned():
    assert re.search(r"^torch==[\d.]+$", (TOP / "constraints.txt").read_text(), re.MULTILINE)


def test_nothing_of_a_machine_or_a_run_is_tracked():
    if not (TOP / ".git").exists():
        pytest.skip("not a git checkout")
    done = subprocess.run(["git", "ls-files"], cwd=TOP, capture_output=True, text=True, check=True)
    for name in done.stdout.split():
        assert not re.search(r"(^|/)(x86_64|build|dist|__pycache__|\.venv|demo)/", name), name
        assert (TOP / name).stat().st_size < 2_000_000, name


def test_every_library_that_is_imported_is_required():
    extras = (SETUP["options.extras_require"][extra].split() for extra in ("abf", "efel", "igor", "mpi"))
    lines = [*SETUP["options"]["install_requires"].split(), *itertools.chain(*extras)]
    required = {re.split(r"[^\w-]", line)[0].lower() for line in lines}
    text = "\n".join(path.read_text() for path in (TOP / "nrn_mlfit").rglob("*.py"))
    imported = set(re.findall(r"^\s*(?:from|import) (\w+)", text, re.MULTILINE))
    foreign = imported - set(sys.stdlib_module_names) - {"nrn_mlfit"}
    assert {"pyyaml" if name == "yaml" else name for name in foreign} <= required


def test_the_type_mark_is_package_data():
    assert (TOP / "nrn_mlfit" / "py.typed").exists() and "py.typed" in DATA["nrn_mlfit"]
