"""The entries of a cell file that name places in the cell: probes, sites, and what parameters set."""

from nrn_mlfit import fields
from nrn_mlfit.errors import CellError
from nrn_mlfit.parameters import Parameter
from nrn_mlfit.places import is_site, is_target


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


def parameter(name, held) -> Parameter:
    wanted = {"low", "high", "unit", "scale", "sets"}
    if not isinstance(held, dict) or not {"low", "high"} <= set(held) or set(held) - wanted:
        raise CellError(f"parameter {name}: needs low and high, and may have unit, scale, sets; got {held!r}")
    targets = held.get("sets", [name])
    targets = tuple(str(t) for t in (targets if isinstance(targets, list) else [targets]))
    for target in targets:
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
    low, high = (fields.number(held, end, None) for end in ("low", "high"))
    return Parameter(str(name), low, high, str(held.get("unit", "")), str(held.get("scale", "linear")), targets)
