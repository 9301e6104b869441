"""A Protocol is S stimuli with one sample step and one window."""

import hashlib
import json
from dataclasses import dataclass

import numpy as np

from nrn_mlfit.errors import StimulusError
from nrn_mlfit.stimuli.stimulus import Stimulus, scale_between, waveform_difference


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
        return Protocol(tuple(s.scaled(s.scale * scale_between(w, s.window)) for s, w in pairs))


def _digest(currents, dt, start) -> str:
    head = json.dumps([list(currents.shape), dt, start]).encode()
    return hashlib.sha256(head + np.ascontiguousarray(currents, "<f8").tobytes()).hexdigest()
