"""The house rules: imports go down only, one door per heavy library, small files, small functions."""

import ast
import subprocess
import sys
from pathlib import Path

import pytest

TOP = Path(__file__).parents[1]
PACKAGE = TOP / "nrn_mlfit"
LAYERS = {
    "errors": 0,
    **dict.fromkeys(
        ["parameters", "stimuli", "spikes", "progress", "textfile", "machine", "pulse", "lastword", "information"], 1
    ),
    "features": 1,
    **dict.fromkeys(["places", "fields", "formulas", "hocfile", "packages"], 1),  # of cells, and what others offer
    **dict.fromkeys(["cells", "workers", "folders"], 2),
    **dict.fromkeys(["shards", "candidates"], 3),
    **dict.fromkeys(["recordings", "simulator", "learn"], 4),
    **dict.fromkeys(["banks", "alignment", "comparison", "repeats", "around", "drift", "reconstructed"], 5),
    **dict.fromkeys(["design", "predict", "evaluate", "proposal", "strength"], 5),
    **dict.fromkeys(["fit", "distance", "assignments", "celltext"], 6),
    **dict.fromkeys(["export", "resimulate", "report", "doctor", "serving", "refine", "newcell"], 7),
    **dict.fromkeys(["results", "checkup"], 8),
    **dict.fromkeys(["series", "transfer"], 9),
    "cli": 10,
    **dict.fromkeys(["__main__", "__init__"], 11),
}
DOORS = {  # library: the only places that may import it
    "neuron": ["simulator/"],
    "torch": ["learn/"],
    "mpi4py": ["workers.py"],
    "h5py": ["shards/", "recordings/"],
    "matplotlib": ["report", "learn/"],
    "yaml": ["textfile.py", "cells/"],
    "efel": ["features.py"],
    "cma": ["refine.py"],
    "safetensors": ["learn/", "shards/"],
    "pyabf": ["recordings/abf.py"],
    "igor2": ["recordings/igor.py"],
}
FILES = sorted(PACKAGE.rglob("*.py"))


def room(path):
    return path.relative_to(PACKAGE).parts[0].removesuffix(".py")


def imports(path):
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module:
            yield node.module
            yield from (f"{node.module}.{alias.name}" for alias in node.names)


def rooms_imported(path):
    names = {name.split(".")[1] for name in imports(path) if name.startswith("nrn_mlfit.")}
    return {name for name in names if name in LAYERS}


@pytest.mark.parametrize("path", FILES, ids=lambda p: str(p.relative_to(PACKAGE)))
def test_imports_go_down_or_stay_in_the_own_folder(path):
    here = room(path)
    assert here in LAYERS, f"give {here} a layer"
    for other in rooms_imported(path) - {here}:
        assert LAYERS[other] < LAYERS[here], f"{here} (layer {LAYERS[here]}) imports {other} (layer {LAYERS[other]})"


@pytest.mark.parametrize("library", DOORS)
def test_each_heavy_library_has_its_doors(library):
    outside = [
        str(path.relative_to(PACKAGE))
        for path in FILES
        if any(name.split(".")[0] == library for name in imports(path))
        and not str(path.relative_to(PACKAGE)).startswith(tuple(DOORS[library]))
    ]
    assert not outside


@pytest.mark.parametrize("path", FILES, ids=lambda p: str(p.relative_to(PACKAGE)))
def test_files_and_functions_are_small(path):
    text = path.read_text()
    assert text.count("\n") <= 350
    for node in ast.walk(ast.parse(text)):
        if isinstance(node, ast.FunctionDef):
            assert node.end_lineno - node.lineno < 60, f"{node.name} is too long"


def test_nine_of_ten_functions_are_under_thirty_lines():
    lengths = sorted(
        node.end_lineno - node.lineno + 1
        for path in FILES
        for node in ast.walk(ast.parse(path.read_text()))
        if isinstance(node, ast.FunctionDef)
    )
    assert lengths[len(lengths) // 2] < 10
    assert lengths[int(0.9 * len(lengths))] < 30


def test_help_loads_nothing_heavy():
    code = (
        "import sys\nfrom nrn_mlfit.__main__ import _run\n"
        "assert _run(['--help']) == 0\n"
        "heavy = {'neuron', 'torch', 'mpi4py', 'h5py', 'matplotlib', 'efel'} & set(sys.modules)\n"
        "assert not heavy, heavy"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr


def test_no_room_is_called_utils_or_manager():
    names = [p.stem.lower() for p in FILES]
    assert not [n for n in names if "util" in n or "manager" in n or "helper" in n]
