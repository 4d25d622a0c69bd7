"""Fully connected layer."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np

from ecgexp.deploy.kernels import conv1d_dsp, conv1d_float_mve, conv1d_mve
from ecgexp.deploy.kernels.conv_shape import ConvShape
from ecgexp.deploy.kernels.ir import (
    Parameter,
    T,
    clamp_float,
    constant_parameters,
    local,
    prim_func,
    store,
)
from ecgexp.deploy.kernels.kernel import Isa, Kernel, check_isa
from ecgexp.deploy.kernels.requant import requantize_scalar
from ecgexp.deploy.kernels.weights import Weights

Array = np.ndarray[Any, Any]


def build(*, isa: Isa, weights: Weights) -> Kernel:
    """Build y = W x + b.

    Args:
        isa: Instruction set to write for.
        weights: (n_out, n_in) and the rest.

    Raises:
        BuildError: An int32 sum can overflow.
    """
    check_isa(isa)
    n_out, n_in = weights.weight.shape
    layer = replace(weights, weight=weights.weight[:, :, None]).integers()
    if layer is None:
        return _float_kernel(isa, n_in, n_out, weights)
    if isa != "generic":
        # A dense layer is a convolution of one position and one tap.
        build_conv = conv1d_mve.build if isa == "mve" else conv1d_dsp.build
        kernel = build_conv(_shape(n_in, n_out), layer)
        dtype = layer.dtype if isa == "mve" else "int8"
        return replace(kernel, name=f"dense_{dtype}_i{n_in}o{n_out}")
    constants = (np.ascontiguousarray(layer.weight).reshape(-1), layer.bias, layer.scale)
    y, limits = layer.y, layer.limits

    def body(data: Any, taps: Any, biases: Any, scales: Any, out: Any) -> None:
        acc = local(1, "int32")
        with T.serial(n_out) as o:
            store(acc, 0, biases[o])
            with T.serial(n_in) as i:
                product = T.Cast("int32", data[i]) * T.Cast("int32", taps[o * n_in + i])
                store(acc, 0, acc[0] + product)
            store(out, o, requantize_scalar(acc[0], scales[o], y, limits))

    return _kernel("int8", n_in, n_out, constants, body)


def _shape(n_in: int, n_out: int) -> ConvShape:
    return ConvShape(
        length=1, c_in=n_in, c_out=n_out, kernel=1, stride=1, dilation=1, pads=(0, 0), groups=1
    )


def _float_kernel(isa: Isa, n_in: int, n_out: int, layer: Weights) -> Kernel:
    biases = layer.float_bias
    if isa == "mve":
        taps = layer.weight[:, :, None]
        kernel = conv1d_float_mve.build(_shape(n_in, n_out), taps, biases, layer.clamp)
        return replace(kernel, name=f"dense_float32_i{n_in}o{n_out}")
    constants = (np.ascontiguousarray(layer.weight, np.float32).reshape(-1), biases)

    def body(data: Any, weights: Any, biases: Any, out: Any) -> None:
        acc = local(1, "float32")
        with T.serial(n_out) as o:
            store(acc, 0, biases[o])
            with T.serial(n_in) as i:
                store(acc, 0, acc[0] + data[i] * weights[o * n_in + i])
            store(out, o, clamp_float(acc[0], layer.clamp))

    return _kernel("float32", n_in, n_out, constants, body)


def _kernel(dtype: str, n_in: int, n_out: int, constants: tuple[Array, ...], body: Any) -> Kernel:
    name = f"dense_{dtype}_i{n_in}o{n_out}"
    parameters = [
        Parameter("data", n_in, dtype),
        *constant_parameters(constants),
        Parameter("out", n_out, dtype),
    ]
    return Kernel(name, prim_func(name, parameters, body), constants, n_in * n_out)
