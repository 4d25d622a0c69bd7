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
        buffers = [np.ascontiguousarray(a).reshape(-1) for a in inputs]
        buffers += [np.ascontiguousarray(a) for a in self._kernel.constants]
        self._library.kernel(
            *[ctypes.c_void_p(b.ctypes.data) for b in buffers], ctypes.c_void_p(out.ctypes.data)
        )
        assert (out[size:] == 77).all(), "kernel wrote past its output"
        return out[:size]


def run_host(kernel: Kernel, *inputs: np.ndarray, size: int, dtype: str) -> np.ndarray:
    return HostKernel(kernel)(*inputs, size=size, dtype=dtype)
