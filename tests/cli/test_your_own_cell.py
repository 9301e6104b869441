"""The story of docs/your_own_cell.md: its commands run in their order, as they stand but for how much is simulated.

What it does with the second and third cell runs in the long form only (NRN_MLFIT_CHAOS=1, as in `make chaos`), but for a `cells
new`: it takes minutes.
"""

import json
import os
import re
import shlex
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from nrn_mlfit import cells

TOP = Path(__file__).parents[2]
STORY = (TOP / "docs" / "your_own_cell.md").read_text()
BLOCKS = re.findall(r"```sh\n(.*?)```", STORY, re.DOTALL)
LONG = bool(os.environ.get("NRN_MLFIT_CHAOS"))
LATER = ("markov", "pyramid")
LESS = {r" -n \d+": " -n 40", r" --minutes \d+": " --minutes 0.02", r" --points \d+": " --points 2"}


def small(block):
    if not LONG and any(f"my_{name}" in block for name in LATER):
        block = "\n".join(line for line in block.splitlines() if line.startswith("nrn-mlfit cells new squid"))
    for asked, less in LESS.items():
        block = re.sub(asked, less, block)
    return block


@pytest.fixture(scope="module")
def told(tmp_path_factory):
    """The folder in which the story was told, and what came on screen, block by block."""
    pytest.importorskip("mpi4py", reason="the story simulates on two cores")
    top = tmp_path_factory.mktemp("story")
    for folder in ("03_reconstruction", "04_your_own_cell"):
        shutil.copytree(TOP / "examples" / folder, top / folder)
    here = top / "04_your_own_cell"
    ours = f'set -e\nnrn-mlfit() {{ {shlex.quote(sys.executable)} -m nrn_mlfit "$@"; }}\n'
    shown = []
    for block in BLOCKS:
        done = subprocess.run(
            ["bash", "-c", ours + small(block)], capture_output=True, text=True, timeout=600, cwd=here
        )
        assert done.returncode == 0, (block, done.stdout[-1000:], done.stderr[-2000:])
        shown.append(done.stdout)
    return here, shown


def lines_after(block, kind):
    """The lines of the first block of a kind that comes after a block of commands."""
    return re.search(rf"```{kind}\n(.*?)```", STORY.split(block, 1)[1], re.DOTALL)[1].splitlines()


def test_what_the_story_shows_of_cells_new_is_what_comes_on_screen(told):
    shown = told[1][0].splitlines()
    assert set(lines_after(BLOCKS[0] + "```", "")) <= set(shown)


def test_the_lines_of_the_cell_file_are_in_it(told):
    there = (told[0] / "my_squid" / "my_squid.yaml").read_text().splitlines()
    wanted = [line for line in lines_after(BLOCKS[0], "yaml") if not line.startswith("stimulus")]
    assert len(wanted) == 9 and set(wanted) <= set(there)
    stimulus = cells.load(told[0] / "my_squid").protocol.stimuli[0]
    assert (stimulus.scale, stimulus.spec["reset"]) == (20, 0.2)


def long(*values):
    return pytest.param(*values, marks=pytest.mark.skipif(not LONG, reason="the long form of the story"))


@pytest.mark.parametrize("name", ["squid", *map(long, LATER)])
def test_from_a_template_to_a_fitted_cell(told, name):
    folder = told[0] / "fits" / name
    fit = json.loads((folder / "fit.json").read_text())
    space = cells.load(told[0] / f"my_{name}").space
    assert [value["name"] for value in fit["values"]] == space.names
    assert {"fit.hoc", "fitted_cell.hoc", "fit.png", "comparison.json", "mod"} <= {p.name for p in folder.iterdir()}


@pytest.mark.parametrize(
    ("name", "count", "size"),
    [("squid", 4, "1 segment"), long("markov", 4, "1 segment"), long("pyramid", 7, "181 segments")],
)
def test_each_is_found_sound(told, name, count, size):
    (checked,) = (shown for block, shown in zip(BLOCKS, told[1], strict=True) if f"cells check my_{name}" in block)
    lines = checked.splitlines()
    assert f"ok       reach    {count} parameters reach what they name, and nothing else" in lines
    assert any(line.startswith("ok       built ") and line.endswith(size) for line in lines)
    (engine,) = (line for line in lines if line.split()[1:2] == ["engine"])
    assert ("KINETIC" in engine and " neuron, " in engine) == (name == "markov"), engine


@pytest.mark.skipif(not LONG, reason="the long form of the story")
def test_the_formulas_of_the_pyramid_are_what_the_story_says(told):
    model = cells.load(told[0] / "my_pyramid")
    assert {p.name: p.sets for p in model.parameters if "=" in "".join(p.sets)} == {
        "na_near": ("gbar_rs_na.dendritic = na_near*exp(-distance/200)",),
        "rm": ("g_pas.all = 1/(1000*rm)",),
    }


def test_the_channels_of_mainen_are_on_the_tree(told):
    tree = cells.load(told[0] / "mainen_tree")
    assert tree.name == "mainen_tree" and tree.space == cells.load("mainen").space
