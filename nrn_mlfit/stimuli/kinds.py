"""The kinds of stimuli by formula, and a stimulus of any kind from its description."""

import inspect
from collections.abc import Callable
from pathlib import Path

import numpy as np

from nrn_mlfit.errors import StimulusError
from nrn_mlfit.stimuli.files import from_file
from nrn_mlfit.stimuli.protocol import AS_IT_IS, Protocol
from nrn_mlfit.stimuli.stimulus import Stimulus


def reset_chirp(scale: float = 1.0, reset: float = 1.0) -> Stimulus:
    """Reset, rise, chirp, reset: 23000 samples at 0.02 ms, window 110-290 ms.

    The published stimulus of "Characterization of neuron physiology by regression of its time-dependent response
    with CNN" (Balewski et al., NERSC/LBL, 2019), by its formula: a chirp from 25.6 Hz rising by 3.5 Hz a ms. `reset`
    is the depth of the resets in units of the scale (1 as published): less where a reset would drive a cell too low.
    """
    unit = np.zeros(23000)
    unit[200:6000] = -reset
    unit[6000:6500] = np.linspace(0, 0.75, 500)
    tau = (np.arange(6500, 12668) - 6501) * 0.02
    phase = 2 * np.pi * (0.02561 * tau + 0.00175 * tau**2 + 0.07941029863)
    unit[6500:12668] = 0.48865675345 + (0.5475782099 + 0.01071581923 * tau) * np.sin(phase)
    unit[17000:22800] = -reset
    return Stimulus(scale * unit, 0.02, 5500, 14500, {"kind": "reset_chirp", "scale": scale, "reset": reset})


def step(
    scale: float = 1.0,
    delay: float = 50,
    duration: float = 200,
    total: float = 300,
    dt: float = 0.02,
    lead: float = 0,
) -> Stimulus:
    """`scale` nA from `delay` for `duration` ms; the window is everything, `total` ms, after `lead` ms without current."""
    time = _time(total, dt)
    unit = ((time >= delay) & (time < delay + duration)).astype(float)
    return _whole("step", unit, scale, dt, lead, delay=delay, duration=duration, total=total)


def ramp(
    scale: float = 1.0,
    delay: float = 50,
    duration: float = 200,
    total: float = 300,
    dt: float = 0.02,
    lead: float = 0,
) -> Stimulus:
    """A linear rise from 0 at `delay` to `scale` nA after `duration` ms, then 0; before the window `lead` ms of 0."""
    time = _time(total, dt)
    inside = (time >= delay) & (time < delay + duration)
    unit = np.where(inside, (time - delay) / duration, 0.0)
    return _whole("ramp", unit, scale, dt, lead, delay=delay, duration=duration, total=total)


def noise(
    scale: float = 1.0,
    mean: float = 0.5,
    tau: float = 3.0,
    seed: int = 1,
    delay: float = 50,
    total: float = 300,
    dt: float = 0.02,
) -> Stimulus:
    """Ornstein-Uhlenbeck noise from `delay` on: mean `mean` x scale, standard deviation 1 x scale, correlation time tau ms.

    Exact update x' = x e^(-dt/tau) + sqrt(1 - e^(-2 dt/tau)) n (Gillespie, Phys. Rev. E 54:2084, 1996, eq. 1.9).
    """
    time = _time(total, dt)
    draws = np.random.Generator(np.random.Philox(key=seed)).standard_normal(time.size)
    keep = np.exp(-dt / tau)
    unit, value = np.zeros(time.size), 0.0
    for k in range(time.size):
        value = value * keep + np.sqrt(1 - keep**2) * draws[k]
        unit[k] = mean + value
    unit[time < delay] = 0
    return _whole("noise", unit, scale, dt, 0, mean=mean, tau=tau, seed=seed, delay=delay, total=total)


def _time(total, dt):
    return np.arange(round(total / dt)) * dt


def _whole(kind, unit, scale, dt, lead, **settings) -> Stimulus:
    """The window is all of `unit` (T,); before it nothing flows for `lead` ms, in which the cell comes to rest."""
    held = round(lead / dt)
    current = scale * np.concatenate([np.zeros(held), unit])
    settings = {**settings, "dt": dt, **({"lead": lead} if held else {})}
    return Stimulus(current, dt, held, current.size, {"kind": kind, "scale": scale, **settings})


def _steps(durations=(500, 400, 550), scales=(0.5, 0.25, -0.2)) -> dict:
    """The bank `steps`: what a recording of current steps holds from 50 ms before a step until 550 ms after its begin.

    Steps of 500 or 400 ms, and the first part of any longer one; 10 to 500 pA, or -8 to -200 pA.
    """
    about = {"kind": "step", "delay": 50, "total": 600, "dt": 0.1, "lead": 100}
    bank = [{**about, "scale": scale, "duration": duration} for duration in durations for scale in scales]
    return {"bank": bank, "amplitudes": [0.04, 1.0]}


NAMED = {"steps": _steps()}  # protocols that are asked for by name, as make_protocol takes them
KINDS: dict[str, Callable[..., Stimulus]] = {"reset_chirp": reset_chirp, "step": step, "ramp": ramp, "noise": noise}


def make(spec: dict, folder: Path | str = ".") -> Stimulus:
    """A stimulus from its description, such as {"kind": "reset_chirp", "scale": 0.1}; `folder` is where files lie."""
    if not isinstance(spec, dict):
        raise StimulusError(f"stimulus: must be a mapping such as {{kind: step, scale: 0.1}}, got {spec!r}")
    settings = dict(spec)
    kind = settings.pop("kind", None)
    if kind != "file" and kind not in list(KINDS):
        raise StimulusError(f"no stimulus is called {kind!r}; there are {', '.join([*KINDS, 'file'])}")
    path = settings.pop("path", "") if kind == "file" else None
    origin = settings.pop("origin", None) if kind == "file" else None
    if not isinstance(origin, dict | None):
        raise StimulusError(f"file: origin must be a mapping that says where the samples are from, got {origin!r}")
    maker = from_file if kind == "file" else KINDS[kind]
    for name, value in settings.items():
        _check_setting(kind, name, value, inspect.signature(maker).parameters)
    return maker(**settings) if path is None else from_file(Path(folder) / str(path), **settings, origin=origin)


def make_protocol(described: dict | list | str, folder: Path | str = ".") -> Protocol:
    """A protocol from what a cell file says under `stimulus`: a description, a list of them, a bank of either, or a name.

    A bank is {"bank": [...], "amplitudes": [low, high]}, with the amplitudes of each as it is where none are given.
    """
    if isinstance(described, str) and described in NAMED:
        described = NAMED[described]
    if not isinstance(described, dict) or "bank" not in described:
        return Protocol(_stimuli(described, folder))
    held, amplitudes = described["bank"], described.get("amplitudes", list(AS_IT_IS))
    if set(described) - {"bank", "amplitudes"} or not isinstance(held, list) or not held:
        raise StimulusError("bank: is a list of stimuli, and beside it there may be amplitudes: [0.8, 1.2]")
    if not (isinstance(amplitudes, list) and len(amplitudes) == 2 and all(map(_is_number, amplitudes))):
        raise StimulusError(f"amplitudes: must be two factors, such as [0.8, 1.2], got {amplitudes!r}")
    first, *others = (_stimuli(one, folder) for one in held)
    return Protocol(first, tuple(others), (float(amplitudes[0]), float(amplitudes[1])))


def _stimuli(described, folder) -> tuple[Stimulus, ...]:
    return tuple(make(one, folder) for one in (described if isinstance(described, list) else [described]))


def _is_number(value) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def _check_setting(kind, name, value, known):
    if name not in known or name in ("path", "origin"):
        raise StimulusError(f"{kind}: unknown setting {name!r}; see `nrn-mlfit stimuli` for what it takes")
    whole = isinstance(value, int) and not isinstance(value, bool)
    if not whole and (name == "seed" or not isinstance(value, float) or not np.isfinite(value)):
        raise StimulusError(f"{kind}: {name} must be a {'whole ' if name == 'seed' else ''}number, got {value!r}")
    if name == "scale" and value == 0:
        raise StimulusError(f"{kind}: scale must be a number other than 0, got {value!r}")
    if name in ("dt", "tau", "duration", "total") and value <= 0:
        raise StimulusError(f"{kind}: {name} must be above 0, got {value!r}")
    if name in ("delay", "lead", "seed") and value < 0:
        raise StimulusError(f"{kind}: {name} must not be negative, got {value!r}")
