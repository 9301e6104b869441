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
from typing import Any

from nrn_mlfit import workers
from nrn_mlfit.cells import CellModel
from nrn_mlfit.errors import CellError, MlfitError

CODE = "import json, sys; sys.path[:] = json.loads(sys.argv.pop(1)); from nrn_mlfit.simulator.apart import main; main()"
SECONDS = 600.0  # that an answer may take
# NEURON tells the first thing that is wrong first, and then each file that was being read; Import3d tells it its own way.
# Under it stand the line of HOC with a mark below, and the calls that led there.
OF_NEURON = re.compile(
    r"^(?:NEURON|nrniv): (?!hoc_Load_file)(.+?)\s*"
    r"(?:\n(?: in (.+?))? near line (\d+)(?:\n (.*)\n *\^(?:\n +(\S.*))?)?)?$",
    re.MULTILINE,
)
OF_IMPORT3D = re.compile(r"^(parse error)\n.*\nline (\d+):", re.MULTILINE)


class Broken(Exception):
    """A question without an answer: `cause` is how the process ended, `words` are NEURON's own, `traceback` that of what was
    raised; each may be empty. As text it is the most telling of them."""

    def __init__(self, cause: str, words: str, traceback: str = ""):
        super().__init__(words or traceback.strip().rpartition("\n")[2][:200] or cause)
        self.cause, self.words, self.traceback = cause, words, traceback


@dataclass(frozen=True)
class _Answer:
    """What a question gave: its `value`, or what it raised, a MlfitError or a traceback."""

    value: Any = None
    raised: MlfitError | str = ""


def ask(question: Callable, *arguments, seconds: float = SECONDS):
    """What `question`, a function of a module, returns in a fresh Python.

    Raises the MlfitError that it raises, with NEURON's own words behind it, and Broken where it raises something else, where
    the process ends, or where there is no answer after `seconds`.
    """
    ours, theirs = Pipe()
    with tempfile.TemporaryFile() as said:
        process = _start(theirs.fileno(), said)
        theirs.close()
        try:
            ours.send((question, arguments))
            in_time = ours.poll(seconds)
            answer = ours.recv() if in_time else None
        except (EOFError, OSError):
            answer, in_time = None, True
        except BaseException:  # Ctrl-C: nobody waits for it any more
            process.kill()
            raise
        code = _end(process, answer is None)
        said.seek(0)
        words = in_words(said.read().decode(errors="replace"))
    ours.close()
    return _value(answer, _cause(code) if in_time else f"no answer in {seconds:g} s", words)


def ask_of_cell(question: Callable, model: CellModel, *more):
    """The same of a cell and `more`; raises CellError in place of Broken, and RuntimeError for what is no fault of the cell."""
    try:
        return ask(question, model, *more)
    except Broken as broken:
        if broken.traceback:
            raise RuntimeError(broken.traceback) from None
        raise CellError(
            f"{model.hoc}: the process that opened it ended without an answer ({broken.cause}){_behind(broken.words)}; see "
            "whether the file quits, or never comes to an end"
        ) from None


def in_words(said: str) -> str:
    """The first thing that NEURON calls wrong in what it has printed, with its line or what that holds; empty: nothing."""
    if found := OF_NEURON.search(said):
        what, file, line, text, call = found.groups()
        if file and int(line):
            return f"{what}, line {line} of {file}"
        return f"{what} at `{text}`{f' in {call}' if call else ''}" if text and int(line) else what
    return f"{found[1]}, line {found[2]}" if (found := OF_IMPORT3D.search(said)) else ""


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


def _cause(code: int) -> str:
    return signal.Signals(-code).name if code < 0 else f"exit code {code}"


def _behind(words: str) -> str:
    return f"; NEURON says: {words}" if words else ""


def _value(answer: _Answer | None, cause: str, words: str):
    if answer is None:
        raise Broken(cause, words)
    if isinstance(answer.raised, MlfitError):
        raise type(answer.raised)(f"{answer.raised}{'' if words in str(answer.raised) else _behind(words)}")
    if answer.raised:
        raise Broken(cause, words, answer.raised)
    return answer.value
