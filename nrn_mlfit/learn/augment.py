"""What real recordings have and simulated traces have not: noise, an offset, a wrong gain, a late start, a filter.

A cell's voltage comes through an electrode and its amplifier: V' = F(V(t - jitter) * (1 + gain) + offset) + noise. A gain
error is one of the whole reading, about 0 mV: at 3 % a rest of -70 mV is read as -72.1. The noise has gone through the same
filter F, and its standard deviation is that which is read, behind it. Offset, gain, filter, and the level and colour of the
noise belong to an electrode: the sweeps of one set share them, its probes do not. The noise itself and the jitter are each
sweep's own.
"""

import math
from dataclasses import asdict, dataclass, fields

import numpy as np
import torch

from nrn_mlfit.errors import EnsembleError
from nrn_mlfit.shards import LARGEST_MV, MV_PER_COUNT

LEAST_NOISE = 0.1  # of the noise, what an electrode has at least
STEEPEST = 1.5  # the largest b of a noise whose power goes as 1/f^b
SETS_AT_ONCE = 64
REACH = 6.0  # standard deviations of the filter's kernel, beyond which there is nothing of it
LIMITS = {  # name: the unit it is told in, its size, and what lies within reason
    "noise": ("mV", 1.0, 0.0, 20.0),
    "offset": ("mV", 1.0, 0.0, 50.0),
    "gain": ("%", 0.01, 0.0, 50.0),
    "jitter": ("ms", 1.0, 0.0, 100.0),
    "lowpass": ("kHz", 1.0, 0.05, 1000.0),
}


@dataclass(frozen=True)
class Augmentation:
    """How much is done to a trace at most; without any of it, nothing.

    noise: standard deviation in mV; an electrode has between a tenth of it and all of it, log-uniform, and a spectrum 1/f^b
    with b in 0..1.5, so that it is fast or slow. offset: mV, uniform within +-. gain: fraction, uniform within +-. jitter: ms,
    uniform within +-, in whole samples; the sample at the edge is repeated. lowpass: kHz, the lowest cut-off (-3 dB) of a
    Gaussian low-pass filter; an electrode has one between it and half the sampling rate, log-uniform.
    """

    noise: float = 0.0
    offset: float = 0.0
    gain: float = 0.0
    jitter: float = 0.0
    lowpass: float | None = None

    def __post_init__(self):
        for name, (unit, size, least, most) in LIMITS.items():
            value = getattr(self, name)
            if value is None and name == "lowpass":
                continue
            if not isinstance(value, (int, float)):
                raise EnsembleError(f"{name} {value!r}: must be a number from {least * size:g} to {most * size:g}")
            if not least <= value / size <= most:
                raise EnsembleError(f"{name} {value / size:g} {unit}: choose one from {least:g} to {most:g} {unit}")
            object.__setattr__(self, name, float(value))

    def __bool__(self) -> bool:
        """Whether anything is done at all."""
        return self != CLEAN

    def check(self, dt: float, length: int):
        """Raises EnsembleError for what cannot be done to windows of `length` samples, one every `dt` ms."""
        nyquist = 0.5 / dt
        if self.lowpass is not None and self.lowpass >= nyquist:
            raise EnsembleError(
                f"lowpass {self.lowpass:g} kHz: the traces hold nothing above {nyquist:g} kHz, half their sampling rate; choose "
                "a lower cut-off, or none"
            )
        if self.jitter > dt * length / 2:
            raise EnsembleError(
                f"jitter {self.jitter:g} ms: the window is {dt * length:g} ms long; choose at most half of it"
            )

    def of_counts(self, counts, random: torch.Generator, dt: float, probes: int, currents: int = 0):
        """What would be read of counts (N, P*S + C, T), int16 of 0.01 mV, with a sample every `dt` ms: counts again, as a shard
        would hold them. The last C = `currents` rows are of injected currents, and stay as they are."""
        if not self:
            return counts
        rows = counts.shape[1] - currents
        parts = [self._stored(part[:, :rows], random, dt, probes) for part in counts.split(SETS_AT_ONCE)]
        return torch.cat([torch.cat(parts), counts[:, rows:]], 1)

    def _stored(self, counts, random, dt, probes):
        sweeps = counts.reshape(len(counts) * probes, -1, counts.shape[-1])
        read = self.of_millivolts(sweeps.float() * MV_PER_COUNT, random, dt).clamp(-LARGEST_MV, LARGEST_MV)
        return (read / MV_PER_COUNT).round().to(torch.int16).reshape(counts.shape)

    def of_millivolts(self, volts, random: torch.Generator, dt: float):
        """What M electrodes would read of voltages (M, S, T) in mV."""
        draws = _Draws(random, volts.device, len(volts))
        steps = round(self.jitter / dt)
        if steps:
            volts = shifted(volts, draws.steps(steps, volts.shape[1]))
        if self.gain:
            volts = volts * (1 + self.gain * draws.even())
        if self.offset:
            volts = volts + self.offset * draws.even()
        response = None
        length = self._padded(volts.shape[-1], dt)
        frequency = torch.fft.rfftfreq(length, dt, device=volts.device)  # in kHz
        if self.lowpass is not None:
            response = gaussian(frequency, draws.log(self.lowpass, 0.5 / dt))
            volts = filtered(volts, response)
        if self.noise:
            size, slope = draws.log(LEAST_NOISE * self.noise, self.noise), STEEPEST * draws.unit()
            volts = volts + size * coloured(draws.normal(volts.shape[1], length), frequency, slope, response, volts)
        return volts

    def _padded(self, length, dt) -> int:
        """The period of the transform, in samples: noise twice as long as the window does not close up on itself, and the
        filter's kernel does not reach around."""
        kernel = 0 if self.lowpass is None else REACH * math.sqrt(math.log(2)) / (2 * math.pi * self.lowpass) / dt
        return quick(max(2 * length, length + 2 * math.ceil(kernel)))

    def told(self) -> str:
        """It in words, for the card and the screen; empty where nothing is done."""
        parts = (
            (self.noise, f"noise of {LEAST_NOISE * self.noise:.2g} to {self.noise:g} mV"),
            (self.offset, f"offsets of up to {self.offset:g} mV"),
            (self.gain, f"gain errors of up to {100 * self.gain:g} %"),
            (self.jitter, f"times off by up to {self.jitter:g} ms"),
            (self.lowpass, f"low-pass filters from {self.lowpass or 0:g} kHz on"),
        )
        return ", ".join(text for value, text in parts if value)

    def to_json(self) -> dict:
        """JSON-ready values of what is done; `from_json` is the inverse."""
        return {name: value for name, value in asdict(self).items() if value}

    @classmethod
    def from_json(cls, held: dict | None) -> "Augmentation":
        """Raises EnsembleError for what none ever wrote."""
        if not isinstance(held or {}, dict) or set(held or {}) - {part.name for part in fields(cls)}:
            raise EnsembleError(f"augmentation {held!r}: holds something unknown; use the version that wrote it")
        return cls(**(held or {}))


CLEAN = Augmentation()


def numbers(seed: int, index: int) -> torch.Generator:
    """Random numbers that hang on `seed` and `index` alone: a training that was broken off goes on with the same."""
    return torch.Generator().manual_seed(int(np.random.Philox(key=[seed, index]).random_raw() >> 1))


@dataclass(frozen=True, eq=False)
class _Draws:
    """Numbers for M electrodes. They come from the processor, and are the same for every device."""

    random: torch.Generator
    device: torch.device
    electrodes: int

    def unit(self):
        """(M, 1, 1), uniform in 0..1."""
        return torch.rand((self.electrodes, 1, 1), generator=self.random).to(self.device)

    def even(self):
        """(M, 1, 1), uniform in -1..1."""
        return 2 * self.unit() - 1

    def log(self, low: float, high: float):
        """(M, 1, 1), log-uniform from `low` to `high`."""
        return low * (high / low) ** self.unit()

    def steps(self, most: int, sweeps: int):
        """(M, S, 1) whole numbers, each from -most to most alike."""
        return torch.randint(-most, most + 1, (self.electrodes, sweeps, 1), generator=self.random).to(self.device)

    def normal(self, sweeps: int, length: int):
        """(M, S, length // 2 + 1) complex: the spectrum of white noise of `length` samples, but for its size."""
        parts = torch.randn((self.electrodes, sweeps, length // 2 + 1, 2), generator=self.random)
        return torch.view_as_complex(parts).to(self.device)


def quick(least: int) -> int:
    """The shortest even length from `least` on that is a power of two, or 3, 5 or 9 times one: their transforms are fast."""
    powers = [factor * 2 ** max(1, math.ceil(math.log2(least / factor))) for factor in (1, 3, 5, 9)]
    return min(powers)


def shifted(volts, steps):
    """Voltages (..., T) later by `steps` (..., 1) samples; the first (or last) one is repeated where none is known."""
    length = volts.shape[-1]
    places = (torch.arange(length, device=volts.device) - steps).clamp(0, length - 1)
    return volts.gather(-1, places.expand(volts.shape))


def gaussian(frequency, cutoff):
    """The response of a Gaussian low-pass filter, whose gain is -3 dB (1/sqrt 2) at the cut-off; both in kHz."""
    return torch.exp(-0.5 * math.log(2) * (frequency / cutoff) ** 2)


def filtered(volts, response):
    """Voltages (..., T) through a filter; `response` (..., n // 2 + 1) for a period of n, which is filled by repeating the
    samples at the edges, so that a window's end does not reach its beginning."""
    length = volts.shape[-1]
    period = 2 * (response.shape[-1] - 1)
    before = (period - length) // 2
    first = volts[..., :1]  # taken away meanwhile: the transform's rounding is relative to what is left
    padded = torch.nn.functional.pad(volts - first, (before, period - length - before), mode="replicate")
    smooth = torch.fft.irfft(torch.fft.rfft(padded) * response, n=period)
    return smooth[..., before : before + length] + first


def coloured(white, frequency, slope, response, volts):
    """Noise like `volts` (M, S, T), of mean 0 and standard deviation 1 within each window, with a power of 1/f^slope and
    behind a filter with `response`, from the spectra `white` (M, S, n // 2 + 1)."""
    shape = torch.zeros_like(frequency * slope)
    shape[..., 1:] = torch.exp(-0.5 * slope * torch.log(frequency[1:]))
    spectrum = white * (shape if response is None else shape * response)
    noise = torch.fft.irfft(spectrum, n=2 * (len(frequency) - 1))[..., : volts.shape[-1]]
    noise = noise - noise.mean(-1, keepdim=True)
    return noise / noise.std(-1, keepdim=True, correction=0).clamp_min(1e-12)
