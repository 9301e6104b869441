"""Curation of traces for the network: X' = log10(V - floor + 1), V in mV.

A spike's height carries little, the subthreshold part much; the logarithm gives it the room. With the floor at -80 mV this
is the published log10(V + 81) (Balewski et al., NERSC/LBL, 2019). Cells that go lower than -80 mV (a reset pulse, a deep
after-hyperpolarisation) would lose all of that to the clip, so their floor is their own.
"""

from dataclasses import asdict, dataclass

import numpy as np
import torch

from nrn_mlfit.errors import EnsembleError
from nrn_mlfit.shards import MV_PER_COUNT
from nrn_mlfit.stimuli import Protocol

PUBLISHED_FLOOR = -80.0  # mV
CLIPPED_SHARE = 0.001
SETS_LOOKED_AT = 2000
FULL_COUNTS = 32_000  # of int16, that stand for the full current


@dataclass(frozen=True)
class TraceScaler:
    """The curation with its `floor` in mV; what lies lower counts as the floor.

    Where cells had different stimuli, `currents` rows of injected current come after those of the voltage, with the
    `full_current` in nA as 1.
    """

    floor: float = PUBLISHED_FLOOR
    currents: int = 0
    full_current: float = 1.0

    def __post_init__(self):
        if not -1000 <= self.floor <= 0:
            raise EnsembleError(f"scaler: the floor {self.floor} mV is outside -1000..0 mV; train the ensemble again")
        if self.currents < 0 or not 0 < self.full_current < np.inf:
            raise EnsembleError(f"scaler: a full current of {self.full_current} nA; train the ensemble again")

    def from_counts(self, counts):
        """Curate a tensor of int16 counts of 0.01 mV, any shape -> float32.

        With currents it is (N, P*S + S, T), and those of the last S rows are of 1/32000 of the full current.
        """
        if not self.currents:
            return self.from_millivolts(counts.float().mul_(MV_PER_COUNT))
        volts, injected = counts[:, : -self.currents], counts[:, -self.currents :]
        curated = self.from_millivolts(volts.float().mul_(MV_PER_COUNT))
        return torch.cat([curated, injected.float().div_(FULL_COUNTS)], 1)

    def with_currents(self, curated, injected):
        """What networks are given: curated voltages (N, P*S, T), and below them, where they learned so, injected (N, S, T) nA."""
        return torch.cat([curated, injected.float() / self.full_current], 1) if self.currents else curated

    def from_millivolts(self, volts):
        """Curate a float tensor in mV, any shape -> float32."""
        return (volts.float() - (self.floor - 1)).clamp_min_(1).log10_()

    def to_json(self) -> dict:
        """The scaler as JSON-ready values; `TraceScaler(**values)` is the inverse."""
        return asdict(self) if self.currents else {"floor": self.floor}


def fit_scaler(counts) -> TraceScaler:
    """The scaler for training traces (N, ...) of int16 counts: the published floor, or lower where the cell goes lower.

    The floor is the whole mV below which at most 1 sample in 1000 lies. Not the very minimum: one odd set far below would
    squeeze all others into the flat end of the logarithm.
    """
    step = max(1, len(counts) // SETS_LOOKED_AT)
    lowest = _low_quantile(np.asarray(counts[::step]))
    return TraceScaler(min(PUBLISHED_FLOOR, float(np.floor(lowest * MV_PER_COUNT))))


def _low_quantile(counts) -> int:
    """The count below which CLIPPED_SHARE of the samples lie, by a histogram (sorting 10^7 samples would take seconds)."""
    tally = np.zeros(65536, np.int64)
    for row in counts:
        tally += np.bincount(row.ravel().astype(np.int32) + 32768, minlength=65536)
    return int(np.searchsorted(np.cumsum(tally), CLIPPED_SHARE * counts.size)) - 32768


def current_counts(injected, full_current: float) -> np.ndarray:
    """int16 counts of 1/32000 of the full current, of currents in nA that do not exceed it."""
    return np.rint(np.asarray(injected) * (FULL_COUNTS / full_current)).astype(np.int16)


def full_current_of(protocol: Protocol) -> float:
    """The largest current in nA that a set of a bank can get while the network looks, 1 where none flows."""
    return float(np.abs(protocol.windows).max() * protocol.amplitudes[1]) or 1.0
