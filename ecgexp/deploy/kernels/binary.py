"""Addition and multiplication of two tensors, with broadcast over time."""

from __future__ import annotations

from typing import Any, Literal

from ecgexp.deploy.kernels import binary_mve
from ecgexp.deploy.kernels.ir import (
    Parameter,
    T,
    clamp_float,
    constant_parameters,
    f32,
    prim_func,
    store,
)
from ecgexp.deploy.kernels.kernel import Clamp, Isa, Kernel, QParams, check_isa
from ecgexp.deploy.kernels.requant import dequantized, int8_limits, quantize_scalar

Op = Literal["add", "mul"]
Broadcast = Literal["none", "time", "scalar"]


def build(  # noqa: PLR0913
    *,
    isa: Isa,
    op: Op,
    length: int,
    channels: int,
    broadcast: Broadcast,
    a: QParams | None,
    b: QParams | None,
    y: QParams | None,
    clamp: Clamp | None,
) -> Kernel:
    """Build y = a op b over (length, channels) buffers.

    Args:
        isa: Instruction set to write for.
        op: `add` or `mul`.
        length: Samples.
        channels: Channels.
        broadcast: `none`: b has a's shape; `time`: b is (channels,); `scalar`: b is (1,).
        a: Quantization of the first operand; None for float32.
        b: Quantization of the second operand; None for float32.
        y: Quantization of the output; None for float32.
        clamp: Fused activation range, in int8 units or real numbers.
    """
    check_isa(isa)
    dtype = "float32" if y is None else "int8"
    size_b = {"none": length * channels, "time": channels, "scalar": 1}[broadcast]
    if isa == "mve" and a is not None and b is not None and y is not None:
        kernel = binary_mve.build(
            op, length, channels, broadcast, a=a, b=b, y=y, limits=int8_limits(clamp)
        )
        if kernel is not None:
            return kernel
    tables = () if a is None or b is None else (dequantized(a), dequantized(b))
    parameters = [
        Parameter("a", length * channels, dtype),
        Parameter("b", size_b, dtype),
        *constant_parameters(tables),
        Parameter("out", length * channels, dtype),
    ]

    def body(first: Any, second: Any, *rest: Any) -> None:
        out = rest[-1]
        with T.grid(length, channels) as (t, c):
            index = t * channels + c
            other = second[{"none": index, "time": c, "scalar": 0}[broadcast]]
            if y is None:
                result = clamp_float(_apply(op, first[index], other), clamp)
            else:
                value = _apply(op, _lookup(rest[0], first[index]), _lookup(rest[1], other))
                result = quantize_scalar(value / f32(y.scale), y, int8_limits(clamp))
            store(out, index, result)

    name = f"{op}_{dtype}_{broadcast}_l{length}c{channels}"
    return Kernel(name, prim_func(name, parameters, body), tables, 0, in_place=True)


def _apply(op: Op, first: Any, second: Any) -> Any:
    return first + second if op == "add" else first * second


def _lookup(table: Any, value: Any) -> Any:
    return table[T.Cast("int32", value) + 128]
