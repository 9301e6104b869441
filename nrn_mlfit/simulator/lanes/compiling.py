"""The generated source, compiled once for an instruction set and kept in the user's cache beside the mechanisms."""

import ctypes
import hashlib
import shutil
import subprocess
import tempfile
from dataclasses import dataclass
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
LIBRARY, COMPILER = "lanes.so", "compiler.txt"


@dataclass(frozen=True)
class Program:
    """A compiled source in its folder of the cache."""

    folder: Path

    @property
    def library(self) -> Path:
        return self.folder / LIBRARY

    @property
    def is_whole(self) -> bool:
        return self.library.is_file() and (self.folder / COMPILER).is_file()

    @property
    def made_with(self) -> dict[str, str]:
        """On what the last bits of a trace hang: the program, and the compiler that made it."""
        return {"program": self.folder.name, "g++": (self.folder / COMPILER).read_text()}


@cache
def compiler() -> str:
    """The C++ compiler and its version; raises MachineError where there is none that runs."""
    try:
        told = subprocess.run(["g++", "--version"], capture_output=True, text=True, check=True).stdout
    except FileNotFoundError:
        raise MachineError(
            "g++ not found, needed to compile a cell; install it (Debian/Ubuntu: apt install g++)"
        ) from None
    except (OSError, subprocess.CalledProcessError) as error:
        raise MachineError(f"{shutil.which('g++')}: does not run ({error}); install g++ anew") from None
    return told.splitlines()[0] if told else "g++"


def program_of(source: str, precision: str, instruction_set: str | None = None) -> Program:
    """The program of a source; compiled on first use, by one process at a time.

    It is called by what it is made of, the compiler apart: one that is there needs none, and a newer one does not end the
    runs that the older one began. Raises MachineError where it cannot be compiled.
    """
    flags = (*FLAGS, *TARGETS.get(instruction_set or machine.instruction_set(), ()), *PRECISIONS[precision])
    told = [*flags, *(path.read_text() for path in HEADERS), source]
    folder = cache_folder() / "lanes" / hashlib.sha256("\0".join(told).encode()).hexdigest()[:20]
    program = Program(folder)
    if not program.is_whole:
        with locked(folder):
            if not program.is_whole:
                _make(source, flags, folder)
    return program


def _make(source, flags, folder):
    try:
        with tempfile.TemporaryDirectory(dir=folder.parent, prefix=".new-") as work:
            _publish(_compiled(source, flags, Path(work), folder), folder)
    except OSError as error:
        raise MachineError(
            f"{folder.parent}: the cell's program cannot be made there ({error.strerror or error}); "
            "make room, or set NRN_MLFIT_CACHE to another folder"
        ) from None


def _compiled(source, flags, work, folder) -> Path:
    """A folder in `work` with the library, its source, and what it was compiled with."""
    for path in HEADERS:
        shutil.copy(path, work)
    made = work / "made"
    made.mkdir()
    (made / COMPILER).write_text(compiler())
    (made / "cell.cpp").write_text(source)
    line = ["g++", *flags, "-I", str(work), "made/cell.cpp", "-o", f"made/{LIBRARY}"]
    done = subprocess.run(line, cwd=work, capture_output=True, text=True, errors="replace")
    if done.returncode:
        kept = folder.with_suffix(".cpp")
        kept.write_text(source)
        told = next((line for line in done.stderr.splitlines() if "error" in line), done.stderr.strip())
        raise MachineError(f"{kept}: g++ does not compile it ({told[:200]}); simulate with --engine neuron")
    return made


def _publish(made, folder):
    """Rename, so that no one sees half a program; where file systems have no locks another one may have been faster."""
    if folder.is_dir() and not Program(folder).is_whole:
        shutil.rmtree(folder)
    try:
        made.rename(folder)
    except OSError:
        if not Program(folder).is_whole:
            raise


def load(library: Path, lane_currents: bool = False) -> ctypes.CDLL:
    """A compiled source in this process, with the types of its functions; `lane_currents`: each lane has its own current."""
    try:
        code = ctypes.CDLL(str(library))
    except OSError as error:
        raise MachineError(f"{library.parent}: does not load ({error}); delete this folder and try again") from None
    pointer = ctypes.POINTER(ctypes.c_double)
    initial = pointer if lane_currents else ctypes.c_double
    code.lanes_run.argtypes = [pointer, initial, pointer, pointer, *[ctypes.c_long] * 3, pointer]
    code.lanes_run.restype = code.lanes_read.restype = None
    code.lanes_read.argtypes = [pointer]
    return code
