"""The README's Python runs as it stands there, each block in a folder with the run that the command before it makes."""

import re
import subprocess
import sys
from pathlib import Path

import pytest

README = (Path(__file__).parents[2] / "README.md").read_text()
BLOCKS = re.findall(r"```python\n(.*?)```", README, re.DOTALL)
COMMAND = re.compile(
    r"^nrn-mlfit (simulate (?:mainen|izhikevich) .*-o runs/test)\b", re.MULTILINE
)  # one before each block
SMALLER = {"samples=2000": "samples=100", "minutes=3": "minutes=0.05"}  # a test does not wait for a good ensemble


def small(block):
    for asked, less in SMALLER.items():
        block = block.replace(asked, less)
    return block


def test_there_is_a_command_before_each_block():
    assert len(BLOCKS) == len(COMMAND.findall(README)) == 2
    assert all(asked in BLOCKS[1] for asked in SMALLER)


@pytest.mark.parametrize("number", range(2))
def test_python_runs_as_it_stands_there(number, command, tmp_path):
    simulated = command(*COMMAND.findall(README)[number].split(), cwd=tmp_path)
    assert simulated.returncode == 0, simulated.stderr
    done = subprocess.run(
        [sys.executable, "-c", small(BLOCKS[number])], capture_output=True, text=True, timeout=300, cwd=tmp_path
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.strip()
    if number == 1:
        assert (tmp_path / "fits" / "py" / "fit.hoc").is_file()
