"""From the file of a reconstruction to its branches: checked, read by NEURON's own means in a process of its own, sorted."""

import re
import shutil
import tempfile
from collections.abc import Callable
from pathlib import Path

import numpy as np

from nrn_mlfit.errors import MorphologyError
from nrn_mlfit.simulator import apart
from nrn_mlfit.simulator.morphology import asc, swc
from nrn_mlfit.simulator.morphology import sections as built
from nrn_mlfit.simulator.morphology.tree import Branch, Morphology

SUFFIXES = (".swc", ".asc", ".hoc")
MAX_BYTES = 20_000_000
MAX_POINTS = 200_000
SECONDS = 120.0  # that NEURON may take for one
KINDS = {  # by how the names of sections begin, in the order in which they are tried
    "soma": ("soma", "cellbody", "cell_body"),
    "axon": ("axon", "ais", "hill", "iseg", "myelin", "node"),
    "apical": ("apic",),
    "basal": ("dend", "basal"),
}


def read(path: Path) -> Morphology:
    """The reconstruction in a file, without its axon.

    Raises MorphologyError for a file that is not there, too large, or not what its suffix says, and for what has no soma, several
    trees, or branches without length.
    """
    suffix = _checked_suffix(path)
    sections, notes = {".swc": _swc, ".asc": _asc, ".hoc": _hoc}[suffix](path)
    return _sorted(path, sections, notes)


def _checked_suffix(path) -> str:
    suffix = path.suffix.lower()
    if suffix not in SUFFIXES:
        raise MorphologyError(
            f"{path}: a reconstruction is read from a file that ends in {', '.join(SUFFIXES)}; name one"
        )
    if not path.is_file():
        raise MorphologyError(f"{path}: no such file; name the file of a reconstruction (.swc, .asc or .hoc)")
    if path.stat().st_size > MAX_BYTES:
        raise MorphologyError(f"{path}: larger than {MAX_BYTES // 1_000_000} MB; that is no reconstruction of one cell")
    return suffix


def _swc(path) -> tuple[list[dict], list[str]]:
    points, notes = swc.read(path)
    _check_count(path, len(points))
    return _ask(built.of_swc, path, lambda copy: copy.write_text(swc.text(points))), notes


def _asc(path) -> tuple[list[dict], list[str]]:
    asc.check(path)
    return _ask(built.of_asc, path, lambda copy: shutil.copyfile(path, copy)), []


def _hoc(path) -> tuple[list[dict], list[str]]:
    sections = _told(built.of_hoc, path, path.resolve())
    if not sections:
        raise MorphologyError(
            f"{path}: creates no section at top level; name a HOC file that does, or export the cell as SWC"
        )
    return sections, []


def _ask(question, path, write: Callable[[Path], object]) -> list[dict]:
    """The sections of a file of ours, which `write` makes: its name is one that NEURON can read."""
    with tempfile.TemporaryDirectory(prefix="nrn_mlfit-") as scratch:
        copy = Path(scratch) / f"morphology{path.suffix.lower()}"
        write(copy)
        return _told(question, path, copy)


def _told(question, path, there) -> list[dict]:
    try:
        return apart.ask(question, str(there), seconds=SECONDS)
    except apart.Broken as said:
        raise MorphologyError(f"{path}: NEURON cannot read it ({said}); open it in NEURON to see more") from None


def _check_count(path, count):
    if count > MAX_POINTS:
        raise MorphologyError(f"{path}: has {count} points; at most {MAX_POINTS} can be simulated: thin them out")


def _sorted(path, sections, notes) -> Morphology:
    """Branches of the sections: the soma first, the axon left out."""
    kinds = [_kind(section["name"]) for section in sections]
    _check_count(path, sum(len(s["points"]) for s in sections))
    _check_soma(path, sections, kinds)
    _check_points(path, [s for s, kind in zip(sections, kinds, strict=True) if kind != "axon"])
    gone = _axon(sections, kinds)
    order = _parents_first(path, sections, kinds.index("soma"))
    kept = [k for k in order if k not in gone]
    new = {-1: -1} | {old: k for k, old in enumerate(kept)}
    branches = tuple(
        Branch(kinds[k] or "basal", new[sections[k]["parent"]], sections[k]["at"], np.array(sections[k]["points"]))
        for k in kept
    )
    if len(branches) == 1:
        raise MorphologyError(f"{path}: has a soma and no dendrites; take a reconstruction that has some")
    return Morphology(branches, (*notes, *_remarks(sections, kinds, gone)))


def _kind(name) -> str:
    """soma, axon, apical or basal by the name of a section, cell.dend[3]; empty where it says nothing."""
    word = re.sub(r"\[\d+\]", "", name.rpartition(".")[2]).lower()
    return next((kind for kind, begins in KINDS.items() if word.startswith(begins)), "")


def _check_soma(path, sections, kinds):
    somas = [section for section, kind in zip(sections, kinds, strict=True) if kind == "soma"]
    if not somas:
        told = {".asc": "a contour marked (CellBody)"}.get(path.suffix.lower(), "a section called soma")
        raise MorphologyError(f"{path}: has no soma, {told}; add one to the file, or take another reconstruction")
    if len(somas) > 1:
        raise MorphologyError(
            f"{path}: has {len(somas)} pieces of soma, {somas[0]['name']} and {somas[1]['name']} among them; make them one"
        )
    if somas[0]["parent"] >= 0:
        above = sections[somas[0]["parent"]]["name"]
        raise MorphologyError(f"{path}: the soma hangs on {above}; connect {above} to the soma instead")


def _check_points(path, sections):
    for section in sections:
        points = np.array(section["points"], float)
        if not np.isfinite(points).all() or (points[:, 3] <= 0).any():
            raise MorphologyError(f"{path}: {section['name']} has a diameter that is not above 0; correct it there")
        if not np.linalg.norm(np.diff(points[:, :3], axis=0), axis=1).sum() > 0:
            raise MorphologyError(f"{path}: {section['name']} has no length; leave it out of the file")


def _axon(sections, kinds) -> set[int]:
    """The numbers of axonal sections, and of what hangs on them."""

    def is_gone(k):
        while k >= 0:
            if kinds[k] == "axon":
                return True
            k = sections[k]["parent"]
        return False

    return {k for k in range(len(sections)) if is_gone(k)}


def _parents_first(path, sections, soma) -> list[int]:
    children: dict[int, list[int]] = {}
    for k, section in enumerate(sections):
        children.setdefault(section["parent"], []).append(k)
    waiting, order = [soma], []
    while waiting:
        order.append(k := waiting.pop())
        waiting += reversed(children.get(k, []))
    if len(order) < len(sections):
        reached = set(order)
        alone = next(s["name"] for k, s in enumerate(sections) if k not in reached)
        raise MorphologyError(f"{path}: {alone} is not connected to the soma; connect it, or leave it out of the file")
    return order


def _remarks(sections, kinds, gone) -> list[str]:
    notes = []
    if gone:
        length = sum(_length(sections[k]) for k in gone)
        notes.append(f"axon of the reconstruction: {len(gone)} sections, {length:.4g} um, left out")
    if carried := [sections[k]["name"] for k in gone if kinds[k] != "axon"]:
        notes.append(f"left out with the axon they hang on: {_few(carried)}")
    if unknown := [s["name"] for k, s in enumerate(sections) if not kinds[k] and k not in gone]:
        notes.append(f"taken for basal dendrites: {_few(unknown)}")
    if lines := [s["name"] for k, s in enumerate(sections) if not s["drawn"] and k not in gone]:
        notes.append(f"without 3-d points, drawn as straight lines: {_few(lines)}")
    return notes


def _few(names) -> str:
    return ", ".join(names[:4]) + (f" and {len(names) - 4} more" if len(names) > 4 else "")


def _length(section) -> float:
    points = np.array(section["points"])[:, :3]
    return float(np.linalg.norm(np.diff(points, axis=0), axis=1).sum())
