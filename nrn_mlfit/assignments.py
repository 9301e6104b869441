"""The HOC that gives a cell of its template the values of all parameters, and what formulas make of them, line by line.

Each value is put into `x`, set, and read back: `expect` of fitted_cell.hoc stops where it did not arrive.
"""

import re

from nrn_mlfit.cells import CellModel
from nrn_mlfit.formulas import DISTANCE, is_formula
from nrn_mlfit.places import SECTION_VARIABLES, place
from nrn_mlfit.simulator.mechanisms import names_in

EVERYWHERE = ("L", "Ra", "diam", "cm")  # in every section, whatever mechanisms it has
BUILT_IN = ("pas", "hh", "extracellular")
ION = re.compile(r"[ei]([a-z]\w*)|([a-z]\w*)[io]")  # ena, ina; nai, nao


def body(model: CellModel, values: dict[str, float]) -> list[str]:
    """What comes between `cell = new TEMPLATE()` and `return cell`, with the values of all parameters by name."""
    mechanisms = {*BUILT_IN, *(name for path in model.mod_files() for name in names_in(path))}
    words = words_of(model)
    lines = [f"cell.{name} = {value!r}" for name, value in model.geometry.items()]
    lines += ["cell.build()"] if model.geometry else []
    for p in model.parameters:
        known = ", not fitted: it was given" if p.name in model.held else ""
        lines += [f"// {p.name}, {plain(p.unit)}".rstrip(", ") + known, f"x = {values[p.name]!r}"]
        lines += [f"{words[p.name]} = x"] if p.name in words else []
        lines += [line for entry in p.sets if not is_formula(entry) for line in _assignment(p.name, entry, mechanisms)]
    return lines + [line for _, formula in model.formulas for line in _by_formula(model, formula, words, mechanisms)]


def words_of(model: CellModel) -> dict[str, str]:
    """The local variables of HOC for the parameters in formulas, by name: `p_lambda` cannot be taken for a word of HOC."""
    used = set().union(*(formula.parameters for _, formula in model.formulas))
    words: dict[str, str] = {}
    for name in (p.name for p in model.parameters if p.name in used):
        word = re.sub(r"\W", "_", f"p_{name}")
        while word in words.values():  # of a.b and a_b
            word += "_"
        words[name] = word
    return words


def plain(text) -> str:
    """Text that stays inside its comment."""
    return re.sub(r"[\x00-\x1f\x7f]|/\*|\*/", " ", str(text))


def _by_formula(model, formula, words, mechanisms) -> list[str]:
    """HOC that sets what a formula says, in each segment by its distance if it hangs on that."""
    if not formula.by_distance:
        return [f"// {formula}", f"x = {formula.hoc(words)}", *_assignment(formula.target, formula.target, mechanisms)]
    spot, origin = place(formula.target), place(model.origin)
    one, told = f"{spot.name}(y)", formula.hoc({**words, DISTANCE: f"{DISTANCE}(y)"})
    each = f'x = {told}  {one} = x  n += 1  expect({one}, x, "{formula.target}")'
    return [
        f"// {formula}, {DISTANCE} in um from {model.origin}",
        f"cell.{origin.name} {{ {DISTANCE}(0, {origin.where}) }}",
        "n = 0",
        f"forsec cell.{spot.where} {_if_there(spot.name, mechanisms)}{{ for (y, 0) {{ {each} }} }}",
        f'expect(n > 0, 1, "{formula.target}")',
    ]


def _assignment(name, target, mechanisms) -> list[str]:
    """HOC that sets x and reads it back (what a procedure makes of its value cannot be read back)."""
    spot = place(target)
    if spot.kind == "condition":
        return [f"// which is {spot.name}: a setting of the run, not of the cell; fit.hoc has it"]
    if spot.kind == "procedure":
        return [f"cell.{spot.name}(x)"]
    if spot.kind == "point":
        variable = f"cell.{spot.where}.{spot.name}"
        return [f"{variable} = x", f'expect({variable}, x, "{name}")']
    start = f"forsec cell.{spot.where} {_if_there(spot.name, mechanisms)}"
    if spot.kind == "factor":
        return [f"{start}{{ {_multiplied(name, spot.name)} }}"]
    counted = ["n = 0", f"{start}{{ {spot.name} = x  n += 1 }}", f'expect(n > 0, 1, "{name}")']
    return [*counted, f'{start}expect({spot.name}, x, "{name}")']


def _multiplied(name, variable) -> str:
    """HOC that multiplies a variable of a section, in each of its segments if it is not the section's own, by x."""
    one = variable if variable in SECTION_VARIABLES else f"{variable}(y)"
    each = "" if variable in SECTION_VARIABLES else "for (y, 0) "
    return f'{each}{{ n = {one}*x  {one} = n  expect({one}, n, "{name}") }}'


def _if_there(variable, mechanisms) -> str:
    """Only sections with the mechanism of `gbar_na` (or the ion of `ena`) can have it set; names may hold underscores."""
    owners = [name for name in mechanisms if variable.endswith(f"_{name}")]
    if not owners and variable not in EVERYWHERE and (ion := ION.fullmatch(variable)):
        owners = [f"{ion[1] or ion[2]}_ion"]
    return f'if (ismembrane("{max(owners, key=len)}")) ' if owners else ""
