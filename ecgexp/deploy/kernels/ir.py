"""Small vocabulary over TVM's IR builder, shared by the kernels."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np
from tvm.script.ir_builder import IRBuilder
from tvm.tirx.script.builder import ir as _tirx

T: Any = _tirx

# 1.5 * 2**23: a float32 sum with it has a step of exactly one.
ROUND_MAGIC = 12582912.0
ROUND_MAGIC_BITS = 0x4B400000


class Parameter(NamedTuple):
    """One flat buffer of a kernel: name, number of elements, dtype."""

    name: str
    size: int
    dtype: str


def prim_func(name: str, parameters: list[Parameter], body: Callable[..., None]) -> Any:
    """Build a PrimFunc.

    Args:
        name: Symbol of the function.
        parameters: Its buffers in order.
        body: Called once with the buffers; emits the statements.
    """
    with IRBuilder() as builder, T.prim_func(s_tir=True):
        T.func_name(name)
        T.func_attr({"global_symbol": name, "tirx.noalias": True})
        body(*[T.arg(p.name, T.buffer((p.size,), p.dtype, layout=None)) for p in parameters])
    return builder.get()


def store(buffer: Any, index: Any, value: Any) -> None:
    """Emit `buffer[index] = value`."""
    T.buffer_store(buffer, value, [index])


def ramp(base: Any, lanes: int) -> Any:
    """Return the index vector base, base + 1, ..., of `lanes` elements."""
    return T.ramp(base, 1, lanes)


def local(size: int, dtype: str) -> Any:
    """Allocate a small buffer that LLVM keeps in registers or on the stack."""
    return T.alloc_buffer((size,), dtype, scope="local", layout=None)


def f32(value: float) -> Any:
    """Return a float32 constant."""
    return T.float32(float(value))


def i32(value: int) -> Any:
    """Return an int32 constant."""
    return T.int32(int(value))


def round_half_even(value: Any) -> Any:
    """Round a float32 expression of magnitude below 2**22 to an int32, ties to even.

    The sum's low mantissa bits are the integer. Reading the bits, instead of subtracting the
    constant again, keeps TVM's simplifier from cancelling the two.
    """
    return T.reinterpret("int32", value + f32(ROUND_MAGIC)) - i32(ROUND_MAGIC_BITS)


def constant_parameters(constants: tuple[np.ndarray[Any, Any], ...]) -> list[Parameter]:
    """Describe constant arrays as parameters c0, c1, ..."""
    return [
        Parameter(f"c{index}", array.size, array.dtype.name)
        for index, array in enumerate(constants)
    ]


def clamp_float(value: Any, clamp: tuple[float, float] | None) -> Any:
    """Limit a float32 expression to a range; None or infinite ends leave it alone."""
    if clamp is None:
        return value
    lo, hi = clamp
    if np.isfinite(lo):
        value = T.max(value, f32(lo))
    return T.min(value, f32(hi)) if np.isfinite(hi) else value
