"""A Protocol is what a cell is simulated under: S stimuli with one sample step and one window, or a bank of such."""

import hashlib
import json
from dataclasses import dataclass

import numpy as np

from nrn_mlfit.errors import StimulusError
from nrn_mlfit.stimuli.stimulus import Stimulus, scale_between, waveform_difference

AS_IT_IS = (1.0, 1.0)  # the amplitudes without a bank
DRAWS_OF_A_BANK = 1  # the last word of the counter of the draws; that of the parameters' draws is 0


@dataclass(frozen=True, eq=False)
class Protocol:
    """S stimuli that share one sample step and one window of T samples; in a bank each set has stimuli of its own.

    A bank has B alternatives, `stimuli` and the `others`, S stimuli each. A set gets one of them, times a factor within
    `amplitudes`. Without a bank there is one alternative, as it is.
    """

    stimuli: tuple[Stimulus, ...]
    others: tuple[tuple[Stimulus, ...], ...] = ()
    amplitudes: tuple[float, float] = AS_IT_IS

    def __post_init__(self):
        if not self.stimuli:
            raise StimulusError("a protocol needs at least one stimulus; name one with `stimulus:`")
        low, high = self.amplitudes
        if not 0 < low <= high < np.inf:
            raise StimulusError(f"amplitudes {low:g} to {high:g}: are factors, 0 < low <= high, such as 0.8 to 1.2")
        first = self.stimuli[0]
        for stimuli in self.alternatives:
            if len(stimuli) != len(self.stimuli):
                raise StimulusError(
                    f"a bank has {len(self.stimuli)} stimuli in one alternative and {len(stimuli)} in another; write as many "
                    "in each"
                )
            for other in stimuli:
                if (other.dt, other.start, other.stop) != (first.dt, first.start, first.stop):
                    raise StimulusError(
                        f"{other.name}: step and window {other.dt} ms [{other.start}, {other.stop}) differ from those of "
                        f"{first.name}, {first.dt} ms [{first.start}, {first.stop}); stimuli of one cell must share them"
                    )

    @classmethod
    def rebuilt(cls, currents, dt: float, start: int, specs: list | dict) -> "Protocol":
        """The protocol that gave these `currents` and `specs`."""
        alternatives = [
            tuple(Stimulus(row, dt, start, row.size, spec) for row, spec in zip(rows, described, strict=True))
            for rows, described in zip(
                currents if isinstance(specs, dict) else currents[None], alternatives_in(specs), strict=True
            )
        ]
        low, high = specs["amplitudes"] if isinstance(specs, dict) else AS_IT_IS
        return cls(alternatives[0], tuple(alternatives[1:]), (low, high))

    @property
    def alternatives(self) -> tuple[tuple[Stimulus, ...], ...]:
        """B times S stimuli."""
        return (self.stimuli, *self.others)

    @property
    def every(self) -> list[Stimulus]:
        """The stimuli of all alternatives, one after the other."""
        return [stimulus for stimuli in self.alternatives for stimulus in stimuli]

    @property
    def is_bank(self) -> bool:
        return bool(self.others) or self.amplitudes != AS_IT_IS

    @property
    def name(self) -> str:
        """The kinds of its stimuli."""
        kinds = ", ".join(dict.fromkeys(s.name for s in self.every))
        return (
            f"bank of {len(self.alternatives)} ({kinds})" if self.is_bank else ", ".join(s.name for s in self.stimuli)
        )

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
        """Everything that is injected up to the window's end, (S, stop) in nA, in a bank (B, S, stop)."""
        held = np.array([[s.current[: self.stop] for s in stimuli] for stimuli in self.alternatives])
        return held if self.is_bank else held[0]

    @property
    def windows(self):
        """What is injected while the network looks, (S, T) in nA, in a bank (B, S, T)."""
        return self.currents[..., self.start :]

    @property
    def specs(self) -> list | dict:
        """How it was made: a description a stimulus; of a bank {"bank": as many lists of them, "amplitudes": [low, high]}."""
        held = [[s.spec for s in stimuli] for stimuli in self.alternatives]
        return {"bank": held, "amplitudes": list(self.amplitudes)} if self.is_bank else held[0]

    def digest(self) -> str:
        """sha256 of what cells feel: samples, step and window, and the amplitudes of a bank."""
        return _digest(self.currents, self.dt, self.start, *(self.amplitudes if self.is_bank else ()))

    def draw(self, seed: int, first: int, count: int):
        """Which alternative, (count,) from 0, and times what, (count,), the sets first .. first+count-1 of a seed get.

        Uniform in both; row i depends on (seed, first + i) only, by a stream of its own beside that of the parameters.
        """
        if not self.is_bank:
            return np.zeros(count, int), np.ones(count)
        shares = np.array([_two_shares(seed, first + i) for i in range(count)]).reshape(count, 2)
        low, high = self.amplitudes
        return (shares[:, 0] * len(self.alternatives)).astype(int), low + shares[:, 1] * (high - low)

    def of(self, index: int, factor: float) -> "Protocol":
        """What a set gets: an alternative times a factor, which is no bank any more."""
        return Protocol(tuple(s.times(factor) for s in self.alternatives[index])) if self.is_bank else self

    def difference(self, window) -> float:
        """How far a current window (S, T) is from this one, whatever its scale: residual rms / rms, worst of S; of a
        bank, from the alternative that is the closest."""
        return min(_difference(window, stimuli) for stimuli in self.alternatives)

    def factors(self, window, largest_difference: float):
        """What a current window (S, T) is to each of the n alternatives whose waveform it has, (n, S)."""
        like = [s for s in self.alternatives if _difference(window, s) <= largest_difference]
        return np.array([_factors(window, stimuli) for stimuli in like]).reshape(len(like), len(self.stimuli))

    def rescaled_to(self, window) -> "Protocol":
        """The same waveforms, of a bank those of the closest alternative, at the scales of a measured window (S, T).

        Alternatives whose waveforms are the same to a hundredth are as close; of these it is the one of that strength.
        """

        def distance(stimuli):
            factors = np.abs(np.log(np.maximum(_factors(window, stimuli), 1e-300)))
            return round(min(_difference(window, stimuli), 1e9), 2), factors.max()

        closest = min(self.alternatives, key=distance)
        pairs = zip(closest, _factors(window, closest), strict=True)
        return Protocol(tuple(s.scaled(s.scale * factor) for s, factor in pairs))


def _factors(window, stimuli) -> list[float]:
    return [scale_between(w, s.window) for s, w in zip(stimuli, np.atleast_2d(window), strict=True)]


def _difference(window, stimuli) -> float:
    return max(waveform_difference(w, s.window) for s, w in zip(stimuli, np.atleast_2d(window), strict=True))


def _two_shares(seed, index):
    """Two numbers in [0, 1) from the stream of one set (Philox; Salmon et al., SC11)."""
    stream = np.random.Philox(key=seed, counter=[0, 0, index, DRAWS_OF_A_BANK])
    return np.random.Generator(stream).uniform(size=2)


def _digest(currents, dt: float, start: int, *amplitudes: float) -> str:
    """The sha256 of a Protocol by its currents (S, stop), or (B, S, stop) and the amplitudes of a bank."""
    head = json.dumps([list(currents.shape), dt, start, *amplitudes]).encode()
    return hashlib.sha256(head + np.ascontiguousarray(currents, "<f8").tobytes()).hexdigest()


def alternatives_in(specs: list | dict) -> list[list[dict]]:
    """The descriptions of S stimuli, B times, in what `Protocol.specs` gave."""
    return specs["bank"] if isinstance(specs, dict) else [specs]
