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

SETS, SEED = (
    16,
    1,
)  # of each scale, beside the set with all parameters at their low ends, which a current drives furthest
SCALES = tuple(0.01 * 2.0**k for k in range(11))  # nA, 0.01 to 10.24
RESETS = (1.0, 0.65, 0.4, 0.2, 0.1, 0.05, 0.0)  # depths of the resets, in units of the scale
WITHOUT = len(RESETS) - 1
LOWEST_MV, HIGHEST_MV = -110.0, 80.0  # beyond them no channel was ever measured: docs/choice.md
FEWEST, MOST, SILENT = 3, 20, 0.05  # spikes of the median set; the share of sets without any: docs/choice.md
LINEAR = 0.05  # relative: peaks that rise with the current to this are those of a passive cell
WEAK_CURRENT = f"{SCALES[-1]:g} nA is the strongest that was tried: for a cell as large as this write a larger scale"
UNEVEN = "some sets do not fire where others do: narrow the ranges, and look at celsius and v_init"
BY_ITSELF = "see whether it fires without a current: look at celsius, v_init and leak"
DRIVEN_FAR = "the set with all parameters at their low ends goes furthest: raise those of leak and capacitance"
PASSIVE_MV = -25.0  # it is driven no higher than this, below what counts as a spike


@dataclass(frozen=True)
class Look:
    """What some sets do under reset + chirp of a `scale` in nA and a depth of `reset`: spikes of the median set, the shares of
    silent and of failed sets, the lowest and the highest voltage in mV (NaN where none could be simulated), in these and in the
    set at the low ends."""

    scale: float
    reset: float
    spikes: float
    silent: float
    failed: float
    lowest: float
    highest: float

    @property
    def is_physiological(self) -> bool:
        return not self.failed and self.lowest >= LOWEST_MV and self.highest <= HIGHEST_MV

    @property
    def is_fine(self) -> bool:
        return not self.faults

    @property
    def faults(self) -> dict[str, str]:
        """In words, what is not as it should be, and what to do about it."""
        too_few = WEAK_CURRENT if self.scale >= SCALES[-1] else UNEVEN
        spikes, silent = f"{self.spikes:g} spikes", f"{self.silent:.0%} silent"
        wrong = (
            (self.failed > 0, f"{self.failed:.0%} failed", "narrow the ranges until no set fails"),
            (self.spikes < FEWEST, spikes, too_few),
            (self.spikes > MOST, spikes, BY_ITSELF),
            (self.silent > SILENT, silent, too_few),
            (self.lowest < LOWEST_MV, f"{self.lowest:.0f} mV", DRIVEN_FAR),
            (self.highest > HIGHEST_MV, f"{self.highest:.0f} mV", DRIVEN_FAR),
        )
        return {words: todo for is_wrong, words, todo in wrong if is_wrong}

    @property
    def is_silent(self) -> bool:
        """Whether no set has a spike."""
        return self.silent == 1

    @property
    def told(self) -> str:
        """In words, as a cell file and a screen have it."""
        failed = f", {self.failed:.0%} failed" if self.failed else ""
        return (
            f"a median of {self.spikes:g} spikes in {SETS} random sets, {self.silent:.0%} silent{failed}, "
            f"{self.lowest:.0f} to {self.highest:.0f} mV"
        )


def advice(look: Look, has_channels: bool) -> str:
    """A sentence on what a chosen scale lacks, by what was found; empty where it lacks nothing."""
    if look.is_silent and not has_channels:
        return "no set spikes: the cell has no channels that could, so that is as it should be"
    if look.is_silent:
        return (
            f"no set spikes at up to {SCALES[-1]:g} nA, though there are channels: look at their values, at celsius and v_init, "
            "and at the size of the cell"
        )
    if look.is_fine:
        return ""
    return (
        f"no scale gives all that is sought, {FEWEST} to {MOST} spikes in the median set, none silent, {LOWEST_MV:g} to "
        f"{HIGHEST_MV:g} mV; this one has {' and '.join(look.faults)}: {'; '.join(dict.fromkeys(look.faults.values()))}"
    )


def find(model: CellModel, report: progress.Report = progress.silent) -> Look:
    """The strength to begin with.

    Of the scales at which the median set has 3 to 20 spikes, none is silent and all stay between -110 and 80 mV, it is the
    middle one; where there is none, that with most sets that spike between these voltages; in a cell that fires by itself,
    the strongest between them; in a passive cell, the strongest that stays below what counts as a spike. Then the deepest
    reset that keeps what the scale was chosen for.
    """
    waves = [(reset_chirp(1.0, depth),) for depth in RESETS]
    bank = Protocol(waves[0], tuple(waves[1:]), (SCALES[0], SCALES[-1]))
    lowest_end = -np.ones((1, len(model.space)))
    phys_par = model.space.to_phys(np.concatenate([model.space.draw(SEED, 0, SETS), lowest_end]))
    with Batch(replace(model, protocol=bank), report=report) as batch:
        report(f"looking for the strength of the stimulus: {SETS} sets at each of {len(SCALES)} scales")
        best = choose([_look(batch, phys_par, scale, WITHOUT) for scale in SCALES])
        for depth in range(WITHOUT):
            look = _look(batch, phys_par, best.scale, depth)
            if look.lowest >= LOWEST_MV and look.is_fine >= best.is_fine:
                return look
    return best


def choose(tried: Sequence[Look]) -> Look:
    """The look with the scale to take, of those at rising scales."""
    if is_passive(tried):
        return next((look for look in reversed(tried) if look.highest <= PASSIVE_MV), tried[0])
    good = [look for look in tried if look.is_physiological] or list(tried)
    if tried[0].spikes >= FEWEST and tried[0].silent <= SILENT:  # by itself, at times that hang on rounding
        return good[-1]
    if fine := [look for look in tried if look.is_fine]:
        return fine[(len(fine) - 1) // 2]
    return min(good, key=lambda look: (look.silent + look.failed, abs(look.spikes - MOST / 2)))


def is_passive(tried: Sequence[Look]) -> bool:
    """Whether the highest voltage rises with the current as in a circuit of resistors and capacitors, or nothing spikes."""
    good = [look for look in tried if not look.failed]
    if all(look.is_silent for look in good):
        return True
    slopes = np.diff([look.highest for look in good]) / np.diff([look.scale for look in good])
    return bool(len(slopes) and np.ptp(slopes) <= LINEAR * np.abs(slopes).max())


def _look(batch, phys_par, scale, depth) -> Look:
    rows = np.column_stack([phys_par, np.full(SETS + 1, depth), np.full(SETS + 1, scale)])
    lowest, highest, spikes, status = batch.run(rows, _sketch)
    good = status == Status.OK
    low, high = (float(lowest[good].min()), float(highest[good].max())) if good.any() else (np.nan, np.nan)
    counts = spikes[:SETS][good[:SETS]] if good[:SETS].any() else np.zeros(1)
    silent, failed = float(np.mean(counts == 0)), float(np.mean(~good))
    return Look(scale, RESETS[depth], float(np.median(counts)), silent, failed, low, high)


def _sketch(volts):
    return volts.min(axis=(1, 2, 3)), volts.max(axis=(1, 2, 3)), spike_counts(volts[:, 0, 0])
