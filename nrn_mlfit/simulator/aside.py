"""A question that NEURON answers in a process of its own: what it loads, prints, or dies of stays there."""

import json
import os
import re
import subprocess
import sys
import tempfile
from importlib import import_module
from pathlib import Path

from nrn_mlfit import errors, workers

CODE = "import json, sys; sys.path[:] = json.loads(sys.argv[1]); from nrn_mlfit.simulator.aside import main; main()"
SECONDS = 600.0
TELLING = (  # what NEURON prints where it stumbles: HOC's errors, and those of Import3d
    re.compile(r"^NEURON: (?P<said>.+)\n\s*(?:in \S+ )?near line (?P<line>\d+)", re.MULTILINE),
    re.compile(r"^(?P<said>parse error)\n.*\nline (?P<line>\d+):", re.MULTILINE),
)


class Broken(Exception):
    """The process gave no answer; the text is what it last said, or how it ended."""


def ask(function: str, *words: str, seconds: float = SECONDS):
    """What a function (`module:name` of nrn_mlfit) answers to some words, as JSON has it.

    An MlfitError there is raised here; Broken where it fails otherwise, or takes longer than `seconds`.
    """
    with tempfile.TemporaryDirectory(prefix="nrn_mlfit-") as scratch:
        answer = Path(scratch) / "answer.json"
        command = [sys.executable, "-P", "-c", CODE, json.dumps(sys.path), str(answer), function, *words]
        env = workers.without_launcher(os.environ) | {"OMP_NUM_THREADS": "1"}
        try:
            done = subprocess.run(
                command,
                stdin=subprocess.DEVNULL,
                capture_output=True,
                text=True,
                errors="replace",
                env=env,
                timeout=seconds,
            )
        except subprocess.TimeoutExpired:
            raise Broken(f"no answer in {seconds:g} s") from None
        if not answer.is_file():
            raise Broken(_last_words(done))
        held = json.loads(answer.read_text())
    if "error" in held:
        raise getattr(errors, held["error"])(held["text"])
    return held["answer"]


def main():
    """In that process: argv is the path for the answer, the function and its words."""
    answer, function, *words = sys.argv[2:]
    module, _, name = function.partition(":")
    try:
        held = {"answer": getattr(import_module(f"nrn_mlfit.{module}"), name)(*words)}
    except errors.MlfitError as error:
        held = {"error": type(error).__name__, "text": str(error)}
    Path(answer).write_text(json.dumps(held))


def _last_words(done) -> str:
    printed = done.stdout + "\n" + done.stderr
    if found := next(filter(None, (form.search(printed) for form in TELLING)), None):
        return f"{found['said'].strip()[:200]}, line {found['line']}"
    lines = [line.strip() for line in printed.splitlines() if line.strip()]
    return lines[-1][:200] if lines else f"exit code {done.returncode}"
