"""Where the network is computed, and in which precision."""

import contextlib
from pathlib import Path

import torch

from nrn_mlfit.errors import MachineError

CPU_INFO = Path("/proc/cpuinfo")
BF16_FLAGS = {"avx512_bf16", "amx_bf16"}  # without them bf16 is emulated, and slower than f32


def pick_device(wanted: str = "auto") -> torch.device:
    """The device called auto (a GPU when there is one), cpu, cuda or mps; raises MachineError if it is not there."""
    found = torch.accelerator.current_accelerator() if torch.accelerator.is_available() else None
    if wanted == "auto":
        return found or torch.device("cpu")
    if wanted != "cpu" and (found is None or found.type != wanted):
        raise MachineError(
            f"no {wanted} device was found by this PyTorch ({torch.__version__}); use --device auto or cpu"
        )
    return torch.device(wanted)


def pick_precision(wanted: str, device: torch.device) -> str:
    """`f32` or `bf16`; auto is bf16 on GPUs and on CPUs that compute in it, where it is up to twice as fast."""
    if wanted != "auto":
        return wanted
    return "bf16" if device.type != "cpu" or _cpu_has_bf16() else "f32"


def _cpu_has_bf16() -> bool:
    with contextlib.suppress(OSError):
        return any(
            BF16_FLAGS & set(line.split()) for line in CPU_INFO.read_text().splitlines() if line.startswith("flags")
        )
    return False


def autocast(device: torch.device, precision: str):
    """A context in which convolutions and dense layers compute in `precision`; weights stay float32."""
    return torch.autocast(device.type, torch.bfloat16, enabled=precision == "bf16")
