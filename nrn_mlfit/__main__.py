"""The command `nrn-mlfit`: errors become one sentence and an exit code, and no MPI rank is left waiting."""

import functools
import os
import signal
import sys
import traceback

import click

from nrn_mlfit import workers
from nrn_mlfit.errors import MlfitError

INTERRUPTED, TERMINATED = 130, 143  # as shells give them: 128 + the signal's number
STOPPED = "stopped by SIGTERM"
SECONDS_TO_CLOSE = 5  # of the grace time, 30 s on most clusters
KEPT = "of a simulation the finished shards are kept, of a series the finished fits, and the same command goes on"


class _Terminated(BaseException):
    """SIGTERM: a cluster's scheduler wants the machine back."""


def main(arguments: list[str] | None = None):
    """Run the command line and leave with its exit code: 0 well, 2 a problem the user can mend, 1 ours."""
    signal.signal(signal.SIGTERM, _terminate)
    sys.exit(_run(arguments))


def _terminate(*_):
    """Close in order what is open; if Python swallows the exception, as it does in a destructor, without order."""
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    signal.signal(signal.SIGALRM, lambda *_: os._exit(_stop(STOPPED, TERMINATED)))
    signal.alarm(SECONDS_TO_CLOSE)
    raise _Terminated


def _run(arguments) -> int:
    from nrn_mlfit.cli import cli

    try:
        return cli.main(arguments, prog_name="nrn-mlfit", standalone_mode=False) or 0
    except click.exceptions.Exit as asked:
        return asked.exit_code
    except click.ClickException as error:
        return _leave(error.format_message(), error.exit_code, error.show)
    except MlfitError as error:
        return _leave(str(error), error.exit_code, functools.partial(_say, error), error.agreed)
    except (KeyboardInterrupt, click.Abort):
        return _stop("interrupted", INTERRUPTED)
    except _Terminated:
        return _stop(STOPPED, TERMINATED)
    except SystemExit as error:
        told = f"sys.exit({error.code!r}) was called"
        return _leave(told, 1, lambda: _say(told))
    except Exception as error:
        return _apologise(error)


def _say(text):
    print(f"nrn-mlfit: {text}", file=sys.stderr, flush=True)


def _leave(problem: str, code: int, show, agreed=False) -> int:
    """Say a problem: once if all ranks have it; else this one says it and does not leave the others waiting."""
    if workers.met() and not agreed:
        workers.abort(problem, code)
    everywhere = agreed or workers.stay_away(problem.rstrip("."))
    rank = workers.launched_rank()
    if rank == 0 or not everywhere:
        show()
    if rank == 0 and not everywhere:  # of another rank, rank 0 says it
        _say("rank 0 cannot take part, so the job ends; every rank needs the same command, files and installation")
    return code


def _stop(what: str, code: int) -> int:
    told = f"{what}; {KEPT}"
    workers.abort(told, code)
    _say(told)
    return code


def _apologise(error: Exception) -> int:
    if os.environ.get("NRN_MLFIT_DEBUG"):
        traceback.print_exception(error)
    told = (
        f"an error we did not foresee ({type(error).__name__}: {error}); "
        "set NRN_MLFIT_DEBUG=1 and run again to see where, and please report it"
    )
    return _leave(told, 1, lambda: _say(told))


if __name__ == "__main__":
    main()
