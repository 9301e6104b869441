"""One word a host on why an MPI job ends: launchers kill all ranks of a job in which one died, and name any of them.

The first to take the word has it. It is the name of a socket without a file, so that nothing stays behind.
"""

import contextlib
import os
import socket
import subprocess
import sys

SECONDS_HELD = 3  # until the launcher has killed the others, who then find the word taken


def say(job: int, text: str):
    """Print `text` to standard error unless somebody on this host has had the last word of `job`.

    `job` is the process that started the ranks of this host, by number.
    """
    word = socket.socket(socket.AF_UNIX)
    with contextlib.suppress(OSError):
        word.bind(f"\0nrn_mlfit-{os.getuid()}-{job}")
        print(f"nrn-mlfit: {text}", file=sys.stderr, flush=True)
        subprocess.Popen(
            ["sleep", str(SECONDS_HELD)],
            pass_fds=(word.fileno(),),
            start_new_session=True,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
