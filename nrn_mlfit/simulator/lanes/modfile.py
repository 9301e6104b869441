"""What a MOD file declares, from the syntax tree of NEURON's own parser (nmodl)."""

import re
import subprocess
import tempfile
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import Any

from nrn_mlfit.simulator.door import nmodl, translator
from nrn_mlfit.simulator.lanes.outside import Outside

REFUSED = {  # blocks and statements without which a mechanism would be another one
    "KINETIC_BLOCK": "KINETIC",
    "LINEAR_BLOCK": "LINEAR",
    "NON_LINEAR_BLOCK": "NONLINEAR",
    "DISCRETE_BLOCK": "DISCRETE",
    "VERBATIM": "VERBATIM",
    "POINTER": "POINTER",
    "BBCORE_POINTER": "BBCOREPOINTER",
    "RANDOM_VAR_LIST": "RANDOM",
    "EXTERNAL": "EXTERNAL",
    "NET_RECEIVE_BLOCK": "NET_RECEIVE",
    "FOR_NETCON": "FOR_NETCONS",
    "BEFORE_BLOCK": "BEFORE",
    "AFTER_BLOCK": "AFTER",
    "CONSTRUCTOR_BLOCK": "CONSTRUCTOR",
    "DESTRUCTOR_BLOCK": "DESTRUCTOR",
    "FUNCTION_TABLE_BLOCK": "FUNCTION_TABLE",
    "LON_DIFFUSE": "LONGITUDINAL_DIFFUSION",
}


@dataclass(frozen=True)
class Ion:
    """A USEION line: the ion's name, and the variables of it that the mechanism reads and writes."""

    name: str
    reads: tuple[str, ...]
    writes: tuple[str, ...]

    @property
    def current(self) -> str:
        return f"i{self.name}"

    @property
    def writes_concentration(self) -> bool:
        return any(name in (f"{self.name}i", f"{self.name}o") for name in self.writes)


@dataclass(frozen=True)
class Mod:
    """The declarations of a MOD file, and its blocks as syntax trees."""

    name: str
    is_point: bool
    ranges: frozenset[str]
    global_variables: frozenset[str]  # GLOBAL, or a PARAMETER that is not RANGE: one value for all instances
    file_locals: frozenset[str]  # LOCAL outside of all blocks: one value for all instances, which NEURON does not show
    states: tuple[str, ...]
    constants: dict[str, float]
    ions: tuple[Ion, ...]
    nonspecific: tuple[str, ...]
    electrode: tuple[str, ...]
    blocks: dict[str, Any] = field(repr=False)  # INITIAL, BREAKPOINT, and by name what they call and solve
    callables: frozenset[str] = frozenset()  # the names of FUNCTIONs and PROCEDUREs

    @property
    def ion_variables(self) -> dict[str, tuple[str, str]]:
        """variable -> (ion, the variable's name there)."""
        return {name: (ion.name, name) for ion in self.ions for name in (*ion.reads, *ion.writes)}

    @property
    def currents(self) -> tuple[str, ...]:
        """The names of the membrane and electrode currents that it makes."""
        ionic = [ion.current for ion in self.ions if ion.current in ion.writes]
        return (*ionic, *self.nonspecific, *self.electrode)


def read(path: Path) -> Mod:
    """Read a MOD file; raises Outside for what the lane engine does not know."""
    code = path.read_text(errors="replace")
    try:
        tree = nmodl().NmodlDriver().parse_string(code)
    except RuntimeError as error:
        raise Outside(f"{path.name}: nmodl does not read it ({str(error).splitlines()[0][:120]})") from None
    return _Declarations(path.name, tree).mod()


class _Declarations:
    """Goes through the top of a syntax tree."""

    def __init__(self, file, tree):
        self._file, self._tree = file, tree
        self._check()

    def mod(self) -> Mod:
        suffix = self._all("SUFFIX")
        kind = name_of(suffix[0].type) if suffix else "none"
        if kind not in ("SUFFIX", "POINT_PROCESS"):
            raise Outside(f"{self._file}: {kind} is no SUFFIX or POINT_PROCESS")
        ranges = frozenset(name_of(v.name) for v in self._all("RANGE_VAR"))
        parameters = frozenset(name_of(p.name) for p in self._all("PARAM_ASSIGN"))
        return Mod(
            name=name_of(suffix[0].name),
            is_point=kind == "POINT_PROCESS",
            ranges=ranges,
            global_variables=parameters - ranges | {name_of(v.name) for v in self._all("GLOBAL_VAR")},
            file_locals=frozenset(name_of(v.name) for v in self._file_locals()),
            states=tuple(name_of(a.name) for a in self._definitions("STATE_BLOCK")),
            constants=self._constants(),
            ions=tuple(_ion(node) for node in self._all("USEION")),
            nonspecific=tuple(name_of(v.name) for v in self._all("NONSPECIFIC_CUR_VAR")),
            electrode=tuple(name_of(v.name) for v in self._all("ELECTRODE_CUR_VAR")),
            blocks=self._blocks(),
            callables=frozenset(name_of(b.name) for b in self._all("FUNCTION_BLOCK", "PROCEDURE_BLOCK")),
        )

    def _check(self):
        for kind, word in REFUSED.items():
            if self._all(kind):
                raise Outside(f"{self._file}: has {word}")
        for node in [*self._all("PARAM_ASSIGN"), *self._definitions("ASSIGNED_BLOCK", "STATE_BLOCK")]:
            if node.name.is_indexed_name() or getattr(node, "length", None):
                raise Outside(f"{self._file}: {name_of(node.name)} is an array")

    def _all(self, *kinds) -> list:
        return _lookup(self._tree, kinds)

    def _definitions(self, *blocks) -> list:
        return [d for block in self._all(*blocks) for d in block.definitions]

    def _file_locals(self) -> list:
        top = [s for s in self._tree.blocks if s.get_node_type_name() == "LocalListStatement"]
        return [v for s in top for v in s.variables]

    def _blocks(self) -> dict[str, Any]:
        named = self._all("FUNCTION_BLOCK", "PROCEDURE_BLOCK", "DERIVATIVE_BLOCK")
        held = {name_of(block.name): block for block in named}
        for word, kind in (("INITIAL", "INITIAL_BLOCK"), ("BREAKPOINT", "BREAKPOINT_BLOCK")):
            held |= dict.fromkeys([word], block) if (block := next(iter(self._all(kind)), None)) else {}
        return held

    def _constants(self) -> dict[str, float]:
        """CONSTANT and the constants of UNITS, the latter as NEURON computes them."""
        held = {name_of(c.name): float(c.value.eval()) for c in self._all("CONSTANT_VAR")}
        factors = self._all("FACTOR_DEF")
        lines = "\n".join(nmodl().to_nmodl(f) for f in factors)
        return held | {name_of(f.name): _factor(lines, name_of(f.name), self._file) for f in factors}


def _ion(node) -> Ion:
    names = (tuple(name_of(v.name) for v in part) for part in (node.readlist, node.writelist))
    return Ion(name_of(node.name), *names)


def equations(block) -> list:
    """The differential equations of a DERIVATIVE block."""
    return _lookup(block, ("DIFF_EQ_EXPRESSION",))


def name_of(node) -> str:
    """The name that a node of a syntax tree bears."""
    return node.get_node_name()


def _lookup(tree, kinds) -> list:
    """All nodes of some kinds in a syntax tree, in the file's order."""
    dsl = nmodl().dsl
    return dsl.visitor.AstLookupVisitor().lookup(tree, [getattr(dsl.ast.AstNodeType, kind) for kind in kinds])


@cache
def _factor(lines: str, name: str, file: str) -> float:
    """A constant of a UNITS block, such as FARADAY = (faraday) (coulomb), from NEURON's own translator."""
    with tempfile.TemporaryDirectory(prefix="nrn_mlfit-") as work:
        Path(work, "units.mod").write_text(f"NEURON {{ SUFFIX units }}\nUNITS {{\n{lines}\n}}\n")
        done = subprocess.run([translator(), "units.mod"], cwd=work, capture_output=True, text=True)
        made = Path(work, "units.cpp")
        text = made.read_text() if made.is_file() else ""
    found = re.search(rf"static double {name} = (\S+);", text)
    if done.returncode or not found:
        raise Outside(f"{file}: the unit factor {name} is not understood")
    return float.fromhex(found[1]) if "x" in found[1] else float(found[1])
