"""Stimuli: reset + chirp, step, ramp, noise, or samples from a file; a Protocol is S of them with one window.

A stimulus is its samples: sample k is the current at t = k dt, linear in between; the network sees the samples
[start, stop) of its window. Scales are in nA (dimensionless for point processes that count so).
"""

import hashlib
import inspect
import json
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from nrn_mlfit.errors import StimulusError

LEAD_MS = 100.0  # how long a file's first level is held before its samples begin, so that the cell has settled
LEVEL_MS = 4.0


@dataclass(frozen=True, eq=False)
class Stimulus:
    """`current` (T,) in nA at `dt` ms, of which [start, stop) is the network's window; `spec` says how it was made."""

    current: np.ndarray
    dt: float
    start: int
    stop: int
    spec: dict

    def __post_init__(self):
        current = np.asarray(self.current, float)
        object.__setattr__(self, "current", current)
        if current.ndim != 1 or not np.isfinite(current).all():
            raise StimulusError(
                f"{self.name}: the samples must be one row of finite numbers, got shape {current.shape}"
            )
        if not (np.isfinite(self.dt) and self.dt > 0):
            raise StimulusError(f"{self.name}: the sample step dt must be above 0 ms, got {self.dt}")
        if not 0 <= self.start < self.stop <= current.size:
            raise StimulusError(
                f"{self.name}: the window [{self.start}, {self.stop}) does not lie inside its {current.size} samples"
            )

    @property
    def name(self) -> str:
        return str(self.spec.get("kind", "samples"))

    @property
    def scale(self) -> float:
        return float(self.spec.get("scale", 1.0))

    @property
    def window(self):
        """The current (T,) that flows while the network looks."""
        return self.current[self.start : self.stop]

    def scaled(self, scale: float) -> "Stimulus":
        """The same waveform at another scale."""
        return Stimulus(
            self.current * (scale / self.scale), self.dt, self.start, self.stop, {**self.spec, "scale": scale}
        )


@dataclass(frozen=True, eq=False)
class Protocol:
    """S stimuli that share one sample step and one window of T samples."""

    stimuli: tuple[Stimulus, ...]

    def __post_init__(self):
        if not self.stimuli:
            raise StimulusError("a protocol needs at least one stimulus; name one with `stimulus:`")
        first = self.stimuli[0]
        for other in self.stimuli[1:]:
            if (other.dt, other.start, other.stop) != (first.dt, first.start, first.stop):
                raise StimulusError(
                    f"{other.name}: step and window {other.dt} ms [{other.start}, {other.stop}) differ from those of "
                    f"{first.name}, {first.dt} ms [{first.start}, {first.stop}); stimuli of one cell must share them"
                )

    @property
    def name(self) -> str:
        """The kinds of its stimuli."""
        return ", ".join(s.name for s in self.stimuli)

    @property
    def dt(self) -> float:
        return self.stimuli[0].dt

    @property
    def start(self) -> int:
        return self.stimuli[0].start

    @property
    def stop(self) -> int:
        return self.stimuli[0].stop

    @property
    def length(self) -> int:
        """T, the samples in the window."""
        return self.stop - self.start

    @property
    def t0(self) -> float:
        """The time of the window's first sample, ms."""
        return self.start * self.dt

    @property
    def currents(self):
        """Everything that is injected up to the window's end, (S, stop) in nA."""
        return np.array([s.current[: self.stop] for s in self.stimuli])

    @property
    def windows(self):
        """What is injected while the network looks, (S, T) in nA."""
        return self.currents[:, self.start :]

    @property
    def specs(self) -> list[dict]:
        return [s.spec for s in self.stimuli]

    def digest(self) -> str:
        """sha256 of what the cell feels: samples, step and window."""
        return _digest(self.currents, self.dt, self.start)

    def difference(self, window) -> float:
        """How far a current window (S, T) is from this one, whatever its scale: residual rms / rms, worst of S."""
        return max(waveform_difference(a, b) for a, b in zip(np.atleast_2d(window), self.windows, strict=True))

    def rescaled_to(self, window) -> "Protocol":
        """The same waveforms at the scales of a measured current window (S, T)."""
        pairs = zip(self.stimuli, np.atleast_2d(window), strict=True)
        return Protocol(tuple(s.scaled(s.scale * _scale_between(w, s.window)) for s, w in pairs))


def waveform_difference(got, wanted) -> float:
    """rms(got - s wanted) / rms(got) with the best scale s; infinite where s is not positive."""
    got, wanted = np.asarray(got, float), np.asarray(wanted, float)
    size = np.sqrt(np.mean(got**2))
    if size == 0 or not np.any(wanted):
        return 0.0 if size == 0 and not np.any(wanted) else np.inf
    scale = _scale_between(got, wanted)
    return float(np.sqrt(np.mean((got - scale * wanted) ** 2)) / size) if scale > 0 else np.inf


def _scale_between(got, wanted) -> float:
    if not np.any(wanted):  # no current in the window, whatever the scale
        return 1.0
    return float(np.dot(got, wanted) / np.dot(wanted, wanted))


def _digest(currents, dt, start) -> str:
    head = json.dumps([list(currents.shape), dt, start]).encode()
    return hashlib.sha256(head + np.ascontiguousarray(currents, "<f8").tobytes()).hexdigest()


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
    scale: float = 1.0, delay: float = 50, duration: float = 200, total: float = 300, dt: float = 0.02
) -> Stimulus:
    """`scale` nA from `delay` for `duration` ms; the window is everything, `total` ms."""
    time = _time(total, dt)
    unit = ((time >= delay) & (time < delay + duration)).astype(float)
    return _whole("step", unit, scale, dt, delay=delay, duration=duration, total=total)


def ramp(
    scale: float = 1.0, delay: float = 50, duration: float = 200, total: float = 300, dt: float = 0.02
) -> Stimulus:
    """A linear rise from 0 at `delay` to `scale` nA after `duration` ms, then 0."""
    time = _time(total, dt)
    inside = (time >= delay) & (time < delay + duration)
    unit = np.where(inside, (time - delay) / duration, 0.0)
    return _whole("ramp", unit, scale, dt, delay=delay, duration=duration, total=total)


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
    return _whole("noise", unit, scale, dt, mean=mean, tau=tau, seed=seed, delay=delay, total=total)


def samples(current, dt: float, source: str = "samples", scale: float = 1.0, lead: float = LEAD_MS) -> Stimulus:
    """A current (T,) nA as it was recorded, the window is all of it; its level at the start is held for `lead` ms before.

    The level is the median of the first 4 ms: one noisy sample, held so long, would shift the cell by millivolts.
    """
    current = np.atleast_1d(np.asarray(current, float))
    if current.ndim != 1 or not (np.isfinite(dt) and dt > 0):
        raise StimulusError(
            f"{source}: needs one row of samples and a step above 0 ms, got {current.shape} and {dt} ms"
        )
    held = round(lead / dt) if current.size else 0
    scaled = scale * current  # before the median: what is written out and read again has the same last bit
    level = np.median(scaled[: max(1, round(LEVEL_MS / dt))]) if current.size else 0.0
    whole = np.concatenate([np.full(held, level), scaled])
    spec = {"kind": "file", "scale": scale, "path": source, "lead": lead}
    return Stimulus(whole, dt, held, whole.size, spec)


def from_file(path, scale: float = 1.0, lead: float = LEAD_MS) -> Stimulus:
    """A stimulus from an npz file with `current` (T,) nA and `dt` ms, or a CSV file with columns time, current."""
    path = Path(path)
    if not path.is_file():
        raise StimulusError(f"{path}: no such file; a stimulus file is .npz (current, dt) or .csv (time, current)")
    if path.suffix == ".npz":
        current, dt = _read_npz(path)
    elif path.suffix == ".csv":
        current, dt = _read_csv(path)
    else:
        raise StimulusError(
            f"{path.name}: a stimulus file ends in .npz or .csv; cut one from a recording with `nrn-mlfit recording`"
        )
    return samples(current, dt, path.name, scale, lead)


def _read_npz(path):
    try:
        with np.load(path, allow_pickle=False) as file:
            held = {name: np.asarray(file[name], float) for name in ("current", "dt") if name in file}
            missing = [name for name in ("current", "dt") if name not in held]
    except Exception as error:  # damage comes up as any of zipfile's, zlib's and numpy's errors
        raise StimulusError(f"{path.name}: cannot be read ({error}); save plain arrays with numpy.savez") from None
    if missing or held["dt"].size != 1:
        raise StimulusError(
            f"{path.name}: no {' and no '.join(missing or ['single dt'])} inside; "
            "a stimulus needs current (T,) nA and dt ms"
        )
    return np.squeeze(held["current"]), float(held["dt"].reshape(()))


def _read_csv(path):
    try:
        table = np.genfromtxt(path, delimiter=",", names=True)
    except (ValueError, IndexError):  # lines of different length, no text, nothing
        table = np.empty(0)
    if not table.dtype.names or not {"time", "current"} <= set(table.dtype.names) or table.size < 2:
        raise StimulusError(f"{path.name}: needs a first line `time,current`, then samples in ms and nA")
    steps = np.diff(table["time"])
    if not (steps[0] > 0 and np.allclose(steps, steps[0], rtol=1e-3)):
        raise StimulusError(f"{path.name}: the times are not evenly spaced; resample the current to one step first")
    return table["current"], float(round(np.mean(steps), 9))


def _time(total, dt):
    return np.arange(round(total / dt)) * dt


def _whole(kind, unit, scale, dt, **settings) -> Stimulus:
    return Stimulus(scale * unit, dt, 0, unit.size, {"kind": kind, "scale": scale, **settings, "dt": dt})


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
    maker = from_file if kind == "file" else KINDS[kind]
    for name, value in settings.items():
        _check_setting(kind, name, value, inspect.signature(maker).parameters)
    return maker(**settings) if path is None else from_file(Path(folder) / str(path), **settings)


def _check_setting(kind, name, value, known):
    if name not in known or name == "path":
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
