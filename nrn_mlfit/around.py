"""The cells around a fitted one: each parameter anywhere within a share of its range. n cells, K parameters."""

import io
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from nrn_mlfit import textfile
from nrn_mlfit.errors import FitError
from nrn_mlfit.parameters import ParameterSpace
from nrn_mlfit.spikes import spike_counts


@dataclass(frozen=True, eq=False)
class Around:
    """n cells around a fit: phys_par (n, K) in the parameters' units, volts (n, P, S, T) in mV, within % of each range.

    `asked` is how many were drawn: those whose trace is not finite are left out.
    """

    names: tuple[str, ...]
    phys_par: np.ndarray
    volts: np.ndarray
    within: float
    seed: int
    asked: int

    @property
    def spikes(self) -> np.ndarray:
        """Spikes of each cell (n,), at the first probe, all stimuli."""
        return spike_counts(self.volts[:, 0]).sum(axis=-1)

    def rms(self, recorded) -> np.ndarray:
        """How far (n,) in mV the cells are from a recording (P, S, T)."""
        return np.array([np.sqrt(np.mean((volts - recorded) ** 2)) for volts in self.volts])

    @property
    def title(self) -> str:
        """What they are, and how their spike counts spread."""
        return f"{len(self.volts)} cells with each parameter within {self.within:g}% of its range: {self.counts}"

    @property
    def counts(self) -> str:
        low, middle, high = (float(q) for q in np.percentile(self.spikes, [0, 50, 100]))
        return f"{low:g} to {high:g} spikes, median {middle:g}"

    def save(self, path: Path):
        held = io.BytesIO()
        about = {"names": np.array(self.names), "within": self.within, "seed": self.seed, "asked": self.asked}
        np.savez_compressed(held, phys_par=self.phys_par, volts=self.volts, **about)  # type: ignore[arg-type]
        textfile.write_atomic(path, held.getvalue())


def load(path: Path) -> Around:
    """Read an around.npz; raises FitError for another file."""
    try:
        with np.load(path, allow_pickle=False) as held:
            names = tuple(str(name) for name in held["names"])
            numbers = float(held["within"]), int(held["seed"]), int(held["asked"])
            return Around(names, held["phys_par"], held["volts"], *numbers)
    except Exception as error:  # damage comes up as any of zipfile's, zlib's and numpy's errors
        again = f"`nrn-mlfit around {path.parent}` makes it anew"
        raise FitError(f"{path}: does not hold the cells around a fit ({error}); {again}") from None


def draw(space: ParameterSpace, phys_par, count: int, within: float, seed: int) -> np.ndarray:
    """Sets (count, K) around phys_par (K,): each parameter evenly within `within` % of its range, of a log range of its decades.

    Where that reaches beyond the range it ends there. Of the range, not of the value: so errors are given in this package, and
    a share of a value means little for a potential and nothing for 0. The first cells of a larger count are those of a smaller.
    """
    middle, half = space.to_unit(np.asarray(phys_par, float)[None]), 2 * within / 100
    low, high = np.clip(middle - half, -1, 1), np.clip(middle + half, -1, 1)
    return space.to_phys(low + (space.draw(seed, 0, count) + 1) / 2 * (high - low))
