"""How a recording is to be read: what a file does not say, or says wrongly."""

from dataclasses import dataclass, replace
from math import isfinite
from pathlib import Path

import numpy as np

from nrn_mlfit.errors import RecordingError
from nrn_mlfit.recordings import current, units
from nrn_mlfit.recordings.recording import Raw, Recording

LARGEST_JUNCTION_MV = 50.0  # those of common solutions are below 20


@dataclass(frozen=True)
class Reading:
    """Settings of a reader, each with the value that leaves a file as it is.

    `current_channel`: name or number of the channel, column or dataset that holds the current. `current_scale`: what the
    current is multiplied by. `stim_from`: a file whose current takes the place of the recording's.
    `junction_potential`: mV, subtracted from every voltage. `window`: begin and end in ms; only that stretch is read.
    """

    current_channel: str | None = None
    current_scale: float = 1.0
    stim_from: Path | None = None
    junction_potential: float = 0.0
    window: tuple[float, float] | None = None

    def __post_init__(self):
        if not (isfinite(self.current_scale) and self.current_scale != 0):
            raise RecordingError(f"--current-scale: must be a number other than 0, got {self.current_scale:g}")
        if not abs(self.junction_potential) <= LARGEST_JUNCTION_MV:
            raise RecordingError(
                f"--junction-potential: {self.junction_potential:g} mV is no junction potential; give it in mV, such as 14"
            )
        if self.window and not 0 <= self.window[0] < self.window[1] < np.inf:
            raise RecordingError(
                f"--window: {self.window[0]:g} to {self.window[1]:g} ms is no stretch of time; give START and STOP in ms, "
                "START below STOP"
            )

    def unnamed_channel(self, name: str):
        """Refuse a `current_channel` for a format in which the current has one place only."""
        if self.current_channel is not None:
            raise RecordingError(f"{name}: has no channels to choose a current from; leave out --current-channel")

    def applied(self, raw: Raw, given=None) -> Recording:
        """The checked recording of a sweep; `given` (T,) nA takes the place of its current.

        The window is cut first, so that a gap elsewhere does no harm. Where the file does not say what its current is,
        its noise tells.
        """
        if given is not None:
            raw = replace(raw, currents=given, current=current.GIVEN, commanded=None, warnings=())
        cut = self._cut(replace(raw, volts=np.asarray(raw.volts)))
        currents = cut.currents
        if currents is not None and self.current_scale != 1 and np.asarray(currents).dtype.kind in "iuf":
            currents = np.asarray(currents) * self.current_scale
        told = (*cut.warnings, *self._twice(cut.source.get("origin", {})))
        made = Recording(cut.volts, currents, cut.dt, cut.name, {**cut.source, **self._changes()}, cut.truth, told)
        made = units.mended(made) if raw.unsure else made
        units.check(made)
        if self.junction_potential:  # in mV, so only now: what it is subtracted from no longer looks like volts
            made = replace(made, volts=made.volts - self.junction_potential)
        if made.currents is not None:
            made.source["current"] = cut.current or current.kind(made.currents[0], made.dt)
        return made if cut.commanded is None else _compared(made, np.asarray(cut.commanded))

    def _changes(self) -> dict:
        """What was changed of the file, for a recording's source."""
        held = {
            "junction_potential_mv": self.junction_potential or None,
            "current_scale": None if self.current_scale == 1 else self.current_scale,
            "stim_from": None if self.stim_from is None else str(self.stim_from),
        }
        return {name: value for name, value in held.items() if value is not None}

    def _twice(self, origin: dict):
        """A piece of a recording may have been corrected when it was cut."""
        before = origin.get("junction_potential_mv")
        if self.junction_potential and before:
            yield f"a junction potential of {before:g} mV was subtracted already when this piece was cut"

    def _cut(self, raw: Raw) -> Raw:
        if self.window is None or raw.volts.ndim < 1 or not raw.dt > 0:
            return raw
        start, stop = self.window
        size = raw.volts.shape[-1]
        first, last = round(start / raw.dt), round(min(stop / raw.dt, 2.0 * size))
        if last > size or last - first < 2:
            raise RecordingError(
                f"{raw.name}: {start:g} to {stop:g} ms is no piece of its 0 to {size * raw.dt:g} ms; change --window"
            )
        before = raw.source.get("cut_ms", [0.0])[0]
        cut_ms = [round(before + k * raw.dt, 9) for k in (first, last)]
        currents, commanded = (
            values if values is None or np.ndim(values) < 1 else np.asarray(values)[..., first:last]
            for values in (raw.currents, raw.commanded)
        )
        source = {**raw.source, "cut_ms": cut_ms}
        return replace(raw, volts=raw.volts[..., first:last], currents=currents, commanded=commanded, source=source)


def _compared(made: Recording, commanded) -> Recording:
    """The recording, with a warning where its measured current leaves the command."""
    if made.currents is None or commanded.shape != made.currents[0].shape or not np.isfinite(commanded).all():
        return made
    told = current.difference(made.currents[0], commanded, made.dt)
    return replace(made, warnings=(*made.warnings, *told))


AS_IT_IS = Reading()
