"""Cells: read and check a cell file; shipped cells, cells of other packages and a user's own come by one path."""

import hashlib
import io
import json
import re
import warnings
from dataclasses import dataclass, field, replace
from importlib.metadata import entry_points
from importlib.util import find_spec
from pathlib import Path

import numpy as np
import yaml

from nrn_mlfit import stimuli, textfile
from nrn_mlfit.errors import CellError, MlfitError
from nrn_mlfit.parameters import Parameter, ParameterSpace
from nrn_mlfit.stimuli import Protocol

SHIPPED = ("mainen", "ball_two_sticks", "izhikevich")
PLACES = {  # how a cell file names what it sets, records or injects into
    "range": re.compile(r"([A-Za-z_]\w*)\.([A-Za-z_]\w*)"),  # gbar_na.somatic: in every section of a SectionList
    "point": re.compile(r"([A-Za-z_]\w*)@([A-Za-z_]\w*)"),  # V@cell: a variable of a point process
    "procedure": re.compile(r"([A-Za-z_]\w*)\(()\)"),  # set_rm(): a procedure of the template
    "site": re.compile(r"([A-Za-z_]\w*(?:\[\d+\])?)\((\d+\.?\d*|\.\d+)\)"),  # soma(0.5), dend[3](1)
}
KEYS = {
    *("name", "hoc", "template", "mod", "files", "celsius", "v_init", "dt"),
    *("probes", "inject", "stimulus", "geometry", "parameters"),
}
REQUIRED = ("name", "hoc", "template", "stimulus", "parameters")


@dataclass(frozen=True)
class Place:
    """A place in a cell: (kind, name, where) is (range, gbar_na, somatic), (point, V, cell), (procedure, set_rm, "") or
    (site, soma, 0.5)."""

    kind: str
    name: str
    where: str


def place(text: str) -> Place:
    """The place that a word of a cell file means; raises CellError for none."""
    for kind, form in PLACES.items():
        if match := form.fullmatch(text):
            return Place(kind, match[1], match[2])
    raise CellError(f"{text!r} names no place in a cell, as gbar_na.somatic, V@cell, set_rm() or soma(0.5) do")


@dataclass(frozen=True, eq=False)
class CellModel:
    """A NEURON cell that can be drawn, simulated and fitted; everything a cell file says, checked.

    `hoc` is the file that defines `template`, `mod` the folder of its MOD files (None: built-in mechanisms only),
    `files` are what else the HOC reads (a morphology), `probes` maps a name to a recording site, `dt` is the longest
    integration step in ms.
    """

    name: str
    hoc: Path
    template: str
    mod: Path | None
    probes: dict[str, str]
    inject: str
    celsius: float
    v_init: float
    dt: float
    protocol: Protocol
    space: ParameterSpace
    geometry: dict[str, float] = field(default_factory=dict)
    files: tuple[Path, ...] = ()

    @property
    def step(self) -> float:
        """The integration step in ms: the sample step divided by the least whole number that brings it to `dt`."""
        return self.protocol.dt / self.substeps

    @property
    def substeps(self) -> int:
        return max(1, int(-(-self.protocol.dt // (self.dt * (1 + 1e-9)))))

    @property
    def current_unit(self) -> str:
        """The unit of the stimulus: a point process counts as its authors do."""
        return "nA" if place(self.inject).kind == "site" else ""

    def under(self, *stims) -> "CellModel":
        """The same cell under other stimuli."""
        return replace(self, protocol=Protocol(tuple(stims)))

    def mod_files(self) -> list[Path]:
        return sorted(self.mod.glob("*.mod")) if self.mod else []

    def settings(self) -> dict:
        """What the cell file says, as JSON-ready values: the provenance that goes with every result."""
        return {
            "name": self.name,
            "template": self.template,
            "celsius": self.celsius,
            "v_init": self.v_init,
            "dt": self.dt,
            "probes": [list(pair) for pair in self.probes.items()],  # a list: the P axis has this order
            "inject": self.inject,
            "geometry": self.geometry,
            "parameters": [{**vars(p), "sets": list(p.sets)} for p in self.space.parameters],
        }

    def digest(self) -> str:
        """sha256 of the settings and the bytes of the HOC and MOD files: two cells with it behave alike."""
        total = hashlib.sha256(json.dumps(self.settings(), sort_keys=True).encode())
        for name, content in self.sources().items():
            total.update(name.encode() + b"\0" + content)
        return total.hexdigest()

    def sources(self) -> dict[str, bytes]:
        """The files a copy of the cell needs, by their path in it: the HOC file, what it reads, and mod/."""
        files = {self.hoc.name: self.hoc.read_bytes()}
        files |= {self.copied_name(path): path.read_bytes() for path in self.files}
        return files | {f"mod/{path.name}": path.read_bytes() for path in self.mod_files()}

    def copied_name(self, path: Path) -> str:
        """Where one of `files` goes in a copy: as it lies to the HOC file that reads it."""
        beside = path.resolve().is_relative_to(self.hoc.resolve().parent)
        return str(path.resolve().relative_to(self.hoc.resolve().parent)) if beside else path.name


def load(cell: str | Path, stimulus: dict | None = None) -> CellModel:
    """A cell by name (shipped or of an installed package) or by the path of its cell file or the folder that holds it."""
    return read(find(cell), stimulus)


def find(cell: str | Path) -> Path:
    """The cell file of `cell`."""
    known = available()
    if str(cell) in known:
        return known[str(cell)]
    path = Path(cell)
    if path.is_dir():
        files = sorted(path.glob("*.yaml"))
        if len(files) == 1:
            return files[0]
        raise CellError(f"{path}: holds {len(files)} .yaml files, one was expected; name the cell file itself")
    if path.is_file():
        return path
    if path.suffix in (".yaml", ".yml") or len(path.parts) > 1:
        raise CellError(f"{path}: no such file; give the path of a cell file, or one of {', '.join(known)}")
    raise CellError(f"no cell is called {str(cell)!r}; there are {', '.join(known)}, or give the path of a cell file")


def available() -> dict[str, Path]:
    """Every cell known by name: shipped ones, then those that installed packages offer under `nrn_mlfit.cells`."""
    folder = shipped_folder("hoc")
    known = {name: folder / f"{name}.yaml" for name in SHIPPED}
    for entry in entry_points(group="nrn_mlfit.cells"):
        try:
            known.setdefault(entry.name, Path(entry.load()))
        except Exception as error:  # whatever another package does must not hide the cells of the rest
            warnings.warn(f"cell {entry.name} of {entry.value} does not load: {error}", stacklevel=2)
    return known


def shipped_folder(name: str) -> Path:
    """Where `hoc` or `mod` of this package lies: beside the sources in a checkout, inside the package when installed."""
    spec = find_spec(f"nrn_mlfit.{name}")
    if spec is None or spec.origin is None:
        raise CellError(f"the shipped {name} files (nrn_mlfit.{name}) are not installed; install the package again")
    return Path(spec.origin).parent


def read(path: Path, stimulus: dict | None = None) -> CellModel:
    """Read a cell file; `stimulus`, if given, takes the place of the file's own."""
    held = textfile.read_yaml(path)
    try:
        return _build(held, path.resolve().parent, stimulus)
    except MlfitError as error:
        raise type(error)(f"{path}: {error}") from None


def bundle(cell: CellModel, folder: Path) -> Path:
    """Write a copy of all a cell is made of into `folder`; `load(folder)` gives the same cell, digest for digest."""
    files = list(cell.sources().items())
    held = {k: v for k, v in cell.settings().items() if k != "parameters"}
    held |= {"hoc": cell.hoc.name, "files": [cell.copied_name(path) for path in cell.files]}
    held |= {"mod": "mod"} if cell.mod else {}
    held["stimulus"] = [_bundled_stimulus(s, k, files) for k, s in enumerate(cell.protocol.stimuli)]
    held["probes"] = cell.probes
    held["parameters"] = {p.pop("name"): p for p in cell.settings()["parameters"]}
    files.append((f"{cell.name}.yaml", yaml.safe_dump(held, sort_keys=False).encode()))
    for name, content in files:
        textfile.write_atomic(folder / name, content)
    return folder


def _bundled_stimulus(stimulus, number, files) -> dict:
    """The description of a stimulus inside a bundle; one that came from a file takes its samples along."""
    if stimulus.name != "file":
        return stimulus.spec
    name, held = f"stimulus{number}.npz", io.BytesIO()
    np.savez(held, current=stimulus.window, dt=stimulus.dt)
    files.append((name, held.getvalue()))
    return {"kind": "file", "path": name, "lead": stimulus.start * stimulus.dt}


def _build(held, folder, stimulus) -> CellModel:
    _check_keys(held)
    specs = stimulus or held["stimulus"]
    specs = specs if isinstance(specs, list) else [specs]
    return CellModel(
        name=str(held["name"]),
        hoc=_file(folder, held["hoc"]),
        files=_files(folder, held),
        template=str(held["template"]),
        mod=_mod_folder(folder, held.get("mod")),
        probes=_probes(held.get("probes", {"soma": "soma(0.5)"})),
        inject=_site("inject", held.get("inject", "soma(0.5)")),
        celsius=_number(held, "celsius", 34),
        v_init=_number(held, "v_init", -65),
        dt=_positive(held, "dt", 0.025),
        protocol=Protocol(tuple(stimuli.make(s, folder) for s in specs)),
        space=ParameterSpace(tuple(_parameter(n, p) for n, p in _mapping(held, "parameters").items())),
        geometry={k: _number(held["geometry"], k, None) for k in _mapping(held, "geometry")},
    )


def _check_keys(held):
    if not isinstance(held, dict):
        raise CellError("a cell file is a mapping, such as `name: mycell`")
    unknown, missing = sorted(set(held) - KEYS), [k for k in REQUIRED if k not in held]
    if unknown:
        raise CellError(f"unknown key {', '.join(map(repr, unknown))}; a cell file takes {', '.join(sorted(KEYS))}")
    if missing:
        raise CellError(f"{', '.join(missing)}: missing; a cell file needs {', '.join(REQUIRED)}")
    if not re.fullmatch(r"\w[\w.-]*", str(held["name"])):  # it becomes the name of a file
        raise CellError(f"name: {held['name']!r} is no name; use letters, digits, _, - and .")
    if not re.fullmatch(r"[A-Za-z_]\w*", str(held["template"])):
        raise CellError(f"template: {held['template']!r} is no name of a HOC template")


def _mapping(held, key) -> dict:
    value = held.get(key, {})
    if not isinstance(value, dict):
        raise CellError(f"{key}: must be a mapping, got {value!r}")
    return value


def _number(held, key, default) -> float:
    value = held.get(key, default)
    if isinstance(value, bool) or not isinstance(value, int | float) or not np.isfinite(value):
        raise CellError(f"{key}: must be a number, got {value!r}")
    return float(value)


def _positive(held, key, default) -> float:
    value = _number(held, key, default)
    if value <= 0:
        raise CellError(f"{key}: must be above 0, got {value:g}")
    return value


def _file(folder, name) -> Path:
    path = folder / str(name)
    if not path.is_file():
        raise CellError(f"{path} does not exist; paths are relative to the cell file")
    return path


def _files(folder, held) -> tuple[Path, ...]:
    """What the HOC reads lies in its folder, so that a copy of that folder is a copy of the cell."""
    names = held.get("files", [])
    if not isinstance(names, list):
        raise CellError(f"files: must be a list of file names, got {names!r}")
    beside = _file(folder, held["hoc"]).parent
    for path in (paths := tuple(_file(folder, name) for name in names)):
        if not path.resolve().is_relative_to(beside.resolve()):
            raise CellError(f"files: {path} must lie in the folder of the HOC file that reads it, {beside}")
    return paths


def _mod_folder(folder, name) -> Path | None:
    if name is None:
        return None
    path = (folder / str(name)).resolve()
    if not sorted(path.glob("*.mod")):
        raise CellError(f"mod: {path} holds no .mod file; paths are relative to the cell file")
    return path


def _probes(held) -> dict[str, str]:
    if not isinstance(held, dict) or not held:
        raise CellError(f'probes: must map names to sites, such as {{soma: "soma(0.5)"}}, got {held!r}')
    return {str(name): _site(f"probe {name}", site) for name, site in held.items()}


def _site(what, text) -> str:
    text = str(text)
    site, point = PLACES["site"].fullmatch(text), PLACES["point"].fullmatch(text)
    if point or (site and 0 <= float(site[2]) <= 1):
        return text
    raise CellError(
        f"{what}: {text!r} is no site; write SECTION(x) with x in 0..1, or VARIABLE@PROCESS for a point process"
    )


def _parameter(name, held) -> Parameter:
    wanted = {"low", "high", "unit", "scale", "sets"}
    if not isinstance(held, dict) or not {"low", "high"} <= set(held) or set(held) - wanted:
        raise CellError(f"parameter {name}: needs low and high, and may have unit, scale, sets; got {held!r}")
    targets = held.get("sets", [name])
    targets = tuple(str(t) for t in (targets if isinstance(targets, list) else [targets]))
    for target in targets:
        if target.startswith("nseg."):
            raise CellError(
                f"parameter {name}: {target} would draw the number of segments, which is no quantity of the cell; set nseg in "
                "the template"
            )
        if not any(PLACES[kind].fullmatch(target) for kind in ("range", "point", "procedure")):
            raise CellError(
                f"parameter {name}: {target!r} sets nothing; write VARIABLE.LIST (gbar_na.somatic), "
                "VARIABLE@PROCESS of a point process, or PROCEDURE()"
            )
    low, high = (_number(held, end, None) for end in ("low", "high"))
    return Parameter(str(name), low, high, str(held.get("unit", "")), str(held.get("scale", "linear")), targets)
