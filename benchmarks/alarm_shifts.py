"""Traces of another kind: voltages that are changed (CHANGES), and cells that are (variants).

N traces of T samples, every `dt` ms.
"""

import re
from dataclasses import replace
from functools import partial

import numpy as np

from nrn_mlfit import cells
from nrn_mlfit.cells import CellModel
from nrn_mlfit.parameters import Parameter, ParameterSpace

KINDS = ("mainen", "ball_two_sticks", "izhikevich")  # of shipped cells: their variants are of the same kind
SEED = 1
LATER_MS = 5.0
DROPPED_MS = 20.0
PASSED_KHZ = 2.0
POLES = 4
CLIPPED_MV = 0.0
BLOCKED = 1e-6  # of the lower bound, what is left of a conductance
RESIZED = 0.3
BLOCKABLE = re.compile(r"g\w*_k\w*\.|g\w*_ca\w*\.", re.IGNORECASE)  # gbar_km.dendritic: potassium and calcium channels
DIMENSION = re.compile(r"^\s*(\w+_(?:diameter|length))\s*=\s*([\d.]+)", re.MULTILINE)  # in a template, um


def noisy(volts, dt, sd):
    """White noise of `sd` mV added to voltages (N, T)."""
    return volts + sd * _random().standard_normal(volts.shape, np.float32)


def offset(volts, dt, by):
    """Voltages (N, T) `by` mV higher, as a junction potential makes them."""
    return volts + by


def amplified(volts, dt, gain):
    """The voltages (N, T) themselves, not their distance from rest, times `gain`."""
    return volts * gain


def smoothed(volts, dt):
    """Voltages (N, T) behind an amplifier's causal 4-pole Bessel filter, -3 dB at 2 kHz, settled at their first sample."""
    from scipy import signal

    sections = signal.bessel(POLES, PASSED_KHZ, norm="mag", output="sos", fs=1 / dt)
    settled = signal.sosfilt_zi(sections)[:, None] * volts[:, :1]
    return signal.sosfilt(sections, volts, axis=1, zi=settled)[0]


def later(volts, dt):
    """Voltages (N, T) 5 ms later, held at their first sample until then."""
    count = round(LATER_MS / dt)
    return np.concatenate([np.repeat(volts[:, :1], count, axis=1), volts], axis=1)[:, : volts.shape[1]]


def clipped(volts, dt):
    """Voltages (N, T) with nothing above 0 mV."""
    return np.minimum(volts, CLIPPED_MV)


def dropped(volts, dt):
    """Voltages (N, T), each of which is held at its last value for 20 ms at a random place."""
    count, size = round(DROPPED_MS / dt), volts.shape[1]
    first = _random().integers(1, size - count + 1, (len(volts), 1))
    place = np.arange(size)
    held = np.where((place >= first) & (place < first + count), first - 1, place)
    return np.take_along_axis(volts, held, axis=1)


def flat(volts, dt):
    """The median of each trace in place of it, (N, T)."""
    return np.repeat(np.median(volts, axis=1, keepdims=True), volts.shape[1], axis=1)


FLAT, DROPPED, LATER = "flat line at the median", "20 ms dropped", "5 ms later"
CHANGES = {  # name -> function of volts (N, T) mV and dt ms
    **{f"white noise, sd {sd:g} mV": partial(noisy, sd=sd) for sd in (0.1, 0.5, 1, 2)},
    **{f"offset {by:+g} mV": partial(offset, by=by) for by in (5, -5, 10, -10)},
    **{f"voltage times {gain:.2f}": partial(amplified, gain=gain) for gain in (1.03, 1.10)},
    "low-pass 2 kHz": smoothed,
    LATER: later,
    "clipped at 0 mV": clipped,
    DROPPED: dropped,
    FLAT: flat,
}


def _random():
    return np.random.Generator(np.random.Philox(key=SEED))


def variants(model: CellModel) -> dict[str, list[CellModel]]:
    """Name of a shift -> the cells whose sets make it, all with the window and the sample step of `model`."""
    made = {
        f"stimulus times {k:g}": [model.under(*(s.scaled(k * s.scale) for s in _stimuli(model)))] for k in (0.8, 1.2)
    }
    made |= {f"cell {name}": [other_cell(name, model)] for name in KINDS if name != model.name}
    held = list(model.space.parameters)
    made |= {f"{p.name} blocked": [_with(model, blocked(p))] for p in held if blockable(p)}
    made |= {
        "one parameter above its range": [_with(model, above(p)) for p in held],
        "one parameter below its range": [_with(model, below(p)) for p in held if p.low > 0],
        "all parameters anywhere, some beyond": [replace(model, space=_space(map(wider, held)))],
    }
    if sizes(model):
        made |= {f"dimensions times {k:g}": [resized(model, k)] for k in (1 - RESIZED, 1 + RESIZED)}
    return {name: found for name, found in made.items() if found}


def other_cell(name: str, model: CellModel) -> CellModel:
    """A shipped cell under the stimuli of `model`; where it counts current in another unit, at its own scale."""
    other = cells.load(name)
    if other.current_unit == model.current_unit:
        return other.under(*_stimuli(model))
    return other.under(*(s.scaled(other.protocol.stimuli[0].scale) for s in _stimuli(model)))


def blockable(parameter: Parameter) -> bool:
    """Whether a parameter is the conductance of a potassium or calcium channel."""
    return any(BLOCKABLE.match(target) for target in parameter.sets)


def blocked(parameter: Parameter) -> Parameter:
    """Next to nothing of a conductance."""
    return replace(parameter, low=BLOCKED * parameter.low, high=2 * BLOCKED * parameter.low)


def above(parameter: Parameter) -> Parameter:
    """The range of the same width (on its scale) right above a parameter's."""
    low, high = parameter.low, parameter.high
    return replace(parameter, low=high, high=high * high / low if parameter.scale == "log" else 2 * high - low)


def below(parameter: Parameter) -> Parameter:
    """From half the lower bound, a positive one, up to it."""
    return replace(parameter, low=parameter.low / 2, high=parameter.low)


def wider(parameter: Parameter) -> Parameter:
    """A parameter's range with what `above` and `below` add to it."""
    low = below(parameter).low if parameter.low > 0 else parameter.low
    return replace(parameter, low=low, high=above(parameter).high)


def sizes(model: CellModel) -> dict[str, float]:
    """The diameters and lengths in um that the cell's template lets a cell file set, and what they are."""
    template = {name: float(value) for name, value in DIMENSION.findall(model.hoc.read_text())}
    return template | {name: value for name, value in model.geometry.items() if name in template}


def resized(model: CellModel, factor: float) -> CellModel:
    """The cell with all its `sizes` so many times as large."""
    return replace(model, geometry=model.geometry | {name: factor * size for name, size in sizes(model).items()})


def _stimuli(model):
    return model.protocol.stimuli


def _with(model, parameter) -> CellModel:
    return replace(model, space=_space(parameter if p.name == parameter.name else p for p in model.space.parameters))


def _space(parameters) -> ParameterSpace:
    return ParameterSpace(tuple(parameters))
