"""`nrn-mlfit doctor`: the exit code says whether everything needed is here."""

from click.testing import CliRunner

from nrn_mlfit import doctor
from nrn_mlfit.cli import cli
from nrn_mlfit.doctor import NOTE, OK, PROBLEM, Line


def run(monkeypatch, *lines):
    if lines:
        monkeypatch.setattr(doctor, "examine", lambda: iter(lines))
    return CliRunner().invoke(cli, ["doctor"])


def test_this_machine_can_run_the_package(monkeypatch):
    done = run(monkeypatch)
    assert done.exit_code == 0, done.output
    for name in ("g++", "perl", "NEURON", "nrnivmodl", "cache", "mpi4py", "PyTorch", "HDF5", "processor", "memory"):
        assert name in done.output
    assert done.output.endswith("everything needed is here\n")


def test_a_problem_is_said_with_what_to_type(monkeypatch):
    done = run(monkeypatch, Line(OK, "make", "4.3", "x"), Line(PROBLEM, "perl", "not found", "apt install perl"))
    assert done.exit_code == 2
    assert done.output.splitlines() == [
        "ok       make        4.3",
        "PROBLEM  perl        not found",
        "                     -> apt install perl",
        "to be mended: perl",
    ]


def test_a_note_is_no_problem(monkeypatch):
    done = run(monkeypatch, Line(NOTE, "mpi4py", "does not load", "pip install mpi4py"))
    assert done.exit_code == 0
    assert "-> pip install mpi4py" in done.output
