"""Programs of the lane engine: kept, shared, and refused in a sentence where they cannot be made."""

import os
import stat
from pathlib import Path

import pytest

from nrn_mlfit.errors import MachineError
from nrn_mlfit.simulator.lanes import compiling

SOURCE = 'extern "C" { int lanes_count() { return 7; } void lanes_run() {} void lanes_read() {} }'


@pytest.fixture
def cache(tmp_path, monkeypatch):
    monkeypatch.setenv("NRN_MLFIT_CACHE", str(tmp_path / "cache"))
    compiling.compiler.cache_clear()
    yield tmp_path / "cache"
    compiling.compiler.cache_clear()


@pytest.fixture
def compilers(tmp_path, monkeypatch):
    """A function that puts a g++ of a few shell lines before all others, or leaves none."""
    folder = tmp_path / "bin"
    folder.mkdir()

    def put(lines=None):
        path = folder / "g++"
        path.unlink(missing_ok=True)
        if lines is not None:
            path.write_text(f"#!/bin/sh\n{lines}\n")
            path.chmod(path.stat().st_mode | stat.S_IXUSR)
        monkeypatch.setenv("PATH", str(folder) if lines is None else f"{folder}{os.pathsep}{os.environ['PATH']}")
        compiling.compiler.cache_clear()

    return put


def test_a_program_needs_its_compiler_once(cache, compilers):
    """Without one, and with another one, it is the program that is there, and says what it was made with."""
    made = compiling.program_of(SOURCE, "double")
    first, program = dict(made.made_with), compiling.load(made.library)
    assert program.lanes_count() == 7
    assert first == {"program": made.folder.name, "g++": compiling.compiler()}
    for lines in (None, "echo another 99.1"):
        compilers(lines)
        again = compiling.program_of(SOURCE, "double")
        assert (again, again.made_with) == (made, first)


def test_programs_of_other_sources_and_precisions_have_other_names(cache):
    names = {compiling.program_of(s, p).folder.name for s in (SOURCE, f"{SOURCE} ") for p in ("double", "mixed")}
    assert len(names) == 4


@pytest.mark.parametrize(
    ("lines", "told"),
    [
        (None, "g\\+\\+ not found, needed to compile a cell; install it"),
        ("exit 3", "/g\\+\\+: does not run .*exit status 3.*install g\\+\\+ anew"),
        (
            'test "$1" = --version && echo mine && exit\necho "x.cpp:1: error: no such thing" >&2\nexit 1',
            "\\.cpp: g\\+\\+ does not compile it \\(x.cpp:1: error: no such thing\\); simulate with --engine neuron",
        ),
    ],
)
def test_a_compiler_that_does_not_is_told_of_in_a_sentence(cache, compilers, lines, told):
    compilers(lines)
    with pytest.raises(MachineError, match=told):
        compiling.program_of(SOURCE, "double")
    assert not list(cache.glob("lanes/*/")), "half a program"


def test_a_cache_without_room(cache, monkeypatch):
    def full(*_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(compiling, "_compiled", full)
    with pytest.raises(
        MachineError, match=r"lanes: the cell's program cannot be made there \(No space left on device\); make"
    ):
        compiling.program_of(SOURCE, "double")
    assert not list(cache.glob("lanes/.new-*"))


def test_what_a_killed_process_left_is_made_anew(cache):
    made = compiling.program_of(SOURCE, "double")
    made.library.unlink()
    assert compiling.program_of(SOURCE, "double") == made and made.library.is_file()


def test_where_another_process_was_faster_its_program_is_taken(cache, monkeypatch):
    """On file systems without locks."""
    compiled, there = compiling._compiled, b""

    def slow(source, flags, work, folder):
        nonlocal there
        mine = compiled(source, flags, work, folder)
        folder.mkdir()
        for path in mine.iterdir():
            Path(folder, path.name).write_bytes(path.read_bytes())
        there = os.stat(folder / compiling.LIBRARY).st_ino
        return mine

    monkeypatch.setattr(compiling, "_compiled", slow)
    made = compiling.program_of(SOURCE, "double")
    assert os.stat(made.library).st_ino == there and compiling.load(made.library).lanes_count() == 7


def test_a_damaged_library_is_told_of(cache):
    made = compiling.program_of(SOURCE, "double")
    made.library.write_bytes(b"no library")
    with pytest.raises(MachineError, match="does not load .*delete this folder and try again"):
        compiling.load(made.library)
