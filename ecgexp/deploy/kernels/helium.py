"""Helium (MVE) instructions as TIR expressions."""

from __future__ import annotations

from typing import Any

from ecgexp.deploy.kernels.ir import T, i32, local, ramp, store
from ecgexp.deploy.kernels.kernel import QParams

_LLVM_TYPES = {"int32x4": "v4i32", "int16x8": "v8i16", "int8x16": "v16i8"}


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


def _narrow(value: Any, wide: str, narrow: str) -> Any:
    """Saturate each lane into the lower half of itself (vqmovnb); upper halves keep garbage."""
    return T.call_llvm_pure_intrin(
        narrow,
        f"llvm.arm.mve.vqmovn.{_LLVM_TYPES[narrow]}.{_LLVM_TYPES[wide]}",
        T.reinterpret(narrow, value),
        value,
        i32(0),
        i32(0),
        i32(0),
    )


def saturate_to_int8(steps: Any) -> Any:
    """Saturate int32x4 to int8x4."""
    halves = _narrow(steps, "int32x4", "int16x8")
    return T.Cast("int8x4", T.reinterpret("int32x4", _narrow(halves, "int16x8", "int8x16")))


def quantize(value: Any, y: QParams, limits: tuple[int, int]) -> Any:
    """Turn float32x4 in units of the output step into int8x4."""
    lo, hi = limits
    steps = round_to_int(value)
    zero_point = splat(i32(y.zero_point), 4)
    if limits == (-128, 127):
        # The sum saturates too, so that it cannot wrap around.
        shifted = T.call_llvm_pure_intrin("int32x4", "llvm.sadd.sat.v4i32", steps, zero_point)
        return saturate_to_int8(shifted)
    steps = T.max(steps, splat(i32(lo - y.zero_point), 4))
    steps = T.min(steps, splat(i32(hi - y.zero_point), 4))
    return T.Cast("int8x4", steps + zero_point)


def requantize(acc: Any, scale: Any, y: QParams, limits: tuple[int, int]) -> Any:
    """Turn int32x4 sums into int8x4 values with a float32x4 multiplier."""
    return quantize(T.Cast("float32x4", acc) * scale, y, limits)


def store_lanes(buffer: Any, at: Any, values: Any, width: int) -> None:
    """Store the first `width` lanes of int8x4."""
    if width == 4:
        store(buffer, ramp(at, 4), values)
        return
    lanes = local(4, "int8")
    store(lanes, ramp(0, 4), values)
    for lane in range(width):
        store(buffer, at + lane, lanes[lane])


def scatter_bytes(buffer: Any, at: Any, stride: int, values: Any) -> None:
    """Store lane i of int8x16 at `at + i * stride`; the last lane at most 255 bytes away."""
    offsets = T.Cast("int8x16", T.ramp(i32(0), i32(stride), 16))
    T.evaluate(
        T.call_llvm_intrin(
            "void",
            "llvm.arm.mve.vstr.scatter.offset.p0.v16i8.v16i8",
            T.address_of(buffer[at]),
            offsets,
            values,
            i32(8),
            i32(0),
        )
    )
