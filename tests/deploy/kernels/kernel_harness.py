"""Compile one kernel for this machine and call it through ctypes."""

from __future__ import annotations

import ctypes
import subprocess
import tempfile
from pathlib import Path
from types import SimpleNamespace

import numpy as np

from ecgexp.deploy import lower
from ecgexp.deploy.kernels import Kernel

HOST = SimpleNamespace(cpu="host", isa="generic")


class HostKernel:
    """A compiled kernel; call it with the data inputs and the output's size and dtype."""

    def __init__(self, kernel: Kernel) -> None:
        self._kernel = kernel
        with tempfile.TemporaryDirectory() as folder:
            obj = lower.write_object({"kernel": kernel.func}, HOST, Path(folder) / "k.o")
            shared = Path(folder) / "k.so"
            subprocess.run(["gcc", "-shared", "-o", str(shared), str(obj), "-lm"], check=True)
            self._library = ctypes.CDLL(str(shared))

    def __call__(self, *inputs: np.ndarray, size: int, dtype: str) -> np.ndarray:
        guard = 64
        out = np.full(size + guard, 77, dtype)
        buffers = [_barely_aligned(a) for a in inputs]
        buffers += [np.ascontiguousarray(a) for a in self._kernel.constants]
        self._library.kernel(
            *[ctypes.c_void_p(b.ctypes.data) for b in buffers], ctypes.c_void_p(out.ctypes.data)
        )
        assert (out[size:] == 77).all(), "kernel wrote past its output"
        return out[:size]


def _barely_aligned(array: np.ndarray) -> np.ndarray:
    """Copy to an address that is a multiple of the element size but of no power of two above."""
    size = array.itemsize
    room = np.zeros(array.nbytes + 128, np.uint8)
    start = -room.ctypes.data % 64 + size
    copy = room[start : start + array.nbytes].view(array.dtype)
    copy[:] = np.ascontiguousarray(array).reshape(-1)
    return copy


def run_host(kernel: Kernel, *inputs: np.ndarray, size: int, dtype: str) -> np.ndarray:
    return HostKernel(kernel)(*inputs, size=size, dtype=dtype)
