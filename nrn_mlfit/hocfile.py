"""HOC files as text: the templates that one defines, the files that it reads, and a copy that has what cell files need."""

import os
import re
from collections.abc import Iterable
from pathlib import Path

from nrn_mlfit.errors import CellError

COMMENTED = re.compile(r'("(?:\\.|[^"\\\n])*")|//[^\n]*|/\*.*?\*/', re.DOTALL)
BEGIN = re.compile(r"^\s*begintemplate\s+(\w+)", re.MULTILINE)
HIDDEN = re.compile(r"\b(\w+)\s*=\s*new\s+SectionList\s*\(")
LOCAL = re.compile(r"\blocalobj\s+(\w+(?:\s*,\s*\w+)*)")
REGIONS = {"soma": "somatic", "apic": "apical", "axon": "axonal"}  # what a section is called, and its list
MARK = "// Added by `nrn-mlfit cells new`"


def code_of(path: Path) -> str:
    """A HOC file without its comments; raises CellError where it cannot be read."""
    try:
        text = path.read_text(encoding="utf-8", errors="replace")
    except OSError as error:
        raise CellError(
            f"{path}: cannot be read ({error.strerror}); give the HOC file that defines your template"
        ) from None
    return _without_comments(text)


def _without_comments(text) -> str:
    return COMMENTED.sub(lambda found: found[1] or "", text)


def template_in(path: Path, wanted: str | None = None) -> str:
    """The template that a HOC file defines, of several the `wanted` one; raises CellError where there is none."""
    there = BEGIN.findall(code_of(path))
    if not there:
        raise CellError(
            f"{path}: defines no template; put what makes the cell between `begintemplate NAME` and `endtemplate NAME`, as "
            "docs/cell_files.md shows"
        )
    if wanted is None and len(there) > 1:
        raise CellError(f"{path}: defines {len(there)} templates, {', '.join(there)}; choose one with --template")
    if wanted is not None and wanted not in there:
        raise CellError(f"{path}: defines no template {wanted}; there is {', '.join(there)}")
    return wanted or there[0]


def files_read(path: Path) -> list[Path]:
    """The files in a HOC file's folder that it names in quotes, and that those name which are HOC files: what it may read.

    Raises CellError for one outside of that folder, or with its full path: a copy of the cell would not have it.
    """
    found: list[Path] = []
    top, todo = path.resolve().parent, [path.resolve()]
    while todo:
        reader = todo.pop()
        for name in re.findall(r'"([^"\n]+)"', code_of(reader)):
            for other in _named(top, reader, name):
                if other not in (path.resolve(), *found):
                    found.append(other)
                    todo += [other] if other.suffix == ".hoc" else []
    return found


def _named(top, reader, name) -> list[Path]:
    """The files in the folder `top` that a word in quotes may mean: NEURON seeks there, or beside the file that it reads."""
    there = dict.fromkeys(Path(os.path.normpath(base / name)) for base in (top, reader.parent))
    files = [other for other in there if os.path.isfile(other)]  # not Path.is_file, which raises for a long text
    inside = [other for other in files if other.is_relative_to(top)]
    if files and (not inside or os.path.isabs(name)):
        raise CellError(
            f'{reader}: names the file "{name}", which a copy of its folder would not have; put it beside {reader.name} and '
            f'write "{Path(name).name}" there'
        )
    return inside


def renamed(text: str, template: str, name: str) -> str:
    """The text of a template under another name, comments left alone."""
    words = rf"\b(begintemplate|endtemplate|new)(\s+){re.escape(template)}\b"
    return re.sub(words, rf"\1\2{name}", text)


def hidden_lists(text: str, template: str) -> list[str]:
    """The SectionLists that a template makes and keeps: none in comments, and no `localobj`, which nobody can make public."""
    code = _without_comments(_body(text, template)[1])
    passing = {name for names in LOCAL.findall(code) for name in re.findall(r"\w+", names)}
    return [name for name in dict.fromkeys(HIDDEN.findall(code)) if name not in passing]


def made_public(text: str, template: str, names: Iterable[str]) -> str:
    """The text of a HOC file with some members of a template declared public."""
    before, body, after = _body(text, template)
    return f"{before}{MARK}: public, so that a cell file can name them.\npublic {', '.join(names)}\n{body}{after}"


def with_lists(text: str, template: str, sections: Iterable[str], lacking: Iterable[str]) -> str:
    """The text of a HOC file whose template has public SectionLists of its `sections` (soma, dend[0], dend[1], ...).

    `all`, and one for each name of those that are `lacking` one, of these alone. They are filled in a new init(), which
    first does what init() did.
    """
    before, body, after = _body(text, template)
    sizes, wanted = _sizes(sections), _by_name(lacking)
    names = {name: _free(_region(name, sizes), body) for name in wanted}
    everything, counter = _free("all", body), _free("i", body)
    lists = list(dict.fromkeys([everything, *names.values()]))
    body, count = re.subn(r"\bproc(\s+)init(\s*)\(", r"proc\1built_before_lists\2(", body)
    fill = [f"    {name} = new SectionList()" for name in lists]
    for name, size in sizes.items():
        is_whole = len(wanted.get(name, ())) == max(size, 1)
        fill.append(_appended(counter, name, size, everything, *([names[name]] if is_whole else [])))
        fill += [f"    {one} {{ {names[name]}.append() }}" for one in wanted.get(name, ()) if not is_whole]
    called = ["    built_before_lists()"] if count else []
    init = "\n".join([f"{MARK}.", f"proc init() {{ local {counter}", *called, *fill, "}", "", ""])
    head = f"{MARK}: SectionLists, which a cell file names.\npublic {', '.join(lists)}\nobjref {', '.join(lists)}\n"
    return f"{before}{head}{body}{init}{after}"


def _body(text, template) -> tuple[str, str, str]:
    """A text in three: up to the line `begintemplate`, what is in the template, and from `endtemplate` on."""
    found = re.search(rf"(.*?^\s*begintemplate\s+{template}\b[^\n]*\n)(.*?)(^\s*endtemplate\b.*)", text, re.M | re.S)
    if not found:
        raise CellError(f"template {template}: has no `endtemplate {template}` on a line of its own; write it there")
    return found[1], found[2], found[3]


def _by_name(sections) -> dict[str, list[str]]:
    found: dict[str, list[str]] = {}
    for section in sections:
        found.setdefault(section.partition("[")[0], []).append(section)
    return found


def _sizes(sections) -> dict[str, int]:
    """How many sections each name stands for; 0 where it is no array."""
    sizes: dict[str, int] = {}
    for section in sections:
        name, _, index = section.partition("[")
        sizes[name] = max(sizes.get(name, 0), int(index.rstrip("]")) + 1 if index else 0)
    return sizes


def _region(name, names) -> str:
    if name == "dend":
        return "basal" if "apic" in names else "dendritic"
    return REGIONS.get(name, f"{name}_list")


def _free(name, body) -> str:
    return f"{name}_sections" if re.search(rf"\b{name}\b", body) else name


def _appended(counter, name, size, *lists) -> str:
    append = "{ " + " ".join(f"{one}.append()" for one in lists) + " }"
    return f"    for {counter} = 0, {size - 1} {name}[{counter}] {append}" if size else f"    {name} {append}"
