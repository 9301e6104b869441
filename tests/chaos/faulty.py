"""`nrn-mlfit ARGS`, but one rank does something bad when it begins its second shard: faulty.py ACTION RANK ARGS."""

import os
import signal
import sys

from nrn_mlfit import workers
from nrn_mlfit.__main__ import main
from nrn_mlfit.errors import ShardError
from nrn_mlfit.simulator import bulk


def exception():
    raise ZeroDivisionError("division by zero")


def problem():
    raise ShardError("shard-7.h5: cannot be used")


ACTIONS = {
    "exception": exception,
    "problem": problem,
    "sys.exit": lambda: sys.exit(0),
    "SIGTERM": lambda: os.kill(os.getpid(), signal.SIGTERM),
    "SIGKILL": lambda: os.kill(os.getpid(), signal.SIGKILL),
    "SIGSTOP": lambda: os.kill(os.getpid(), signal.SIGSTOP),
}

action, rank = ACTIONS[sys.argv[1]], int(sys.argv[2])
make, made = bulk._Maker.make, []


def faulty_make(self, *args):
    if made and workers.connect().rank == rank:
        action()
    made.append(1)
    return make(self, *args)


bulk._Maker.make = faulty_make
main(sys.argv[3:])
