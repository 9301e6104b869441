"""The processor and what a process takes of the machine."""

import os
import resource

from nrn_mlfit import machine, progress


def test_the_most_memory_is_what_the_kernel_counts():
    held = bytearray(50_000_000)
    counted = 1024 * resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    assert abs(machine.peak_bytes(os.getpid()) - counted) <= 0.05 * counted and counted > len(held)


def test_a_process_that_is_not_there_has_none():
    assert machine.peak_bytes(2**30) == 0


def test_one_is_one():
    assert [progress.counted(n, "set") for n in (0, 1, 2)] == ["0 sets", "1 set", "2 sets"]
