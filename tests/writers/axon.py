"""ABF 1 files for tests: pyabf's own writer makes the samples, the fields that it leaves out are set by Axon's header."""

import struct

import numpy as np
from pyabf.abfWriter import writeABF1

BLOCK, WHOLE = 512, 6144
STEP, RAMP = 1, 2


def plain(path, sweeps, rate=20_000.0, unit="mV"):
    """What pyabf writes: one channel, no command."""
    writeABF1(np.asarray(sweeps, float), str(path), rate, unit)
    return path


def whole(path, sweeps, rate=20_000.0, unit="mV", **fields):
    """The same with a header of 6144 bytes, so that it can hold a command; `fields` are (format, offset, values)."""
    plain(path, sweeps, rate, unit)
    held = path.read_bytes()
    image = bytearray(held[: 4 * BLOCK] + bytes(WHOLE - 4 * BLOCK) + held[4 * BLOCK :])
    struct.pack_into("<f", image, 4, 1.83)  # file version: extended header
    struct.pack_into("<i", image, 40, WHOLE // BLOCK)
    struct.pack_into("<i", image, 14, 0)
    struct.pack_into("<i", image, 16, len(sweeps))
    for form, at, values in fields.values():
        struct.pack_into("<" + form, image, at, *values)
    path.write_bytes(image)
    return path


def epochs(kinds, levels, increments, durations, unit=b"pA", holding=0.0):
    """The fields of a command on output 0 made of these epochs."""
    count = len(kinds)
    return {
        "on": ("h", 2296, (1,)),
        "source": ("h", 2300, (1,)),
        "kinds": (f"{count}h", 2308, kinds),
        "levels": (f"{count}f", 2348, levels),
        "increments": (f"{count}f", 2428, increments),
        "durations": (f"{count}i", 2508, durations),
        "output_unit": ("8s", 1346, (unit.ljust(8),)),
        "holding": ("f", 1394, (holding,)),
    }


def user_list(parameter, text, repeat=0):
    """The fields of a user list that changes output 0's `parameter`."""
    return {
        "list_on": ("h", 3360, (1,)),
        "list_what": ("h", 3368, (parameter,)),
        "list_values": ("256s", 3376, (text.encode(),)),
        "list_repeat": ("h", 4400, (repeat,)),
    }


def two_channels(volts, other):
    """The samples of two channels as a file holds them, one after the other, and the fields that say so."""
    sweeps = np.stack([volts, other], axis=-1).reshape(len(volts), -1)
    return sweeps, {
        "count": ("h", 120, (2,)),
        "sequence": ("16h", 410, tuple(range(16))),
        "mapping": ("16h", 378, tuple(range(16))),
    }


def units(*names):
    """The fields with the units of the first inputs."""
    return {"input_units": (f"{8 * len(names)}s", 602, (b"".join(name.encode().ljust(8) for name in names),))}
