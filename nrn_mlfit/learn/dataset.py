"""Training data in memory: traces stay int16 and become curated float32 batch by batch."""

from dataclasses import dataclass

import numpy as np
import torch

from nrn_mlfit.errors import EnsembleError
from nrn_mlfit.learn.devices import autocast
from nrn_mlfit.learn.networks import TraceCNN
from nrn_mlfit.learn.scaling import TraceScaler
from nrn_mlfit.shards import Traces

SETS_AT_ONCE = 64  # when predicting


@dataclass(frozen=True, eq=False)
class Data:
    """counts (N, P*S, T) int16 of 0.01 mV and targets (N, K) float32, handed out curated on `device`."""

    counts: torch.Tensor
    targets: torch.Tensor
    scaler: TraceScaler
    device: torch.device

    def inputs(self, rows):
        """The curated traces (n, P*S, T) of `rows` (n,); int16 travels to the device, float32 is made there."""
        return self.scaler.from_counts(self.counts[rows].to(self.device))

    def batch(self, rows):
        """Curated traces (n, P*S, T) and unit parameters (n, K) of `rows` (n,)."""
        return self.inputs(rows), self.targets[rows].to(self.device)

    @torch.inference_mode()
    def predict(self, network: TraceCNN, rows, precision: str = "f32"):
        """What `network`, as it would be used, answers for `rows` (n,): unit parameters (n, K) float32 on the CPU."""
        network.eval()
        with autocast(self.device, precision):
            return torch.cat([network(self.inputs(part)).float().cpu() for part in rows.split(SETS_AT_ONCE)])


def from_traces(traces: Traces, scaler: TraceScaler, device: torch.device) -> Data:
    """The Data of simulated traces; nothing is copied but the targets."""
    sets, probes, stimuli, length = traces.volts.shape
    counts = torch.from_numpy(traces.volts).view(sets, probes * stimuli, length)
    return Data(counts, torch.from_numpy(traces.unit_par.astype(np.float32)), scaler, device)


def fold_rows(sets: int, folds: int, seed: int) -> list[torch.Tensor]:
    """The rows 0 .. sets-1 dealt into `folds` parts by a permutation of `seed`; raises EnsembleError if there are too few."""
    if folds < 2:
        raise EnsembleError(f"{folds} fold leaves nothing to validate on; use --folds 2 or more")
    if sets < 4 * folds:
        raise EnsembleError(
            f"{sets} traces are too few for {folds} folds, at least {4 * folds} are needed; "
            "simulate more, or use a smaller --folds"
        )
    order = np.random.Generator(np.random.Philox(key=seed)).permutation(sets)
    return [torch.from_numpy(np.sort(part)) for part in np.array_split(order, folds)]
