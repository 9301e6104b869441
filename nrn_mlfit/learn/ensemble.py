"""An Ensemble: the networks of k folds with all that is needed to ask them about a recording."""

from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import torch

from nrn_mlfit.errors import EnsembleError
from nrn_mlfit.learn import shipped, storage
from nrn_mlfit.learn.alarm import SIGNALS, SILENT, Alarm
from nrn_mlfit.learn.answer import Answer, join_answers
from nrn_mlfit.learn.augment import Augmentation, numbers
from nrn_mlfit.learn.intervals import LEVELS, UNCALIBRATED, Calibration
from nrn_mlfit.learn.look import Look, join_looks
from nrn_mlfit.learn.networks import Design, TraceCNN
from nrn_mlfit.learn.scaling import TraceScaler
from nrn_mlfit.learn.traits import traits_of
from nrn_mlfit.parameters import ParameterSpace
from nrn_mlfit.shards import Run, to_counts, to_millivolts
from nrn_mlfit.stimuli import Protocol

SETS_AT_ONCE = 64
JUDGING = 2**61  # the seed of what is done to traces that it is judged by
BLOCK = 512  # traces whose features are in memory at a time


@dataclass(frozen=True, eq=False)
class Ensemble:
    """M networks that map voltage windows (P, S, T) to K unit parameters, and what they learned from.

    `protocol` is the stimulus they know (of a bank they are given the injected current, too), `probes` the recording sites
    by name, `voltage_range` the lowest and highest mV of the training windows, `validation_rms` (K,) the out-of-fold rms
    error in unit parameters (0.577 for guessing the middle), `cell_folder` a copy of the cell, `record` the rest as
    JSON-ready values: hashes, losses, versions, and `calibration` what makes intervals of the members' answers, `alarm` what
    tells traces of another kind.
    """

    members: tuple[TraceCNN, ...]
    scaler: TraceScaler
    space: ParameterSpace
    protocol: Protocol
    probes: dict[str, str]
    voltage_range: tuple[float, float]
    validation_rms: np.ndarray
    cell_folder: Path
    record: dict = field(default_factory=dict)
    calibration: Calibration = UNCALIBRATED
    alarm: Alarm = SILENT

    @property
    def design(self) -> Design:
        return self.members[0].design

    @property
    def weights(self) -> str:
        """How the weights are saved: float32 or float16."""
        return self.record.get("training", {}).get("weights", "float32")

    @property
    def augmentation(self) -> Augmentation:
        """What was done to the traces that it learned from, and to those that its intervals and alarm were made with."""
        return Augmentation.from_json(self.record.get("training", {}).get("augmentation"))

    def as_recorded(self, counts, number: int):
        """Simulated traces, counts (N, P, S, T), with what those have that it learned from: mV, as float32; the same `number`
        gives the same."""
        rows = torch.from_numpy(np.asarray(counts)).flatten(1, 2)
        random = numbers(JUDGING, number)
        read = self.augmentation.of_counts(rows, random, self.protocol.dt, len(self.probes))
        return to_millivolts(read.numpy()).reshape(np.shape(counts))

    @property
    def shape(self) -> tuple[int, int, int]:
        """(P, S, T) of a voltage window."""
        return len(self.probes), len(self.protocol.stimuli), self.protocol.length

    def fit(self, volts, currents=None) -> Answer:
        """Parameters with intervals and score of voltage traces in mV, which must be under the ensemble's stimulus.

        `volts` is one trace (T,) or one window (P, S, T), whose Answer comes without N; or many, (N, T) or (N, P, S, T), of
        which some hundred are worked on at a time. An ensemble of a bank is told what was injected: `currents` in nA, one
        row (T,) or (S, T) for all, or many, (N, T) or (N, S, T); others know it. Raises as `predict` does.
        """
        held = np.asarray(volts)
        single = held.ndim in (1, 3)
        held = held[None] if single else held
        held = held[:, None, None] if held.ndim == 2 else held
        injected = self._injected(currents, len(held))
        blocks = [slice(low, low + BLOCK) for low in range(0, max(1, len(held)), BLOCK)]
        found = join_answers([self.answer(self.look(held[rows], injected[rows])) for rows in blocks])
        return found.of(0) if single else found

    def answer(self, look: Look) -> Answer:
        """A look in physical units, with intervals and score."""
        space, middle = self.space, look.answers.mean(axis=0)
        return Answer(
            names=space.names,
            units=space.units,
            values=space.to_phys(np.clip(middle, -1, 1)),
            spread=space.to_phys(np.clip(look.answers, -1, 1)).std(axis=0),
            bounds={level: space.to_phys(ends) for level, ends in self.intervals(look.answers).items()},
            score=self.score(look),
            threshold=self.alarm.threshold,
            unit_par=middle,
        )

    def predict(self, volts, currents=None):
        """Unit parameters (M, N, K), float32, that each member gives for windows `volts` (N, P, S, T) in mV; `currents` as
        for `fit`.

        They may leave [-1, 1]: then the trace is not one of the training kind. Raises EnsembleError for another shape or
        for voltages (or currents, where they are needed) that are no finite numbers.
        """
        return self.look(volts, currents).answers

    @torch.inference_mode()
    def look(self, volts, currents=None) -> Look:
        """What the members make of windows `volts` (N, P, S, T) in mV; `currents` as for `fit`. Raises as `predict` does."""
        volts = np.asarray(volts, np.float32)
        if volts.ndim != 4 or volts.shape[1:] != self.shape:
            raise EnsembleError(
                f"voltages of shape {volts.shape}; the ensemble needs (N, P, S, T) = {('N', *self.shape)}"
            )
        if not np.isfinite(volts).all():
            raise EnsembleError("the voltages hold NaN or infinite samples; cut or mend the recording")
        rows = _as_stored(volts).reshape(len(volts), volts.shape[1] * volts.shape[2], volts.shape[3])
        injected = self._injected(currents, len(rows))
        parts = [slice(low, low + SETS_AT_ONCE) for low in range(0, max(1, len(rows)), SETS_AT_ONCE)]
        return join_looks([self._look(rows[part], injected[part]) for part in parts])

    def _injected(self, currents, count):
        """Currents (count, S, T), float32 in nA; (count, 0), which is nothing, where the networks are not given any."""
        if not self.scaler.currents:
            return np.zeros((count, 0), np.float32)
        _, stimuli, length = self.shape
        if currents is None:
            raise EnsembleError(
                f"the ensemble learned from a {self.protocol.name} and must know what was injected: give the currents, too, "
                f"(N, S, T) = ('N', {stimuli}, {length}) in nA"
            )
        held = np.asarray(currents, np.float32)
        rows, beyond = divmod(held.size, stimuli * length)
        if held.shape[-1:] != (length,) or beyond or rows not in (1, count):
            raise EnsembleError(
                f"currents of shape {held.shape}; the ensemble needs (N, S, T) = {(count, stimuli, length)} in nA"
            )
        if not np.isfinite(held).all():
            raise EnsembleError("the currents hold NaN or infinite samples; cut or mend the recording")
        return np.broadcast_to(held.reshape(-1, stimuli, length), (count, stimuli, length))

    def intervals(self, answers) -> dict[float, np.ndarray]:
        """The ends (2, N, K), in unit parameters, of the intervals that hold the truth with a probability of 0.5, 0.68, 0.9
        and 0.95, for the members' answers (M, N, K)."""
        return dict(zip(LEVELS, self.calibration.bounds(answers), strict=True))

    def score(self, look: Look):
        """Scores (N,): above `alarm.threshold` a trace is not of the training kind."""
        return self.alarm.score(look)

    def signals(self, look: Look) -> dict[str, float]:
        """How far each signal of one trace lies out, by what is said of it; the largest is the score."""
        return dict(zip(SIGNALS, self.alarm.distances(look)[0].tolist(), strict=True))

    def _look(self, volts, injected) -> Look:
        curated = self.scaler.from_millivolts(torch.from_numpy(volts))
        inputs = self.scaler.with_currents(curated, torch.tensor(injected))
        hidden = [member.hidden(inputs) for member in self.members]
        answers = [member.answer(x) for member, x in zip(self.members, hidden, strict=True)]
        traits = traits_of(volts, curated.numpy(), self.protocol.dt)
        return Look(torch.stack(answers).numpy(), torch.stack(hidden).float().numpy(), traits)

    def check_run(self, run: Run):
        """Raises EnsembleError for a run under another stimulus, or with another number of probes."""
        if run.manifest["protocol_hash"] != self.protocol.digest():
            raise EnsembleError(
                f"{run.folder}: was simulated under another stimulus than the ensemble knows ({self.protocol.name}); simulate "
                "that cell with the ensemble's, or use another ensemble"
            )
        probes = len(run.manifest["cell"]["probes"])
        if probes != len(self.probes):
            raise EnsembleError(f"{run.folder}: {probes} probes, the ensemble needs {len(self.probes)}")

    def check_own_run(self, run: Run):
        """Raises EnsembleError as `check_run` does, and for a run of another cell, whose parameters mean something else."""
        self.check_run(run)
        if run.manifest["cell_hash"] != self.record["cell_hash"]:
            raise EnsembleError(f"{run.folder}: is of another cell than the ensemble's; `nrn-mlfit predict` takes it")

    def provenance(self) -> dict:
        """Where answers come from, as JSON-ready values that go into every fit."""
        kept = ("cell", "cell_hash", "protocol_hash", "content_hash", "simulation", "traces", "versions")
        told = {"design": self.design.name, "members": len(self.members), **{key: self.record[key] for key in kept}}
        told["probes"] = [list(pair) for pair in self.probes.items()]  # a list: JSON objects are written sorted
        known = {"fixed": self.record["fixed"]} if "fixed" in self.record else {}
        return {**told, **known, **self._judged()}

    def _judged(self) -> dict:
        """The commands that made it, and each parameter's R2 on traces it had not met, where they were kept with it."""
        judged = self.record.get("judged", {})
        commands = [line.strip() for line in judged.get("made", "").splitlines() if line.strip()]
        found = judged.get("evaluation", {})
        r2 = {name: row["r2"] for name, row in found.get("parameters", {}).items()}
        told = {"made": commands, "evaluation": {"traces": found["traces"], "r2": r2} if r2 else {}}
        return {key: value for key, value in told.items() if value}

    def save(self, folder: Path):
        """Write the ensemble to `folder`, which must be new or empty; it appears whole or not at all."""
        storage.save(self, Path(folder))

    @classmethod
    def load(cls, folder: Path | str) -> "Ensemble":
        """Read an ensemble from its folder, or one that comes with the package by its name (`mainen`).

        Raises EnsembleError if anything is missing, damaged or of the wrong shape.
        """
        return cls(**storage.read(shipped.find(folder)))


def _as_stored(volts):
    """Voltages in mV as a shard holds them: the alarm would hear that others are not rounded."""
    try:
        return to_millivolts(to_counts(volts))
    except ValueError as error:
        raise EnsembleError(f"the voltages are {error}; give them in mV") from None
