"""Text files: the one YAML reader (no aliases, bounded size and depth, no duplicate keys), JSON, CSV, atomic writing."""

import contextlib
import csv
import io
import json
import os
import re
import secrets
from collections.abc import Iterable, Iterator
from pathlib import Path

import yaml

from nrn_mlfit.errors import CellError, MachineError, MlfitError

MAX_BYTES = 1_000_000
MAX_DEPTH = 12


class _Loader(yaml.SafeLoader):
    """PyYAML's safe loader without aliases, with duplicate keys refused and depth bounded."""

    depth = 0

    def compose_node(self, parent, index):
        if self.check_event(yaml.AliasEvent):
            raise yaml.MarkedYAMLError(problem="aliases are not allowed", problem_mark=self.peek_event().start_mark)
        self.depth += 1
        if self.depth > MAX_DEPTH:
            raise yaml.MarkedYAMLError(problem="nested too deeply", problem_mark=self.peek_event().start_mark)
        node = super().compose_node(parent, index)
        self.depth -= 1
        return node

    def construct_mapping(self, node, deep=False):
        seen = set()
        for key, _ in node.value:
            name = self.construct_object(key, deep=True)
            if not isinstance(name, str):
                raise yaml.MarkedYAMLError(problem=f"the key {name!r} is not a word", problem_mark=key.start_mark)
            if name in seen:
                raise yaml.MarkedYAMLError(problem=f"{name!r} is given twice", problem_mark=key.start_mark)
            seen.add(name)
        return super().construct_mapping(node, deep)


# YAML 1.1, which PyYAML reads, takes 1e-4 for a word: 1.0e-4 alone is a number there. People write the former.
_Loader.add_implicit_resolver(
    "tag:yaml.org,2002:float", re.compile(r"[-+]?(\d+\.?\d*|\.\d+)[eE][-+]?\d+$"), list("-+.0123456789")
)


def read_yaml(path: Path, error: type[MlfitError] = CellError):
    """What a YAML file holds; a problem raises `error`, naming the file and the line."""
    try:
        text = path.read_text(encoding="utf-8") if path.stat().st_size <= MAX_BYTES else None
    except (OSError, UnicodeDecodeError) as problem:
        raise error(f"{path}: cannot be read as text ({problem})") from None
    if text is None:
        raise error(f"{path}: larger than {MAX_BYTES} bytes; that is no description of a cell or network")
    try:
        return yaml.load(text, _Loader)
    except yaml.MarkedYAMLError as problem:
        line = problem.problem_mark.line + 1 if problem.problem_mark else 1
        raise error(f"{path}, line {line}: {problem.problem}") from None
    except (yaml.YAMLError, ValueError) as problem:  # a ValueError is a day 2019-13-41, or !!int x
        raise error(f"{path}: not YAML ({problem})") from None


@contextlib.contextmanager
def writing(path: Path) -> Iterator[None]:
    """A `with` in which the file or folder `path` is written: the folder around it is made, an OSError becomes a sentence."""
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        yield
    except OSError as error:
        raise MachineError(
            f"{path}: cannot be written ({error.strerror or error}); choose another folder or free some space"
        ) from None


@contextlib.contextmanager
def replacing(path: Path) -> Iterator[Path]:
    """A temporary path to write to in a `with`; at its end that file is flushed to disk and takes the name `path`.

    Where the `with` is left by an error, nothing of it stays.
    """
    # Process numbers repeat from host to host, so there is chance in the name, too.
    temporary = path.with_name(f".{path.name}.{os.getpid()}-{secrets.token_hex(4)}.tmp")
    try:
        with writing(path):
            yield temporary
            with open(temporary, "rb+") as written:
                os.fsync(written.fileno())
            os.replace(temporary, path)
    finally:
        with contextlib.suppress(OSError):
            temporary.unlink(missing_ok=True)


def write_atomic(path: Path, content: bytes | str):
    """Write a file that either has its name and is complete, or does not exist."""
    with replacing(path) as temporary:
        temporary.write_bytes(content.encode() if isinstance(content, str) else content)


def read_json(path: Path, error: type[MlfitError]) -> dict:
    """The object that a JSON file holds."""
    try:
        held = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as problem:
        raise error(f"{path}: cannot be read as JSON ({problem})") from None
    if not isinstance(held, dict):
        raise error(f"{path}: holds no JSON object")
    return held


def to_json(held) -> str:
    """JSON as a person reads it: sorted keys, one per line; NaN is an error, not a word."""
    return json.dumps(held, indent=2, sort_keys=True, allow_nan=False) + "\n"


def to_word(word: str) -> str:
    """A word as YAML has it: as it is where it is read so, else in quotes."""
    try:
        is_plain = yaml.load(f"[{word}]", _Loader) == [word]
    except (yaml.YAMLError, ValueError):
        is_plain = False
    if is_plain:
        return word
    escaped = word.replace("\\", "\\\\").replace('"', '\\"')
    return '"' + "".join(c if c.isprintable() else f"\\U{ord(c):08x}" for c in escaped) + '"'


def to_list(words: Iterable[str]) -> str:
    """Words as a list of YAML on one line."""
    return f"[{', '.join(map(to_word, words))}]"


def to_csv(rows: Iterable[Iterable]) -> str:
    """Rows as CSV, a line each."""
    table = io.StringIO()
    csv.writer(table, lineterminator="\n").writerows(rows)
    return table.getvalue()
