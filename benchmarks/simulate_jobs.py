"""Processes for the parts of simulate.py: starting them, waiting for what they tell, how much memory they hold."""

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

SCRIPT = Path(__file__).with_name("simulate.py")


def start(ranks, words, stdout=subprocess.DEVNULL) -> subprocess.Popen:
    """Python with arguments, on so many ranks; 0 for no MPI."""
    beside = Path(sys.executable).with_name("mpiexec")
    mpiexec = str(beside) if beside.exists() else shutil.which("mpiexec")
    if ranks and not mpiexec:
        raise SystemExit("no mpiexec beside Python or on the PATH; choose other parts with --part")
    launcher = [mpiexec, "-n", str(ranks)] if ranks else []
    return subprocess.Popen([*launcher, sys.executable, *map(str, words)], stdout=stdout)


def start_child(ranks, name, given, stdout=subprocess.DEVNULL) -> subprocess.Popen:
    """A function of simulate.py's CHILDREN on so many ranks."""
    return start(ranks, [SCRIPT, "--child", name, json.dumps(given)], stdout)


def run_child(name, given):
    """What one of CHILDREN returns, run in a process of its own."""
    job = start_child(0, name, given, subprocess.PIPE)
    told, _ = job.communicate()
    if job.returncode:
        raise SystemExit(f"{name} failed")
    return json.loads(told.splitlines()[-1])


def turns(turn, name, one, other):
    """(what one returns, what the other returns): one after the other, the order changing with the turn."""
    if turn % 2:
        last = run_child(name, other)
        return run_child(name, one), last
    return run_child(name, one), run_child(name, other)


def family(pid) -> list[int]:
    """The process and all below it."""
    try:
        below = Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
    except OSError:  # it ended while we looked
        below = []
    return [pid, *(p for child in below for p in family(int(child)))]


def parent(pid) -> int:
    return int(Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[1])


def pss(pid) -> int:
    """Memory in bytes, a shared page divided by those who share it; 0 of what is not Python."""
    try:
        if "python" not in os.readlink(f"/proc/{pid}/exe"):
            return 0
        lines = Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines()
    except OSError:
        return 0
    return 1024 * sum(int(line.split()[1]) for line in lines if line.startswith("Pss:"))
