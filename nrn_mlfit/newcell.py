"""A folder with a cell file, begun from somebody's own HOC template."""

import shutil
from dataclasses import dataclass, replace
from pathlib import Path

from nrn_mlfit import cells, folders, hocfile, progress, strength, textfile
from nrn_mlfit.cells import CellModel
from nrn_mlfit.celltext import NEURONS, Draft
from nrn_mlfit.errors import CellError
from nrn_mlfit.parameters import Parameter, ParameterSpace
from nrn_mlfit.proposal import is_bare, propose
from nrn_mlfit.simulator import apart, inventory, mechanisms, rest
from nrn_mlfit.simulator.inventory import Inventory
from nrn_mlfit.stimuli import Protocol, reset_chirp

ADVICE = {  # what NEURON says of a template, and what its owner may do about it
    "is not a MECHANISM": "give the folder of its MOD file with --mod",
    "not enough arguments": (
        "cells are made without arguments: give them default values in init(), as in `if (numarg() > 0) ...`, or define a "
        "template beside it that makes one with yours"
    ),
}


AS_IT_IS = "surrogateescape"  # bytes that are not UTF-8, in somebody's comment, come out as they went in


@dataclass(frozen=True)
class Source:
    """A template of a HOC file, with the folder of its MOD files and the other files that it reads."""

    hoc: Path
    template: str
    mod: Path | None
    files: tuple[Path, ...]


@dataclass(frozen=True)
class Begun:
    """A folder that has been begun: its cell file's draft, and what was added to the copy of the HOC file."""

    folder: Path
    draft: Draft
    added: str


def source_of(hoc: Path, template: str | None = None, mod: Path | None = None) -> Source:
    """What a user points at, checked; without `mod` it is the folder mod/ beside the HOC file, if there is one.

    Raises CellError for a file, template or MOD folder that is not there.
    """
    if not hoc.is_file():
        raise CellError(f"{hoc}: no such file; give the HOC file that defines your template")
    name = hocfile.template_in(hoc, template)
    if mod is not None and not any(mod.glob("*.mod")):
        raise CellError(f"--mod {mod}: holds no .mod file; name the folder of your MOD files")
    beside = hoc.parent / "mod"
    found = mod or (beside if any(beside.glob("*.mod")) else None)
    return Source(hoc.resolve(), name, found.resolve() if found else None, tuple(hocfile.files_read(hoc)))


def begin(
    source: Source, folder: Path, celsius: float | None = None, report: progress.Report = progress.silent
) -> Begun:
    """Open a template in NEURON and write a folder with its files and a commented cell file.

    `celsius` is the temperature in degC of its runs, by default that of NEURON once the cell is built.

    Raises CellError or MechanismError where it cannot be opened; then nothing is written.
    """
    folders.check_free(folder)
    name = cells.name_for(folder)
    with folders.whole(folder.absolute()) as fresh, folders.named_as(fresh, source.hoc.parent):
        found, added = _opened(source, fresh, report)
        draft = Draft(
            name,
            Path(source.hoc.name),
            tuple(path.relative_to(source.hoc.parent) for path in source.files),
            source.mod is not None,
            source.hoc.name,
            found,
            propose(found),
            warmth=celsius,
        )
        draft = replace(draft, rest=_rest(_in_folder(source, fresh), draft, report))
        path = fresh / f"{draft.name}.yaml"
        textfile.write_atomic(path, draft.text())
        look = strength.find(cells.read(path), report)
        _check_spikes(source, draft, look)
        draft = replace(draft, look=look)
        textfile.write_atomic(path, draft.text())
        cells.read(path)
    return Begun(folder, draft, added)


def _opened(source, fresh, report) -> tuple[Inventory, str]:
    """What the template builds; `fresh` then holds its files, with a copy of the HOC file that has all that is needed."""
    mechanisms.tell_if_new(source.mod, report)
    report(f"opening {source.template} in NEURON")
    found = _take(_model(source))
    if not found.sections:
        raise CellError(
            f"{source.hoc}: template {source.template} makes no section; `create soma` in it, and insert its channels"
        )
    _copy(source, fresh)
    if found.is_complete:
        return found, ""
    copied = _in_folder(source, fresh)
    text, added = source.hoc.read_bytes().decode(errors=AS_IT_IS), []
    if hidden := _hidden(text, source.template, found):
        text, added = hocfile.made_public(text, source.template, hidden), [f"{', '.join(hidden)} public"]
        textfile.write_atomic(copied.hoc, text.encode(errors=AS_IT_IS))
        found = _take(_model(copied))
    lacking = found.uncovered
    if lacking and not any("." in name for name in lacking):  # those of a template inside are not ours to name
        text = hocfile.with_lists(text, source.template, found.sections, lacking)
        textfile.write_atomic(copied.hoc, text.encode(errors=AS_IT_IS))
        before, found = found, _take(_model(copied))
        added.append(f"the SectionLists {', '.join(sorted(set(found.lists) - set(before.lists)))}")
    if not found.is_complete:
        missing = ", ".join(found.uncovered) or found.site
        raise CellError(
            f"{source.hoc}: {missing} cannot be named from outside of {source.template}; append its sections to a public "
            "SectionList in init(), and write the soma's name after `public`"
        )
    return found, " and ".join(added)


def _check_spikes(source, draft, look):
    """Refuse sections that only carry point processes and have no spikes: these are somewhere else."""
    carried = [f"{name} ({kind})" for name, kind in draft.found.processes.items() if kind not in inventory.STIMULATING]
    if carried and not draft.proposal.own and is_bare(draft.found) and look.is_silent:
        name = carried[0].partition(" ")[0]
        raise CellError(
            f"{source.hoc}: the sections of {source.template} have no channels and no spikes, they only carry "
            f"{', '.join(carried)}; write a cell file that names its voltage and its current, `probes: {{V: VARIABLE@{name}}}` "
            f"and `inject: VARIABLE@{name}`, as docs/cell_files.md shows"
        )


def _in_folder(source, fresh) -> Source:
    """The same template in its copy."""
    return replace(source, hoc=fresh / source.hoc.name, files=tuple(_in(fresh, source)))


def _rest(source, draft, report) -> float | None:
    """Where the cell rests, in mV; None where it does not, has a voltage elsewhere, or its HOC file says where to begin."""
    if draft.proposal.own or draft.found.v_init != NEURONS["v_init"]:
        return None
    report("looking for the voltage at which it rests")
    return apart.ask_of_cell(
        rest.of_cell, replace(_model(source), celsius=draft.celsius[0]), f"{draft.found.site}(0.5)"
    )


def _hidden(text, template, found) -> list[str]:
    """What the template has and does not show: its SectionLists and the section of the recording."""
    lists = [name for name in hocfile.hidden_lists(text, template) if name not in found.lists]
    site = [] if found.site in found.public else [found.site.split("[")[0]]
    return [*site, *lists]


def _in(fresh, source):
    return (fresh / path.relative_to(source.hoc.parent) for path in source.files)


def _copy(source, fresh):
    """The HOC file, what it reads, and mod/, in a new folder."""
    pairs = [(source.hoc, fresh / source.hoc.name), *zip(source.files, _in(fresh, source), strict=True)]
    mods = sorted(source.mod.glob("*.mod")) if source.mod else []
    pairs += [(path, fresh / "mod" / path.name) for path in mods]
    for path, target in pairs:
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(path, target)


def _model(source) -> CellModel:
    """A cell of which only the temperature is drawn: enough to build it."""
    return CellModel(
        name=source.template,
        hoc=source.hoc,
        template=source.template,
        mod=source.mod,
        files=source.files,
        probes={},
        inject="soma(0.5)",
        celsius=37.0,
        v_init=-65.0,
        dt=0.025,
        protocol=Protocol((reset_chirp(),)),
        space=ParameterSpace((Parameter("celsius", 6.0, 37.0, "degC", sets=("celsius",)),)),
    )


def _take(model) -> Inventory:
    try:
        return apart.ask_of_cell(inventory.take, model)
    except CellError as error:
        advice = next((f"; {told}" for words, told in ADVICE.items() if words in str(error)), "")
        raise CellError(f"{error}{advice}") from None
