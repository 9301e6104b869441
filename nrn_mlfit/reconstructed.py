"""A cell on another morphology: the folder of a cell like one that is there, its soma and dendrites those of a reconstruction."""

import re
from dataclasses import dataclass
from pathlib import Path

from nrn_mlfit import cells, folders, hocfile, progress, textfile
from nrn_mlfit.cells import CellModel
from nrn_mlfit.errors import CellError, MorphologyError
from nrn_mlfit.places import place
from nrn_mlfit.simulator import apart, mechanisms, morphology, resistance
from nrn_mlfit.simulator.morphology import written

# Shipped templates whose shape is built in, and the one that has their channels and axon on a reconstruction.
RECONSTRUCTED = {"mainen.hoc": ("mainen_morphology.hoc", "MainenMorphology", "Mainen")}
READ = (".swc", ".asc")  # what a template of a user's own may read: a HOC file among `files` is more often a part of it
GEOMETRY = (
    "# geometry: {spine_area: 0.83, spine_density: 1, longest_segment: 50}  # um2, 1/um, um; spine_density: 0 has none"
)


@dataclass(frozen=True)
class Made:
    """A cell that was made: its folder, the reconstruction, segments, input resistances in MOhm (0 where the stimulus goes into a
    point process), and what the stimulus was multiplied by, None where it has no scale."""

    folder: Path
    found: morphology.Morphology
    segments: int
    megohm: float
    of_other: float
    factor: float | None


@dataclass(frozen=True)
class _Form:
    """How a cell takes a reconstruction: the text of its template with a place for one, or the file that it reads."""

    hoc: str
    text: str
    template: str
    stem: str
    file: Path | None = None
    is_shipped: bool = False


def like(
    cell: str | Path,
    source: Path,
    folder: Path,
    spine_density: float | None = None,
    report: progress.Report = progress.silent,
) -> Made:
    """Write into the new `folder` a cell like `cell`, a name or a path, on the reconstruction in the file `source`.

    Channels, parameters and conditions are the other cell's; its stimulus is scaled by the ratio of the input resistances, so
    that it moves the voltage as far. spine_density: spines a um. Raises CellError for a cell that takes no reconstruction,
    MorphologyError for one that cannot be read, and MachineError for a folder that is there.
    """
    folders.check_free(folder)
    name = cells.name_for(folder)
    model, path = cells.load(cell), cells.find(cell)
    form = _form(model)
    if spine_density is not None and "spine_density" not in form.text:
        raise CellError(f"{model.name}: its template has no spine_density to set; leave the density of spines out")
    found = morphology.read(source)
    mechanisms.tell_if_new(model.mod, report)
    _check_same_suffix(model, form, source)
    with folders.whole(folder) as fresh:
        files = _files(model, form, found, source, name) | _stimulus_files(path)
        text = _cell_file(path, model, form, source, name, spine_density)
        for where, content in files.items():
            textfile.write_atomic(fresh / where, content)
        textfile.write_atomic(fresh / f"{name}.yaml", text)
        megohm, segments, of_other = _resistances(fresh / f"{name}.yaml", path, source, model)
        text, factor = _scaled(text, model, megohm, of_other)
        textfile.write_atomic(fresh / f"{name}.yaml", text)
    return Made(folder, found, segments, megohm, of_other, factor)


def _form(model: CellModel) -> _Form:
    text = _read(model.hoc)
    if model.hoc.name in RECONSTRUCTED and model.hoc.read_bytes() == _shipped(model.hoc.name).read_bytes():
        hoc, template, stem = RECONSTRUCTED[model.hoc.name]
        return _Form(hoc, _read(_shipped(hoc)), template, stem, is_shipped=True)
    if written.takes(text):
        stem = model.template.removesuffix(f"_{_identifier(model.name)}")
        return _Form(model.hoc.name, text, model.template, stem)
    traced = [file for file in model.files if file.suffix.lower() in READ]
    if len(traced) == 1:
        return _Form(model.hoc.name, text, model.template, model.template, traced[0])
    several = f"names {len(traced)} of them" if traced else "names none"
    raise CellError(
        f"{model.name}: takes no reconstruction: its template has no place for one, and its `files` {several} (.swc, .asc); a "
        "cell that does is mainen"
    )


def _shipped(hoc) -> Path:
    return cells.shipped_folder("hoc") / "templates" / hoc


def _read(hoc) -> str:
    return hoc.read_text(encoding="utf-8", errors="surrogateescape")


def _identifier(name) -> str:
    """The name of a cell as a part of a name in HOC, which knows ASCII letters, digits and _."""
    return re.sub(r"[^A-Za-z0-9_]", "_", name)


def _check_same_suffix(model, form, source):
    if form.file and form.file.suffix.lower() != source.suffix.lower():
        raise MorphologyError(
            f"{source}: {model.name} reads a {form.file.suffix} file, {form.file.name}; give one of that kind"
        )


def _files(model, form, found, source, name) -> dict[str, bytes]:
    """What the new cell is made of, by where it goes; the reconstruction as it came is kept."""
    files = {where: content for where, content in model.sources().items() if where.startswith("mod/")}
    if form.file:
        return model.sources() | {model.copied_name(form.file): source.read_bytes()}
    text = written.into(form.text, found, _plain(source))
    text = hocfile.renamed(text, form.template, _template(form, name))
    own = {} if form.is_shipped else {model.copied_name(file): file.read_bytes() for file in _others(model)}
    return own | files | {form.hoc: text.encode(errors="surrogateescape"), _kept(source): source.read_bytes()}


def _plain(source) -> str:
    """The name of a file as it can stand in a comment."""
    return re.sub(r"[\x00-\x1f\x7f]", " ", source.name)


def _template(form, name) -> str:
    return form.template if form.file else f"{form.stem}_{_identifier(name)}"


def _others(model) -> list[Path]:
    """The files of a cell but for the reconstruction that is kept beside its template."""
    return [file for file in model.files if not model.copied_name(file).startswith("morphology/")]


def _kept(source) -> str:
    return f"morphology/{source.name}"


def _stimulus_files(path) -> dict[str, bytes]:
    """The files of the cell's stimuli, which must lie in its folder."""
    files = {}
    for name in _paths(textfile.read_yaml(path)["stimulus"]):
        file = (path.parent / name).resolve()
        if not file.is_relative_to(path.parent.resolve()):
            raise CellError(f"{path}: its stimulus {name} lies outside of its folder; copy it there")
        files[str(file.relative_to(path.parent.resolve()))] = file.read_bytes()
    return files


def _paths(held) -> list[str]:
    if isinstance(held, dict):
        own = [str(held["path"])] if held.get("kind") == "file" else []
        return own + [path for value in held.values() for path in _paths(value)]
    return [path for value in held for path in _paths(value)] if isinstance(held, list) else []


def _cell_file(path, model, form, source, name, spine_density) -> str:
    """The cell file: the other one's text, with what differs."""
    changed = ["name", "hoc", "template", "mod", "files"]
    fresh = [
        f"# {model.name} on the reconstruction {_plain(source)}, made by nrn-mlfit cells new.",
        f"name: {textfile.to_word(name)}",
        f"hoc: {textfile.to_word(form.hoc)}",
        f"template: {textfile.to_word(_template(form, name))}",
        *(["mod: mod"] if model.mod else []),
    ]
    if form.file:
        fresh.append(f"files: {textfile.to_list(map(model.copied_name, model.files))}")
    else:
        kept = [] if form.is_shipped else map(model.copied_name, _others(model))
        fresh.append(
            f"files: {textfile.to_list([*kept, _kept(source)])}  # the reconstruction as it came; {form.hoc} holds it"
        )
    if spine_density is not None:
        held = ({} if form.is_shipped else model.geometry) | {"spine_density": spine_density}
        fresh.append(f"geometry: {{{', '.join(f'{key}: {value!r}' for key, value in held.items())}}}  # um, um2, 1/um")
    elif form.is_shipped:
        fresh.append(GEOMETRY)
    if form.is_shipped or spine_density is not None:
        changed.append("geometry")
    text = path.read_text(encoding="utf-8")
    return "\n".join(fresh) + "\n" + _without(text, changed)


def _without(text, keys) -> str:
    """The text of a cell file without the comment on top, some keys of the outermost level, and geometry that is a comment."""
    text = re.sub(r"\A(?:[ \t]*(?:#[^\n]*)?\n)+", "", text if text.endswith("\n") else f"{text}\n")
    for key in keys:
        text = re.sub(rf"^(?:# )?{_entry(key)}", "", text, flags=re.MULTILINE)
    return text


def _entry(key) -> str:
    """The pattern of an entry at the outermost level: its line, and those behind it up to the next key or comment there."""
    return rf"(['\"]?){key}\1[ \t]*:[^\n]*\n(?:(?![A-Za-z_#'\"])[^\n]*\n)*"


def _resistances(fresh, path, source, model) -> tuple[float, int, float]:
    """(MOhm, segments, MOhm of the other cell); raises what building the new cell raises."""
    if place(model.inject).kind != "site":
        return 0.0, 0, 0.0
    try:
        with folders.named_as(fresh.parent, path.parent):
            megohm, segments = resistance.ask(fresh)
        return megohm, segments, resistance.ask(path)[0]
    except apart.Broken as said:
        raise MorphologyError(f"{source}: NEURON cannot build {model.name} on it ({said}); look at the file") from None


def _rounded(value: float) -> float:
    """To two digits."""
    return float(f"{value:.2g}")


def _scaled(text, model, megohm, of_other) -> tuple[str, float | None]:
    """The cell file with its stimulus scaled and a word why, and the factor; None where nothing says a scale."""
    found = re.search(rf"^{_entry('stimulus')}", text, re.MULTILINE)
    if not found or not megohm:
        return text, None
    factor = _rounded(of_other / megohm)
    block = re.sub(r" +#[^\n]*", "", found[0])  # what was said of the other one's scale is not true of this
    block, count = re.subn(r"(\bscale: *)([-+.\deE]+)", lambda m: f"{m[1]}{_rounded(float(m[2]) * factor):g}", block)
    advice = f"its stimulus, nA, times {factor:g}" if count else "choose the stimulus accordingly"
    said = f"# Input resistance {megohm:.3g} MOhm; {model.name}, {of_other:.3g} MOhm: {advice}.\n"
    return text[: found.start()] + said + block + text[found.end() :], factor if count else None
