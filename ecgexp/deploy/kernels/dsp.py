"""Instructions of the DSP extension (Cortex-M4, M7, M33 and later) as TIR expressions."""

from __future__ import annotations

from typing import Any

from ecgexp.deploy.kernels.ir import T, i32, ramp

WORD = 4


def word(buffer: Any, index: Any) -> Any:
    """Load four int8 values as one register; no alignment is needed."""
    return T.Bind(T.reinterpret("int32", buffer[ramp(index, WORD)]))


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


def multiply_low(acc: Any, a: Any, b: Any) -> Any:
    """Return acc + a.low * b.low (smlabb)."""
    return T.call_llvm_pure_intrin("int32", "llvm.arm.smlabb", a, b, acc)


def multiply_high(acc: Any, a: Any, b: Any) -> Any:
    """Return acc + a.high * b.high (smlatt)."""
    return T.call_llvm_pure_intrin("int32", "llvm.arm.smlatt", a, b, acc)
