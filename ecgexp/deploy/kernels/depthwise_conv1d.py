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
from ecgexp.deploy.kernels.kernel import Isa, Kernel, check_isa
from ecgexp.deploy.kernels.requant import requantize_scalar
from ecgexp.deploy.kernels.weights import Integers, Weights, by_tap
from ecgexp.deploy.kernels.window import Window

Array = np.ndarray[Any, Any]


def build(*, isa: Isa, shape: ConvShape, weights: Weights) -> Kernel:
    """Build a convolution of each channel by itself.

    Args:
        isa: Instruction set to write for.
        shape: Geometry with `groups == c_in == c_out`.
        weights: (channel, 1, ...taps) and the rest.
    """
    check_isa(isa)
    layer = weights.integers()
    if layer is None:
        return _float_kernel(isa, shape, weights)
    pooled: Callable[[Window], Kernel | None]
    if isa == "mve" and shape.taps > depthwise_mve.MAX_TAPS:
        return depthwise_wide_mve.build(shape, layer)
    if isa == "mve":
        kernel = depthwise_mve.build(shape, layer)
        pooled = partial(depthwise_pooled_mve.build, shape, layer)
    elif isa == "dsp" and depthwise_dsp.fits(shape):
        return depthwise_dsp.build(shape, layer)
    else:
        kernel = _loops(shape, layer)
        pooled = partial(_pooled_loops, shape, layer)
    return replace(kernel, pooled=pooled) if shape.is_flat and layer.is_monotone else kernel


def _loops(shape: ConvShape, layer: Integers, window: Window | None = None) -> Kernel:
    """Plain loops, with the max pooling that follows or without one; weights as (tap, channel)."""
    constants = (by_tap(layer.weight), layer.bias, layer.scale)
    length_out = shape.positions if window is None else window.length_out

    def body(data: Any, weights: Any, biases: Any, scales: Any, out: Any) -> None:
        acc = local(1, "int32")

        def accumulate(p: Any, c: Any) -> None:
            store(acc, 0, biases[c])
            with T.serial(shape.taps) as k:
                value = _padded_load(shape, data, p, c, k, T.int8(layer.x.zero_point))
                tap = weights[k * shape.c_out + c]
                store(acc, 0, acc[0] + T.Cast("int32", value) * T.Cast("int32", tap))

        with T.grid(length_out, shape.c_out) as (p, c):
            total = acc
            if window is None:
                accumulate(p, c)
            else:
                total = window.maximum(p, lambda position: accumulate(position, c), acc)
            value = requantize_scalar(total[0], scales[c], layer.y, layer.limits)
            store(out, p * shape.c_out + c, value)

    return _kernel("int8", shape, constants, body, window)


def _pooled_loops(shape: ConvShape, layer: Integers, window: Window) -> Kernel | None:
    """Plain loops with a max pooling; None where its windows overlap."""
    if window.stride < window.kernel:
        return None
    return _loops(shape, layer, window)


def _float_kernel(isa: Isa, shape: ConvShape, layer: Weights) -> Kernel:
    """Plain loops; weights lie as (tap, channel)."""
    weight = layer.weight.reshape(shape.c_out, 1, shape.taps)
    constants = (by_tap(weight).astype(np.float32), layer.float_bias)
    if isa == "mve":
        return depthwise_float_mve.build(shape, *constants, layer.clamp)

    def body(data: Any, weights: Any, biases: Any, out: Any) -> None:
        acc = local(1, "float32")
        with T.grid(shape.positions, shape.c_out) as (p, c):
            store(acc, 0, biases[c])
            with T.serial(shape.taps) as k:
                value = _padded_load(shape, data, p, c, k, f32(0.0))
                store(acc, 0, acc[0] + value * weights[k * shape.c_out + c])
            store(out, p * shape.c_out + c, clamp_float(acc[0], layer.clamp))

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
