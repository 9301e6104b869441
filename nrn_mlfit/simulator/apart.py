"""A question to NEURON in a process of its own: what HOC prints stays there, and nothing that HOC does outlives it."""

import contextlib
import json
import os
import re
import signal
import subprocess
import sys
import tempfile
import traceback
from collections.abc import Callable
from dataclasses import dataclass
from multiprocessing import Pipe
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

from nrn_mlfit import workers
from nrn_mlfit.cells import CellModel
from nrn_mlfit.errors import CellError, MlfitError

CODE = "import json, sys; sys.path[:] = json.loads(sys.argv.pop(1)); from nrn_mlfit.simulator.apart import main; main()"
SECONDS = 600.0  # that an answer may take
# NEURON tells the first thing that is wrong first, and then each file that was being read.
OF_NEURON = re.compile(r"^(?:NEURON|nrniv): (?!hoc_Load_file)(.+?)\s*(?:\n in (\S+) near line (\d+))?$", re.MULTILINE)


@dataclass(frozen=True)
class _Answer:
    """What a question gave: its `value`, or what it raised, a MlfitError or a traceback."""

    value: Any = None
    raised: MlfitError | str = ""


def ask(question: Callable, model: CellModel, *more):
    """What `question`, a function of a module, returns; it is called with a cell, and with `more`, in a fresh Python.

    Raises the MlfitError that it raises, with NEURON's own words behind it, and CellError where the process ends or does
    not come to an end.
    """
    ours, theirs = Pipe()
    with tempfile.TemporaryFile() as said:
        process = _start(theirs.fileno(), said)
        theirs.close()
        try:
            ours.send((question, (model, *more)))
            answer = ours.recv() if ours.poll(SECONDS) else None
        except (EOFError, OSError):
            answer = None
        except BaseException:  # Ctrl-C: nobody waits for it any more
            process.kill()
            raise
        code = _end(process, answer is None)
        said.seek(0)
        words = in_words(said.read().decode(errors="replace"))
    ours.close()
    return _value(answer, code, words, model.hoc)


def in_words(said: str) -> str:
    """The first thing that NEURON calls wrong in what it has printed, with the line; empty where there is none."""
    if not (found := OF_NEURON.search(said)):
        return ""
    what, file, line = found.groups()
    return f"{what}, line {line} of {file}" if file and int(line) else what


def main():
    """`apart CONNECTION`: answer one question that comes over the file descriptor CONNECTION."""
    connection = Connection(int(sys.argv[1]))
    os.dup2(2, 1)
    question, arguments = connection.recv()
    try:
        answer = _Answer(question(*arguments))
    except MlfitError as error:
        answer = _Answer(raised=error)
    except Exception as error:
        answer = _Answer(raised="".join(traceback.format_exception(error)))
    connection.send(answer)
    connection.close()


def _start(connection, said) -> subprocess.Popen:
    command = [sys.executable, "-P", "-c", CODE, json.dumps(sys.path), str(connection)]
    environment = workers.without_launcher(os.environ)
    return subprocess.Popen(
        command, stdin=subprocess.DEVNULL, stdout=said, stderr=said, pass_fds=(connection,), env=environment
    )


def _end(process, in_vain: bool) -> int:
    """The exit code of a process that has answered, or has closed its connection, or has not answered in time."""
    if in_vain:
        with contextlib.suppress(subprocess.TimeoutExpired):
            return process.wait(1)
        process.kill()
    return process.wait()


def _value(answer: _Answer | None, code: int, words: str, hoc: Path):
    behind = f"; NEURON says: {words}" if words else ""
    if answer is None:
        cause = signal.Signals(-code).name if code < 0 else f"exit code {code}"
        raise CellError(
            f"{hoc}: the process that opened it ended without an answer ({cause}){behind}; see whether the file quits, or "
            "never comes to an end"
        )
    if isinstance(answer.raised, MlfitError):
        raise type(answer.raised)(f"{answer.raised}{'' if words in str(answer.raised) else behind}")
    if answer.raised:
        raise RuntimeError(answer.raised)
    return answer.value
