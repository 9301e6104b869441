"""A Fit as files for NEURON: fitted_cell.hoc makes the cell and checks it, fit.hoc opens it under its stimulus.

The folder is complete by itself: template, mod/, stimulus, values. The template gets a name of its own (with a hash
of the cell's files), since NEURON cannot define a template twice and two versions of a cell must not be mixed up.
"""

import math
import re
from pathlib import Path

import numpy as np

import nrn_mlfit
from nrn_mlfit import assignments, hocfile, textfile
from nrn_mlfit.assignments import plain
from nrn_mlfit.cells import CellModel
from nrn_mlfit.errors import FitError
from nrn_mlfit.fit import Fit
from nrn_mlfit.formulas import target_of
from nrn_mlfit.places import CONDITIONS, place
from nrn_mlfit.stimuli import Protocol, Stimulus

OURS = {"fit.hoc", "fitted_cell.hoc"}


def write(fit: Fit, model: CellModel, protocol: Protocol, folder: Path):
    """Write the NEURON side of a fit into `folder`; `protocol` holds the currents as they were injected."""
    template = f"{model.template}_{model.digest()[:8]}"
    files: dict[str, bytes | str] = {**model.sources()}
    if taken := sorted(OURS & set(files)):
        raise FitError(f"{model.name}: its file {taken[0]} has a name that a fit needs; rename it and train again")
    files[model.hoc.name] = _renamed(model, template)
    files["fitted_cell.hoc"] = _cell_hoc(fit, model, template)
    files["fit.hoc"] = _fit_hoc(fit, model, protocol)
    for number, stimulus in enumerate(protocol.stimuli):
        files[f"stimulus{number}.txt"] = column(stimulus.current[: stimulus.stop])
    for name, content in files.items():
        textfile.write_atomic(folder / name, content)


def with_values(folder: Path, values: dict[str, float]) -> tuple[str, str]:
    """fitted_cell.hoc and fit.hoc of the fit in `folder`, as text, with other values of some parameters, by name.

    Raises FitError where a value has no line there, as in a file that was changed by hand.
    """
    _refuse_non_numbers(values)
    cell, start = ((folder / name).read_text(encoding="utf-8") for name in ("fitted_cell.hoc", "fit.hoc"))
    for name, value in values.items():
        found = re.search(ASSIGNED.format(re.escape(name)), cell, re.MULTILINE)
        if not found:
            raise FitError(f"{folder / 'fitted_cell.hoc'}: sets no {name} any more, as `fit` writes it; fit again")
        cell = f"{cell[: found.start(1)]}{value!r}{cell[found.end(1) :]}"
        for condition in re.findall(SETTING, found[2]):
            start = _with_condition(folder, start, condition, value)
    return cell, start


def under(folder: Path, stimulus: Stimulus, longest_step: float) -> tuple[str, int]:
    """fit.hoc of the fit in `folder`, as text, under another stimulus in its stimulus files, and its integration steps a sample.

    `longest_step` in ms is the step that the cell was fitted with. Raises FitError for a file that was changed by hand.
    """
    start = (folder / "fit.hoc").read_text(encoding="utf-8")
    substeps = max(1, math.ceil(stimulus.dt / longest_step - 1e-9))
    changes = {
        r"^dt = (\S+)$": stimulus.dt / substeps,
        r"^tstop = (\S+)$": (stimulus.stop - 1) * stimulus.dt,
        r"^    times = new Vector\((\S+)\)$": stimulus.stop,
        r"^    times\.indgen\((\S+)\)$": stimulus.dt,
    }
    for line, value in changes.items():
        found = re.search(line, start, re.MULTILINE)
        if not found:
            raise FitError(f"{folder / 'fit.hoc'}: was changed by hand, so its stimulus cannot be; fit again")
        start = f"{start[: found.start(1)]}{value!r}{start[found.end(1) :]}"
    return start, substeps


ASSIGNED = (
    r"^    // {}(?:, .*)?\n    x = (\S+)\n((?:    (?!x = ).*\n)*)"  # a parameter in fitted_cell.hoc, and what it sets
)
SETTING = r"// which is (\w+): a setting of the run"


def _with_condition(folder, start, condition, value) -> str:
    """fit.hoc with another setting of the run."""
    gain = condition == "current_gain"
    line = r"^(\{currents\[\d+\]\.mul\()[^)]+" if gain else rf"^({condition} = )\S+$"
    text, count = re.subn(line, rf"\g<1>{value!r}", start, flags=re.MULTILINE)
    if not count:
        raise FitError(f"{folder / 'fit.hoc'}: sets no {condition} any more, as `fit` writes it; fit again")
    return text


def _refuse_non_numbers(values: dict[str, float]):
    """Refuse values that are no finite numbers: HOC is code, and only numbers may get into it."""
    for name, value in values.items():
        if not np.isfinite(value):
            raise FitError(f"{name}: {value} cannot be written for NEURON; fit a recording with finite voltages")


def column(numbers) -> str:
    """Numbers as text, one a line, exact to the last bit."""
    return "".join(f"{x!r}\n" for x in np.asarray(numbers, float).tolist())


def _renamed(model, template) -> bytes:
    """The template's file with the template under its new name, comments left alone."""
    text = model.hoc.read_text(encoding="utf-8", errors="surrogateescape")
    return hocfile.renamed(text, model.template, template).encode(errors="surrogateescape")


def _cell_hoc(fit, model, template) -> str:
    values = _values(fit, model)
    _refuse_non_numbers(values)
    parts = [_head(fit, model), _loading(model, template), [EXPECT], _function(template, model, values)]
    return "\n\n".join("\n".join(part) for part in parts) + "\n"


def _values(fit, model) -> dict[str, float]:
    """The values of all parameters, fitted and held, by name."""
    return {**{v.name: v.value for v in fit.values}, **model.held}


def _conditions(fit, model) -> dict[str, float]:
    """celsius and v_init of the fitted cell, and current_gain if a parameter is the gain."""
    values = _values(fit, model)
    drawn = {target: values[p.name] for p in model.parameters for target in p.sets if target in CONDITIONS}
    return {"celsius": model.celsius, "v_init": model.v_init, **drawn}


def _head(fit, model) -> list[str]:
    held = _conditions(fit, model)
    warnings = [f"//   WARNING: {plain(w)}" for w in fit.warnings]
    return [
        f"// The cell {model.name}, fitted by nrn_mlfit {nrn_mlfit.__version__} to {plain(fit.recording.get('name', '?'))}",
        f"// Verdict: {plain(fit.verdict)}",
        *warnings,
        "// fitted_cell() returns a new fitted cell, as often as it is called, checked value by value.",
        f"// It was fitted at celsius = {held['celsius']:.6g} degC, starting from v_init = {held['v_init']:.6g} mV.",
    ]


def _loading(model, template) -> list[str]:
    """Load the template, after a look whether the channels that the parameters belong to are there."""
    places = [place(target_of(entry)) for p in model.parameters for entry in p.sets]
    kinds = ("range", "factor")
    needed = sorted({spot.name for spot in places if spot.kind in kinds and spot.name not in assignments.EVERYWHERE})
    missing = 'execerror("the channels are not loaded: type  nrnivmodl mod  in this folder first", "")'
    guards = [f'if (!name_declared("{variable}")) {{ {missing} }}' for variable in needed]
    return [*guards, f'if (!name_declared("{template}")) {{ load_file(1, "{model.hoc.name}") }}']


EXPECT = """\
// Stops where a value did not arrive: the template or its channels are not those of the fit.
proc expect() { if ($1 != $2) { execerror($s3, "is not as fitted") } }"""


def _function(template, model, values) -> list[str]:
    inside = [f"cell = new {template}()", *assignments.body(model, values), "return cell"]
    words = ", ".join(["x", "n", "y", *assignments.words_of(model).values()])
    return [f"obfunc fitted_cell() {{ local {words}  localobj cell", *(f"    {line}" for line in inside), "}"]


def _fit_hoc(fit, model, protocol) -> str:
    count, held = len(protocol.stimuli), _conditions(fit, model)
    gains = [held.get("current_gain", model.gain(s)) for s in protocol.stimuli]
    return EXPERIMENT.format(
        title=f"{model.name} fitted to {plain(fit.recording.get('name', '?'))}",
        stimuli=count,
        probes=len(model.probes),
        last_stimulus=count - 1,
        last_probe=len(model.probes) - 1,
        celsius=repr(held["celsius"]),
        v_init=repr(held["v_init"]),
        gains="\n".join(_gain(k, gain) for k, gain in enumerate(gains) if gain != 1 or "current_gain" in held),
        step=repr(model.step),
        tstop=repr((protocol.stop - 1) * protocol.dt),
        samples=protocol.stop,
        sample_step=repr(protocol.dt),
        clamp=_clamp(model.inject),
        target=_target(model.inject),
        probe=next(iter(model.probes)),
        drawn=_drawn(next(iter(model.probes.values()))),
        records="\n".join(_record(k, site) for k, site in enumerate(model.probes.values())),
    )


EXPERIMENT = """\
// {title}: the cell `fitted` under the stimulus of the recording.
//   nrnivmodl mod && nrngui fit.hoc      then press Init & Run, or type  run()
{{load_file("nrngui.hoc")}}
{{load_file("fitted_cell.hoc")}}

objref fitted, currents[{stimuli}], times, samples, clamp, voltage, traces[{probes}]
fitted = fitted_cell()
celsius = {celsius}
v_init = {v_init}
dt = {step}
steps_per_ms = 1/dt
tstop = {tstop}

// The samples of stimulus k, in nA: sample i is the current at times.x[i], linear in between.
{{
    times = new Vector({samples})
    times.indgen({sample_step})
    strdef samples_name
    samples = new File()
    for i = 0, {last_stimulus} {{
        sprint(samples_name, "stimulus%d.txt", i)
        if (!samples.ropen(samples_name)) {{ execerror(samples_name, "is missing; load fit.hoc from its own folder") }}
        currents[i] = new Vector()
        currents[i].scanf(samples)
        samples.close()
    }}
}}
{gains}{clamp}
proc stimulate() {{ local i  // with stimulus number $1, counted from 0
    for i = 0, {last_stimulus} {{ currents[i].play_remove() }}
    currents[$1].play(&{target}, times, 1)
}}
{{stimulate(0)}}

{{ for i = 0, {last_probe} {{ traces[i] = new Vector() }} }}
{records}

// What Init & Run draws, where there is a screen.
voltage = new Graph()
{{voltage.size(0, tstop, -100, 60)}}
{{voltage.addvar("{probe}", &{drawn}, 1, 1)}}
{{graphList[0].append(voltage)}}

objref expected
proc verify() {{ local i, k, largest  // run, and compare with the traces that were simulated when the fit was made
    if (!samples.ropen("expected.txt")) {{ execerror("expected.txt", "is missing; go to the fit's folder first") }}
    largest = 0
    for i = 0, {last_stimulus} {{
        stimulate(i)
        run()
        for k = 0, {last_probe} {{
            expected = new Vector()
            expected.scanf(samples, traces[k].size())
            {{ expected.sub(traces[k]) }}
            {{ expected.abs() }}
            if (expected.max() > largest) {{ largest = expected.max() }}
        }}
    }}
    samples.close()
    printf("largest difference from the trace of the fit: %g mV\\n", largest)
}}
"""


def _clamp(site) -> str:
    spot = place(site)
    if spot.kind == "point":
        return ""
    return f"fitted.{spot.name} clamp = new IClamp({spot.where})\nclamp.del = 0\nclamp.dur = 1e9\n"


def _gain(number, gain) -> str:
    return f"{{currents[{number}].mul({gain!r})}}  // from nA to the unit of the point process\n"


def _target(site) -> str:
    spot = place(site)
    return f"fitted.{spot.where}.{spot.name}" if spot.kind == "point" else "clamp.amp"


def _drawn(site) -> str:
    spot = place(site)
    return f"fitted.{spot.where}.{spot.name}" if spot.kind == "point" else f"fitted.{spot.name}.v({spot.where})"


def _record(number, site) -> str:
    return f"{{traces[{number}].record(&{_drawn(site)})}}"
