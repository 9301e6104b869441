"""The manifest of a run, run.json: everything that its bytes depend on, and in what two runs differ."""

import hashlib
from importlib.metadata import version

import nrn_mlfit
from nrn_mlfit import machine
from nrn_mlfit.cells import CellModel
from nrn_mlfit.errors import ShardError

NAME = "run.json"
LIBRARIES = ("neuron", "numpy", "h5py")  # what the traces, the draws and the files are made with
NAMED_AT_MOST = 5
HASHES = ("content_hash", "cell_hash", "protocol_hash")
MADE_WITH = ("versions.program ", "versions.g++ ")  # versions that an engine adds


def describe(model: CellModel, seed: int, sets_a_shard: int, engine: str, made_with: dict | None = None) -> dict:
    """The manifest of a run of `model` on this machine, by an engine and what that one is made with."""
    protocol = model.protocol
    return {
        "content_hash": content_hash(model),
        "cell_hash": model.digest(),
        "protocol_hash": protocol.digest(),
        "cell": model.settings(),
        "files": {name: hashlib.sha256(content).hexdigest() for name, content in model.sources().items()},
        "protocol": protocol.specs,
        "dt": protocol.dt,
        "start": protocol.start,
        "stop": protocol.stop,
        "t0": protocol.t0,
        "seed": seed,
        "sets_a_shard": sets_a_shard,
        "engine": engine,
        "instruction_set": machine.instruction_set(),
        "versions": {
            "nrn_mlfit": nrn_mlfit.__version__,
            **{name: version(name) for name in LIBRARIES},
            **(made_with or {}),
        },
    }


def content_hash(model: CellModel) -> str:
    """One hash of cell, HOC and MOD bytes, and protocol."""
    return f"{model.digest()[:32]}{model.protocol.digest()[:32]}"


def check_same(folder, there: dict, here: dict):
    """Raises ShardError, naming the differences, unless the run that `folder` holds has the manifest `here`."""
    if there == here:
        return
    told = [d for d in differences(there, here) if not (_another_engine(there, here) and d.startswith(MADE_WITH))]
    more = f" and {len(told) - NAMED_AT_MOST} more" if len(told) > NAMED_AT_MOST else ""
    reason = ""
    if there.get("instruction_set") != here["instruction_set"]:
        reason = " (on another instruction set the last bits differ; go on on a machine like the first)"
    on = _way_on(there, here)
    raise ShardError(
        f"{folder}: holds another run: {', '.join(told[:NAMED_AT_MOST])}{more}{reason}; "
        f"{on and f'add {on} to go on with it, or '}choose another folder with -o"
    )


def _way_on(there, here) -> str:
    """The options of `simulate` that ask for the run that is there, where options make all the difference."""
    changed = {key for key in {**there, **here} if there.get(key) != here.get(key)}
    if _another_engine(there, here):
        changed.discard("versions")
    if changed - set(OPTIONS):
        return ""
    return " ".join(option(there[key]) for key, option in OPTIONS.items() if key in changed and key in there)


def _another_engine(there, here) -> bool:
    """Whether it is another engine that makes the versions differ, if they do: each is made with something else."""
    libraries = ("nrn_mlfit", *LIBRARIES)
    same = all(there.get("versions", {}).get(name) == here["versions"].get(name) for name in libraries)
    return same and there.get("engine") != here["engine"]


def _engine_option(name: str) -> str:
    """The options that give the engine of a name: neuron, or lanes-PRECISION."""
    engine, _, precision = name.partition("-")
    return f"--engine {engine} --precision {precision or 'double'}"


def differences(there, here):
    """What differs, leaf by leaf, as `cell.celsius 34 there, 37 here`; hashes only where nothing else tells."""
    leaves, others = dict(_leaves(there)), dict(_leaves(here))
    if leaves.get("cell.name") != others.get("cell.name"):  # then all else differs, too
        yield f"cell {leaves.get('cell.name', 'absent')} there, {others.get('cell.name', 'absent')} here"
        return
    changed = [key for key in {**leaves, **others} if leaves.get(key) != others.get(key)]
    for key in [key for key in changed if key not in HASHES] or changed:
        if key.startswith("files.") or key in HASHES:
            yield f"{key.removeprefix('files.')} changed"
        else:
            yield f"{key} {leaves.get(key, 'absent')} there, {others.get(key, 'absent')} here"


def _leaves(held, path=""):
    pairs = held.items() if isinstance(held, dict) else enumerate(held) if isinstance(held, list | tuple) else None
    if pairs is None:
        yield path, held
        return
    for key, value in pairs:
        yield from _leaves(value, f"{path}.{key}" if path else str(key))


OPTIONS = {"engine": _engine_option, "seed": "--seed {}".format, "sets_a_shard": "--sets-a-shard {}".format}
