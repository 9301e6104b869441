"""Errors become one sentence and an exit code; ours become an apology without a traceback."""

import click
import pytest

from nrn_mlfit import __main__ as program
from nrn_mlfit import cli, workers
from nrn_mlfit.errors import CellError


@pytest.fixture
def raising(monkeypatch):
    """A function: let every command raise `error`, run one, and return its exit code."""

    def run(error):
        def act(*_, **__):
            raise error

        monkeypatch.setattr(cli.cli, "main", act)
        with pytest.raises(SystemExit) as left:
            program.main(["cells"])
        return left.value.code

    for name in (*workers.LAUNCHED, *workers.RANKS, "NRN_MLFIT_DEBUG"):
        monkeypatch.delenv(name, raising=False)
    return run


def test_a_problem_of_the_user_is_one_sentence_and_2(raising, capsys):
    assert raising(CellError("no cell is called 'x'")) == 2
    assert capsys.readouterr() == ("", "nrn-mlfit: no cell is called 'x'\n")


def test_a_problem_of_ours_is_an_apology_and_1(raising, capsys):
    assert raising(ZeroDivisionError("division by zero")) == 1
    assert capsys.readouterr().err == (
        "nrn-mlfit: an error we did not foresee (ZeroDivisionError: division by zero); "
        "set NRN_MLFIT_DEBUG=1 and run again to see where, and please report it\n"
    )


def test_on_request_a_problem_of_ours_shows_where(raising, capsys, monkeypatch):
    monkeypatch.setenv("NRN_MLFIT_DEBUG", "1")
    raising(ZeroDivisionError("division by zero"))
    assert "Traceback" in capsys.readouterr().err


@pytest.mark.parametrize("error", [KeyboardInterrupt(), click.Abort()])
def test_an_interrupt_says_what_is_kept_and_130(raising, capsys, error):
    assert raising(error) == 130
    assert capsys.readouterr().err == (
        "nrn-mlfit: interrupted; of a simulation the finished shards are kept, of a series the finished fits, and the same "
        "command goes on\n"
    )


@pytest.mark.parametrize(("everywhere", "said"), [(True, ""), (False, "nrn-mlfit: no cell is called 'x'\n")])
def test_before_the_ranks_meet_a_problem_of_all_is_said_by_the_first(raising, capsys, monkeypatch, everywhere, said):
    monkeypatch.setattr(workers, "met", lambda: False)
    monkeypatch.setattr(workers, "stay_away", lambda problem: everywhere)
    monkeypatch.setenv("PMI_SIZE", "2")
    monkeypatch.setenv("PMI_RANK", "1")
    assert raising(CellError("no cell is called 'x'")) == 2
    assert capsys.readouterr().err == said


def test_when_they_have_met_a_rank_that_fails_alone_speaks_and_ends_the_job(raising, capsys, monkeypatch):
    ended = []
    monkeypatch.setattr(workers, "met", lambda: True)
    monkeypatch.setattr(workers, "abort", lambda reason, code: ended.append((reason, code)))
    monkeypatch.setenv("PMI_SIZE", "2")
    monkeypatch.setenv("PMI_RANK", "1")
    raising(CellError("full"))
    assert ended == [("full", 2)]


@pytest.mark.parametrize(
    ("words", "code", "said"),
    [
        (["--version"], 0, "nrn-mlfit, version 0.1.0"),
        (["-h"], 0, "Usage: nrn-mlfit [OPTIONS] COMMAND"),
        (["fly"], 2, "Error: No such command 'fly'."),
        (["simulate"], 2, "Error: Missing argument 'CELL'."),
        (
            ["simulate", "izhikevich", "-n", "0", "-o", "x"],
            2,
            "Error: Invalid value for '-n' / '--samples': 0 is not in",
        ),
        (["simulate", "izhikevich", "-n", "5"], 2, "Error: Missing option '-o' / '--output'."),
        (["fit", "a.npz"], 2, "Error: Missing option '-o' / '--output'."),
    ],
)
def test_the_command_line_explains_itself(words, code, said, capsys):
    with pytest.raises(SystemExit) as left:
        program.main(words)
    assert left.value.code == code
    shown = capsys.readouterr()
    assert said in " ".join((shown.out + shown.err).split())
