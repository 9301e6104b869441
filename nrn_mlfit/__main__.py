"""The command `nrn-mlfit`: errors become one sentence and an exit code, on every MPI rank."""

import os
import sys
import traceback

import click

from nrn_mlfit import workers
from nrn_mlfit.errors import MlfitError


def main(arguments: list[str] | None = None):
    """Run the command line and leave with its exit code: 0 well, 2 a problem the user can mend, 1 ours."""
    sys.exit(_run(arguments))


def _run(arguments) -> int:
    from nrn_mlfit.cli import cli

    try:
        return cli.main(arguments, prog_name="nrn-mlfit", standalone_mode=False) or 0
    except click.exceptions.Exit as asked:
        return asked.exit_code
    except click.ClickException as error:  # the command line is the same on every rank: each leaves by itself
        if workers.launched_rank() == 0:
            error.show()
        return error.exit_code
    except MlfitError as error:
        return _explain(error)
    except (KeyboardInterrupt, click.Abort):
        print("\nnrn-mlfit: interrupted; of a simulation the finished shards are kept", file=sys.stderr)
        workers.abort("interrupted", 130)
        return 130
    except Exception as error:
        return _apologise(error)


def _explain(error: MlfitError) -> int:
    alike = error.agreed or not workers.met()  # before the ranks meet, all read the same command and files
    if workers.launched_rank() == 0 or not alike:
        print(f"nrn-mlfit: {error}", file=sys.stderr, flush=True)
    if not alike:
        workers.abort(str(error), error.exit_code)
    return error.exit_code


def _apologise(error: Exception) -> int:
    if os.environ.get("NRN_MLFIT_DEBUG"):
        traceback.print_exception(error)
    print(
        f"nrn-mlfit: an error we did not foresee ({type(error).__name__}: {error}); "
        "set NRN_MLFIT_DEBUG=1 and run again to see where, and please report it",
        file=sys.stderr,
        flush=True,
    )
    workers.abort(type(error).__name__, 1)
    return 1


if __name__ == "__main__":
    main()
