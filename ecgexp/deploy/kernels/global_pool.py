"""Pooling over all samples, time-major."""

from __future__ import annotations

from typing import Any, Literal

from ecgexp.deploy.kernels import pool_mve, proof
from ecgexp.deploy.kernels.ir import Parameter, T, f32, i32, local, prim_func, store
from ecgexp.deploy.kernels.kernel import Isa, Kernel, QParams, check_isa
from ecgexp.deploy.kernels.requant import quantize_scalar
from ecgexp.deploy.kernels.window import Window
from ecgexp.errors import BuildError

Kind = Literal["max", "avg"]


def build(
    *, isa: Isa, kind: Kind, length: int, channels: int, x: QParams | None, y: QParams | None
) -> Kernel:
    """Build a reduction of a (length, channels) buffer to (channels,).

    Args:
        isa: Instruction set to write for.
        kind: `avg` (mean) or `max`.
        length: Input samples.
        channels: Channels.
        x: Quantization of the input; None for float32.
        y: Quantization of the output; None for float32. Equal to `x` for `max`.

    Raises:
        BuildError: `max` would have to change the quantization.
    """
    check_isa(isa)
    if kind == "max" and x != y:
        raise BuildError(f"global max pooling cannot change the quantization from {x} to {y}")
    dtype = "float32" if x is None else "int8"
    vector = isa == "mve" and channels >= (4 if kind == "max" or x is None else 8)
    factor = None if x is None or y is None else proof.mean_multiplier(x, y, length)
    name = f"global_{kind}_pool_{dtype}_l{length}c{channels}"
    parameters = [
        Parameter("data", length * channels, dtype),
        Parameter("out", channels, dtype),
    ]
    window = Window(length, channels, length, 1, (0, 0))
    if kind == "max":
        whole = pool_mve.max_body(window, dtype) if vector else None
        body = whole or _max_body(length, channels, dtype)
    elif x is None or y is None:
        whole = pool_mve.float_mean_body(length, channels) if vector else None
        body = whole or _float_mean_body(length, channels)
    elif vector and factor is not None:
        body = pool_mve.mean_body(window, x, y, factor)
    else:
        body = _int8_mean_body(length, channels, x, y)
    return Kernel(name, prim_func(name, parameters, body), (), 0)


def _max_body(length: int, channels: int, dtype: str) -> Any:
    def body(data: Any, out: Any) -> None:
        best = local(1, dtype)
        with T.serial(channels) as c:
            store(best, 0, data[c])
            with T.serial(length) as t:
                store(best, 0, T.max(best[0], data[t * channels + c]))
            store(out, c, best[0])

    return body


def _float_mean_body(length: int, channels: int) -> Any:
    def body(data: Any, out: Any) -> None:
        acc = local(1, "float32")
        with T.serial(channels) as c:
            store(acc, 0, f32(0.0))
            with T.serial(length) as t:
                store(acc, 0, acc[0] + data[t * channels + c])
            store(out, c, acc[0] / f32(length))

    return body


def _int8_mean_body(length: int, channels: int, x: QParams, y: QParams) -> Any:
    """Sum as integers, then the float32 steps of dequantize, mean and quantize."""

    def body(data: Any, out: Any) -> None:
        acc = local(1, "int32")
        with T.serial(channels) as c:
            store(acc, 0, i32(-length * x.zero_point))
            with T.serial(length) as t:
                store(acc, 0, acc[0] + T.Cast("int32", data[t * channels + c]))
            mean = T.Cast("float32", acc[0]) * f32(x.scale) / f32(length)
            store(out, c, quantize_scalar(mean / f32(y.scale), y, (-128, 127)))

    return body
