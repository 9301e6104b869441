"""The engine knows no cell: nothing of the shipped ones stands in its source, and what it makes hangs on the cell alone."""

import hashlib
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from nrn_mlfit import cells, machine, stimuli
from nrn_mlfit.simulator import agreement
from nrn_mlfit.simulator.door import shipped_mods
from nrn_mlfit.simulator.lanes import engine as engine_module
from nrn_mlfit.simulator.lanes.compiling import TARGETS
from nrn_mlfit.simulator.lanes.engine import LaneEngine
from nrn_mlfit.simulator.mechanisms import names_in

ENGINE = Path(engine_module.__file__).parent
FILES = sorted([*ENGINE.glob("*.py"), *ENGINE.glob("*.h")])
ALLOWED = {  # words of the sources that only happen to be names of something: word -> the only places where it may be
    "extracellular": {"cable.py"},  # refused: it is no channel but a second cable
}


def shipped_words():
    """Mechanisms, ions, variables by which a cell's parameters are set, cells and templates of what we ship."""
    words = set(cells.SHIPPED)
    for name in cells.SHIPPED:
        model = cells.load(name)
        words |= {model.template, model.hoc.stem}
        words |= {
            target.split(".")[0].split("@")[0] for p in model.space.parameters for target in p.sets if "_" in target
        }
    for path in [*cells.load("mainen").mod_files(), *shipped_mods().glob("*.mod")]:
        words |= {path.stem, *names_in(path)}
        text = path.read_text(errors="replace")
        for ion in re.findall(r"^\s*USEION\s+(\w+)", text, re.MULTILINE):
            words |= {ion, f"{ion}_ion", f"e{ion}", f"i{ion}", f"{ion}i", f"{ion}o"}
    return words - {"k"}  # which is an index everywhere; as an ion it would be a string: below


def test_the_words_looked_for_are_those_of_the_shipped_cells():
    words = shipped_words()
    assert {
        "na",
        "kv",
        "km",
        "kca",
        "cad",
        "ca",
        "hh",
        "pas",
        "IClamp",
        "Izhikevich",
        "ca_ion",
        "mainen",
        "ena",
    } <= words
    assert {"Mainen", "BallTwoSticks", "IzhikevichCell", "gbar_na", "eca", "cai", "ExpSyn"} <= words


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.name)
def test_no_mechanism_ion_or_cell_is_named_in_the_engine(path):
    """Also not in comments: there is nothing in the engine that was written for one of them."""
    text = path.read_text()
    found = set(re.findall(r"\w+", text)) & shipped_words()
    assert not {word for word in found if path.name not in ALLOWED.get(word, ())}
    assert not re.search(r"""["']k["']""", text)


CODE = """\
import hashlib, sys
from nrn_mlfit import cells
from nrn_mlfit.simulator import Session
from nrn_mlfit.simulator.lanes.plan import make_plan
from nrn_mlfit.simulator.lanes.source import generate
for name in sys.argv[1:]:
    print(name, hashlib.sha256(generate(make_plan(Session(cells.load(name)))).encode()).hexdigest())
"""


CALCIUM = """begintemplate SourceCalcium
public soma, all
create soma
objref all
proc init() {
    all = new SectionList()
    soma { L = 20  diam = 20  insert pas  insert rcat  insert rcap  all.append() }
}
endtemplate SourceCalcium
"""  # its reversal potential follows the concentration


@pytest.fixture
def calcium(tmp_path):
    (tmp_path / "mod").mkdir()
    for name in ("rcat", "rcap"):
        shutil.copy(Path(__file__).with_name("pool") / f"{name}.mod", tmp_path / "mod")
    (tmp_path / "cell.hoc").write_text(CALCIUM)
    (tmp_path / "cell.yaml").write_text(
        "name: source_calcium\nhoc: cell.hoc\ntemplate: SourceCalcium\nmod: mod\ndt: 0.05\n"
        "stimulus: {kind: step, scale: 0.1, delay: 1, duration: 8, total: 15, dt: 0.05}\n"
        "parameters: {gbar_rcat.all: {low: 1.0e-4, high: 1.0e-3}}\n"
    )
    return str(tmp_path / "cell.yaml")


def test_a_cells_source_is_the_same_in_every_process_and_whatever_was_made_before(calcium):
    told, every = [], (*cells.SHIPPED, calcium)
    for seed, names in (("1", every), ("2", every[::-1]), ("3", every), ("4", every)):
        env = {**os.environ, "PYTHONHASHSEED": seed}
        words = [sys.executable, "-c", CODE, *names]
        done = subprocess.run(words, capture_output=True, text=True, env=env, check=True, timeout=120)
        told.append(dict(line.split() for line in done.stdout.splitlines()))
    assert all(one == told[0] for one in told) and set(told[0]) == set(every)
    assert len(set(told[0].values())) == len(every)
    here = LaneEngine(cells.load("izhikevich"))  # after all that other tests have made in this process
    assert hashlib.sha256(here.source.encode()).hexdigest() == told[0]["izhikevich"]


def test_the_source_hangs_on_no_parameter_stimulus_or_probe_value():
    """So that one program serves all runs of a cell: the stimulus goes in as numbers."""
    model = cells.load("izhikevich")
    other = model.under(stimuli.step(3.0, total=40), stimuli.ramp(2.0, total=40))
    assert LaneEngine(model).source == LaneEngine(other).source


def sets_here():
    """The instruction sets that this processor has, of those that are compiled for."""
    best = machine.instruction_set()
    order = sorted(name for name in TARGETS if name <= best)
    return order or pytest.skip(f"{best}: what is compiled for it is the compiler's choice")


@pytest.mark.parametrize(("precision", "bounds"), [("double", agreement.DOUBLE), ("mixed", agreement.MIXED)])
def test_all_instruction_sets_of_this_processor_agree(precision, bounds):
    """They have 4 to 16 lanes, and with fused multiplications or without; each must be NEURON to within the bounds."""
    found = sets_here()
    if len(found) < 2:
        pytest.skip("this processor has one of them only")
    model = cells.load("ball_two_sticks").under(stimuli.step(0.5, delay=2, duration=10, total=15))
    phys_par = model.space.to_phys(model.space.draw(2, 0, 5))
    made = {name: LaneEngine(model, precision, name) for name in found}
    assert len({engine.width for engine in made.values()}) == len(found)
    traces = {name: engine.run(phys_par)[0] for name, engine in made.items()}
    best = made[found[-1]]
    for name in found[:-1]:
        for row, one, other in zip(phys_par, traces[found[-1]], traces[name], strict=True):
            assert agreement.examine(best.session, row, one, other, bounds).verdict != "differs", name
    assert np.max(traces[found[-1]]) > 0
