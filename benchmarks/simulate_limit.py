"""How fast could the lane engine's program be on this core? Its floating point instructions, and the best time for them.

    python benchmarks/simulate_limit.py mainen --precision mixed

The instructions of a step are counted as they run, one by one, in the compiled program (by ptrace, as a debugger steps), so
that inlining, unrolled loops and functions called lane by lane do not matter. The best time is measured in the same run: a
loop of the same multiplications, fused multiply-adds, additions and divisions in the same proportions, evenly mixed, in
registers only, none waiting for another one. What else a step does (loads, stores, comparisons, selects, shifts) is not in
the limit. For x86-64 with AVX2 or more.
"""

import argparse
import contextlib
import ctypes
import json
import os
import re
import resource
import signal
import subprocess
import sys
import tempfile
import time
from collections import Counter
from pathlib import Path
from statistics import median
from unittest import mock

import numpy as np

ARITHMETIC = re.compile(r"v(fn?m(?:add|sub)\d+|mul|add|sub|div)(p[sd])")
REGISTERS = {"zmm": 64, "ymm": 32}  # bytes
BODY = 1000  # instructions of the loop
TRACEME, PEEKUSER, SINGLESTEP = 0, 3, 9  # requests of ptrace
RIP = 16 * 8  # where PEEKUSER has the instruction pointer (struct user_regs_struct of x86-64)
KINDS = ("multiplications", "additions", "divisions")  # the first alone or with an addition
LOOP = """
#include <immintrin.h>
extern "C" void loop(long n) {{
    const unsigned before = _mm_getcsr();
    _mm_setcsr(before | 0x8040);  // no subnormal numbers
    const double one = 1.2345678, small = 1.1e-9;
    const float one_s = 1.2345678f, small_s = 1.1e-9f;
    asm volatile("vbroadcastsd %0, %%{r}12\\n vbroadcastsd %1, %%{r}13\\n"
                 "vbroadcastss %2, %%{r}14\\n vbroadcastss %3, %%{r}15\\n" {zero}
                 :: "m"(one), "m"(small), "m"(one_s), "m"(small_s) : {all});
    for (long i = 0; i < n; i++) asm volatile({body} ::: {all});
    _mm_setcsr(before);
}}
"""


def main():
    if sys.argv[1:2] == ["--step"]:
        return print(json.dumps(step_through(*sys.argv[2:])))
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("cell")
    parser.add_argument("--precision", choices=["double", "mixed"], default="double")
    asked = parser.parse_args()
    from nrn_mlfit import cells, machine
    from nrn_mlfit.simulator.lanes import LaneEngine

    engine = LaneEngine(cells.load(asked.cell), asked.precision)
    found = limit_of(engine, asked.precision, machine.instruction_set(), program_ms(engine))
    print(json.dumps(found, indent=1))


def program_ms(engine) -> float:
    """ms CPU a trace that the program takes, the median of several times."""
    starts, held = starts_of(engine), []
    for _ in range(7):
        began = time.process_time()
        engine.traces(starts, engine.played[0])
        held.append(1e3 * (time.process_time() - began) / engine.width)
    return median(held)


def limit(engine, library) -> dict:
    """The instructions of a step, and the ms a trace that its floating point instructions take at best, all and by kind."""
    counted = count_a_step(library, starts_of(engine), engine.played[0], len(engine.model.probes))
    register = "zmm" if any(name.endswith("zmm") for name in counted) else "ymm"
    work = Counter({name.split()[0]: n for name, n in counted.items() if kind_of(name) and name.endswith(register)})
    if not work:
        return {"instructions": counted}
    by_kind = {kind: sum(n for name, n in work.items() if kind_of(name) == kind) for kind in KINDS}
    steps = engine.steps / engine.width
    per_ns = {kind: nanoseconds(Counter({most_of(work, kind): 1}), register) for kind in KINDS if by_kind[kind]}
    all_together = nanoseconds(work, register)
    flops = sum(n * lanes_of(name, register) * (2 if name.startswith("vf") else 1) for name, n in work.items())
    return {
        "register": register,
        "instructions": sum(counted.values()),
        "vector_instructions": sum(n for name, n in counted.items() if name.endswith(register)),
        "arithmetic_instructions": sum(work.values()),
        "by_kind": by_kind,
        "flops_a_trace": flops * steps,
        "ns_each": per_ns,
        "limit_ms_by_kind": {kind: 1e-6 * by_kind[kind] * ns * steps for kind, ns in per_ns.items()},
        "limit_ms": 1e-6 * all_together * sum(work.values()) * steps,
        "mnemonics": dict(counted.most_common(30)),
    }


def kind_of(name) -> str:
    """Of which of KINDS an instruction of whole registers is; "" of none."""
    found = ARITHMETIC.fullmatch(name.split()[0])
    if not found:
        return ""
    stem = found[1]
    return "divisions" if stem == "div" else "additions" if stem in ("add", "sub") else "multiplications"


def most_of(work, kind) -> str:
    return max((n, name) for name, n in work.items() if kind_of(name) == kind)[1]


def lanes_of(name, register) -> int:
    return REGISTERS[register] // (4 if name.endswith("ps") else 8)


# Counting


def starts_of(engine):
    """What as many sets as the program has lanes start from."""
    space, stimulus = engine.model.space, engine.model.protocol.stimuli[0]
    return engine.starts(
        space.to_phys(space.draw(3, 0, engine.width)), [stimulus] * engine.width, np.zeros(engine.width, np.uint8)
    )


def count_a_step(library, starts, played, probes) -> Counter:
    """How often a step of all lanes executes each instruction, by "mnemonic register"; in a process of its own."""
    initial, middle, end = played
    with tempfile.TemporaryDirectory() as place:
        np.savez(f"{place}/in.npz", starts=starts.T, initial=initial, middle=middle[:1], end=end[:1])
        words = [sys.executable, __file__, "--step", str(library), f"{place}/in.npz", str(probes)]
        done = subprocess.run(words, capture_output=True, text=True, check=True)
    none, one = json.loads(done.stdout.splitlines()[-1])
    names = disassembled(library)
    total = Counter()
    for address in one.keys() | none.keys():
        total[names[int(address)]] += one.get(address, 0) - none.get(address, 0)
    return Counter({name: n for name, n in total.items() if n})


def disassembled(library) -> dict[int, str]:
    """Address -> "mnemonic register", the widest register that the instruction has."""
    code = subprocess.run(["objdump", "-d", "--no-show-raw-insn", library], capture_output=True, text=True, check=True)
    found = {}
    for line in re.finditer(r"^ *([0-9a-f]+):\t(?:\{\w+\} )?(\w+)(.*)$", code.stdout, re.MULTILINE):
        wide = next((r for r in ("zmm", "ymm", "xmm") if r in line[3]), "")
        found[int(line[1], 16)] = f"{line[2]} {wide}".strip()
    return found


def step_through(library, given, probes):
    """How often each address of the library is executed in a run of no step and in one of one step."""
    os.sched_setaffinity(0, [min(os.sched_getaffinity(0))])  # the two take turns anyway, and a core is quicker than two
    pid = os.fork()
    if not pid:
        run_traced(library, np.load(given), int(probes))
    try:
        os.waitpid(pid, os.WUNTRACED)  # it stops, traced or not
        span = mapped(pid, library)
        return [step_to_the_stop(pid, *span) for _ in range(2)]
    finally:
        with contextlib.suppress(ProcessLookupError, ChildProcessError):  # it may have ended
            os.kill(pid, signal.SIGKILL)
            os.waitpid(pid, 0)


def step_to_the_stop(pid, base, end) -> Counter:
    """How often a process executes each address from base to end until it stops itself."""
    ptrace = ctypes.CDLL(None, use_errno=True).ptrace
    ptrace.argtypes, ptrace.restype = [ctypes.c_long] * 4, ctypes.c_long
    held = Counter()
    while True:
        if ptrace(SINGLESTEP, pid, 0, 0):
            raise SystemExit("ptrace does not step here")
        _, status = os.waitpid(pid, 0)
        if not os.WIFSTOPPED(status) or os.WSTOPSIG(status) not in (signal.SIGTRAP, signal.SIGSTOP):
            raise SystemExit("the program did not come to its end while it was counted")
        if os.WSTOPSIG(status) == signal.SIGSTOP:
            return held
        here = ptrace(PEEKUSER, pid, RIP, 0)
        if base <= here < end:
            held[here - base] += 1


def run_traced(library, given, probes):
    """In the child: a run of no step and one of one step, each up to a SIGSTOP."""
    from nrn_mlfit.simulator.lanes import compiling

    code = compiling.load(Path(library))
    starts, middle, end = (np.ascontiguousarray(given[name], float) for name in ("starts", "middle", "end"))
    room, initial = np.empty(probes * code.lanes_count()), float(given["initial"])
    pointers = [a.ctypes.data_as(ctypes.POINTER(ctypes.c_double)) for a in (starts, middle, end, room)]
    ctypes.CDLL(None).ptrace(TRACEME, 0, 0, 0)
    os.kill(os.getpid(), signal.SIGSTOP)
    for steps in (0, 1):
        code.lanes_run(pointers[0], initial, *pointers[1:3], steps, 1 << 40, 0, pointers[3])
        os.kill(os.getpid(), signal.SIGSTOP)
    os._exit(0)


def mapped(pid, library) -> tuple[int, int]:
    """From where to where a process has a library."""
    lines = [line for line in Path(f"/proc/{pid}/maps").read_text().splitlines() if line.endswith(str(library))]
    spans = [[int(part, 16) for part in line.split()[0].split("-")] for line in lines]
    return min(span[0] for span in spans), max(span[1] for span in spans)


# The best time


def nanoseconds(work: Counter, register) -> float:
    """ns of one of some instructions (mnemonic -> how many), mixed evenly and independent of each other, at best."""
    body = mixed(work)
    with tempfile.TemporaryDirectory() as place:
        Path(place, "loop.cpp").write_text(source(body, register))
        words = ["g++", "-O2", "-march=native", "-shared", "-fPIC", "loop.cpp", "-o", "loop.so"]
        subprocess.run(words, cwd=place, check=True, capture_output=True)
        code = ctypes.CDLL(f"{place}/loop.so")
    code.loop.argtypes, code.loop.restype = [ctypes.c_long], None
    code.loop(20_000)
    held = []
    for _ in range(7):
        begin = time.process_time()
        code.loop(100_000)
        held.append(time.process_time() - begin)
    return 1e9 * min(held) / 100_000 / len(body)


def mixed(work: Counter) -> list[str]:
    """About BODY mnemonics in the proportions of `work`, each spread evenly."""
    total = sum(work.values())
    places = []
    for name, n in work.items():
        count = round(BODY * n / total)
        places += [((k + 0.5) / count, name) for k in range(count)]
    return [name for _, name in sorted(places)]


def source(body, register) -> str:
    lines = []
    for k, name in enumerate(body):
        one, small = (14, 15) if name.endswith("ps") else (12, 13)
        lines.append(f'"{name} %%{register}{small}, %%{register}{one}, %%{register}{k % 12}\\n"')
    zero = " ".join(f'"vxorpd %%xmm{k}, %%xmm{k}, %%xmm{k}\\n"' for k in range(12))
    clobbered = ", ".join(f'"xmm{k}"' for k in range(16))
    return LOOP.format(r=register, zero=zero, body="\n".join(lines), all=clobbered)


# How it was made, and what is told of it


def compile_time(source, precision, level) -> float:
    """CPU seconds that a program's compilation takes."""
    from nrn_mlfit.simulator.lanes import compiling

    with tempfile.TemporaryDirectory() as place, mock.patch.dict(os.environ, NRN_MLFIT_CACHE=place):
        began = children_seconds()
        compiling.program_of(source, precision, level)
        return children_seconds() - began


def children_seconds() -> float:
    """CPU seconds of all processes that we have waited for, and of those that they have waited for."""
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


def limit_of(engine, precision, level, taken) -> dict:
    """The limit of a program on this core, and its share of what the program takes, `taken` ms a trace."""
    from nrn_mlfit.simulator.lanes import compiling

    try:
        found = limit(engine, compiling.program_of(engine.source, precision, level).library)
    except (subprocess.CalledProcessError, OSError) as error:  # no ptrace, no objdump
        told = str(getattr(error, "stderr", "") or error).splitlines()
        return {"why_not": f"not counted here: {told[-1]}"}
    if "limit_ms" in found:
        found["share"] = found["limit_ms"] / taken
        found["gflops"] = 1e-6 * found["flops_a_trace"] / taken
    return found


def limit_text(name, found) -> str:
    if "limit_ms" not in found:
        return f"{name}: {found.get('why_not', 'no instructions of whole registers')}."
    kinds = "; ".join(
        f"{found['by_kind'][kind]:,} {kind} of {ns:.3f} ns each, {found['limit_ms_by_kind'][kind]:.3g} ms a trace"
        for kind, ns in found["ns_each"].items()
    )
    return (
        f"{name}: a step of all lanes executes {found['instructions']:,} instructions, {found['vector_instructions']:,} "
        f"of them with whole registers, {found['arithmetic_instructions']:,} of these arithmetic: {kinds}. All of these "
        f"evenly mixed take this core {found['limit_ms']:.3g} ms a trace at best; the program is at "
        f"{100 * found['share']:.0f} % of that limit ({found['gflops']:.1f} GFLOP/s)."
    )


if __name__ == "__main__":
    main()
