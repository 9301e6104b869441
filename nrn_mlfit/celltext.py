"""The text of a new cell file, with a word on every line."""

import textwrap
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from nrn_mlfit.proposal import Proposal, Proposed, in_words
from nrn_mlfit.simulator.inventory import Inventory
from nrn_mlfit.strength import Look
from nrn_mlfit.textfile import to_list, to_word

NEURONS = {"celsius": 6.3, "v_init": -65.0}  # what these are where nobody sets them
DT_MS = 0.025  # NEURON's own
RANGES = (
    "Ranges: conductances from half to twice the template's value (they differ two- to fourfold between neurons of a type:",
    "Schulz et al., Nature Neuroscience 9:356, 2006); leaks from a quarter to four times, as input resistances differ more, and",
    "that is over a decade, so it is drawn in its logarithm; capacitance from half to twice. Each line ends with NEURON's unit",
    "and the value that the template has now. Narrow what you know, or hold it: fixed: {NAME: VALUE}.",
)
LEFT_OUT = "In no parameter, as the SectionLists that have it overlap (make a list of them alone)"
WIDTH = 118  # of a comment


@dataclass(frozen=True)
class Draft:
    """What a new cell file is made of: the cell's `name`; `hoc`, `files` and `mod` as they lie to it; `look`, what the
    stimulus was chosen by, once it is."""

    name: str
    hoc: Path
    files: tuple[Path, ...]
    mod: bool
    source: str
    found: Inventory
    proposal: Proposal
    look: Look | None = None
    warmth: float | None = None  # degC, where it was said
    rest: float | None = None  # mV, where the cell rests without a current, if it does

    @property
    def lists(self) -> str:
        """The SectionLists, with how many sections each has."""
        return ", ".join(f"{name} ({len(sections)})" for name, sections in self.found.lists.items())

    @property
    def probe(self) -> tuple[str, str]:
        """What is recorded: its name and its place."""
        if own := self.proposal.own:
            return own.voltage, f"{own.voltage}@{own.process}"
        return self.found.site.split("[")[0], f"{self.found.site}(0.5)"

    @property
    def inject(self) -> str:
        """Where the stimulus goes in."""
        own = self.proposal.own
        return f"{own.current}@{own.process}" if own else f"{self.found.site}(0.5)"

    @property
    def current_unit(self) -> str:
        return f"the unit of {self.inject}" if self.proposal.own else "nA"

    @property
    def v_init(self) -> tuple[float, str]:
        """Where runs start, in mV, and why there."""
        if self.found.v_init != NEURONS["v_init"]:
            return self.found.v_init, "as the HOC file sets it"
        if self.proposal.own:
            return self.found.v_init, f"of the section, which only carries {self.proposal.own.process}"
        if self.rest is not None:
            return round(self.rest, 1), "where the template's cell rests without a current"
        rest = next((q for q in self.found.quantities if q.variable == "e_pas"), None)
        values = rest.among(self.found.sections) if rest else None
        if values and values[0] == values[1]:
            return values[0], "the reversal potential of the leak, e_pas, as the cell comes to no rest"
        return self.found.v_init, "NEURON's own, as the HOC file sets none and the cell comes to no rest"

    @property
    def celsius(self) -> tuple[float, str]:
        """The temperature in degC, and where it is from."""
        if self.warmth is not None:
            return self.warmth, "as it was said with --celsius"
        if self.found.celsius != NEURONS["celsius"]:
            return self.found.celsius, "as the HOC file sets it"
        return (
            self.found.celsius,
            "NEURON's own, as the HOC file sets none: yours is written here, or given with --celsius",
        )

    def text(self) -> str:
        """The cell file."""
        return "\n".join(self._lines()) + "\n"

    def _lines(self) -> Iterator[str]:
        yield f"# Written by `nrn-mlfit cells new {self.source}`: a proposal, for you to edit. docs/cell_files.md has the keys."
        yield "# After each change run nrn-mlfit cells check on this folder."
        yield f"name: {to_word(self.name)}"
        yield f"hoc: {to_word(str(self.hoc))}"
        yield f"template: {to_word(self.found.template)}"
        if self.mod:
            yield "mod: mod"
        if self.files:
            yield f"files: {to_list(map(str, self.files))}  # what the HOC file reads"
        yield "celsius: {:g}  # degC; {}".format(*self.celsius)
        yield "v_init: {:g}  # mV; {}".format(*self.v_init)
        yield f"dt: {min(DT_MS, self.found.dt):g}  # ms, the longest step; cells check says whether half of it gives other spikes"
        name, place = map(to_word, self.probe)
        yield f"probes: {{{name}: {place}}}"
        yield f"inject: {to_word(self.inject)}"
        yield from _stimulus(self.look, self.current_unit)
        if self.proposal.own:
            yield f"# current_gain: 1  # what 1 nA is in {self.current_unit}: for stimuli from files, which are in nA"
        yield ""
        yield from _wrapped(f"SectionLists (sections in them): {self.lists}")
        yield from (f"# {line}" for line in RANGES)
        yield "parameters:"
        yield from _aligned(self.proposal.drawn, "  ")
        yield from self._more()

    def _more(self) -> Iterator[str]:
        if self.proposal.left_out:
            yield from _wrapped(f"{LEFT_OUT}: {'; '.join(self.proposal.left_out)}")
        if self.proposal.spare:
            yield "  # Not drawn. Take out the # of what may differ between your recordings:"
            yield from _aligned(self.proposal.spare, "  # ")
        if self.proposal.others:
            yield from _wrapped(
                f"Constants of the mechanisms, which are not proposed: {', '.join(self.proposal.others)}"
            )
        if self.found.processes and not self.proposal.own:
            yield from _wrapped(
                f"Point processes: {', '.join(self.found.processes)}; a variable of one can be recorded and driven, too "
                "(probes: {V: V@NAME}, inject: I@NAME)"
            )


def _wrapped(text) -> list[str]:
    return [f"# {line}" for line in textwrap.wrap(text, WIDTH, break_on_hyphens=False)]


def _stimulus(look: Look | None, unit: str) -> Iterator[str]:
    if look is None:
        yield "stimulus: {kind: reset_chirp}"
        return
    yield f"# Reset and chirp (nrn-mlfit stimuli). This scale gives {look.told}."
    settings = f"kind: reset_chirp, scale: {look.scale:g}, reset: {look.reset:g}"
    yield f"stimulus: {{{settings}}}  # {unit}; reset is in units of the scale"


def _aligned(proposed: Sequence[Proposed], before: str) -> Iterator[str]:
    """A line a parameter, the remarks below each other."""
    lines = [before + _line(one.parameter) for one in proposed]
    width = max(map(len, lines), default=0)
    for line, one in zip(lines, proposed, strict=True):
        yield f"{line.ljust(width)}  # {one.remark}"


def _line(parameter) -> str:
    unit = f"unit: {to_word(parameter.unit)}, " if parameter.unit else ""
    sets = "" if parameter.sets == (parameter.name,) else f", sets: {to_list(parameter.sets)}"
    return f"{parameter.name}: {{low: {parameter.low:.6g}, high: {parameter.high:.6g}, {unit}scale: {parameter.scale}{sets}}}"


def listed(found: Inventory) -> list[tuple[str, str, str, str]]:
    """A row a quantity: variable, unit, values now, and how many sections have it."""
    return [
        (q.variable, q.unit, in_words(q.among(found.sections) or (0.0, 0.0)), f"{len(q.values)}/{len(found.sections)}")
        for q in found.quantities
    ]
