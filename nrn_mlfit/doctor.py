"""What this machine has and lacks for the package, and what to type where something is missing.

Every library is asked in a process of its own, so that one that crashes or hangs becomes a line of the answer.
"""

import json
import os
import platform
import re
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, requires, version
from pathlib import Path

from nrn_mlfit import machine, workers
from nrn_mlfit.errors import MlfitError

OK, NOTE, PROBLEM = "ok", "note", "PROBLEM"
SECONDS = 120  # for a first import of torch from a cold disk
LEAST_DISK_GB = 1.0
LEAST_MEMORY_GB = 2.0
TOOLS = {  # and what to type for each
    "g++": "apt install g++   (Fedora: dnf install gcc-c++)",
    "make": "apt install make   (Fedora: dnf install make)",
    "perl": "apt install perl   (Fedora: dnf install perl)",
}
VECTORS = ("sse4_2", "avx", "avx2", "fma", "avx512f", "avx512_fp16", "asimd", "sve")  # as /proc/cpuinfo has them

NEURON = """
from neuron import h
print(json.dumps([str(h.nrnversion(0)).strip()]))
"""
TORCH = """
import torch
devices = [torch.cuda.get_device_name(k) for k in range(torch.cuda.device_count())]
print(json.dumps([torch.__version__, devices, torch.get_num_threads()]))
"""
HDF5 = """
import h5py
print(json.dumps([h5py.__version__, h5py.version.hdf5_version]))
"""
MPI = """
import mpi4py
mpi4py.rc.initialize = False
from mpi4py import MPI
print(json.dumps([mpi4py.__version__, MPI.Get_library_version().split("\\n")[0].strip(" \\0")]))
"""
PROGRAM = "#include <cmath>\n#include <cstdlib>\nint main() { return std::exp(1.0) < 0; }\n"


@dataclass(frozen=True)
class Line:
    """One thing looked at: `mark` is ok, note or PROBLEM; `found` what there is; `todo` what to type about it."""

    mark: str
    name: str
    found: str
    todo: str = ""


def examine() -> Iterator[Line]:
    """Look at everything, one Line after the other; nothing that is broken here raises."""
    for look in LOOKS:
        yield from _guarded(look)


def is_healthy(lines: list[Line]) -> bool:
    """Whether everything that is needed is there."""
    return all(line.mark != PROBLEM for line in lines)


def _guarded(look: Callable[[], Iterator[Line]]) -> Iterator[Line]:
    try:
        yield from look()
    except MlfitError as error:
        yield Line(PROBLEM, _name(look), str(error))
    except Exception as error:  # whatever is broken, the other checks still say what they find
        yield Line(
            PROBLEM, _name(look), f"could not be looked at ({type(error).__name__}: {error})", "install nrn_mlfit again"
        )


def _name(look) -> str:
    return look.__name__.strip("_").replace("_", " ")


def ask(code: str, launcher=(), environment=None) -> tuple[list, str]:
    """What `code` prints as JSON in a Python of its own, or [] and why it failed."""
    command = [*launcher, sys.executable, "-c", f"import json\n{code}"]
    try:
        done = subprocess.run(
            command, capture_output=True, text=True, errors="replace", timeout=SECONDS, env=environment, cwd="/"
        )
    except subprocess.TimeoutExpired:
        return [], f"no answer in {SECONDS} s"
    lines = [line for line in done.stdout.splitlines() if line.startswith("[")]
    if done.returncode == 0 and lines:
        return json.JSONDecoder().raw_decode(lines[-1])[0], ""  # a launcher may run two ranks' lines together
    said = (done.stderr.strip() or f"exit code {done.returncode}").splitlines()
    return [], said[-1][:200]


def _python() -> Iterator[Line]:
    fine = sys.version_info >= (3, 11)
    yield Line(
        OK if fine else PROBLEM,
        "Python",
        f"{platform.python_version()} at {sys.executable}",
        "" if fine else "make a virtual environment with Python 3.11 or newer",
    )


def _libraries() -> Iterator[Line]:
    """What setup.cfg requires, apart from what has a line of its own."""
    names = [re.split(r"[^\w.-]", text)[0] for text in requires("nrn_mlfit") or [] if "extra ==" not in text]
    found, missing = [], []
    for name in names:
        try:
            found.append(f"{name} {version(name)}")
        except PackageNotFoundError:
            missing.append(name)
    if missing:
        yield Line(PROBLEM, "libraries", f"missing: {', '.join(missing)}", f"pip install {' '.join(missing)}")
    else:
        yield Line(OK, "libraries", ", ".join(found))


def _tools() -> Iterator[Line]:
    for tool, install in TOOLS.items():
        if path := shutil.which(tool):
            yield Line(OK, tool, f"{path}: {_first_line([tool, '--version'])}")
        else:
            yield Line(PROBLEM, tool, "not found; NEURON needs it to compile MOD files", install)
    if shutil.which("g++"):
        yield from _compiler()


def _compiler() -> Iterator[Line]:
    """A compiler without its headers or linker is found, too: try it."""
    with tempfile.TemporaryDirectory() as folder:
        source = Path(folder) / "a.cpp"
        source.write_text(PROGRAM)
        command = ["g++", "-O2", str(source), "-o", str(source.with_suffix(""))]
        done = subprocess.run(command, capture_output=True, text=True, errors="replace", timeout=SECONDS)
    if done.returncode:
        cause = (done.stderr.strip() or "no message").splitlines()[0][:200]
        yield Line(
            PROBLEM, "compiling", f"g++ fails on a one-line program: {cause}", "apt install --reinstall g++ libc6-dev"
        )


def _first_line(command) -> str:
    done = subprocess.run(command, capture_output=True, text=True, errors="replace", timeout=SECONDS)
    lines = [line.strip() for line in (done.stdout + done.stderr).splitlines() if line.strip()]
    return lines[0] if lines else "gives no version"


def _neuron() -> Iterator[Line]:
    from nrn_mlfit.simulator import mechanisms

    answer, error = ask(NEURON, environment=_outside_mpi())
    install = "pip install 'neuron>=9.0.1,<10'"
    if error:
        yield Line(PROBLEM, "NEURON", f"does not load: {error}", install)
        return
    yield Line(OK if version("neuron").startswith("9.") else PROBLEM, "NEURON", answer[0], install)
    yield Line(OK, "nrnivmodl", mechanisms.nrnivmodl())


def _mechanisms() -> Iterator[Line]:
    from nrn_mlfit import cells
    from nrn_mlfit.simulator import mechanisms

    folder = mechanisms.cache_folder()
    if mechanisms.is_built(cells.shipped_folder("mod")):
        yield Line(OK, "mechanisms", f"compiled, in {folder}")
    else:
        yield Line(NOTE, "mechanisms", "not compiled yet; that happens at the first simulation and takes half a minute")
    there = next(p for p in (folder, *folder.absolute().parents) if p.exists())
    if not _can_be_written(there):
        yield Line(PROBLEM, "cache", f"{there} cannot be written", "export NRN_MLFIT_CACHE=FOLDER, a folder of yours")
        return
    free = shutil.disk_usage(there).free / 1e9
    enough, todo = (
        free >= LEAST_DISK_GB,
        f"free at least {LEAST_DISK_GB:g} GB, or export NRN_MLFIT_CACHE=FOLDER on another disk",
    )
    yield Line(
        OK if enough else PROBLEM, "cache", f"{folder} can be written; {free:.1f} GB free", "" if enough else todo
    )


def _can_be_written(folder) -> bool:
    """By writing: what the mode bits say is not true of every file system, nor for root."""
    try:
        with tempfile.TemporaryFile(dir=folder):
            return True
    except OSError:
        return False


def _mpi() -> Iterator[Line]:
    """MPI is a choice: what is missing or wrong here is a note."""
    answer, error = ask(MPI, environment=_outside_mpi())
    install = "pip install 'nrn_mlfit[mpi]' (on a cluster: its own MPI module, then pip install mpi4py)"
    if error:
        yield Line(NOTE, "mpi4py", f"does not load, simulations run in one process: {error}", install)
        return
    yield Line(OK, "mpi4py", f"{answer[0]} with {' '.join(answer[1].split())}")
    if workers.launched_size() > 1:
        yield Line(
            NOTE, "mpiexec", f"not tried, as a launcher with {workers.launched_size()} ranks started this command"
        )
        return
    mpiexec = workers.mpiexec()
    if not mpiexec:
        yield Line(NOTE, "mpiexec", "not found, so -j does not work", install)
        return
    yield _two_ranks(mpiexec)


def _two_ranks(mpiexec) -> Line:
    """The only sure sign that launcher and library are of one MPI: two processes that know of each other."""
    roomy = {"OMPI_MCA_rmaps_base_oversubscribe": "1", "PRTE_MCA_rmaps_default_mapping_policy": ":oversubscribe"}
    code = "from mpi4py import MPI\nprint(json.dumps([MPI.COMM_WORLD.size]))"
    answer, error = ask(code, launcher=[mpiexec, "-n", "2"], environment={**os.environ, **roomy})
    if answer == [2]:
        return Line(OK, "mpiexec", f"{mpiexec}: two ranks work together")
    cause = error or "it starts two processes that do not know of each other: it is of another MPI than mpi4py"
    return Line(
        NOTE, "mpiexec", f"{mpiexec}: {cause}", "pip install 'nrn_mlfit[mpi]', or pip install --no-binary mpi4py mpi4py"
    )


def _outside_mpi() -> dict[str, str]:
    """The environment without a launcher's marks, which would make a library wait for ranks that are not there."""
    marks = ("PMI", "OMPI_", "SLURM_", "HYDRA_", "MPIR_", "MPI_")
    return {name: value for name, value in os.environ.items() if not name.startswith(marks)}


def _torch() -> Iterator[Line]:
    answer, error = ask(TORCH)
    if error:
        todo = "pip install torch --index-url https://download.pytorch.org/whl/cpu"
        yield Line(PROBLEM, "PyTorch", f"does not load: {error}", todo)
        return
    number, devices, threads = answer
    where = ", ".join(devices) or "no GPU, training runs on the CPU"
    yield Line(OK, "PyTorch", f"{number}; {where}; {threads} threads")


def _hdf5() -> Iterator[Line]:
    answer, error = ask(HDF5)
    if error:
        yield Line(PROBLEM, "HDF5", f"h5py does not load: {error}", "pip install --force-reinstall h5py")
    else:
        yield Line(OK, "HDF5", f"{answer[1]}, h5py {answer[0]}")


def _processor() -> Iterator[Line]:
    about = dict(line.split(":", 1) for line in Path("/proc/cpuinfo").read_text().splitlines() if ":" in line)
    held = {key.strip().lower(): value.strip() for key, value in about.items()}
    flags = (held.get("flags") or held.get("features", "")).split()
    vectors = ", ".join(name for name in VECTORS if name in flags) or "no vector instructions known"
    yield Line(OK, "processor", f"{held.get('model name', platform.machine())}; {vectors}")
    yield Line(OK, "cores", f"{machine.cores()} for this process{_share()}")


def _share() -> str:
    """How much of them a container may use."""
    words = _read("/sys/fs/cgroup/cpu.max").split()
    return f", at most {int(words[0]) / int(words[1]):.3g} at a time" if words and words[0].isdigit() else ""


def _memory() -> Iterator[Line]:
    held = dict(line.split(":", 1) for line in Path("/proc/meminfo").read_text().splitlines())
    total, free = (int(held[name].split()[0]) * 1024 / 1e9 for name in ("MemTotal", "MemAvailable"))
    limit = _read("/sys/fs/cgroup/memory.max") or _read("/sys/fs/cgroup/memory/memory.limit_in_bytes")
    bound = min(total, int(limit) / 1e9) if limit.isdigit() else total
    small = bound < LEAST_MEMORY_GB
    found = f"{bound:.1f} GB for this process, {min(free, bound):.1f} GB free"
    yield Line(NOTE if small else OK, "memory", found, "train with a smaller batch" if small else "")


def _read(path) -> str:
    try:
        return Path(path).read_text().strip()
    except OSError:
        return ""


LOOKS = (_python, _libraries, _tools, _neuron, _mechanisms, _mpi, _torch, _hdf5, _processor, _memory)
