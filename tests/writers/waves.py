"""Igor binary waves of version 5 for tests, written by the layout of WaveMetrics' Technical Note 003."""

import struct

import numpy as np

FLOAT32, FLOAT64, INT16 = 2, 4, 0x10
TYPES = {"f4": FLOAT32, "f8": FLOAT64, "i2": INT16}


def wave(path, values, dt=5e-5, unit="mV", kind="f4", order=">"):
    """Write values (T,) or (T, columns), `dt` in seconds, into `path`; `order` is that of the bytes."""
    values = np.asarray(values)
    shape = [*values.shape, 0, 0, 0][:4]
    data = values.astype(order + kind).tobytes(order="F")
    header = struct.pack(
        order + "IIIihh6sh32siI4i4d4d4s16shh",
        *(0, 0, 0, values.size, TYPES[kind], 0, b"", 1, b"wave0", 0, 0),
        *shape,
        *(dt, 1.0, 1.0, 1.0),
        *(0.0, 0.0, 0.0, 0.0),
        *(unit.encode(), b"", 0, 0),
    )
    header = header.ljust(320, b"\0")
    sizes = [320 + len(data), 0, 0, 0, *[0] * 8, 0, 0, 0]
    head = struct.pack(order + "hh15i", 5, 0, *sizes)
    checksum = -int(np.frombuffer(head + header, order + "i2").astype(np.int64).sum()) & 0xFFFF
    head = struct.pack(order + "hH15i", 5, checksum, *sizes)
    path.write_bytes(head + header + data)
    return path
