"""How strong the stimulus of a new cell is to be: a scan of scales, and how deep its resets may go."""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from nrn_mlfit import progress
from nrn_mlfit.cells import CellModel
from nrn_mlfit.shards import Status
from nrn_mlfit.simulator.batch import Batch
from nrn_mlfit.spikes import spike_counts
from nrn_mlfit.stimuli import Protocol, reset_chirp

SETS, SEED = 16, 1  # of each scale
SCALES = tuple(0.01 * 2.0**k for k in range(11))  # nA, 0.01 to 10.24
RESETS = (1.0, 0.65, 0.4, 0.2, 0.1, 0.05, 0.0)  # depths of the resets, in units of the scale
SCANNED = RESETS.index(0.2)
LOWEST_MV = -100.0  # as far as a cell may be driven down: beyond it no channel was ever measured
FEWEST, MOST, SILENT = 3, 20, 0.05  # spikes of the median set; the share of sets without any: docs/choice.md
PASSIVE_MV = 0.0  # a cell that never spikes is driven no higher than this


@dataclass(frozen=True)
class Look:
    """What some sets do under reset + chirp of a `scale` in nA and a depth of `reset`: spikes of the median set, the shares of
    silent and of failed sets, the lowest and the highest voltage in mV (NaN where none could be simulated)."""

    scale: float
    reset: float
    spikes: float
    silent: float
    failed: float
    lowest: float
    highest: float

    @property
    def is_fine(self) -> bool:
        return FEWEST <= self.spikes <= MOST and self.silent <= SILENT and not self.failed

    @property
    def is_silent(self) -> bool:
        """Whether no set has a spike."""
        return self.silent == 1

    @property
    def told(self) -> str:
        """In words, as a cell file and a screen have it."""
        failed = f", {self.failed:.0%} failed" if self.failed else ""
        return (
            f"{self.spikes:g} spikes in the median of {SETS} random sets, {self.silent:.0%} silent{failed}, "
            f"{self.lowest:.0f} to {self.highest:.0f} mV"
        )


def find(model: CellModel, report: progress.Report = progress.silent) -> tuple[Look, list[Look]]:
    """The strength to begin with, and all scales that were tried.

    Of the scales at which the median set has 3 to 20 spikes and none is silent it is the middle one; where there is none, that
    with most sets that spike; in a cell that never does, the strongest that stays below 0 mV. Then the deepest reset that
    stays above -100 mV.
    """
    waves = [(reset_chirp(1.0, depth),) for depth in RESETS]
    bank = Protocol(waves[0], tuple(waves[1:]), (SCALES[0], SCALES[-1]))
    phys_par = model.space.to_phys(model.space.draw(SEED, 0, SETS))
    with Batch(replace(model, protocol=bank), report=report) as batch:
        report(f"looking for the strength of the stimulus: {SETS} sets at each of {len(SCALES)} scales")
        tried = [_look(batch, phys_par, scale, SCANNED) for scale in SCALES]
        best = choose(tried)
        for k in range(len(RESETS)):
            look = _look(batch, phys_par, best.scale, k)
            if look.lowest >= LOWEST_MV:
                break
    return look, tried


def choose(tried: Sequence[Look]) -> Look:
    """The look with the scale to take, of those at rising scales."""
    if fine := [look for look in tried if look.is_fine]:
        return fine[(len(fine) - 1) // 2]
    good = [look for look in tried if look.failed < 1] or list(tried)
    if all(look.is_silent for look in good):
        return next((look for look in reversed(good) if look.highest <= PASSIVE_MV), good[0])
    return min(good, key=lambda look: (look.silent + look.failed, abs(look.spikes - MOST / 2)))


def _look(batch, phys_par, scale, depth) -> Look:
    rows = np.column_stack([phys_par, np.full(SETS, depth), np.full(SETS, scale)])
    lowest, highest, spikes, status = batch.run(rows, _sketch)
    good = status == Status.OK
    low, high = (float(lowest[good].min()), float(highest[good].max())) if good.any() else (np.nan, np.nan)
    counts = spikes[good] if good.any() else np.zeros(1)
    silent, failed = float(np.mean(counts == 0)), float(np.mean(~good))
    return Look(scale, RESETS[depth], float(np.median(counts)), silent, failed, low, high)


def _sketch(volts):
    return volts.min(axis=(1, 2, 3)), volts.max(axis=(1, 2, 3)), spike_counts(volts[:, 0, 0])
