"""A stimulus is its samples: sample k is the current at t = k dt, linear in between; the network sees those of its window."""

from dataclasses import dataclass

import numpy as np

from nrn_mlfit.errors import StimulusError


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
        return self._changed(scale / self.scale, scale)

    def times(self, factor: float) -> "Stimulus":
        """Each sample times a factor."""
        return self._changed(factor, self.scale * factor)

    def _changed(self, factor, scale) -> "Stimulus":
        return Stimulus(self.current * factor, self.dt, self.start, self.stop, {**self.spec, "scale": scale})


def waveform_difference(got, wanted) -> float:
    """rms(got - s wanted) / rms(got) with the best scale s; infinite where s is not positive."""
    got, wanted = np.asarray(got, float), np.asarray(wanted, float)
    size = np.sqrt(np.mean(got**2))
    if size == 0 or not np.any(wanted):
        return 0.0 if size == 0 and not np.any(wanted) else np.inf
    scale = scale_between(got, wanted)
    return float(np.sqrt(np.mean((got - scale * wanted) ** 2)) / size) if scale > 0 else np.inf


def scale_between(got, wanted) -> float:
    if not np.any(wanted):  # no current in the window, whatever the scale
        return 1.0
    return float(np.dot(got, wanted) / np.dot(wanted, wanted))
