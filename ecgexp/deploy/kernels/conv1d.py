"""Dense and grouped convolution over samples or over rows of samples, time-major."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from functools import partial
from typing import Any

import numpy as np

from ecgexp.deploy.kernels import (
    conv1d_dsp,
    conv1d_float_mve,
    conv1d_mve,
    conv1d_pooled_mve,
    conv2d_mve,
    depthwise_conv1d,
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
from ecgexp.deploy.kernels.weights import Integers, Weights, require_shape
from ecgexp.deploy.kernels.window import Window

Array = np.ndarray[Any, Any]


def build(*, isa: Isa, shape: ConvShape, weights: Weights) -> Kernel:
    """Build a convolution of one or two dimensions.

    Args:
        isa: Instruction set to write for.
        shape: Geometry; `groups == c_in == c_out` is a depthwise convolution. The padded value is
            real 0.
        weights: (c_out, c_in / groups, ...taps) and the rest.

    Raises:
        BuildError: The weights have another shape or an int32 sum can overflow.
    """
    check_isa(isa)
    shape = shape.flattened()
    require_shape(weights, (shape.c_out, shape.group_in, shape.taps))
    if shape.groups == shape.c_in == shape.c_out and shape.c_in > 1:
        return depthwise_conv1d.build(isa=isa, shape=shape, weights=weights)
    layer = weights.integers()
    if layer is None:
        return _float_kernel(isa, shape, weights)
    if isa == "dsp" and conv1d_dsp.fits(shape):
        return conv1d_dsp.build(shape, layer)
    return _int8_kernel(isa, shape, layer)


def _int8_kernel(isa: Isa, shape: ConvShape, layer: Integers) -> Kernel:
    pooled: Callable[[Window], Kernel | None]
    if isa == "mve":
        build_conv = conv1d_mve.build if shape.is_flat else conv2d_mve.build
        kernel = build_conv(shape, layer)
        pooled = partial(conv1d_pooled_mve.build, shape, layer)
    else:
        kernel = _loops(shape, layer)
        pooled = partial(_pooled_loops, shape, layer)
    return replace(kernel, pooled=pooled) if shape.is_flat and layer.is_monotone else kernel


def _loops(shape: ConvShape, layer: Integers, window: Window | None = None) -> Kernel:
    """Plain loops, with the max pooling that follows or without one."""
    weight = np.ascontiguousarray(layer.weight.transpose(0, 2, 1)).reshape(-1)
    constants = (weight, layer.bias, layer.scale)

    def body(data: Any, weights: Any, biases: Any, scales: Any, out: Any) -> None:
        acc = local(1, "int32")

        def accumulate(p: Any, c: Any) -> None:
            store(acc, 0, biases[c])
            with T.grid(shape.taps, shape.group_in) as (k, i):
                value = _padded_load(shape, data, p, c, k, i, T.int8(layer.x.zero_point))
                tap = weights[(c * shape.taps + k) * shape.group_in + i]
                store(acc, 0, acc[0] + T.Cast("int32", value) * T.Cast("int32", tap))

        with T.grid(shape.positions if window is None else window.length_out, shape.c_out) as (
            p,
            c,
        ):
            total = acc
            if window is None:
                accumulate(p, c)
            else:
                total = window.maximum(p, lambda position: accumulate(position, c), acc)
            value = requantize_scalar(total[0], scales[c], layer.y, layer.limits)
            store(out, p * shape.c_out + c, value)

    name = f"{shape.kind}_int8_{shape.label}" + ("" if window is None else f"_max{window.kernel}")
    length = shape.positions if window is None else window.length_out
    return Kernel(name, _func(name, shape, "int8", constants, body, length), constants, shape.macs)


def _pooled_loops(shape: ConvShape, layer: Integers, window: Window) -> Kernel | None:
    """Plain loops with a max pooling; None where its windows overlap."""
    if window.stride < window.kernel:
        return None
    return _loops(shape, layer, window)


def _float_kernel(isa: Isa, shape: ConvShape, layer: Weights) -> Kernel:
    """Plain loops; weights lie as (c_out, tap, c_in / groups)."""
    weight = layer.weight.reshape(shape.c_out, shape.group_in, shape.taps)
    if isa == "mve":
        return conv1d_float_mve.build(shape, weight, layer.float_bias, layer.clamp)
    constants = (
        np.ascontiguousarray(weight.transpose(0, 2, 1), np.float32).reshape(-1),
        layer.float_bias,
    )

    def body(data: Any, weights: Any, biases: Any, out: Any) -> None:
        acc = local(1, "float32")
        with T.grid(shape.positions, shape.c_out) as (p, c):
            store(acc, 0, biases[c])
            with T.grid(shape.taps, shape.group_in) as (k, i):
                value = _padded_load(shape, data, p, c, k, i, f32(0.0))
                tap = weights[(c * shape.taps + k) * shape.group_in + i]
                store(acc, 0, acc[0] + value * tap)
            store(out, p * shape.c_out + c, clamp_float(acc[0], layer.clamp))

    name = f"{shape.kind}_float32_{shape.label}"
    return Kernel(name, _func(name, shape, "float32", constants, body), constants, shape.macs)


def _func(
    name: str,
    shape: ConvShape,
    dtype: str,
    constants: tuple[Array, ...],
    body: Any,
    length_out: int | None = None,
) -> Any:
    parameters = [
        Parameter("data", shape.size, dtype),
        *constant_parameters(constants),
        Parameter("out", (length_out or shape.positions) * shape.c_out, dtype),
    ]
    return prim_func(name, parameters, body)


def _padded_load(shape: ConvShape, data: Any, p: Any, c: Any, k: Any, i: Any, padding: Any) -> Any:
    """Load input channel i of output channel c's group at tap k of position p."""
    t, inside = shape.place(p, k)
    channel = T.floordiv(c, shape.group_out) * shape.group_in + i
    value = data[t * shape.c_in + channel]
    return value if inside is None else T.if_then_else(inside, value, padding)
