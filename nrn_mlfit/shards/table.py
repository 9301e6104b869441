"""Numbers about many sets as one file, written block by block: .csv or .h5."""

import csv
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path

import h5py
import numpy as np

from nrn_mlfit import textfile
from nrn_mlfit.errors import ShardError

Blocks = Iterable[np.ndarray]  # of rows (n, C)


def check_table(path: Path):
    """Raises ShardError where the suffix of `path` says no format."""
    if path.suffix not in WRITERS:
        raise ShardError(f"{path}: the name must end in {' or '.join(WRITERS)}, which says what to write")


def write_table(path: Path, columns: Sequence[str], blocks: Blocks) -> int:
    """Write blocks of rows (n, C) under the names of their columns; the file appears whole. Returns how many rows.

    .csv: a line of names, then a line a row, numbers to 7 digits. .h5: a dataset (N,) float64 a column.
    """
    check_table(path)
    with textfile.replacing(path) as temporary:
        return WRITERS[path.suffix](temporary, columns, blocks)


def _write_csv(path, columns, blocks) -> int:
    count = 0
    with path.open("w", newline="") as file:
        table = csv.writer(file, lineterminator="\n")
        table.writerow(columns)
        for block in blocks:
            table.writerows([f"{value:.7g}" for value in row] for row in block)
            count += len(block)
    return count


def _write_hdf5(path, columns, blocks) -> int:
    count = 0
    with h5py.File(path, "w") as file:
        held = [file.create_dataset(name, (0,), "f8", maxshape=(None,), chunks=(8192,)) for name in columns]
        for block in blocks:
            for dataset, values in zip(held, block.T, strict=True):
                dataset.resize(count + len(block), axis=0)
                dataset[count:] = values
            count += len(block)
    return count


WRITERS: dict[str, Callable[[Path, Sequence[str], Blocks], int]] = {".csv": _write_csv, ".h5": _write_hdf5}
