"""The doctor: what is missing is named with what to type, and nothing broken stops it."""

import pytest

from nrn_mlfit import doctor
from nrn_mlfit.doctor import NOTE, OK, PROBLEM, Line


def by_name(look):
    return {line.name: line for line in doctor._guarded(look)}


def test_a_look_that_raises_becomes_a_problem():
    def _broken_thing():
        raise RuntimeError("boom")
        yield

    assert list(doctor._guarded(_broken_thing)) == [
        Line(PROBLEM, "broken thing", "could not be looked at (RuntimeError: boom)", "install nrn_mlfit again")
    ]


def test_a_library_that_kills_its_process_is_a_problem(monkeypatch):
    monkeypatch.setattr(doctor, "TORCH", "import os; os.abort()")
    line = by_name(doctor._torch)["PyTorch"]
    assert (line.mark, line.found) == (PROBLEM, "does not load: exit code -6")
    assert line.todo.startswith("pip install torch")


def test_a_library_that_hangs_is_a_problem(monkeypatch):
    monkeypatch.setattr(doctor, "SECONDS", 0.5)
    monkeypatch.setattr(doctor, "HDF5", "import time; time.sleep(60)")
    assert by_name(doctor._hdf5)["HDF5"].found == "h5py does not load: no answer in 0.5 s"


def test_missing_tools_are_problems_with_what_to_install(monkeypatch, tmp_path):
    monkeypatch.setenv("PATH", str(tmp_path))
    lines = by_name(doctor._tools)
    assert [line.mark for line in lines.values()] == [PROBLEM] * 3
    assert lines["g++"].found == "not found; NEURON needs it to compile MOD files"
    assert lines["g++"].todo.startswith("apt install g++")


def test_a_compiler_that_does_not_compile_is_a_problem(monkeypatch, tmp_path):
    fake = tmp_path / "g++"
    fake.write_text("#!/bin/sh\necho 'cmath: no such file' >&2\nexit 1\n")
    fake.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}:/usr/bin:/bin")
    assert by_name(doctor._compiler)["compiling"].found.endswith("one-line program: cmath: no such file")


def test_without_mpi_there_is_a_note_only(monkeypatch):
    monkeypatch.setattr(doctor, "MPI", "import no_such_module")
    lines = list(doctor._mpi())
    assert [line.mark for line in lines] == [NOTE]
    assert lines[0].found.endswith("ModuleNotFoundError: No module named 'no_such_module'")
    assert doctor.is_healthy(lines)


def test_a_launcher_of_another_mpi_is_noticed(tmp_path):
    other = tmp_path / "mpiexec"  # starts its processes, but mpi4py does not know of it
    other.write_text('#!/bin/sh\nshift 2\n"$@" & "$@"\nwait\n')
    other.chmod(0o755)
    line = doctor._two_ranks(str(other))
    assert line.mark == NOTE and "another MPI than mpi4py" in line.found


def test_a_cache_that_cannot_be_written_is_a_problem(monkeypatch, tmp_path):
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("NRN_MLFIT_CACHE", str(tmp_path / "file" / "cache"))
    line = by_name(doctor._mechanisms)["cache"]
    assert (line.mark, line.todo) == (PROBLEM, "export NRN_MLFIT_CACHE=FOLDER, a folder of yours")


def test_a_cache_where_nothing_can_be_written_is_a_problem_whatever_its_mode_bits_say(monkeypatch):
    monkeypatch.setenv("NRN_MLFIT_CACHE", "/proc/cache")
    assert by_name(doctor._mechanisms)["cache"].mark == PROBLEM


def test_a_full_disk_is_a_problem(monkeypatch):
    monkeypatch.setattr(doctor, "LEAST_DISK_GB", 1e9)
    assert by_name(doctor._mechanisms)["cache"].mark == PROBLEM


@pytest.mark.parametrize("look", [doctor._python, doctor._libraries, doctor._processor, doctor._memory])
def test_this_machine_is_fine(look):
    assert {line.mark for line in look()} == {OK}
