"""One live cell in this process: build it from its template, set its parameters, run it under a stimulus."""

import contextlib
import copy
import hashlib
import re
import warnings
from dataclasses import replace
from pathlib import Path

import numpy as np

from nrn_mlfit import hocfile
from nrn_mlfit.cells import CellModel
from nrn_mlfit.errors import CellError, FitError
from nrn_mlfit.places import Place, place
from nrn_mlfit.simulator import remembered
from nrn_mlfit.simulator.door import hoc, load_file
from nrn_mlfit.simulator.mechanisms import load_mechanisms
from nrn_mlfit.simulator.setters import formula_target, setter_of
from nrn_mlfit.stimuli import Stimulus


class Session:
    """A CellModel brought to life; `cell` is the HOC object of its template.

    Raises CellError where the template lacks what the cell file names.
    """

    def __init__(self, model: CellModel):
        self.model = model
        self.cell = build_cell(model)
        self._drawn: dict[str, float] = {}  # conditions of the run that parameters set
        self._setters = {p.name: setter_of(self.cell, p, self._drawn) for p in model.parameters}
        self._formulas = [formula_target(self.cell, *pair, self._origin) for pair in model.formulas]
        self.injector = Injector(self.cell, model.inject)
        self._probes = [hoc().Vector().record(reference(self.cell, site)) for site in model.probes.values()]

    def set(self, phys_par):
        """Set all parameters in the cell file's order, then what formulas make of them: K given (K,) in their own units, and
        those that are held. Raises FormulaError where a formula is no finite number."""
        values = {**dict(zip(self.model.space.names, map(float, phys_par), strict=True)), **self.model.held}
        for name, setter in self._setters.items():
            setter(values[name])
        for formula in self._formulas:
            formula(values)

    def _origin(self):
        """The segment that distances are counted from."""
        try:
            return segment(self.cell, place(self.model.origin))
        except CellError as error:
            raise CellError(f"origin: {error}; distances are counted from there") from None

    def run(self, stimulus: Stimulus, stop: int | None = None):
        """The probes' voltages (P, n) in mV at the stimulus' sample times, from t = 0 through sample stop-1.

        The cell starts anew from v_init, its own or what a parameter says; `stop` is by default the end of the network's window.
        """
        model, count = self.model, stop or stimulus.stop
        substeps = model.substeps
        with self.begun(stimulus, count):
            advance((count - 1) * substeps)
        return np.array([probe.as_numpy()[::substeps] for probe in self._probes]).reshape(-1, count)

    def changed(self, **changes) -> "Session":
        """The same live cell, of a model with some changes of how it is run: v_init, protocol."""
        other = copy.copy(self)
        other.model = replace(self.model, **changes)
        return other

    @contextlib.contextmanager
    def begun(self, stimulus: Stimulus, stop: int):
        """The cell at t = 0 under a stimulus of `stop` samples; within the `with` it can be read and advanced."""
        self.injector.play(stimulus, stop, self.gain(stimulus))
        with conditions(self._drawn.get("celsius", self.model.celsius), self.model.step):
            hoc().finitialize(self._drawn.get("v_init", self.model.v_init))
            yield

    def gain(self, stimulus: Stimulus) -> float:
        """What the samples of a stimulus are multiplied by on their way into the cell as it is set now."""
        return self._drawn.get("current_gain", self.model.gain(stimulus))


_templates: dict[str, tuple[str, Path]] = {}  # template -> sha256 of the files it came from, its HOC file
_fitted_at: dict[float, Path] = {}  # celsius -> a fit that load_cell has loaded


def build_cell(model: CellModel):
    """A new instance of the model's template with its geometry settings, mechanisms loaded, parameters nominal.

    Raises CellError where it does not build, or where its HOC asks for another integration than implicit Euler.
    """
    before = _integration()
    try:
        cell = _instance(model)
    finally:
        after = _integration()
        _integrate(*before)
        if after != before:
            # loaded now, the file would not ask again: a second try must not go through
            _templates[model.template] = ("", model.hoc.resolve())
    if after != before:
        asked = "sets secondorder" if after[0] != before[0] else "turns CVode on"
        raise CellError(
            f"{model.hoc}: {asked}, but cells are simulated with NEURON's implicit Euler at the fixed step dt; take that "
            "line out, and set dt in the cell file"
        )
    return cell


def _integration() -> tuple[int, bool]:
    """(secondorder, whether CVode is active)"""
    return int(hoc().secondorder), bool(hoc().CVode().active())


def _integrate(order, variable):
    hoc().secondorder = order
    hoc().CVode().active(variable)


def _instance(model):
    h = hoc()
    if model.mod:
        load_mechanisms(model.mod)
    _have_template(model)
    try:
        with contextlib.chdir(model.hoc.parent):  # where the template may read its morphology from
            return _shaped(getattr(h, model.template)(), model)
    except RuntimeError as error:
        raise CellError(f"{model.hoc}: template {model.template} does not build in NEURON ({error})") from None


def _have_template(model):
    """Load the model's template, or refuse the one of that name which NEURON has from other files."""
    made_of = hashlib.sha256(b"\0".join(v for k, v in sorted(model.sources().items()) if k[:4] != "mod/")).hexdigest()
    name, known = model.template, _templates.get(model.template)
    if known is None and not hoc().name_declared(name):
        try:
            _load_template(model)
            known = made_of, model.hoc.resolve()
        finally:
            if hoc().name_declared(name):  # and if the file ended in an error, a second try must not go through
                _templates[name] = known or ("", model.hoc.resolve())
    if known is None and made_of in (made for made, _ in _templates.values()):  # the file has two templates
        known = _templates[name] = (made_of, model.hoc.resolve())
    if known is None or known[0] != made_of:
        whence = "which nrn_mlfit has not loaded" if known is None else f"from {_before(known[1], model)}"
        raise CellError(
            f"{model.hoc}: NEURON holds another template {name} already, {whence}, and cannot replace it; start a new Python, or "
            "give the template another name"
        )


def _before(path, model) -> str:
    return "an earlier load of this file" if path == model.hoc.resolve() else str(path)


def _shaped(cell, model):
    for name, value in model.geometry.items():
        if not hasattr(cell, name):
            raise CellError(f"{model.name}: template {model.template} has no public {name} to set under geometry")
        setattr(cell, name, value)
    if model.geometry:
        cell.build()
    return cell


def load_cell(fit: Path | str):
    """A new fitted cell, live in this process: the HOC object of its template. `fit` is a fit.json or its folder.

    Nothing else is set: `h.celsius` is what it was. A UserWarning says that a cell of another temperature was loaded before.
    Raises FitError where the folder holds no fit, its HOC finds that a value did not arrive, or NEURON holds another file under
    the name of one that it loads.
    """
    folder = Path(fit).parent if Path(fit).suffix == ".json" else Path(fit)
    script = folder.resolve() / "fitted_cell.hoc"
    if not script.is_file():
        raise FitError(
            f"{folder}: holds no fitted_cell.hoc; name the fit.json (or the folder) that `nrn-mlfit fit` wrote"
        )
    if (folder / "mod").is_dir():
        load_mechanisms(folder / "mod")
    _note_template(script)
    try:
        load_file(script)
        with contextlib.chdir(script.parent):
            cell = hoc().fitted_cell()
    except RuntimeError as error:
        raise FitError(f"{script}: does not load in NEURON ({error})") from None
    _compare_celsius(script.parent)
    return cell


def _note_template(script):
    """Note the template's file that a fitted_cell.hoc loads, and what that reads."""
    for name in re.findall(r'load_file\(1, "([^"]+)"\)', script.read_text(encoding="utf-8")):
        if (file := script.parent / name).is_file():
            remembered.note(file, hocfile.files_read(file), FitError)


def _compare_celsius(folder):
    """Warn where a cell of another temperature is loaded, as NEURON has one temperature for all."""
    start = folder / "fit.hoc"
    found = (
        re.search(r"^celsius = (\S+)$", start.read_text(encoding="utf-8"), re.MULTILINE) if start.is_file() else None
    )
    if not found:
        return
    celsius = float(found[1])
    others = [
        f"{other}, loaded before, at {degrees:g} degC" for degrees, other in _fitted_at.items() if degrees != celsius
    ]
    if others:
        warnings.warn(
            f"{folder} was fitted at {celsius:g} degC, but {others[0]}; NEURON has one celsius for all cells of "
            "a process, so run them one after the other, each with h.celsius as it was fitted",
            stacklevel=3,
        )
    _fitted_at.setdefault(celsius, folder)


def _load_template(model):
    remembered.note(model.hoc, model.files, CellError)
    try:
        loaded = load_file(model.hoc)
    except RuntimeError as error:
        raise CellError(f"{model.hoc}: does not load in NEURON ({error})") from None
    if not loaded or not hoc().name_declared(model.template):
        raise CellError(
            f"{model.hoc}: defines no template {model.template}; write `begintemplate {model.template}` there"
        )


def advance(steps: int):
    """Take `steps` fixed time steps."""
    h = hoc()
    context = h.ParallelContext()
    context.set_maxstep(10)
    context.psolve((steps + 0.5) * h.dt)  # half a step beyond: rounding of t can neither drop nor add a step


class conditions:
    """Process-wide NEURON settings for the length of a `with`: temperature in degC and fixed step in ms."""

    def __init__(self, celsius: float, dt: float):
        self._wanted = {"celsius": celsius, "dt": dt}

    def __enter__(self):
        self._before = {name: getattr(hoc(), name) for name in self._wanted}
        self._integration = _integration()
        _integrate(0, False)
        self._put(self._wanted)

    def __exit__(self, *_):
        self._put(self._before)
        _integrate(*self._integration)

    def _put(self, values):
        for name, value in values.items():
            setattr(hoc(), name, value)


def reference(cell, site: str):
    """The pointer to a recording site: SECTION(x) is its v, VARIABLE@PROCESS a point process' variable."""
    spot = place(site)
    return segment(cell, spot)._ref_v if spot.kind == "site" else _point_reference(cell, spot)


class Injector:
    """Where the stimulus goes in: a current clamp of ours in a section, or a point process' own current.

    `process` is that point process, and `variable` the name of what is played into.
    """

    def __init__(self, cell, site):
        spot = place(site)
        if spot.kind == "site":
            self.process, self.variable = hoc().IClamp(segment(cell, spot)), "amp"
            self.process.delay, self.process.dur = 0, 1e9
            self._target = self.process._ref_amp
        else:
            self._target = _point_reference(cell, spot)
            self.process, self.variable = getattr(cell, spot.where), spot.name
        self._played = None

    def play(self, stimulus, count, gain=1.0):
        """Sample k, times the gain, at t = k dt, linear in between."""
        if self._played and self._played[:3] == (stimulus, count, gain):
            return
        h = hoc()
        if self._played:
            self._played[3].play_remove()
        values, times = h.Vector(gain * stimulus.current[:count]), h.Vector(np.arange(count) * stimulus.dt)
        values.play(self._target, times, 1)
        self._played = (stimulus, count, gain, values, times)


def segment(cell, spot: Place):
    """The segment that a place of kind site means."""
    name, _, index = spot.name.partition("[")
    found = getattr(cell, name, None)
    if found is None:
        raise CellError(f"{cell}: has no public section {name}; add it to `public` in the template")
    with contextlib.suppress(TypeError, IndexError, RuntimeError):
        there = (found[int(index[:-1])] if index else found)(float(spot.where))
        if hasattr(there, "_ref_v"):
            return there
    raise CellError(f"{cell}: {spot.name} is no section; name one, as in soma(0.5) or dend[3](1)")


def _point_reference(cell, spot: Place):
    try:
        return getattr(getattr(cell, spot.where, None), f"_ref_{spot.name}")
    except AttributeError:
        raise CellError(
            f"{cell}: has no public point process {spot.where} with {spot.name}; add it to `public`"
        ) from None
