"""Depthwise one-dimensional convolution, time-major."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from functools import partial
from typing import Any

import numpy as np

from ecgexp.deploy.kernels import (
    depthwise_dsp,
    depthwise_float_mve,
    depthwise_mve,
    depthwise_pooled_mve,
    depthwise_wide_mve,
)
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
from ecgexp.deploy.kernels.window import Window

Array = np.ndarray[Any, Any]
_Pooled = Callable[[Window], Kernel | None]


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
    limits = int8_limits(clamp)
    if isa == "mve" and shape.taps > depthwise_mve.MAX_TAPS:
        sums = (folded_bias(weight, bias, 0), constants[2])
        return depthwise_wide_mve.build(shape, taps, *sums, x=x, y=y, limits=limits)
    if isa == "mve":
        arguments = (shape, weight, constants[1], constants[2])
        kernel = depthwise_mve.build(*arguments, x=x, y=y, limits=limits)
        pooled: _Pooled = partial(depthwise_pooled_mve.build, *arguments, x=x, y=y, limits=limits)
    elif isa == "dsp" and depthwise_dsp.fits(shape):
        return depthwise_dsp.build(shape, constants, x=x, y=y, limits=limits)
    else:
        kernel = _loops(shape, constants, x, y, limits)
        pooled = partial(_pooled_loops, shape, constants, x, y, limits)
    # A step below zero would turn maxima into minima.
    poolable = shape.is_flat and bool(np.all(constants[2] >= 0))
    return replace(kernel, pooled=pooled) if poolable else kernel


def _loops(
    shape: ConvShape,
    constants: tuple[Array, ...],
    x: QParams,
    y: QParams,
    limits: tuple[int, int],
    window: Window | None = None,
) -> Kernel:
    """Plain loops, with the max pooling that follows or without one; weights as (tap, channel)."""
    length_out = shape.positions if window is None else window.length_out

    def body(data: Any, weights: Any, biases: Any, scales: Any, out: Any) -> None:
        acc = local(1, "int32")

        def accumulate(p: Any, c: Any) -> None:
            store(acc, 0, biases[c])
            with T.serial(shape.taps) as k:
                value = _padded_load(shape, data, p, c, k, T.int8(x.zero_point))
                tap = weights[k * shape.c_out + c]
                store(acc, 0, acc[0] + T.Cast("int32", value) * T.Cast("int32", tap))

        with T.grid(length_out, shape.c_out) as (p, c):
            total = acc
            if window is None:
                accumulate(p, c)
            else:
                total = window.maximum(p, lambda position: accumulate(position, c), acc)
            store(out, p * shape.c_out + c, requantize_scalar(total[0], scales[c], y, limits))

    return _kernel("int8", shape, constants, body, window)


def _pooled_loops(
    shape: ConvShape,
    constants: tuple[Array, ...],
    x: QParams,
    y: QParams,
    limits: tuple[int, int],
    window: Window,
) -> Kernel | None:
    """Plain loops with a max pooling; None where its windows overlap."""
    if window.stride < window.kernel:
        return None
    return _loops(shape, constants, x, y, limits, window)


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


def _kernel(
    dtype: str,
    shape: ConvShape,
    constants: tuple[Array, ...],
    body: Any,
    window: Window | None = None,
) -> Kernel:
    name = f"depthwise_{shape.kind}_{dtype}_{shape.label}"
    name += "" if window is None else f"_max{window.kernel}"
    length_out = shape.positions if window is None else window.length_out
    parameters = [
        Parameter("data", shape.size, dtype),
        *constant_parameters(constants),
        Parameter("out", length_out * shape.c_out, dtype),
    ]
    return Kernel(name, prim_func(name, parameters, body), constants, shape.macs)


def _padded_load(shape: ConvShape, data: Any, p: Any, c: Any, k: Any, padding: Any) -> Any:
    t, inside = shape.place(p, k)
    value = data[t * shape.c_in + c]
    return value if inside is None else T.if_then_else(inside, value, padding)
