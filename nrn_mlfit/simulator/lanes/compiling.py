"""The generated source, compiled once for an instruction set and kept in the user's cache beside the mechanisms."""

import ctypes
import hashlib
import shutil
import subprocess
import tempfile
from functools import cache
from pathlib import Path

from nrn_mlfit import machine
from nrn_mlfit.errors import MachineError
from nrn_mlfit.simulator.mechanisms import cache_folder, locked

HEADERS = tuple(Path(__file__).with_name(name) for name in ("vector.h", "kernel.h"))
# No -ffast-math: a NaN must stay one, and sums must be added up as they are written.
FLAGS = (
    "-std=c++17",
    "-O3",
    "-shared",
    "-fPIC",
    "-ffp-contract=fast",
    "-fno-math-errno",
    "-fno-signed-zeros",
    "-fno-trapping-math",
    "-Wno-psabi",
)
TARGETS = {  # instruction set -> flags; what is not here is left to the compiler
    "x86_64-v4": ("-march=x86-64-v4", "-mprefer-vector-width=512"),
    "x86_64-v3": ("-march=x86-64-v3",),
    "x86_64-v2": ("-march=x86-64-v2",),
}
PRECISIONS = {"double": (), "mixed": ("-DMIXED",)}
LIBRARY = "lanes.so"


@cache
def compiler() -> str:
    """The C++ compiler and its version, on which the last bits of a trace hang."""
    found = shutil.which("g++")
    if not found:
        raise MachineError("g++ not found, needed to compile a cell; install it (Debian/Ubuntu: apt install g++)")
    return subprocess.run([found, "--version"], capture_output=True, text=True, check=True).stdout.splitlines()[0]


def library_of(source: str, precision: str, instruction_set: str | None = None) -> Path:
    """The compiled source; compiled on first use, by one process at a time."""
    flags = (*FLAGS, *TARGETS.get(instruction_set or machine.instruction_set(), ()), *PRECISIONS[precision])
    told = [compiler(), *flags, *(path.read_text() for path in HEADERS), source]
    folder = cache_folder() / "lanes" / hashlib.sha256("\0".join(told).encode()).hexdigest()[:20]
    if not (folder / LIBRARY).is_file():
        with locked(folder):
            if not (folder / LIBRARY).is_file():
                _compile(source, flags, folder)
    return folder / LIBRARY


def _compile(source, flags, folder):
    with tempfile.TemporaryDirectory(dir=folder.parent, prefix=".new-") as work:
        for path in HEADERS:
            shutil.copy(path, work)
        made = Path(work, "made")
        made.mkdir()
        Path(made, "cell.cpp").write_text(source)
        line = ["g++", *flags, "-I", work, "made/cell.cpp", "-o", f"made/{LIBRARY}"]
        done = subprocess.run(line, cwd=work, capture_output=True, text=True)
        if done.returncode:
            kept = folder.with_suffix(".cpp")
            kept.write_text(source)
            told = next((line for line in done.stderr.splitlines() if "error" in line), done.stderr.strip())
            raise MachineError(f"{kept}: g++ does not compile it ({told[:200]}); simulate with --engine neuron")
        if folder.exists():
            shutil.rmtree(folder)
        made.rename(folder)


def load(library: Path) -> ctypes.CDLL:
    """A compiled source, with the types of its functions."""
    code = ctypes.CDLL(str(library))
    pointer = ctypes.POINTER(ctypes.c_double)
    code.lanes_run.argtypes = [pointer, ctypes.c_double, pointer, pointer, *[ctypes.c_long] * 3, pointer]
    code.lanes_run.restype = code.lanes_read.restype = None
    code.lanes_read.argtypes = [pointer]
    return code
