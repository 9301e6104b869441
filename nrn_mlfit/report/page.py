"""One page of a fit, in the order in which one looks: verdict, traces, values, alarm, figures, features, where it is from, files.

The page is whole by itself: it loads nothing, runs no script, follows the reader's choice of light or dark, and prints.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from string import Template

import numpy as np

import nrn_mlfit
from nrn_mlfit import features, spikes
from nrn_mlfit.around import Around
from nrn_mlfit.comparison import Comparison
from nrn_mlfit.fit import Fit
from nrn_mlfit.recordings import Recording
from nrn_mlfit.report import downloads, judgement, panels
from nrn_mlfit.report.around import around_panel
from nrn_mlfit.report.html import Html, bullets, join, paragraphs, safe, section, table, tag

LARGEST = 4_800_000  # bytes of a page
MOST_STIMULI = 4  # of which traces are shown
APART = ("versions", "made", "command", "evaluation")  # of the provenance: shown elsewhere
STEEPEST = "*"  # the mark of a footnote
DECIMALS = {"mV": 2, "ms": 2, "Hz": 1, "V/s": 1}  # of a feature
HOW_TO_GET_EFEL = 'pip install "nrn_mlfit[efel]"'
SECTIONS = {  # of the page, by their short names
    "verdict": "Verdict",
    "traces": "Traces",
    "parameters": "Parameters",
    "alarm": "How unusual the trace is",
    "closeness": "How close the fitted cell comes",
    "around": "Cells around the fitted one",
    "features": "Features",
    "provenance": "Where this comes from",
    "files": "Files for NEURON",
}


@dataclass(frozen=True, eq=False)
class Shown:
    """What a fit's folder holds for its page: `simulated` (P, S, T) in mV beside the recording, the `comparison` of the two, the
    `files` by their names in there, the `command` that makes the page, and the cells `around` the fit if they were drawn."""

    fit: Fit
    recording: Recording
    simulated: np.ndarray
    comparison: Comparison
    files: Mapping[str, bytes]
    command: str = ""
    around: Around | None = None

    @property
    def title(self) -> str:
        return f"{self.fit.provenance.get('cell', 'cell')} fitted to {self.fit.recording.get('name', 'a recording')}"

    @property
    def probes(self) -> list[str]:
        """The names of the recording sites."""
        return self.fit.probes(len(self.recording.volts))

    @property
    def first(self) -> str:
        """Of which of several probes and stimuli it is where one alone is shown or measured."""
        probes, stimuli, _ = self.recording.volts.shape
        return f"the first probe{f' ({self.probes[0]})' if probes > 1 else ''} under the first stimulus"


def fit_page(shown: Shown) -> str:
    """The page as HTML."""
    parts = {
        "verdict": _verdict(shown),
        "traces": _traces(shown),
        "parameters": judgement.parameters(shown.fit),
        "alarm": judgement.alarm(shown.fit),
        "closeness": _closeness(shown),
        "around": _around(shown),
        "features": _features(shown),
        "provenance": _provenance(shown),
    }
    room = LARGEST - sum(len(part.encode()) for part in parts.values())
    parts["files"] = downloads.links(shown.files, _file_name(shown), room)
    body = join(section(key, SECTIONS[key], part) for key, part in parts.items())
    links = bullets(tag("a", key, href=f"#{key}") for key in SECTIONS)
    template = Template(Path(__file__).with_name("page.html").read_text(encoding="utf-8"))
    version = safe(nrn_mlfit.__version__)
    return template.substitute(title=safe(shown.title), links=links, body=body, version=version)


def _verdict(shown) -> Html:
    fit, found = shown.fit, shown.comparison
    if fit.warnings:
        head = "Out of range: do not trust these values"
        why = join([paragraphs("The reasons:"), bullets(fit.warnings, class_="reasons")])
    else:
        head = "In range, but the fitted cell does something else" if found.disagreements else "In range"
        why = paragraphs(
            "No raw estimate lies beyond its range by more than the networks' own error allows, no voltage leaves those of the "
            "training, the current is the one that was trained on, and the alarm is silent. In range does not mean right: see "
            "below whether the fitted cell does what the recorded one does."
        )
    again = (
        f"Run again in NEURON, the fitted cell has {_spikes(found.spikes_simulated)} where the recording has "
        f"{_spikes(found.spikes_recorded)}, and its voltage differs by {found.rms:.2f} mV (rms)."
    )
    apart = [tag("p", "\N{WARNING SIGN} ", line, class_="apart") for line in found.warning()]
    known = "" if judgement.is_known(fit) else paragraphs(judgement.NO_GUARANTEE)
    is_bad = bool(fit.warnings or found.disagreements)
    mark = tag("span", "\N{WARNING SIGN}" if is_bad else "\N{CHECK MARK}", aria_hidden="true")
    searched = paragraphs(f"{fit.searched[0].upper()}{fit.searched[1:]}.") if fit.searched else ""
    if found.disagreements and not fit.searched:
        searched = paragraphs(
            "These are hardly the recorded cell's values. A search on from here may find nearer ones: fit with --refine 2000."
        )
    held = [tag("p", mark, " ", head, class_="headline"), *apart, why, paragraphs(again), searched, known]
    return tag("div", *held, class_="verdict bad" if is_bad else "verdict good")


def _spikes(count) -> str:
    return {0: "no spike", 1: "1 spike"}.get(count, f"{count} spikes")


def _traces(shown) -> Html:
    volts, simulated, dt = shown.recording.volts, shown.simulated, shown.recording.dt
    count = volts.shape[1]
    held = [_colours(), *(_overlay(shown, s) for s in range(min(count, MOST_STIMULI)))]
    if count > MOST_STIMULI:
        held.append(paragraphs(f"{count - MOST_STIMULI} more stimuli are in recording.npz and simulated.npz."))
    held += [paragraphs(f"Below and in the features: {shown.first}.")] if volts.shape[:2] != (1, 1) else []
    one, other = volts[0, 0], simulated[0, 0]
    return join([*held, tag("div", *_details(one, other, dt), class_="panels")])


def _colours() -> Html:
    """Which line is which."""
    named = (("recorded", "recording"), ("fit", "fitted cell in NEURON"))
    shown = (tag("li", tag("span", "", class_=f"line {kind}", aria_hidden="true"), words) for kind, words in named)
    return tag("ul", *shown, class_="key", aria_label="Colours of the traces")


def _overlay(shown, s) -> Html:
    held, dt = shown.recording, shown.recording.dt
    unit = shown.fit.provenance.get("simulation", {}).get("current_unit", "nA")
    current = held.currents[s]
    counts = [_spikes(int(spikes.spike_counts(volts[0, s]))) for volts in (held.volts, shown.simulated)]
    label = (
        f"Voltage against time over {held.duration:g} ms. Recording: {counts[0]}, {_span(held.volts[:, s])} mV. Fitted cell: "
        f"{counts[1]}, {_span(shown.simulated[:, s])} mV. Below: the current, {_span(current, 3)} {unit}".rstrip()
        + "."
    )
    of = f"Stimulus {s + 1} of {len(held.currents)}: " if len(held.currents) > 1 else ""
    told = f"{of}Recording and re-simulated fitted cell; below, the injected current."
    traces = held.volts[:, s], shown.simulated[:, s]
    picture = panels.overlay(*traces, current, dt, unit, f"overlay{s}", label, shown.probes)
    return tag("figure", picture, tag("figcaption", told))


def _details(one, other, dt):
    """Three panels: the first spike's shape, what lies below the spikes, the phase plane."""
    first = [spikes.spike_times(trace, dt)[:1] for trace in (one, other)]
    at = [
        f"at {times[0]:.1f} ms in the {name}"
        for times, name in zip(first, ("recording", "fitted cell"), strict=True)
        if len(times)
    ]
    told = f"First spike, {' and '.join(at)}, laid over each other." if at else "Neither trace has a spike."
    yield tag("figure", panels.first_spike(one, other, dt, told), tag("figcaption", told))
    top = panels.ceiling(one, other, dt)
    told = f"Subthreshold part: voltages up to {top:.0f} mV, where spikes are cut off."
    yield tag("figure", panels.subthreshold(one, other, dt, told), tag("figcaption", told))
    steepest = [spikes.slope(trace, dt).max() for trace in (one, other)]
    told = (
        f"Phase plane: steepest rise of all {steepest[0]:.0f} mV/ms in the recording, {steepest[1]:.0f} mV/ms in the fitted "
        f"cell.{STEEPEST}"
    )
    yield tag("figure", panels.phase_plane(one, other, dt, told), tag("figcaption", told))


def _span(values, digits: int = 1) -> str:
    return f"{np.min(values):.{digits}f} to {np.max(values):.{digits}f}"


def _closeness(shown) -> Html:
    found = shown.comparison
    between = "too few samples" if found.rms_between is None else f"{found.rms_between:.2f} mV"
    rows = [
        ["spikes recorded", str(found.spikes_recorded), "upward crossings of -20 mV"],
        ["spikes in the fitted cell", str(found.spikes_simulated), "the same"],
        [
            "coincidence",
            f"{found.coincidence:.2f}",
            "of spikes within 2 ms; 1: all coincide, 0: no more than by chance",
        ],
        [
            "rms difference",
            f"{found.rms:.2f} mV",
            "of the voltage, over the whole window; a shifted spike counts twice",
        ],
        ["rms between spikes", between, "of the samples far from every spike of either trace"],
    ]
    figures = table("Recording and re-simulated fitted cell", ["measure", "figure", "what it is"], rows, figures=(1,))
    about_spikes = (
        "Peak and width at half height: medians over the whole spikes of the first probe. The first spike is told from "
        "the begin of the step; later ones of one neuron come at other times in each repeat of a step, so the coincidence counts "
        "only where the current moves."
    )
    about_membrane = f"In the same samples of both traces, under the same step of the current; of {shown.first}."
    of_spikes = _measures("spikes", "Spikes of recording and fitted cell", found.firing, about_spikes)
    of_membrane = _measures("membrane", "Membrane of recording and fitted cell", found.membrane, about_membrane)
    return join([figures, *_by_probe(found.probes), of_spikes, of_membrane])


def _by_probe(probes):
    """A table of the probes alone, where there are several."""
    rows = [[p.name, f"{p.rms:.2f} mV", str(p.spikes_recorded), str(p.spikes_simulated)] for p in probes]
    heads = ["probe", "rms difference", "spikes recorded", "in the fitted cell"]
    if rows:
        yield table("Each probe, under all stimuli", heads, rows, figures=(1, 2, 3))
        yield paragraphs(f"Spikes and coincidence above are those of {probes[0].name}, the first probe.")


def _measures(kind, title, measures, told) -> Html:
    rows = [[m.name, *(_measured(x) for x in (m.recorded, m.fitted)), m.unit, m.why] for m in measures]
    heads = [kind, "recording", "fitted cell", "unit", "if not measured, why"]
    return join([table(title, heads, rows, figures=(1, 2)), paragraphs(told)])


def _measured(value) -> str:
    return "\N{EN DASH}" if value is None else f"{value:.3g}" if abs(value) < 10 else f"{value:.1f}"


def _around(shown) -> Html:
    held = shown.around
    if held is None:
        how = "Not drawn yet. With FIT for the folder of this fit, type: "
        return paragraphs(join([how, tag("code", "nrn-mlfit around FIT"), " and make this page again."]))
    unit = shown.fit.provenance.get("simulation", {}).get("current_unit", "nA")
    volts, currents, found = shown.recording.volts, shown.recording.currents, shown.comparison
    label = f"{held.title}; the recording has {_spikes(found.spikes_recorded)}. Below: the current."
    told = (
        f"{label[:-19]} Thin lines: cells around the fitted one, each parameter drawn evenly within {held.within:g}% of its "
        "range around the fitted value (of a log range: of its decades). Thick line: the recording."
    )
    told += " Under the first stimulus." if len(currents) > 1 else ""
    picture = around_panel(held, volts, currents, shown.recording.dt, unit, label, shown.probes)
    low, middle, high = np.percentile(held.rms(volts), [0, 50, 100])
    further = (
        f"Their rms difference from the recording is {low:.2f} to {high:.2f} mV, median {middle:.2f} mV; that of the fitted cell "
        f"is {found.rms:.2f} mV."
    )
    return join([tag("figure", picture, tag("figcaption", told)), paragraphs(further)])


def _features(shown) -> Html:
    if not features.is_there():
        return paragraphs(
            join(["eFEL is not installed, so its features are not here. To get it: ", tag("code", HOW_TO_GET_EFEL)])
        )
    held, dt = shown.recording, shown.recording.dt
    found = features.compare(held.volts[0, 0], shown.simulated[0, 0], held.currents[0], dt)
    start, stop = features.stimulus_interval(held.currents[0], dt)
    rows = [_feature(row) for row in found]
    heads = ["feature", "eFEL's name", "recording", "fitted cell", "difference", "unit"]
    told = paragraphs(
        f"As eFEL {features.version()} measures them with its own settings, the stimulus being on from {start:.1f} to "
        f"{stop:.1f} ms; what each spike has is averaged over the spikes. \N{EN DASH}: the trace has none.",
        f"{STEEPEST} Its steepest rise is another figure than that of the phase plane: the mean over the spikes, of the trace "
        "interpolated to 0.1 ms; the phase plane has the steepest of all samples, at the recording's own step.",
    )
    return join([table("Features of recording and fitted cell", heads, rows, figures=(2, 3, 4)), told])


def _feature(row):
    form = f".{DECIMALS.get(row.unit, 3)}f" if row.unit else ".3g"
    shown = ((row.recorded, form), (row.fitted, form), (row.difference, f"+{form}"))
    figures = ("\N{EN DASH}" if x is None else f"{x:{f}}" for x, f in shown)
    words = f"{row.words}{STEEPEST}" if row.name == "AP_peak_upstroke" else row.words
    return [words, tag("code", row.name), *figures, row.unit]


def _provenance(shown) -> Html:
    held = shown.fit.provenance
    named = [
        ("recording", shown.fit.recording),
        ("ensemble and cell", {k: held[k] for k in sorted(held) if k not in APART}),
    ]
    rows = [[key, tag("code", value)] for _, part in named for key, value in _flat(part)]
    typed = tag("pre", tag("code", "\n".join(_commands(shown))), tabindex="0", aria_label="Commands")
    versions = sorted(held.get("versions", {}).items())
    programs = table(
        "Versions", ["program", "version"], [[name, version.removeprefix(f"{name} ")] for name, version in versions]
    )
    facts = table("Recording, ensemble and cell", ["what", "value"], rows)
    return join([tag("h3", "Commands that made it"), typed, tag("h3", "Facts and hashes"), facts, programs])


def _commands(shown):
    """What was typed, as lines for a shell."""
    held = shown.fit.provenance
    if "made" in held:
        yield from ("# the ensemble", *held["made"])
    yield from ("# the fit", held.get("command", "# was made from Python"))
    if shown.command:
        yield from ("# this page", shown.command)


def _flat(held, before=""):
    """What nested facts hold, as (key, text)."""
    for key, value in held.items():
        if isinstance(value, Mapping):
            yield from _flat(value, f"{before}{key}.")
        else:
            yield f"{before}{key}".replace("_", " "), str(value)


def _file_name(shown) -> str:
    """A name for the zip, of letters that any system takes."""
    kept = "".join(c if c.isascii() and c.isalnum() else "_" for c in shown.title)
    return kept[:60].strip("_") or "fit"
