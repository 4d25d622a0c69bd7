"""Read how much code an ELF object holds, without any tool."""

from __future__ import annotations

import struct
from pathlib import Path

from ecgexp.errors import BuildError

_ALLOCATED = 0x2
_NO_BITS = 8


def code_bytes(path: Path) -> int:
    """Return the bytes of an object's sections of code and constants.

    Args:
        path: ELF32 or ELF64 file, little-endian.

    Raises:
        BuildError: It is none.
    """
    data = path.read_bytes()
    if data[:4] != b"\x7fELF" or len(data) < 52 or data[5] != 1:
        raise BuildError(f"{path} is no little-endian ELF object")
    wide = data[4] == 2
    table = struct.unpack_from("<Q" if wide else "<I", data, 40 if wide else 32)[0]
    entry, count = struct.unpack_from("<HH", data, 58 if wide else 46)
    total = 0
    for index in range(count):
        start = table + index * entry
        if wide:
            kind, flags, _, _, size = struct.unpack_from("<IQQQQ", data, start + 4)
        else:
            kind, flags, _, _, size = struct.unpack_from("<IIIII", data, start + 4)
        if flags & _ALLOCATED and kind != _NO_BITS:
            total += size
    return total
