"""Dense and grouped one-dimensional convolution, time-major."""

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
from ecgexp.deploy.kernels.kernel import Clamp, Isa, Kernel, QParams, check_isa
from ecgexp.deploy.kernels.requant import (
    folded_bias,
    int8_limits,
    multiplier,
    requantize_scalar,
)
from ecgexp.deploy.kernels.window import Window
from ecgexp.errors import BuildError

Array = np.ndarray[Any, Any]


def build(  # noqa: PLR0913
    *,
    isa: Isa,
    length: int,
    c_in: int,
    c_out: int,
    kernel: int,
    stride: int,
    dilation: int,
    pads: tuple[int, int],
    groups: int,
    weight: Array,
    bias: Array | None,
    x: QParams | None,
    w_scale: Array | None,
    y: QParams | None,
    clamp: Clamp | None,
) -> Kernel:
    """Build a convolution over a (length, c_in) buffer into a (length_out, c_out) buffer.

    Args:
        isa: Instruction set to write for.
        length: Input samples.
        c_in: Input channels.
        c_out: Output channels.
        kernel: Taps.
        stride: Samples between outputs.
        dilation: Samples between taps.
        pads: Padding on the left and right, in samples; the padded value is real 0.
        groups: Channel groups; `groups == c_in == c_out` is a depthwise convolution.
        weight: (c_out, c_in / groups, kernel), int8 or float32.
        bias: (c_out,), int32 or float32, or None.
        x: Quantization of the input; None for float32.
        w_scale: (c_out,) float32 weight scales; None for float32.
        y: Quantization of the output; None for float32.
        clamp: Fused activation range, in int8 units or real numbers.

    Raises:
        BuildError: The shapes do not fit together or an int32 sum can overflow.
    """
    shape = ConvShape(
        length=length,
        c_in=c_in,
        c_out=c_out,
        kernel=kernel,
        stride=stride,
        dilation=dilation,
        pads=pads,
        groups=groups,
    )
    return build_shape(
        isa=isa, shape=shape, weight=weight, bias=bias, x=x, w_scale=w_scale, y=y, clamp=clamp
    )


def build_shape(
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
    """Build a convolution of one or two dimensions; arguments as for `build`.

    The weights are (c_out, c_in / groups, taps), the taps of a window row by row.

    Raises:
        BuildError: The weights have another shape or an int32 sum can overflow.
    """
    check_isa(isa)
    expected = (shape.c_out, shape.group_in, shape.taps)
    if weight.shape != expected:
        raise BuildError(f"convolution weight is {weight.shape}, expected {expected}")
    if shape.groups == shape.c_in == shape.c_out and shape.c_in > 1:
        return depthwise_conv1d.build(
            isa=isa,
            shape=shape,
            weight=weight,
            bias=bias,
            x=x,
            w_scale=w_scale,
            y=y,
            clamp=clamp,
        )
    if x is None or y is None or w_scale is None:
        return _float_kernel(isa, shape, weight, bias, clamp)
    if isa == "dsp" and conv1d_dsp.fits(shape):
        sums = (folded_bias(weight, bias, x.zero_point), multiplier(x, w_scale, y))
        return conv1d_dsp.build(shape, weight, *sums, x=x, y=y, limits=int8_limits(clamp))
    return _int8_kernel(isa, shape, weight, bias, x=x, w_scale=w_scale, y=y, clamp=clamp)


def _int8_kernel(
    isa: Isa,
    shape: ConvShape,
    weight: Array,
    bias: Array | None,
    *,
    x: QParams,
    w_scale: Array,
    y: QParams,
    clamp: Clamp | None,
) -> Kernel:
    """Plain loops; weights lie as (c_out, tap, c_in / groups)."""
    constants = (
        np.ascontiguousarray(weight.transpose(0, 2, 1)).reshape(-1),
        folded_bias(weight, bias, x.zero_point),
        multiplier(x, w_scale, y),
    )
    limits = int8_limits(clamp)
    pooled: Callable[[Window], Kernel | None]
    if isa == "mve":
        arguments = (shape, weight, constants[1], constants[2])
        build_conv = conv1d_mve.build if shape.is_flat else conv2d_mve.build
        kernel = build_conv(*arguments, x=x, y=y, limits=limits)
        pooled = partial(conv1d_pooled_mve.build, *arguments, x=x, y=y, limits=limits)
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
    """Plain loops, with the max pooling that follows or without one."""

    def body(data: Any, weights: Any, biases: Any, scales: Any, out: Any) -> None:
        acc = local(1, "int32")

        def accumulate(p: Any, c: Any) -> None:
            store(acc, 0, biases[c])
            with T.grid(shape.taps, shape.group_in) as (k, i):
                value = _padded_load(shape, data, p, c, k, i, T.int8(x.zero_point))
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
            store(out, p * shape.c_out + c, requantize_scalar(total[0], scales[c], y, limits))

    name = f"{shape.kind}_int8_{shape.label}" + ("" if window is None else f"_max{window.kernel}")
    length = shape.positions if window is None else window.length_out
    return Kernel(name, _func(name, shape, "int8", constants, body, length), constants, shape.macs)


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


def _float_kernel(
    isa: Isa, shape: ConvShape, weight: Array, bias: Array | None, clamp: Clamp | None
) -> Kernel:
    """Plain loops; weights lie as (c_out, tap, c_in / groups)."""
    biases = np.zeros(shape.c_out, np.float32) if bias is None else bias.astype(np.float32)
    if isa == "mve":
        return conv1d_float_mve.build(shape, weight, biases, clamp)
    constants = (
        np.ascontiguousarray(weight.transpose(0, 2, 1), np.float32).reshape(-1),
        biases,
    )

    def body(data: Any, weights: Any, biases: Any, out: Any) -> None:
        acc = local(1, "float32")
        with T.grid(shape.positions, shape.c_out) as (p, c):
            store(acc, 0, biases[c])
            with T.grid(shape.taps, shape.group_in) as (k, i):
                value = _padded_load(shape, data, p, c, k, i, f32(0.0))
                tap = weights[(c * shape.taps + k) * shape.group_in + i]
                store(acc, 0, acc[0] + value * tap)
            store(out, p * shape.c_out + c, clamp_float(acc[0], clamp))

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
