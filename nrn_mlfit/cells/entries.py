"""The entries of a cell file that name places in the cell: probes, sites, and what parameters set, by formulas or plainly."""

from collections.abc import Sequence

import numpy as np

from nrn_mlfit import fields, formulas
from nrn_mlfit.errors import CellError, FormulaError
from nrn_mlfit.formulas import Formula
from nrn_mlfit.parameters import Parameter, ParameterSpace
from nrn_mlfit.places import SECTION_VARIABLES, is_site, is_target, place


def probes(held) -> dict[str, str]:
    if not isinstance(held, dict) or not held:
        raise CellError(f'probes: must map names to sites, such as {{soma: "soma(0.5)"}}, got {held!r}')
    return {str(name): site(f"probe {name}", text) for name, text in held.items()}


def site(what, text) -> str:
    text = str(text)
    if is_site(text):
        return text
    raise CellError(
        f"{what}: {text!r} is no site; write SECTION(x) with x in 0..1, or VARIABLE@PROCESS for a point process"
    )


def section_site(what, text) -> str:
    text = site(what, text)
    if place(text).kind != "site":
        raise CellError(f"{what}: {text} is a point process; write SECTION(x) with x in 0..1")
    return text


def parameter(name, held) -> Parameter:
    wanted = {"low", "high", "unit", "scale", "sets"}
    if not isinstance(held, dict) or not {"low", "high"} <= set(held) or set(held) - wanted:
        raise CellError(f"parameter {name}: needs low and high, and may have unit, scale, sets; got {held!r}")
    targets = held.get("sets", [name])
    targets = tuple(str(t) for t in (targets if isinstance(targets, list) else [targets]))
    for target in targets:
        _check_target(name, target)
    low, high = (fields.number(held, end, None) for end in ("low", "high"))
    return Parameter(str(name), low, high, str(held.get("unit", "")), str(held.get("scale", "linear")), targets)


def _check_target(name, entry):
    target = formulas.target_of(entry)
    if target.startswith("nseg."):
        raise CellError(
            f"parameter {name}: {target} would draw the number of segments, which is no quantity of the cell; set nseg in "
            "the template"
        )
    if not is_target(target):
        raise CellError(
            f"parameter {name}: {target!r} sets nothing; write VARIABLE.LIST (gbar_na.somatic), VARIABLE.LIST* for a "
            "factor, VARIABLE@PROCESS of a point process, PROCEDURE(), celsius, v_init or current_gain"
        )
    if formulas.is_formula(entry) and place(target).kind not in WITH_FORMULA:
        raise CellError(
            f"parameter {name}: {target} takes no formula; VARIABLE.LIST (g_pas.all = 1/rm) and VARIABLE@PROCESS do"
        )


WITH_FORMULA = ("range", "point")


def formulas_of(parameters: Sequence[Parameter]) -> list[tuple[str, Formula]]:
    """The formulas, each with the name of the parameter that has it under `sets`, in the order in which they are set: that of
    the file, but those that hang on distances last, since others may set lengths."""
    found = [(p.name, _formula(p.name, entry)) for p in parameters for entry in p.sets if formulas.is_formula(entry)]
    return sorted(found, key=lambda pair: pair[1].by_distance)


def _formula(name, entry) -> Formula:
    try:
        return formulas.read(entry)
    except CellError as error:
        raise CellError(f"parameter {name}: {error}") from None


def check_formulas(parameters: Sequence[Parameter], held: dict[str, float]):
    """Refuse formulas with unknown names, or without a value in the ranges (`held` are known values), and parameters that no
    formula names and that set nothing."""
    found = formulas_of(parameters)
    for name, formula in found:
        _check_names(name, formula, [p.name for p in parameters])
        _check_values(name, formula, parameters, held)
    used = {name for _, formula in found for name in formula.names}
    for p in parameters:
        if p.name not in used and all(map(formulas.is_formula, p.sets)):
            raise CellError(
                f"parameter {p.name}: reaches no segment, as it sets nothing and is in no formula; name a target under `sets`, "
                "or use it in a formula"
            )


def _check_names(name, formula, known):
    if unknown := sorted(formula.parameters - set(known)):
        raise CellError(
            f'parameter {name}: "{formula}": {unknown[0]} is no parameter of the cell; there are {", ".join(known)}, and distance'
        )
    if not formula.by_distance:
        return
    if formulas.DISTANCE in known:
        raise CellError(
            f'parameter {name}: "{formula}": distance is that of a segment from `origin`; give the parameter distance another '
            "name"
        )
    spot = place(formula.target)
    if spot.kind == "point" or spot.name in SECTION_VARIABLES:
        raise CellError(
            f'parameter {name}: "{formula}": only what each segment has of its own can hang on its distance; leave distance out'
        )


SOMEWHERE = 100.0  # um from the origin


def _check_values(name, formula, parameters, held):
    """It must be finite in the middle of the ranges, or a quarter of them away: a single point may be one that it leaves out."""
    points = [_point(parameters, held, unit) for unit in (0.0, -0.5, 0.5)]
    failures = [failure for point in points if (failure := _failure(formula, point))]
    if len(failures) == len(points):
        raise CellError(
            f"parameter {name}: {failures[0]}, the middle of the ranges; write a formula that has a value there"
        )


def _failure(formula, point) -> FormulaError | None:
    try:
        formula.value(point)
    except FormulaError as error:
        return error
    return None


def _point(parameters, held, unit) -> dict[str, float]:
    values = ParameterSpace(tuple(parameters)).to_phys(np.full((1, len(parameters)), unit))[0].tolist()
    return {**dict(zip([p.name for p in parameters], values, strict=True)), **held, formulas.DISTANCE: SOMEWHERE}
