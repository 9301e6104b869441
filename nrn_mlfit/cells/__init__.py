"""Cells: read and check a cell file; shipped cells, cells of other packages and a user's own come by one path."""

import copy
import hashlib
import io
import itertools
import json
import re
from dataclasses import dataclass, field, replace
from importlib.util import find_spec
from pathlib import Path

import numpy as np
import yaml

from nrn_mlfit import fields, packages, stimuli, textfile
from nrn_mlfit.cells import entries
from nrn_mlfit.errors import CellError, MlfitError, ParameterError
from nrn_mlfit.formulas import Formula
from nrn_mlfit.parameters import Fixed, Parameter, ParameterSpace
from nrn_mlfit.places import place
from nrn_mlfit.stimuli import Protocol, Stimulus

SHIPPED = ("mainen", "ball_two_sticks", "izhikevich", "mainen_slice", "mainen_wide", "izhikevich_slice")
KEYS = {
    *("name", "hoc", "template", "mod", "files", "celsius", "v_init", "dt", "current_gain"),
    *("probes", "inject", "origin", "stimulus", "geometry", "parameters", "fixed"),
}
ORIGIN = "soma(0.5)"
REQUIRED = ("name", "hoc", "template", "stimulus", "parameters")


@dataclass(frozen=True, eq=False)
class CellModel:
    """A NEURON cell that can be drawn, simulated and fitted; everything a cell file says, checked.

    `hoc` is the file that defines `template`, `mod` the folder of its MOD files (None: built-in mechanisms only),
    `files` are what else the HOC reads (a morphology), `probes` maps a name to a recording site, `dt` is the longest
    integration step in ms. `space` are the parameters that are drawn, `fixed` those that are held. `current_gain`: what 1 nA
    is to a point process that counts its current in a unit of its own. `origin`: the site that distances in formulas are
    counted from.
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
    fixed: tuple[Fixed, ...] = ()
    current_gain: float | None = None
    origin: str = ORIGIN

    @property
    def step(self) -> float:
        """The integration step in ms: the sample step divided by the least whole number that brings it to `dt`."""
        return self.protocol.dt / self.substeps

    @property
    def substeps(self) -> int:
        return max(1, int(-(-self.protocol.dt // (self.dt * (1 + 1e-9)))))

    @property
    def current_unit(self) -> str:
        """The unit of the stimuli: a point process counts as its authors do."""
        return "nA" if all(self._is_in_na(s) for s in self.protocol.every) else ""

    def gain(self, stimulus: Stimulus) -> float:
        """What a stimulus is multiplied by on its way into the cell, where no parameter says it."""
        is_own = self.current_gain is None or not self._is_in_na(stimulus)
        return 1.0 if is_own else float(self.current_gain or 0)

    def _is_in_na(self, stimulus) -> bool:
        """Into a section all flows in nA; into a point process what a file holds, and all if a parameter is the gain."""
        drawn = any("current_gain" in p.sets for p in self.parameters)
        from_file = self.current_gain is not None and stimulus.name == "file"
        return place(self.inject).kind == "site" or drawn or from_file

    @property
    def parameters(self) -> list[Parameter]:
        """All parameters in the cell file's order, the held ones among them."""
        held = list(self.space.parameters)
        for one in self.fixed:
            held.insert(one.at, one.parameter)
        return held

    @property
    def held(self) -> dict[str, float]:
        """The values of the parameters that are not drawn, by name, in their own units."""
        return {one.parameter.name: one.value for one in self.fixed}

    @property
    def formulas(self) -> list[tuple[str, Formula]]:
        """What formulas set, after what parameters set by themselves: (the parameter that has it under `sets`, formula)."""
        return entries.formulas_of(self.parameters)

    def under(self, *stims) -> "CellModel":
        """The same cell under other stimuli."""
        return replace(self, protocol=Protocol(tuple(stims)))

    def rows(self, phys_par, index, factor):
        """Sets as rows of numbers: parameters (N, K), each in its unit; with a bank, which alternative and times what behind
        them, (N, K + 2)."""
        return np.column_stack([phys_par, index, factor]) if self.protocol.is_bank else phys_par

    def split(self, rows):
        """phys_par (N, K), index (N,) and factor (N,) of rows; where these have parameters alone it is the first alternative
        as it is."""
        count = len(self.space)
        phys_par, chosen = rows[:, :count], rows[:, count:]
        if not chosen.shape[1]:
            return phys_par, np.zeros(len(rows), int), np.ones(len(rows))
        return phys_par, chosen[:, 0].astype(int), chosen[:, 1]

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
            "parameters": [_described(p) for p in self.space.parameters],
            **({"fixed": {f.parameter.name: _held(f) for f in self.fixed}} if self.fixed else {}),
            **({"origin": self.origin} if any(f.by_distance for _, f in self.formulas) else {}),
            **({"current_gain": self.current_gain} if any(self.gain(s) != 1 for s in self.protocol.every) else {}),
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


def load(cell: str | Path, stimulus: dict | str | None = None) -> CellModel:
    """A cell by name (shipped or of an installed package) or by the path of its cell file or the folder that holds it."""
    return read(find(cell), stimulus)


def fixed(model: CellModel, values: dict[str, float]) -> CellModel:
    """The cell with some parameters held at `values`, in their own units: they are no longer drawn, learned or fitted.

    Raises ParameterError for a name it does not have, for a value outside its range, and where nothing is left to draw;
    CellError where a formula has no value then.
    """
    names = [p.name for p in model.parameters]
    if unknown := [name for name in values if name not in names]:
        raise ParameterError(
            f"{model.name} has no parameter {', '.join(map(repr, unknown))} to fix; it has {', '.join(names)}"
        )
    values = {**model.held, **values}
    if len(values) == len(names):
        raise ParameterError(
            f"{model.name}: all {len(names)} of its parameters are fixed, so there is nothing left to draw; leave one of them out"
        )
    held = [Fixed(p, float(values[p.name]), at) for at, p in enumerate(model.parameters) if p.name in values]
    entries.check_formulas(model.parameters, values)
    space = ParameterSpace(tuple(p for p in model.parameters if p.name not in values))
    return replace(model, space=space, fixed=tuple(held))


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


def name_for(folder: Path) -> str:
    """The name of a new cell: that of its folder. Raises CellError where it cannot be one."""
    name = folder.absolute().name
    if not re.fullmatch(r"\w[\w.-]*", name) or yaml.safe_load(name) != name:  # YAML takes 12 for a number
        raise CellError(
            f"{folder}: {name!r} becomes the cell's name; make it of letters, digits, _, - and ., as in my_cell"
        )
    return name


def available() -> dict[str, Path]:
    """Every cell known by name: shipped ones, then those that installed packages offer under `nrn_mlfit.cells`."""
    folder = shipped_folder("hoc")
    known = {name: folder / f"{name}.yaml" for name in SHIPPED}
    return known | {name: offer.path for name, offer in packages.offered("cell", known).items()}


def shipped_folder(name: str) -> Path:
    """Where `hoc` or `mod` of this package lies: beside the sources in a checkout, inside the package when installed."""
    spec = find_spec(f"nrn_mlfit.{name}")
    if spec is None or spec.origin is None:
        raise CellError(f"the shipped {name} files (nrn_mlfit.{name}) are not installed; install the package again")
    return Path(spec.origin).parent


def read(path: Path, stimulus: dict | str | None = None) -> CellModel:
    """Read a cell file; `stimulus`, if given, takes the place of the file's own."""
    held = textfile.read_yaml(path)
    try:
        return _build(held, path.resolve().parent, stimulus)
    except MlfitError as error:
        raise type(error)(f"{path}: {error}") from None


def bundle(cell: CellModel, folder: Path) -> Path:
    """Write a copy of all a cell is made of into `folder`; `load(folder)` gives the same cell, digest for digest."""
    files = list(cell.sources().items())
    held = {k: v for k, v in cell.settings().items() if k not in ("parameters", "fixed")}
    held |= {"hoc": cell.hoc.name, "files": [cell.copied_name(path) for path in cell.files]}
    held |= {"mod": "mod"} if cell.mod else {}
    held["stimulus"] = _bundled_protocol(cell.protocol, files)
    held["probes"] = cell.probes
    held |= {"origin": cell.origin} if cell.origin != ORIGIN else {}
    held |= {"current_gain": cell.current_gain} if cell.current_gain is not None else {}
    held["parameters"] = {p.pop("name"): p for p in map(_described, cell.parameters)}
    held |= {"fixed": cell.held} if cell.held else {}
    files.append((f"{cell.name}.yaml", yaml.safe_dump(held, sort_keys=False).encode()))
    for name, content in files:
        textfile.write_atomic(folder / name, content)
    return folder


def _described(parameter) -> dict:
    return {**vars(parameter), "sets": list(parameter.sets)}


def _held(one) -> dict:
    return {"value": one.value, "at": one.at, **_described(one.parameter)}


def _bundled_protocol(protocol, files) -> list | dict:
    """The description of a protocol inside a bundle, whose stimuli are numbered through."""
    numbers = itertools.count()
    held = [[_bundled_stimulus(s, next(numbers), files) for s in stimuli] for stimuli in protocol.alternatives]
    return {"bank": held, "amplitudes": list(protocol.amplitudes)} if protocol.is_bank else held[0]


def _bundled_stimulus(stimulus, number, files) -> dict:
    """The description of a stimulus inside a bundle; one that came from a file takes its samples along."""
    spec = copy.deepcopy(stimulus.spec)  # what two share would be written as an alias, which cell files may not have
    if stimulus.name != "file":
        return spec
    name, held = f"stimulus{number}.npz", io.BytesIO()
    np.savez(held, current=stimulus.window, dt=stimulus.dt)
    files.append((name, held.getvalue()))
    origin = {"origin": spec["origin"]} if "origin" in spec else {}
    return {"kind": "file", "path": name, "lead": stimulus.start * stimulus.dt, **origin}


def _build(held, folder, stimulus) -> CellModel:
    _check_keys(held)
    whole = CellModel(
        name=str(held["name"]),
        hoc=fields.file(folder, held["hoc"]),
        files=fields.files(folder, held),
        template=str(held["template"]),
        mod=fields.mod_folder(folder, held.get("mod")),
        probes=entries.probes(held.get("probes", {"soma": "soma(0.5)"})),
        inject=entries.site("inject", held.get("inject", "soma(0.5)")),
        celsius=fields.number(held, "celsius", 34),
        v_init=fields.number(held, "v_init", -65),
        dt=fields.positive(held, "dt", 0.025),
        protocol=stimuli.make_protocol(stimulus or held["stimulus"], folder),
        space=ParameterSpace(tuple(entries.parameter(n, p) for n, p in fields.mapping(held, "parameters").items())),
        geometry={k: fields.number(held["geometry"], k, None) for k in fields.mapping(held, "geometry")},
        current_gain=fields.positive(held, "current_gain", None) if "current_gain" in held else None,
        origin=entries.section_site("origin", held.get("origin", ORIGIN)),
    )
    _check_gain(whole)
    return fixed(whole, {k: fields.number(held["fixed"], k, None) for k in fields.mapping(held, "fixed")})


def _check_gain(model):
    """A current that flows into a section is in nA already."""
    asked = model.current_gain is not None or any("current_gain" in p.sets for p in model.parameters)
    if asked and place(model.inject).kind == "site":
        raise CellError(
            f"current_gain: {model.inject} takes its current in nA as it is; leave it out, or inject into the variable of a "
            "point process"
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
