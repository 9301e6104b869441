"""The processor: what bytes depend on, and how much of it there is for us."""

import os
import platform
import re
from functools import cache
from pathlib import Path

# The levels of the x86-64 psABI. NumPy and the C library choose their exp() and log() by these flags, and two
# choices differ in the last bit; so do the vectors that an engine compiles for.
LEVELS = {
    "v4": {"avx512f", "avx512bw", "avx512cd", "avx512dq", "avx512vl"},
    "v3": {"avx", "avx2", "bmi1", "bmi2", "f16c", "fma", "movbe"},
    "v2": {"cx16", "popcnt", "sse4_1", "sse4_2", "ssse3"},
}


@cache
def instruction_set() -> str:
    """The instruction set of this machine: x86_64-v4, x86_64-v3, aarch64, ..."""
    family = platform.machine()
    if family != "x86_64":
        return family
    return f"{family}-{level(flags())}"


def cores() -> int:
    """How many processors this process may use: a cluster or a container may give it fewer than the machine has."""
    allowed = getattr(os, "sched_getaffinity", None)  # Linux has it
    return len(allowed(0)) if allowed else os.cpu_count() or 1


def flags() -> set[str]:
    """The processor's flags as the Linux kernel lists them; none known elsewhere."""
    cpuinfo = Path("/proc/cpuinfo")
    found = re.search(r"^(?:flags|Features)\s*:(.*)$", cpuinfo.read_text() if cpuinfo.is_file() else "", re.MULTILINE)
    return set(found[1].split()) if found else set()


def level(held: set[str]) -> str:
    """The highest x86-64 level that these flags reach; each level includes those below."""
    reached = "v1"
    for name in sorted(LEVELS):
        if not LEVELS[name] <= held:
            break
        reached = name
    return reached


def peak_bytes(pid: int) -> int:
    """The most memory that a process of ours has held at a time; 0 where this system does not say."""
    status = Path(f"/proc/{pid}/status")
    found = re.search(r"^VmHWM:\s*(\d+) kB$", status.read_text() if status.is_file() else "", re.MULTILINE)
    return 1024 * int(found[1]) if found else 0
