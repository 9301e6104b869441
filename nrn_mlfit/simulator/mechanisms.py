"""MOD files: compiled once into a cache folder of the user, loaded once a process, and checked to be there."""

import contextlib
import fcntl
import hashlib
import os
import platform
import re
import shutil
import stat
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from importlib.metadata import version
from pathlib import Path

import platformdirs

from nrn_mlfit import cells, progress
from nrn_mlfit.errors import MachineError, MechanismError
from nrn_mlfit.simulator.door import hoc, load_library

NAME = re.compile(r"\b(?:SUFFIX|POINT_PROCESS|ARTIFICIAL_CELL)\s+(\w+)")
COMMENT = re.compile(r"\bCOMMENT\b.*?\bENDCOMMENT\b|^\s*TITLE[^\n]*|[:?][^\n]*", re.DOTALL | re.MULTILINE)
LIBRARY = "libnrnmech.so"
TOOLS = ("g++", "make", "perl")
OF_NMODL = re.compile(r"Error: ([^\0]{1,300}?)\s+at line (\d+) in file (\S+)")
OF_GCC = re.compile(r"([^/\s]+)\.cpp:\d+:\d+: error: (.{1,200})(?:\n +\d+ \|(.*))?")
UNDECLARED = re.compile(r"'(\w+)' was not declared")
_loaded: dict[str, Path] = {}  # mechanism -> the folder of MOD files that it came from
_contents: set[str] = set()  # sha256 of the MOD files that are loaded


def load_mechanisms(mod: Path | str | None = None):
    """Load the MOD files of a folder into this NEURON process (the shipped channels by default), building them if need be.

    Files that are loaded already, from whatever folder, are left out. Raises MechanismError if they do not compile, or if
    there is a mechanism of that name with another content.
    """
    folder = Path(mod) if mod else cells.shipped_folder("mod")
    files = [path for path in sorted(folder.glob("*.mod")) if _content(path) not in _contents]
    if not files:
        return
    if key_of(folder) not in _keys_of_loaded_libraries():
        _refuse_other_versions(folder, files)
        _load(folder, files)
    _loaded.update({name: folder.resolve() for path in files for name in names_in(path)})
    _contents.update(map(_content, files))


def _load(folder, files):
    library = build(folder, files)
    load_library(library)
    missing = [name for path in files for name in names_in(path) if not _exists(name)]
    if missing:
        raise MechanismError(
            f"{library}: loaded, but {', '.join(missing)} did not appear in NEURON; delete its folder and try again"
        )


def _content(path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()


def names_in(path: Path) -> list[str]:
    """The mechanisms that a MOD file defines (`SUFFIX nothing` is NEURON's word for none)."""
    found = NAME.findall(COMMENT.sub("", path.read_text(errors="replace")))
    return [name for name in found if name != "nothing"]


def key_of(folder: Path, files: Sequence[Path] = ()) -> str:
    """What a build depends on: the names and bytes of the MOD files (all, or some of them), NEURON's version, the processor
    family."""
    total = hashlib.sha256(f"{version('neuron')} {platform.machine()}".encode())
    for path in files or sorted(folder.glob("*.mod")):
        total.update(path.name.encode() + b"\0" + path.read_bytes())
    return total.hexdigest()[:20]


def cache_folder() -> Path:
    """Where builds are kept: NRN_MLFIT_CACHE if set, else the user's cache folder, or a temporary one if that is read-only."""
    if chosen := os.environ.get("NRN_MLFIT_CACHE"):
        return Path(chosen)
    folder = Path(platformdirs.user_cache_dir("nrn_mlfit"))
    return folder if _is_writable(folder) else _temporary_folder()


def _is_writable(folder) -> bool:
    there = next(path for path in (folder, *folder.parents) if path.exists())
    return os.access(there, os.W_OK)


def _temporary_folder() -> Path:
    """A folder of ours where everybody may write: what another user put there must not be loaded."""
    folder = Path(tempfile.gettempdir()) / f"nrn_mlfit-{os.getuid()}"
    folder.mkdir(mode=0o700, exist_ok=True)
    about = folder.lstat()
    if about.st_uid != os.getuid() or not stat.S_ISDIR(about.st_mode) or about.st_mode & 0o022:
        raise MachineError(f"{folder}: belongs to somebody else; set NRN_MLFIT_CACHE to a folder of yours")
    return folder


def build(folder: Path, files: Sequence[Path] = ()) -> Path:
    """The compiled library of a folder of MOD files, or of some of them; compiled on first use, by one process at a time."""
    library = _library(folder, files)
    if not library.is_file():
        with locked(library.parent):
            if not library.is_file():
                _compile(folder, files, library.parent)
    return library


def tell_if_new(folder: Path | None, report: progress.Report):
    """Say that the MOD files of a folder, if there is one, are going to be compiled, where they have not been."""
    if folder and not is_built(folder):
        report("compiling the MOD files (once; they are kept)")


def is_built(folder: Path) -> bool:
    """Whether the MOD files of a folder need no compiling."""
    return _library(folder).is_file()


def _library(folder, files=()) -> Path:
    return cache_folder() / "mechanisms" / key_of(folder, files) / LIBRARY


def missing_tools() -> list[str]:
    """What nrnivmodl needs and this machine lacks."""
    return [tool for tool in TOOLS if not shutil.which(tool)]


def nrnivmodl() -> str:
    """NEURON's MOD compiler, the one that belongs to this Python."""
    beside = Path(sys.executable).with_name("nrnivmodl")
    found = str(beside) if beside.exists() else shutil.which("nrnivmodl")
    if not found:
        raise MachineError("nrnivmodl was not found beside Python nor on the PATH; install NEURON: pip install neuron")
    return found


@contextlib.contextmanager
def locked(target):
    """Hold the lock of something that is built in the cache, the file or folder `target`."""
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        lock = open(target.with_suffix(".lock"), "w")  # noqa: SIM115 (closed below, after the lock)
    except OSError as error:
        raise MachineError(
            f"{target.parent}: cannot be written ({error.strerror}); set NRN_MLFIT_CACHE to a folder of yours"
        ) from None
    with lock:
        with contextlib.suppress(OSError):  # a file system without locks: two may compile, and one build is kept
            fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def _compile(folder, files, target):
    if absent := missing_tools():
        raise MachineError(
            f"{', '.join(absent)} not found, needed to compile MOD files; install them (Debian/Ubuntu: apt install g++ make perl)"
        )
    with tempfile.TemporaryDirectory(prefix="nrn_mlfit-") as work:
        for path in files or folder.glob("*.mod"):
            shutil.copy(path, work)
        english = os.environ | {"LC_ALL": "C"}  # g++ translates its messages, which _cause reads
        done = subprocess.run([nrnivmodl()], cwd=work, capture_output=True, text=True, errors="replace", env=english)
        made = next(Path(work).glob(f"*/**/{LIBRARY}"), None)
        if done.returncode or not made:
            raise MechanismError(
                f"{folder}: the MOD files do not compile: {_cause(done, folder)}; run `nrnivmodl {folder}` to see all"
            )
        _publish(made, target)


def _publish(made, target):
    fresh = Path(tempfile.mkdtemp(dir=target.parent, prefix=".new-"))
    shutil.copy(made, fresh / LIBRARY)
    try:
        fresh.rename(target)
    except OSError:
        shutil.rmtree(fresh)
        if not (target / LIBRARY).is_file():
            raise


def _cause(done, folder) -> str:
    """What the compilers say is wrong, with the MOD file and, where it can be told, the line."""
    if found := OF_NMODL.search(done.stdout + done.stderr):
        said, line, file = found.groups()
        return f"{file}, line {line}: {' '.join(said.split())}"
    if (found := OF_GCC.search(done.stderr)) and (folder / f"{found[1]}.mod").is_file():
        return f"{found[1]}.mod{_line_of(found, folder / f'{found[1]}.mod')}: {found[2]}"
    said = (line.strip() for line in (done.stdout + "\n" + done.stderr).splitlines())
    lines = [line for line in said if line and not line.startswith("NOTE")]
    telling = [line for line in lines if re.search(r"error|syntax|undefined|not declared", line, re.IGNORECASE)]
    return (telling or lines or ["no output"])[0][:200]


def _line_of(found, path) -> str:
    """Where in the MOD file that is which g++ refuses in the C++ made from it: the first use of a name that is declared
    nowhere, or the one line of VERBATIM that g++ quotes."""
    name, quoted = UNDECLARED.search(found[2]), re.escape((found[3] or "").strip())
    bare = COMMENT.sub(lambda comment: "\n" * comment[0].count("\n"), path.read_text(errors="replace"))
    sought = re.compile(rf".*\b{name[1]}\b.*" if name else rf"\s*{quoted}\s*")
    lines = [number for number, line in enumerate(bare.splitlines(), 1) if line.strip() and sought.fullmatch(line)]
    return f", line {lines[0]}" if name and lines or len(lines) == 1 else ""


def _exists(name) -> bool:
    return bool(hoc().name_declared(name))


def _keys_of_loaded_libraries() -> set[str]:
    """The keys of MOD files that NEURON loaded by itself, as it does with an x86_64/ in the folder it starts in.

    nrnivmodl leaves that folder beside the MOD files, or beside the mod/ that holds them; files that changed since do
    not count.
    """
    hoc()
    keys = set()
    with contextlib.suppress(OSError):
        maps = Path("/proc/self/maps").read_text(errors="replace")
        for library in set(re.findall(rf"/.*/{re.escape(LIBRARY)}$", maps, re.MULTILINE)):
            built, top = Path(library).stat().st_mtime, Path(library).parents[1]
            for folder in (top, top / "mod"):
                files = list(folder.glob("*.mod"))
                if files and max(path.stat().st_mtime for path in files) <= built:
                    keys.add(key_of(folder))
    return keys


def _refuse_other_versions(folder, files):
    """Refuse MOD files that are not loaded, but of whose names NEURON has mechanisms."""
    names = [name for path in files for name in names_in(path)]
    if ours := [name for name in names if name in _loaded]:
        there = " and ".join(sorted({str(_loaded[name]) for name in ours}))
        raise MechanismError(
            f"{', '.join(ours)}: loaded already from {there}, and {folder.resolve()} has something else under that name; NEURON "
            "holds one mechanism of a name in a process, so start a new Python for the other one, or give it another SUFFIX"
        )
    if taken := [name for name in names if _exists(name)]:
        raise MechanismError(
            f"{', '.join(taken)}: a name that NEURON knows already, of its own, of HOC or of MOD files that were loaded before "
            f"{folder.resolve()}; start a new Python and import nrn_mlfit before neuron, or give the mechanism another SUFFIX"
        )
