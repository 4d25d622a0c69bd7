"""Instructions of the DSP extension (Cortex-M4, M7, M33 and later) as TIR expressions."""

from __future__ import annotations

from typing import Any

from ecgexp.deploy.kernels.ir import T, i32, ramp
from ecgexp.deploy.kernels.kernel import QParams

WORD = 4


def load_word(buffer: Any, index: Any) -> Any:
    """Return four int8 values as one register; no alignment is needed."""
    return T.reinterpret("int32", buffer[ramp(index, WORD)])


def load_half(buffer: Any, index: Any) -> Any:
    """Return two int8 values in the lower half of a register."""
    return T.Cast("int32", T.reinterpret("int16", buffer[ramp(index, 2)]))


def join_halves(low: Any, high: Any) -> Any:
    """Return the lower halves of two registers as one (pkhbt)."""
    return T.Bind((low & i32(0xFFFF)) | (high << i32(16)))


def word(buffer: Any, index: Any) -> Any:
    """Load four int8 values as one register, here and not where it is used."""
    return T.Bind(load_word(buffer, index))


def even_bytes(value: Any) -> Any:
    """Widen bytes 0 and 2 to a pair of int16 (sxtb16)."""
    return T.Bind(T.call_llvm_pure_intrin("int32", "llvm.arm.sxtb16", value))


def odd_bytes(value: Any) -> Any:
    """Widen bytes 1 and 3 to a pair of int16 (sxtb16 with rotation)."""
    turned = T.call_llvm_pure_intrin("int32", "llvm.fshr.i32", value, value, i32(8))
    return T.Bind(T.call_llvm_pure_intrin("int32", "llvm.arm.sxtb16", turned))


def dot_pairs(acc: Any, a: Any, b: Any) -> Any:
    """Return acc + a.low * b.low + a.high * b.high (smlad)."""
    return T.call_llvm_pure_intrin("int32", "llvm.arm.smlad", a, b, acc)


def requantize(acc: Any, scale: Any, y: QParams, limits: tuple[int, int]) -> Any:
    """Turn an int32 sum into an int8 value: round(float32(acc) * scale) + zero point, saturated.

    The conversion rounds ties to even, the floating-point unit's mode after reset (vcvtr).
    """
    real = T.call_llvm_pure_intrin("float32", "llvm.arm.vcvtr.f32", T.Cast("float32", acc) * scale)
    steps = T.reinterpret("int32", real)
    if y.zero_point:
        steps = T.call_llvm_pure_intrin("int32", "llvm.arm.qadd", steps, i32(y.zero_point))
    code = T.call_llvm_pure_intrin("int32", "llvm.arm.ssat", steps, i32(8))
    lo, hi = limits
    if lo > -128:
        code = T.max(code, i32(lo))
    if hi < 127:
        code = T.min(code, i32(hi))
    return T.Cast("int8", code)
