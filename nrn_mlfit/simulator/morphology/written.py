"""The reconstruction inside a HOC template: sections, connections and 3-d points, between two lines of ours."""

import re
from collections import Counter

from nrn_mlfit.simulator.morphology.tree import Branch, Morphology

BEGIN, END = "// nrn-mlfit: the reconstruction begins", "// nrn-mlfit: the reconstruction ends"
PLACE = re.compile(rf"^{re.escape(BEGIN)}[^\n]*\n.*?^{re.escape(END)}[^\n]*$", re.DOTALL | re.MULTILINE)
ARRAYS = {"basal": "dend", "apical": "apic"}
POINTS_A_PROCEDURE = 500  # HOC has room for some thousands


def takes(template: str) -> bool:
    """Whether the text of a template has a place for a reconstruction."""
    return len(PLACE.findall(template)) == 1


def into(template: str, morphology: Morphology, source: str) -> str:
    """The text of a template with another reconstruction in its place; `source` says where it is from."""
    block = "\n".join([f"{BEGIN} ({source})", *_lines(morphology), END])
    return PLACE.sub(lambda _: block, template)


def _lines(morphology):
    names = _names(morphology.branches)
    counts = {array: len(morphology.of(kind)) for kind, array in ARRAYS.items() if morphology.of(kind)}
    yield f"public soma, {', '.join(counts)}"
    yield f"create soma, {', '.join(f'{array}[{count}]' for array, count in counts.items())}"
    yield ""
    yield "proc sort() { local i"
    for kind, array in ARRAYS.items():
        if array in counts:
            yield f"    for i = 0, {counts[array] - 1} {array}[i] {{ {kind}.append() }}"
    yield "}"
    pairs = list(zip(names, morphology.branches, strict=True))
    joins = [f"connect {name}(0), {names[b.parent]}({_number(b.at)})" for name, b in pairs[1:]]
    yield from _procedures("join", [(line, 1) for line in joins])
    yield from _procedures("traced_points", [(_traced(name, b), len(b.points)) for name, b in pairs])


def _names(branches: tuple[Branch, ...]) -> list[str]:
    """soma, dend[0], apic[0], dend[1]: in the order of the branches."""
    seen: Counter = Counter()
    names = []
    for branch in branches:
        names.append("soma" if branch.kind == "soma" else f"{ARRAYS[branch.kind]}[{seen[branch.kind]}]")
        seen[branch.kind] += 1
    return names


def _procedures(name, lines):
    """A procedure that does the lines, by others of bounded size; each line comes with what it counts."""
    parts: list[list[str]] = [[]]
    room = POINTS_A_PROCEDURE
    for line, count in lines:
        if parts[-1] and room < count:
            parts.append([])
            room = POINTS_A_PROCEDURE
        parts[-1].append(line)
        room -= count
    yield from ("", f"proc {name}() {{", *(f"    {name}{k}()" for k in range(len(parts))), "}")
    for k, part in enumerate(parts):
        yield from ("", f"proc {name}{k}() {{", *(f"    {line}" for line in part), "}")


def _traced(name, branch) -> str:
    points = [f"pt3dadd({', '.join(map(_number, point))})" for point in branch.points.tolist()]
    rows = [" ".join(points[k : k + 4]) for k in range(0, len(points), 4)]
    return f"{name} {{ pt3dclear()\n        " + "\n        ".join(rows) + " }"


def _number(value: float) -> str:
    return f"{value:.9g}"  # exact for the single precision in which NEURON keeps points
