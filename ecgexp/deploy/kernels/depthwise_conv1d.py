"""Depthwise one-dimensional convolution, time-major."""

from __future__ import annotations

from typing import Any

import numpy as np

from ecgexp.deploy.kernels import depthwise_dsp, depthwise_float_mve, depthwise_mve
from ecgexp.deploy.kernels.conv_shape import ConvShape
from ecgexp.deploy.kernels.ir import (
    Parameter,
    T,
    clamp_float,
    constant_parameters,
    f32,
    local,
    prim_func,
    store,
)
from ecgexp.deploy.kernels.kernel import Clamp, Isa, Kernel, QParams, check_isa
from ecgexp.deploy.kernels.requant import (
    folded_bias,
    int8_limits,
    multiplier,
    requantize_scalar,
)

Array = np.ndarray[Any, Any]


def build(
    *,
    isa: Isa,
    shape: ConvShape,
    weight: Array,
    bias: Array | None,
    x: QParams | None,
    w_scale: Array | None,
    y: QParams | None,
    clamp: Clamp | None,
) -> Kernel:
    """Build a convolution of each channel by itself.

    Args:
        isa: Instruction set to write for.
        shape: Geometry with `groups == c_in == c_out`.
        weight: (channel, 1, tap), int8 or float32.
        bias: (channel,), int32 or float32, or None.
        x: Quantization of the input; None for float32.
        w_scale: (channel,) float32 weight scales; None for float32.
        y: Quantization of the output; None for float32.
        clamp: Fused activation range, in int8 units or real numbers.
    """
    check_isa(isa)
    taps = np.ascontiguousarray(weight[:, 0, :].T).reshape(-1)
    if x is None or y is None or w_scale is None:
        zeros = np.zeros(shape.c_out, np.float32)
        constants: tuple[Array, ...] = (
            taps.astype(np.float32),
            zeros if bias is None else bias.astype(np.float32),
        )
        if isa == "mve":
            return depthwise_float_mve.build(shape, constants[0], constants[1], clamp)
        return _float_kernel(shape, constants, clamp)
    constants = (taps, folded_bias(weight, bias, x.zero_point), multiplier(x, w_scale, y))
    if isa == "mve" and shape.taps <= depthwise_mve.MAX_TAPS:
        limits = int8_limits(clamp)
        return depthwise_mve.build(
            shape, weight, constants[1], constants[2], x=x, y=y, limits=limits
        )
    if isa == "dsp" and depthwise_dsp.fits(shape):
        return depthwise_dsp.build(shape, constants, x=x, y=y, limits=int8_limits(clamp))
    return _int8_kernel(shape, constants, x, y, clamp)


def _int8_kernel(
    shape: ConvShape, constants: tuple[Array, ...], x: QParams, y: QParams, clamp: Clamp | None
) -> Kernel:
    """Plain loops; weights lie as (tap, channel)."""
    limits = int8_limits(clamp)

    def body(data: Any, weights: Any, biases: Any, scales: Any, out: Any) -> None:
        acc = local(1, "int32")
        with T.grid(shape.positions, shape.c_out) as (p, c):
            store(acc, 0, biases[c])
            with T.serial(shape.taps) as k:
                value = _padded_load(shape, data, p, c, k, T.int8(x.zero_point))
                tap = weights[k * shape.c_out + c]
                store(acc, 0, acc[0] + T.Cast("int32", value) * T.Cast("int32", tap))
            store(out, p * shape.c_out + c, requantize_scalar(acc[0], scales[c], y, limits))

    return _kernel("int8", shape, constants, body)


def _float_kernel(shape: ConvShape, constants: tuple[Array, ...], clamp: Clamp | None) -> Kernel:
    """Plain loops; weights lie as (tap, channel)."""

    def body(data: Any, weights: Any, biases: Any, out: Any) -> None:
        acc = local(1, "float32")
        with T.grid(shape.positions, shape.c_out) as (p, c):
            store(acc, 0, biases[c])
            with T.serial(shape.taps) as k:
                value = _padded_load(shape, data, p, c, k, f32(0.0))
                store(acc, 0, acc[0] + value * weights[k * shape.c_out + c])
            store(out, p * shape.c_out + c, clamp_float(acc[0], clamp))

    return _kernel("float32", shape, constants, body)


def _kernel(dtype: str, shape: ConvShape, constants: tuple[Array, ...], body: Any) -> Kernel:
    name = f"depthwise_{shape.kind}_{dtype}_{shape.label}"
    parameters = [
        Parameter("data", shape.size, dtype),
        *constant_parameters(constants),
        Parameter("out", shape.positions * shape.c_out, dtype),
    ]
    return Kernel(name, prim_func(name, parameters, body), constants, shape.macs)


def _padded_load(shape: ConvShape, data: Any, p: Any, c: Any, k: Any, padding: Any) -> Any:
    t, inside = shape.place(p, k)
    value = data[t * shape.c_in + c]
    return value if inside is None else T.if_then_else(inside, value, padding)
