"""Training traces as they lie on disk: pieces of shards, dealt into folds, read when they are wanted."""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import groupby
from pathlib import Path

import numpy as np
import torch

from nrn_mlfit import cells
from nrn_mlfit.errors import EnsembleError
from nrn_mlfit.learn.augment import Augmentation
from nrn_mlfit.learn.scaling import FULL_COUNTS, current_counts, full_current_of
from nrn_mlfit.shards import Run, Shard, Status, nothing_good, open_runs

LARGEST_PIECE = 100  # sets; as many as a shard has by default
MOST_CALIBRATED = 20_000  # sets
LEAST_PIECES = 100  # of a corpus, so that folds of small ones are of one size


@dataclass(frozen=True, eq=False)
class Piece:
    """Some good sets of one shard: their rows (n,) there."""

    run: Run
    path: Path
    rows: np.ndarray


@dataclass(frozen=True, eq=False)
class Corpus:
    """The good sets of runs of one cell and protocol, in `pieces`; nothing but their statuses has been read.

    Of a bank the injected currents belong to what is learned from: `currents` rows, S, with the `full_current` in nA.
    """

    pieces: tuple[Piece, ...]
    manifest: dict
    cell_folder: Path
    currents: int = 0
    full_current: float = 1.0

    def __len__(self) -> int:
        return count(self.pieces)

    def read(self, pieces: Iterable[Piece]) -> tuple[torch.Tensor, torch.Tensor]:
        """counts (n, P*S, T) int16 of 0.01 mV and unit parameters (n, K) float32 of some pieces, in their order.

        Of a bank counts are (n, P*S + S, T), currents below the voltages. Neighbouring pieces of one shard cost one reading.
        """
        counts, targets = [], []
        for path, group in groupby(pieces, lambda piece: piece.path):
            held = list(group)
            shard = held[0].run.read(path)
            whole = self._counts(shard)
            for piece in held:
                counts.append(torch.from_numpy(whole[piece.rows]))
                targets.append(torch.from_numpy(shard.unit_par[piece.rows].astype(np.float32)))
        return torch.cat(counts), torch.cat(targets)

    def _counts(self, shard: Shard):
        volts = shard.volts.reshape(len(shard.volts), -1, shard.volts.shape[-1])
        if not self.currents:
            return volts
        return np.concatenate([volts, current_counts(shard.injected, self.full_current)], axis=1)

    def as_recorded(self, counts: torch.Tensor, augmentation: Augmentation, random: torch.Generator) -> torch.Tensor:
        """Of counts that were read those that a recording would hold; currents stay as they are."""
        probes = len(self.manifest["cell"]["probes"])
        return augmentation.of_counts(counts, random, self.manifest["dt"], probes, self.currents)

    def apart(self, counts: torch.Tensor) -> tuple[np.ndarray, np.ndarray | None]:
        """Of counts that were read the voltages' (n, P*S, T) int16, and of a bank the currents (n, S, T) in nA."""
        rows = counts.shape[1] - self.currents
        injected = counts[:, rows:].numpy() * (self.full_current / FULL_COUNTS)
        return counts[:, :rows].numpy(), injected if self.currents else None


def count(pieces: Iterable[Piece]) -> int:
    """The sets in some pieces."""
    return sum(len(piece.rows) for piece in pieces)


def open_corpus(folders: Sequence[Path | str], limit: int | None = None) -> Corpus:
    """The sets with status ok of runs that share cell and protocol, the first `limit` of them.

    Raises ShardError for runs that do not belong together, or of which not one set went well.
    """
    runs = open_runs(folders)
    shards = list(_good(runs, limit))
    total = sum(len(rows) for _, _, rows in shards)
    if not total:
        raise nothing_good(runs[0])
    size = min(LARGEST_PIECE, max(1, total // LEAST_PIECES))
    pieces = [
        Piece(run, path, rows[low : low + size]) for run, path, rows in shards for low in range(0, len(rows), size)
    ]
    return Corpus(tuple(pieces), runs[0].manifest, runs[0].cell_folder, *_currents(runs[0]))


def _currents(run) -> tuple[int, float]:
    """The rows of current that networks are given, and the full current in nA; none without a bank."""
    if not isinstance(run.manifest["protocol"], dict):
        return 0, 1.0
    protocol = cells.load(run.cell_folder).protocol
    return len(protocol.stimuli), full_current_of(protocol)


def _good(runs, limit) -> Iterator[tuple[Run, Path, np.ndarray]]:
    """(run, path, rows of good sets) of each shard, up to `limit` sets in all."""
    left = limit
    for run in runs:
        for path in run.shards:
            rows = np.flatnonzero(run.status(path) == Status.OK)[:left]
            left = None if left is None else left - len(rows)
            if len(rows):
                yield run, path, rows
            if left == 0:
                return


def deal(pieces: Sequence[Piece], folds: int, seed: int) -> tuple[list[Piece], list[list[Piece]]]:
    """(held, parts): the pieces dealt by a permutation of `seed` into those that no member learns from, a tenth or 20,000
    sets, and `folds` equal parts. Raises EnsembleError if there are too few."""
    if folds < 2:
        raise EnsembleError(f"{folds} fold leaves nothing to validate on; use --folds 2 or more")
    if len(pieces) < 5 * folds:
        raise EnsembleError(
            f"{count(pieces)} traces are too few for {folds} folds, at least {5 * folds} are needed; "
            "simulate more, or use a smaller --folds"
        )
    order = np.random.Generator(np.random.Philox(key=seed)).permutation(len(pieces))
    most = max(1, MOST_CALIBRATED // LARGEST_PIECE)
    held, rest = np.split(order, [min(max(1, len(pieces) // 10), most)])
    parts = np.array_split(rest, folds)
    return [pieces[k] for k in np.sort(held)], [[pieces[k] for k in np.sort(part)] for part in parts]
