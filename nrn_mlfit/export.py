"""A Fit as files for NEURON: fitted_cell.hoc makes the cell and checks it, fit.hoc opens it under its stimulus.

The folder is complete by itself: template, mod/, stimulus, values. The template gets a name of its own (with a hash
of the cell's files), since NEURON cannot define a template twice and two versions of a cell must not be mixed up.
"""

import re
from pathlib import Path

import numpy as np

import nrn_mlfit
from nrn_mlfit import textfile
from nrn_mlfit.cells import CellModel, place
from nrn_mlfit.errors import FitError
from nrn_mlfit.fit import Fit
from nrn_mlfit.stimuli import Protocol

SECTION_VARIABLES = ("L", "Ra", "nseg", "diam", "cm")  # in every section, whatever mechanisms it has


def write(fit: Fit, model: CellModel, protocol: Protocol, folder: Path):
    """Write the NEURON side of a fit into `folder`; `protocol` holds the currents as they were injected."""
    template = f"{model.template}_{model.digest()[:8]}"
    files = {path.name: path.read_text(encoding="utf-8", errors="surrogateescape") for path in model.files}
    files |= {f"mod/{path.name}": path.read_text(encoding="utf-8") for path in model.mod_files()}
    files[model.hoc.name] = _renamed(model, template)
    files["fitted_cell.hoc"] = _cell_hoc(fit, model, template)
    files["fit.hoc"] = _fit_hoc(fit, model, protocol)
    for number, stimulus in enumerate(protocol.stimuli):
        files[f"stimulus{number}.txt"] = column(stimulus.current[: stimulus.stop])
    for name, content in files.items():
        textfile.write_atomic(folder / name, content)


def _refuse_non_numbers(values: dict[str, float]):
    """Refuse values that are no finite numbers: HOC is code, and only numbers may get into it."""
    for name, value in values.items():
        if not np.isfinite(value):
            raise FitError(f"{name}: {value} cannot be written for NEURON; fit a recording with finite voltages")


def column(numbers) -> str:
    """Numbers as text, one a line, exact to the last bit."""
    return "".join(f"{x!r}\n" for x in np.asarray(numbers, float).tolist())


def _renamed(model, template) -> str:
    text = model.hoc.read_text(encoding="utf-8")
    return re.sub(rf"\b{re.escape(model.template)}\b", template, text)


def _cell_hoc(fit, model, template) -> str:
    values = {v.name: v.value for v in fit.values}
    _refuse_non_numbers(values)
    lines = [f"cell.{name} = {value!r}" for name, value in model.geometry.items()]
    lines += ["cell.build()"] if model.geometry else []
    for p in model.space.parameters:
        lines += [f"// {p.name}, {p.unit}".rstrip(", "), f"x = {values[p.name]!r}"]
        lines += [line for target in p.sets for line in _assignment(p.name, target)]
    parts = [_head(fit, model), _loading(model, template), [EXPECT], _function(template, lines)]
    return "\n\n".join("\n".join(part) for part in parts) + "\n"


def _head(fit, model) -> list[str]:
    warnings = [f"//   WARNING: {_plain(w)}" for w in fit.warnings]
    return [
        f"// The cell {model.name}, fitted by nrn_mlfit {nrn_mlfit.__version__} to {_plain(fit.recording.get('name', '?'))}",
        f"// Verdict: {_plain(fit.verdict)}",
        *warnings,
        "// fitted_cell() returns a new fitted cell, as often as it is called, checked value by value.",
    ]


def _plain(text) -> str:
    """Text that stays inside its comment."""
    return re.sub(r"[\x00-\x1f\x7f]|/\*|\*/", " ", str(text))


def _loading(model, template) -> list[str]:
    """Load the template, after a look whether the channels that the parameters belong to are there."""
    places = [place(target) for p in model.space.parameters for target in p.sets]
    needed = sorted({spot.name for spot in places if spot.kind == "range" and spot.name not in SECTION_VARIABLES})
    missing = 'execerror("the channels are not loaded: type  nrnivmodl mod  in this folder first", "")'
    guards = [f'if (!name_declared("{variable}")) {{ {missing} }}' for variable in needed]
    return [*guards, f'if (!name_declared("{template}")) {{ load_file(1, "{model.hoc.name}") }}']


EXPECT = """\
// Stops where a value did not arrive: the template or its channels are not those of the fit.
proc expect() { if ($1 != $2) { execerror($s3, "is not as fitted") } }"""


def _function(template, body) -> list[str]:
    inside = [f"cell = new {template}()", *body, "return cell"]
    return ["obfunc fitted_cell() { local x  localobj cell", *(f"    {line}" for line in inside), "}"]


def _assignment(name, target) -> list[str]:
    """HOC that sets x and reads it back (what a procedure makes of its value cannot be read back)."""
    spot = place(target)
    if spot.kind == "procedure":
        return [f"cell.{spot.name}(x)"]
    if spot.kind == "point":
        variable = f"cell.{spot.where}.{spot.name}"
        return [f"{variable} = x", f'expect({variable}, x, "{name}")']
    start = f"forsec cell.{spot.where} {_if_there(spot.name)}"
    return [f"{start}{spot.name} = x", f'{start}expect({spot.name}, x, "{name}")']


def _if_there(variable) -> str:
    """Only sections that have the mechanism of `gbar_na` can have it set."""
    if variable in SECTION_VARIABLES or "_" not in variable:
        return ""
    return f'if (ismembrane("{variable.partition("_")[2]}")) '


def _fit_hoc(fit, model, protocol) -> str:
    count = len(protocol.stimuli)
    return EXPERIMENT.format(
        title=f"{model.name} fitted to {_plain(fit.recording.get('name', '?'))}",
        stimuli=count,
        probes=len(model.probes),
        last_stimulus=count - 1,
        last_probe=len(model.probes) - 1,
        celsius=repr(model.celsius),
        v_init=repr(model.v_init),
        step=repr(model.step),
        tstop=repr((protocol.stop - 1) * protocol.dt),
        samples=protocol.stop,
        sample_step=repr(protocol.dt),
        clamp=_clamp(model.inject),
        target=_target(model.inject),
        records="\n".join(_record(k, site) for k, site in enumerate(model.probes.values())),
    )


EXPERIMENT = """\
// {title}: the cell `fitted` under the stimulus of the recording.
//   nrnivmodl mod && nrngui fit.hoc      then press Init & Run, or type  run()
{{load_file("stdrun.hoc")}}
{{load_file("fitted_cell.hoc")}}

objref fitted, currents[{stimuli}], times, samples, clamp, traces[{probes}]
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
{clamp}
proc stimulate() {{ local i  // with stimulus number $1, counted from 0
    for i = 0, {last_stimulus} {{ currents[i].play_remove() }}
    currents[$1].play(&{target}, times, 1)
}}
{{stimulate(0)}}

{{ for i = 0, {last_probe} {{ traces[i] = new Vector() }} }}
{records}

objref expected
proc verify() {{  // run, and compare with the trace that was simulated when the fit was made
    stimulate(0)
    run()
    if (!samples.ropen("expected.txt")) {{ execerror("expected.txt", "is missing; go to the fit's folder first") }}
    expected = new Vector()
    expected.scanf(samples)
    samples.close()
    expected.sub(traces[0]).abs()
    printf("largest difference from the trace of the fit: %g mV\\n", expected.max())
}}
"""


def _clamp(site) -> str:
    spot = place(site)
    if spot.kind == "point":
        return ""
    return f"fitted.{spot.name} clamp = new IClamp({spot.where})\nclamp.del = 0\nclamp.dur = 1e9\n"


def _target(site) -> str:
    spot = place(site)
    return f"fitted.{spot.where}.{spot.name}" if spot.kind == "point" else "clamp.amp"


def _record(number, site) -> str:
    spot = place(site)
    if spot.kind == "point":
        return f"traces[{number}].record(&fitted.{spot.where}.{spot.name})"
    return f"fitted.{spot.name} traces[{number}].record(&v({spot.where}))"
