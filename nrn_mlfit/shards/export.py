"""The good sets of runs as one file for other programs: arrays for NumPy, tensors for the sbi package."""

import json
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
from safetensors import SafetensorError
from safetensors.numpy import save_file

from nrn_mlfit import textfile
from nrn_mlfit.errors import MachineError, ShardError
from nrn_mlfit.shards.format import to_millivolts
from nrn_mlfit.shards.run import Traces, load_runs


def export(folders: Sequence[Path | str], path: Path | str, limit: int | None = None) -> int:
    """Write the sets with status ok, at most `limit`, of runs of one cell and protocol; returns how many they are.

    The suffix of `path` says how: .npz holds phys_par and unit_par (N, K), volts (N, P, S, T) float32 mV, stims
    (S, T), dt and t0 in ms, parameter_names (K,); .safetensors holds theta (N, K) and x (N, P*S*T), float32, the
    parameters in their units and mV. Of a bank .npz has stims (B, S, T), stim_index and stim_scale (N,), .safetensors
    currents (N, S*T), nA. Raises ShardError for another suffix, or runs that cannot be used together.
    """
    path = Path(path)
    write = _writer(path)
    traces = load_runs(folders, limit)
    with textfile.replacing(path) as temporary:
        write(temporary, traces)
    return len(traces.volts)


def _writer(path) -> Callable[[Path, Traces], None]:
    if path.suffix not in WRITERS:
        raise ShardError(f"{path}: the name must end in {' or '.join(WRITERS)}, which says what to write")
    return WRITERS[path.suffix]


def _names(traces) -> list[str]:
    return [p["name"] for p in traces.manifest["cell"]["parameters"]]


def _write_npz(path, traces):
    arrays = {
        "phys_par": traces.phys_par,
        "unit_par": traces.unit_par,
        "volts": to_millivolts(traces.volts),
        "stims": traces.currents[..., -traces.volts.shape[-1] :],
        **({} if traces.stim_index is None else {"stim_index": traces.stim_index, "stim_scale": traces.stim_scale}),
        "dt": np.float64(traces.manifest["dt"]),
        "t0": np.float64(traces.manifest["t0"]),
        "parameter_names": np.array(_names(traces)),
    }
    with open(path, "wb") as out:  # by its name NumPy would add .npz to it
        np.savez(out, **arrays)


def _write_safetensors(path, traces):
    tensors = {
        "theta": np.ascontiguousarray(traces.phys_par, np.float32),
        "x": to_millivolts(traces.volts).reshape(len(traces.volts), -1),
    }
    if traces.stim_index is not None:
        tensors["currents"] = traces.injected.reshape(len(traces.volts), -1).astype(np.float32)
    about = {"parameter_names": _names(traces), "dt": traces.manifest["dt"], "t0": traces.manifest["t0"]}
    about["shape"] = list(traces.volts.shape[1:])
    try:
        save_file(tensors, path, metadata={"nrn_mlfit": json.dumps(about)})  # one key: the order of several may vary
        path.chmod(0o644)  # the library makes files that nobody else may read
    except SafetensorError as error:  # as which it hands on errors of the disk
        raise MachineError(f"{path}: cannot be written ({error}); choose another folder or free some space") from None


WRITERS = {".npz": _write_npz, ".safetensors": _write_safetensors}
