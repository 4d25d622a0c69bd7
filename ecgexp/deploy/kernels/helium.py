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


def _narrow(into: Any, value: Any, wide: str, narrow: str, top: int) -> Any:
    """Saturate each lane into the lower or upper half of the same lane of `into` (vqmovn)."""
    return T.call_llvm_pure_intrin(
        narrow,
        f"llvm.arm.mve.vqmovn.{_LLVM_TYPES[narrow]}.{_LLVM_TYPES[wide]}",
        T.reinterpret(narrow, into),
        value,
        i32(0),
        i32(0),
        i32(top),
    )


def quantize_words(value: Any, y: QParams, limits: tuple[int, int]) -> Any:
    """Turn float32x4 in units of the output step into int32x4 whose low bytes are the int8."""
    lo, hi = limits
    steps = round_to_int(value)
    zero_point = splat(i32(y.zero_point), 4)
    if limits == (-128, 127):
        # The sum saturates too, so that it cannot wrap around.
        steps = T.Bind(_saturating_add(steps, zero_point, "int32x4"))
        halves = T.Bind(_narrow(steps, steps, "int32x4", "int16x8", 0))
        return T.reinterpret("int32x4", _narrow(halves, halves, "int16x8", "int8x16", 0))
    steps = T.max(steps, splat(i32(lo - y.zero_point), 4))
    steps = T.min(steps, splat(i32(hi - y.zero_point), 4))
    return steps + zero_point


def quantize(value: Any, y: QParams, limits: tuple[int, int]) -> Any:
    """Turn float32x4 in units of the output step into int8x4."""
    return T.Cast("int8x4", quantize_words(value, y, limits))


def quantize_pair(even: Any, odd: Any, y: QParams, limits: tuple[int, int]) -> Any:
    """Turn two float32x4, the even and the odd lanes of eight, into int8x8."""
    lo, hi = limits
    low, high = T.Bind(round_to_int(even)), T.Bind(round_to_int(odd))
    halves = _narrow(low, low, "int32x4", "int16x8", 0)
    halves = _narrow(halves, high, "int32x4", "int16x8", 1)
    steps = T.Bind(_saturating_add(halves, splat(T.int16(y.zero_point), 8), "int16x8"))
    if limits == (-128, 127):
        narrow = _narrow(steps, steps, "int16x8", "int8x16", 0)
        return T.Cast("int8x8", T.reinterpret("int16x8", narrow))
    steps = T.min(T.max(steps, splat(T.int16(lo), 8)), splat(T.int16(hi), 8))
    return T.Cast("int8x8", steps)


def _saturating_add(a: Any, b: Any, dtype: str) -> Any:
    return T.call_llvm_pure_intrin(dtype, f"llvm.sadd.sat.{_LLVM_TYPES[dtype]}", a, b)


def shift_narrow(into: Any, value: Any, shift: int, top: int) -> Any:
    """Shift int32x4 right and saturate into the lower or upper halves of int16x8 (vqshrn)."""
    return _shift_narrow(into, value, "int32x4", "int16x8", shift, top)


def shift_to_bytes(value: Any, shift: int) -> Any:
    """Shift int16x8 right, 1 to 8 bits, and saturate to int8x8 (vqshrn)."""
    narrow = _shift_narrow(value, value, "int16x8", "int8x16", shift, 0)
    return T.Cast("int8x8", T.reinterpret("int16x8", narrow))


def _shift_narrow(into: Any, value: Any, wide: str, narrow: str, shift: int, top: int) -> Any:
    saturating, rounding, to_unsigned, from_unsigned = i32(1), i32(0), i32(0), i32(0)
    return T.call_llvm_pure_intrin(
        narrow,
        f"llvm.arm.mve.vshrn.{_LLVM_TYPES[narrow]}.{_LLVM_TYPES[wide]}",
        T.reinterpret(narrow, into),
        value,
        i32(shift),
        *(saturating, rounding, to_unsigned, from_unsigned, i32(top)),
    )


def multiply_halves(a: Any, b: Any, top: int) -> Any:
    """Multiply the even (top 0) or odd (top 1) lanes of two int16x8 into int32x4 (vmull)."""
    return T.call_llvm_pure_intrin(
        "int32x4", "llvm.arm.mve.vmull.v4i32.v8i16", a, b, i32(0), i32(top)
    )


def multiply_add(a: Any, b: Any, c: Any) -> Any:
    """Return a * b + c of float32x4 with one rounding (vfma)."""
    return T.call_llvm_pure_intrin("float32x4", "llvm.fma.v4f32", a, b, c)


def halfwords_below(count: Any) -> Any:
    """Return an 8-lane mask of the first `count` lanes (vctp16); `count` is not negative."""
    return T.call_llvm_pure_intrin("boolx8", "llvm.arm.mve.vctp16", count)


def lookup_bytes(table: Any, index: Any) -> Any:
    """Return table[index] for uint8x16 indices held in an int8x16."""
    return T.call_llvm_pure_intrin(
        "int8x16",
        "llvm.arm.mve.vldr.gather.offset.v16i8.p0.v16i8",
        T.address_of(table[0]),
        index,
        i32(8),
        i32(0),
        i32(1),
    )


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


def widen_half(values: Any, top: int) -> Any:
    """Widen the even (top 0) or odd (top 1) lanes of int16x8 to int32x4 (vmovl)."""
    words = T.reinterpret("int32x4", values)
    if top:
        return words >> splat(i32(16), 4)
    return (words << splat(i32(16), 4)) >> splat(i32(16), 4)


def load_halfwords(buffer: Any, at: Any, width: int) -> Any:
    """Load up to eight int8 as int16x8; lanes from `width` on are zero or unread."""
    index = ramp(at, 8)
    if width == 8:
        return T.Cast("int16x8", buffer[index])
    loaded = T.masked_load("int8x8", buffer, index, halfwords_below(i32(width)))
    return T.Cast("int16x8", loaded)


def store_halfwords(buffer: Any, at: Any, values: Any, width: int) -> None:
    """Store the first `width` lanes of int8x8."""
    if width == 8:
        store(buffer, ramp(at, 8), values)
        return
    T.evaluate(T.masked_store(buffer, values, ramp(at, 8), halfwords_below(i32(width))))


def scatter_words(buffer: Any, at: Any, stride: int, values: Any) -> None:
    """Store the low byte of lane i of int32x4 at `at + i * stride`."""
    T.evaluate(
        T.call_llvm_intrin(
            "void",
            "llvm.arm.mve.vstr.scatter.offset.p0.v4i32.v4i32",
            T.address_of(buffer[at]),
            T.ramp(i32(0), i32(stride), 4),
            values,
            i32(8),
            i32(0),
        )
    )


def opaque(value: Any) -> Any:
    """Return an int32 that the compiler knows nothing about (qadd with zero, one instruction)."""
    return T.call_llvm_pure_intrin("int32", "llvm.arm.qadd", value, i32(0))


def sum_bytes(values: Any) -> Any:
    """Return the sum of int8x16 as int32 (vaddv)."""
    return T.call_llvm_pure_intrin("int32", "llvm.arm.mve.addv.v16i8", values, i32(0))


def mask_of(bits: Any) -> Any:
    """Return a 16-lane mask out of the low half of an int32 (vmsr)."""
    return T.call_llvm_pure_intrin("boolx16", "llvm.arm.mve.pred.i2v.v16i1", bits)


def sum_bytes_where(values: Any, mask: Any) -> Any:
    """Return the sum of the lanes of int8x16 that a mask chooses (vaddvt)."""
    return T.call_llvm_pure_intrin(
        "int32", "llvm.arm.mve.addv.predicated.v16i8.v16i1", values, i32(0), mask
    )
