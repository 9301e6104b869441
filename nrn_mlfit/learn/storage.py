"""An ensemble as a folder: safetensors, JSON, the cell, a picture, a model card. Nothing in it is code or pickled.

`ensemble.json` holds the sha256 of every file that answers depend on, so a folder that loads is the one that was saved.
"""

import hashlib
import shutil
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import safetensors
import torch
from safetensors.torch import load as tensors_from
from safetensors.torch import save as bytes_from

from nrn_mlfit import folders, textfile
from nrn_mlfit.errors import EnsembleError, MachineError
from nrn_mlfit.learn import card, curves, outline
from nrn_mlfit.learn.alarm import Alarm, Cloud, Known
from nrn_mlfit.learn.intervals import calibration_from
from nrn_mlfit.learn.networks import TraceCNN, make_design, network_of
from nrn_mlfit.learn.outline import MEND
from nrn_mlfit.learn.scaling import TraceScaler
from nrn_mlfit.parameters import Parameter, ParameterSpace

if TYPE_CHECKING:
    from nrn_mlfit.learn.ensemble import Ensemble

CLOUD = ("mean", "basis", "rest")  # of an alarm.Cloud


def check_free(folder: Path):
    """Refuse a folder that holds anything, or cannot be written, before any work is done for it."""
    folders.check_free(folder)
    try:
        folder.parent.mkdir(parents=True, exist_ok=True)
        tempfile.TemporaryDirectory(dir=folder.parent, prefix=f".{folder.name}-").cleanup()
    except OSError as error:
        raise MachineError(f"{folder}: cannot be written ({error.strerror or error}); choose another folder") from None


def save(ensemble: "Ensemble", folder: Path, within: Path | None = None):
    """Write `ensemble` to a hidden folder beside `folder`, or in the folder `within`, which gets the name when it is whole."""
    check_free(folder)
    with folders.whole(folder, within) as fresh:
        _fill(ensemble, fresh)


def _fill(ensemble: "Ensemble", folder: Path):
    shutil.copytree(ensemble.cell_folder, folder / "cell")
    for number, member in enumerate(ensemble.members):
        textfile.write_atomic(folder / _member_file(number), bytes_from(_packed(member, ensemble.weights)))
    stimulus = {
        "currents": torch.from_numpy(ensemble.protocol.currents),
        "start": torch.tensor(ensemble.protocol.start),
    }
    textfile.write_atomic(folder / "stimulus.safetensors", bytes_from(stimulus))
    intervals = {
        name: torch.tensor(value, dtype=torch.float64) for name, value in ensemble.calibration.arrays().items()
    }
    textfile.write_atomic(folder / "intervals.safetensors", bytes_from(intervals))
    textfile.write_atomic(folder / "alarm.safetensors", bytes_from(_tensors_of(ensemble.alarm)))
    hashes = {str(path.relative_to(folder)): _hash(path) for path in sorted(folder.rglob("*")) if path.is_file()}
    textfile.write_atomic(folder / "ensemble.json", textfile.to_json({**_described(ensemble), "files": hashes}))
    curves.draw(ensemble, folder / "learning.png")
    textfile.write_atomic(folder / "MODEL_CARD.md", card.text(ensemble))


def _packed(network: TraceCNN, weights: str) -> dict[str, torch.Tensor]:
    """The weights as they are saved."""
    held = network.state_dict()
    if weights == "float32":
        return held
    return {name: value.half() if value.is_floating_point() else value for name, value in held.items()}


def rounded(network: TraceCNN, weights: str) -> TraceCNN:
    """The network with the weights that it will have when it was saved as `weights` and loaded again."""
    network.load_state_dict(_packed(network, weights))  # made float32 again
    return network


def _described(ensemble: "Ensemble") -> dict:
    return {
        "format": outline.FORMAT,
        "format_version": outline.FORMAT_VERSION,
        "design": ensemble.design.to_json(),
        "members": len(ensemble.members),
        "scaler": ensemble.scaler.to_json(),
        "parameters": [{**vars(p), "sets": list(p.sets)} for p in ensemble.space.parameters],
        "probes": [list(pair) for pair in ensemble.probes.items()],  # a list: JSON objects are written sorted
        "protocol": ensemble.protocol.specs,
        "dt": ensemble.protocol.dt,
        "start": ensemble.protocol.start,
        "t0": ensemble.protocol.t0,
        "voltage_range": list(ensemble.voltage_range),
        "validation_rms": [float(x) for x in ensemble.validation_rms],
        "record": ensemble.record,
    }


def read(folder: Path) -> dict:
    """The fields of the Ensemble in `folder`; raises EnsembleError where a file is missing, damaged, or another."""
    return outline.opened(folder, _everything)


def _check_files(folder: Path, hashes: dict[str, str]):
    for name, wanted in hashes.items():
        if not (folder / name).is_file():
            raise EnsembleError(f"{folder}: {name} is missing; {MEND}")
        if _hash(folder / name) != wanted:
            raise EnsembleError(f"{folder}: {name} is not the file that was saved; {MEND}")


def _everything(folder: Path, held: dict) -> dict:
    _check_files(folder, held["files"])
    parameters = tuple(Parameter(**{**p, "sets": tuple(p["sets"])}) for p in held["parameters"])
    protocol = outline.protocol(folder, held)
    probes = {name: site for name, site in held["probes"]}
    scaler = TraceScaler(**held["scaler"])
    channels = len(probes) * len(protocol.stimuli) + scaler.currents
    networks = [
        network_of(make_design(held["design"]), channels, protocol.length, len(parameters))
        for _ in range(held["members"])
    ]
    for number, network in enumerate(networks):
        _fill_in(network, folder / _member_file(number))
    return dict(
        members=tuple(networks),
        scaler=scaler,
        space=ParameterSpace(parameters),
        protocol=protocol,
        probes=probes,
        voltage_range=(float(held["voltage_range"][0]), float(held["voltage_range"][1])),
        validation_rms=np.array(held["validation_rms"], float),
        cell_folder=folder / "cell",
        record=held["record"],
        calibration=calibration_from(_arrays(folder / "intervals.safetensors")),
        alarm=_alarm(folder, len(networks)),
    )


def _tensors_of(alarm: Alarm) -> dict[str, torch.Tensor]:
    known = alarm.known
    clouds = {"shape": known.shape, "roughness": known.roughness}
    clouds |= {f"member-{k}": cloud for k, cloud in enumerate(known.features)}
    held = {f"{name}.{part}": getattr(cloud, part) for name, cloud in clouds.items() for part in CLOUD}
    held |= {"patience": known.patience, "rarity": known.rarity}
    held |= {"start": alarm.start, "unit": alarm.unit, "threshold": np.array(alarm.threshold)}
    return {name: torch.tensor(value, dtype=torch.float32).contiguous() for name, value in held.items()}


def _alarm(folder: Path, members: int) -> Alarm:
    held = _arrays(folder / "alarm.safetensors")
    names = ["shape", "roughness", *(f"member-{k}" for k in range(members))]
    shape, roughness, *features = (Cloud(*(held[f"{name}.{part}"] for part in CLOUD)) for name in names)
    known = Known(tuple(features), shape, roughness, held["patience"], held["rarity"])
    return Alarm(known, held["start"], held["unit"], float(held["threshold"]))


def _arrays(path: Path) -> dict[str, np.ndarray]:
    return {name: value.double().numpy() for name, value in _read(path).items()}


def _fill_in(network: TraceCNN, path: Path):
    """Load weights whose names, shapes and types are the network's; nothing else is taken."""
    wanted, found = network.state_dict(), _read(path)
    for name in sorted(wanted.keys() | found.keys()):
        if name not in found or name not in wanted:
            raise EnsembleError(
                f"{path}: {name} is {'missing' if name in wanted else 'not part of the design'}; {MEND}"
            )
        types = {wanted[name].dtype, torch.float16 if wanted[name].is_floating_point() else wanted[name].dtype}
        if wanted[name].shape != found[name].shape or found[name].dtype not in types:
            raise EnsembleError(
                f"{path}: {name} is {_kind(found[name])}, the design needs {_kind(wanted[name])}; {MEND}"
            )
    network.load_state_dict(found)
    network.eval()


def _read(path: Path) -> dict[str, torch.Tensor]:
    try:
        return tensors_from(path.read_bytes())
    except (OSError, safetensors.SafetensorError) as error:
        raise EnsembleError(f"{path}: cannot be read as safetensors ({error}); {MEND}") from None


def _kind(tensor: torch.Tensor) -> str:
    return f"{str(tensor.dtype).removeprefix('torch.')} {tuple(tensor.shape)}"


def _member_file(number: int) -> str:
    return f"member-{number}.safetensors"


def _hash(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()
