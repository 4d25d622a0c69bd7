"""Helium (MVE) instructions as TIR expressions."""

from __future__ import annotations

from typing import Any

from ecgexp.deploy.kernels.ir import T, i32
from ecgexp.deploy.kernels.kernel import QParams


def dot(acc: Any, a: Any, b: Any) -> Any:
    """Return acc + sum(a * b) of two int8x16 vectors (vmladava)."""
    return T.call_llvm_pure_intrin(
        "int32", "llvm.arm.mve.vmldava.v16i8", i32(0), i32(0), i32(0), acc, a, b
    )


def lanes_below(count: Any) -> Any:
    """Return a 16-lane mask of the first `count` lanes (vctp8); `count` is not negative."""
    return T.call_llvm_pure_intrin("boolx16", "llvm.arm.mve.vctp8", count)


def words_below(count: Any) -> Any:
    """Return a 4-lane mask of the first `count` lanes (vctp32); `count` is not negative."""
    return T.call_llvm_pure_intrin("boolx4", "llvm.arm.mve.vctp32", count)


def splat(value: Any, lanes: int) -> Any:
    """Return a vector with every lane equal to `value`."""
    return T.broadcast(value, lanes)


def round_to_int(value: Any) -> Any:
    """Round float32x4 to int32x4, ties to even, saturating (vcvtn)."""
    return T.call_llvm_pure_intrin("int32x4", "llvm.arm.mve.vcvtn.v4i32.v4f32", i32(0), value)


def quantize(value: Any, y: QParams, limits: tuple[int, int]) -> Any:
    """Turn float32x4 in units of the output step into int8x4.

    Limits apply before the zero point is added, where the sum cannot wrap around.
    """
    lo, hi = limits
    steps = round_to_int(value)
    steps = T.max(steps, splat(i32(lo - y.zero_point), 4))
    steps = T.min(steps, splat(i32(hi - y.zero_point), 4))
    return T.Cast("int8x4", steps + splat(i32(y.zero_point), 4))


def requantize(acc: Any, scale: Any, y: QParams, limits: tuple[int, int]) -> Any:
    """Turn int32x4 sums into int8x4 values with a float32x4 multiplier."""
    return quantize(T.Cast("float32x4", acc) * scale, y, limits)
