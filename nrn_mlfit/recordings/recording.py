"""A Recording: the voltage and current of a current clamp, checked. P probes, S stimuli, T samples."""

import io
import json
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np

from nrn_mlfit import textfile
from nrn_mlfit.errors import RecordingError

LARGEST_JITTER = 0.05  # of a sample step; times written with few digits stay below it, a lost sample does not


@dataclass(frozen=True, eq=False)
class Raw:
    """A sweep as a file holds it, not yet checked: volts in mV, currents in nA or None, dt in ms.

    `current` is "measured" or "commanded" where the file says which, `commanded` the command beside a measured current,
    `unsure` that an unlikely unit may be mended, because the user cannot change the file's.
    """

    volts: np.ndarray
    currents: np.ndarray | None
    dt: float
    name: str
    source: dict
    current: str = ""
    commanded: np.ndarray | None = None
    warnings: tuple[str, ...] = ()
    truth: dict[str, float] = field(default_factory=dict)
    unsure: bool = False


@dataclass(frozen=True, eq=False)
class Recording:
    """What was measured: volts (P, S, T) in mV, currents (S, T) in nA or None if not stored, dt in ms.

    Volts (T,) and currents (T,) are taken as P = S = 1. `source` says where it is from (file, format, sweep,
    cut_ms; `current`: measured, commanded or given), `truth` the parameters behind a simulated trace, by name,
    `warnings` what is doubtful about it. Raises RecordingError for anything that is not finite numbers of these shapes.
    """

    volts: np.ndarray
    currents: np.ndarray | None
    dt: float
    name: str = "recording"
    source: dict = field(default_factory=dict)
    truth: dict[str, float] = field(default_factory=dict)
    warnings: tuple[str, ...] = ()

    def __post_init__(self):
        if not (np.isfinite(self.dt) and self.dt > 0):
            raise RecordingError(f"{self.name}: the sample step dt must be above 0 ms, got {self.dt}")
        volts = self._checked("voltage", self.volts, _volts_shape)
        object.__setattr__(self, "volts", volts)
        object.__setattr__(self, "dt", float(self.dt))
        if self.currents is not None:
            object.__setattr__(self, "currents", self._checked("current", self.currents, self._currents_shape))

    def _checked(self, what, values, shaped):
        values = np.asarray(values)
        if values.dtype.kind not in "iuf":
            raise RecordingError(f"{self.name}: the {what} must be real numbers, got {values.dtype}")
        shape, wanted = shaped(values.shape)
        if shape is None:
            raise RecordingError(f"{self.name}: the {what} has shape {values.shape}, wanted {wanted}")
        values = values.astype(float).reshape(shape)
        bad = np.argwhere(~np.isfinite(values))
        if len(bad):
            first = bad[np.argmin(bad[:, -1])]
            raise RecordingError(
                f"{self.name}: the {what} is {values[tuple(first)]} at sample {first[-1]} "
                f"({first[-1] * self.dt:g} ms); use a stretch without gaps (--window)"
            )
        return values

    def _currents_shape(self, shape):
        wanted = self.volts.shape[1:]
        text = f"{wanted}, as the voltage" if wanted[0] > 1 else f"({wanted[1]},), as the voltage"
        return wanted if shape == wanted or (1, *shape) == wanted else None, text

    @property
    def duration(self) -> float:
        """T dt, in ms."""
        return self.volts.shape[-1] * self.dt

    def cut(self, start_ms: float, stop_ms: float) -> "Recording":
        """The samples from `start_ms` up to, not with, `stop_ms`, counted from this recording's first sample.

        `source["cut_ms"]` of the piece counts from the first sample in the file. Raises RecordingError where
        the piece does not lie inside.
        """
        slack = self.dt / 2
        if not -slack <= start_ms < stop_ms <= self.duration + slack:
            raise RecordingError(
                f"{self.name}: {start_ms:g} to {stop_ms:g} ms is no piece of its 0 to {self.duration:g} ms"
            )
        return self._samples(round(start_ms / self.dt), round(stop_ms / self.dt))

    def _samples(self, first, last) -> "Recording":
        before = self.source.get("cut_ms", [0.0])[0]
        cut_ms = [round(before + k * self.dt, 9) for k in (first, last)]
        return replace(
            self,
            volts=self.volts[..., first:last],
            currents=None if self.currents is None else self.currents[:, first:last],
            source={**self.source, "cut_ms": cut_ms},
        )

    def save(self, path):
        """Write an npz file that `read` reads; if S is 1, `stimuli.from_file` takes it as a stimulus too.

        It holds volts (P, S, T) mV, current (T,) or (S, T) nA, dt ms, and source (with the warnings) and truth as JSON.
        """
        path = Path(path)
        if path.suffix != ".npz":
            raise RecordingError(f"{path}: a piece of a recording is saved as .npz; end the name so")
        held: dict[str, Any] = {
            "volts": self.volts,
            "dt": self.dt,
            "source": json.dumps(
                {"name": self.name, **self.source, **({"warnings": self.warnings} if self.warnings else {})}
            ),
        }
        if self.currents is not None:
            held["current"] = self.currents[0] if len(self.currents) == 1 else self.currents
        if self.truth:
            held["truth"] = json.dumps(self.truth)
        image = io.BytesIO()
        np.savez(image, **held)
        textfile.write_atomic(path, image.getvalue())


def _volts_shape(shape):
    length = shape[-1] if shape else 0
    if length > 1 and 0 not in shape and len(shape) in (1, 3):
        return (1, 1, length) if len(shape) == 1 else shape, ""
    return None, "(T,) or (P, S, T) with at least 2 samples"


def even_step(times, name: str) -> float:
    """The step, to 1e-9, of sample times (T,) in ms; RecordingError if not finite, rising and even."""
    times = np.asarray(times, float)
    if times.ndim != 1 or times.size < 2 or not np.isfinite(times).all():
        raise RecordingError(f"{name}: the times must be at least 2 finite numbers")
    dt = (times[-1] - times[0]) / (times.size - 1)
    if dt <= 0:
        raise RecordingError(f"{name}: the times do not rise")
    if np.abs(times - times[0] - dt * np.arange(times.size)).max() > LARGEST_JITTER * dt:
        steps = np.diff(times)
        at = int(np.argmax(np.abs(steps - np.median(steps))))
        raise RecordingError(
            f"{name}: the samples are not evenly spaced ({steps[at]:g} ms after sample {at}, "
            f"{np.median(steps):g} ms elsewhere); resample it to one step first"
        )
    return round(float(dt), 9)
