"""Curation of traces for the network: X' = log10(V - floor + 1), V in mV.

A spike's height carries little, the subthreshold part much; the logarithm gives it the room. With the floor at -80 mV this
is the published log10(V + 81) (Balewski et al., NERSC/LBL, 2019). Cells that go lower than -80 mV (a reset pulse, a deep
after-hyperpolarisation) would lose all of that to the clip, so their floor is their own.
"""

from dataclasses import asdict, dataclass

import numpy as np

from nrn_mlfit.errors import EnsembleError
from nrn_mlfit.shards import MV_PER_COUNT

PUBLISHED_FLOOR = -80.0  # mV
CLIPPED_SHARE = 0.001
SETS_LOOKED_AT = 2000


@dataclass(frozen=True)
class TraceScaler:
    """The curation with its `floor` in mV; what lies lower counts as the floor."""

    floor: float = PUBLISHED_FLOOR

    def __post_init__(self):
        if not -1000 <= self.floor <= 0:
            raise EnsembleError(f"scaler: the floor {self.floor} mV is outside -1000..0 mV; train the ensemble again")

    def from_counts(self, counts):
        """Curate a tensor of int16 counts of 0.01 mV, any shape -> float32."""
        return self.from_millivolts(counts.float().mul_(MV_PER_COUNT))

    def from_millivolts(self, volts):
        """Curate a float tensor in mV, any shape -> float32."""
        return (volts.float() - (self.floor - 1)).clamp_min_(1).log10_()

    def to_json(self) -> dict:
        """The scaler as JSON-ready values; `TraceScaler(**values)` is the inverse."""
        return asdict(self)


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
