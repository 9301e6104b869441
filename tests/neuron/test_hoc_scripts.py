"""hoc/*.hoc as a NEURON user opens them: nrnivmodl and nrniv in a subprocess, no Python of ours."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

TOP = Path(__file__).parents[2]
SPIKES = {  # how each script's cell shows that it spiked
    "mainen": "print apc.n",
    "ball_two_sticks": "print apc.n",
    "izhikevich": "print volts.max()",
    "mainen_slice": "print apc.n",
    "mainen_wide": "print apc.n",
    "izhikevich_slice": "print volts.max()",
}


def tool(name, *arguments, folder):
    """Run a NEURON program beside this Python, without what earlier tests put into the environment."""
    clean = {k: v for k, v in os.environ.items() if not k.startswith(("PYTHON", "NRN", "DISPLAY"))}
    command = [Path(sys.executable).with_name(name), *arguments]
    done = subprocess.run(
        command, cwd=folder, env=clean, capture_output=True, text=True, stdin=subprocess.DEVNULL, timeout=300
    )
    return done.stdout, done.stderr


@pytest.fixture(scope="module")
def checkout(tmp_path_factory):
    """A folder like the project's top one, after `nrnivmodl mod`."""
    folder = tmp_path_factory.mktemp("checkout")
    for part in ("hoc", "mod"):
        shutil.copytree(TOP / part, folder / part)
    _, errors = tool("nrnivmodl", "mod", folder=folder)
    assert next(folder.glob("*/special"), None), errors
    return folder


def run(folder, name, *start):
    """What the script's cell prints after a run, and what NEURON complained of."""
    then = ("-c", "run()", "-c", SPIKES[name], "-c", "quit()")
    out, errors = tool("nrniv", "-nobanner", *start, *then, folder=folder)
    return float(out.split()[-1]), errors


@pytest.mark.parametrize("name", SPIKES)
def test_a_script_spikes_when_opened_from_the_top_folder(checkout, name):
    value, errors = run(checkout, name, f"hoc/{name}.hoc")
    assert value >= 5
    assert "near line" not in errors


@pytest.mark.parametrize("name", SPIKES)
def test_a_script_spikes_when_opened_inside_its_folder(checkout, name):
    library = next(checkout.glob("*/libnrnmech.*"))
    value, errors = run(checkout / "hoc", name, "-dll", library, f"{name}.hoc")
    assert value >= 5
    assert "near line" not in errors


def test_a_script_spikes_when_loaded_by_its_full_path(checkout, tmp_path):
    library, script = next(checkout.glob("*/libnrnmech.*")), checkout / "hoc" / "mainen.hoc"
    value, errors = run(tmp_path, "mainen", "-dll", library, "-c", f'{{load_file("{script}")}}')
    assert value >= 5
    assert "near line" not in errors


def test_a_script_says_what_to_type_when_the_mechanisms_are_missing(checkout):
    _, errors = tool("nrniv", "-nobanner", "mainen.hoc", "-c", "quit()", folder=checkout / "hoc")
    assert "type nrnivmodl mod" in errors
