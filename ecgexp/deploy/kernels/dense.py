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
from ecgexp.deploy.kernels.kernel import Clamp, Isa, Kernel, QParams, check_isa
from ecgexp.deploy.kernels.requant import (
    folded_bias,
    int8_limits,
    multiplier,
    requantize_scalar,
)
from ecgexp.errors import BuildError

Array = np.ndarray[Any, Any]


def build(  # noqa: PLR0913
    *,
    isa: Isa,
    n_in: int,
    n_out: int,
    weight: Array,
    bias: Array | None,
    x: QParams | None,
    w_scale: Array | None,
    y: QParams | None,
    clamp: Clamp | None,
) -> Kernel:
    """Build y = W x + b.

    Args:
        isa: Instruction set to write for.
        n_in: Inputs.
        n_out: Outputs.
        weight: (n_out, n_in), int8 or float32.
        bias: (n_out,), int32 or float32, or None.
        x: Quantization of the input; None for float32.
        w_scale: (n_out,) float32 weight scales; None for float32.
        y: Quantization of the output; None for float32.
        clamp: Fused activation range, in int8 units or real numbers.

    Raises:
        BuildError: The shapes do not fit together or an int32 sum can overflow.
    """
    check_isa(isa)
    if weight.shape != (n_out, n_in):
        raise BuildError(f"dense weight is {weight.shape}, expected {(n_out, n_in)}")
    if x is None or y is None or w_scale is None:
        return _float_kernel(isa, n_in, n_out, weight, bias, clamp)
    constants = (
        np.ascontiguousarray(weight).reshape(-1),
        folded_bias(weight, bias, x.zero_point),
        multiplier(x, w_scale, y),
    )
    limits = int8_limits(clamp)
    if isa != "generic":
        return _as_convolution(isa, n_in, n_out, weight, constants[1:], x=x, y=y, limits=limits)

    def body(data: Any, weights: Any, biases: Any, scales: Any, out: Any) -> None:
        acc = local(1, "int32")
        with T.serial(n_out) as o:
            store(acc, 0, biases[o])
            with T.serial(n_in) as i:
                product = T.Cast("int32", data[i]) * T.Cast("int32", weights[o * n_in + i])
                store(acc, 0, acc[0] + product)
            store(out, o, requantize_scalar(acc[0], scales[o], y, limits))

    return _kernel("int8", n_in, n_out, constants, body)


def _as_convolution(
    isa: Isa,
    n_in: int,
    n_out: int,
    weight: Array,
    constants: tuple[Array, ...],
    *,
    x: QParams,
    y: QParams,
    limits: tuple[int, int],
) -> Kernel:
    """A dense layer is a convolution of one position and one tap."""
    shape = _shape(n_in, n_out)
    bias, scale = constants
    build_conv = conv1d_mve.build if isa == "mve" else conv1d_dsp.build
    kernel = build_conv(shape, weight[:, :, None], bias, scale, x=x, y=y, limits=limits)
    return replace(kernel, name=f"dense_int8_i{n_in}o{n_out}")


def _shape(n_in: int, n_out: int) -> ConvShape:
    return ConvShape(
        length=1, c_in=n_in, c_out=n_out, kernel=1, stride=1, dilation=1, pads=(0, 0), groups=1
    )


def _float_kernel(
    isa: Isa, n_in: int, n_out: int, weight: Array, bias: Array | None, clamp: Clamp | None
) -> Kernel:
    biases = np.zeros(n_out, np.float32) if bias is None else bias.astype(np.float32)
    if isa == "mve":
        kernel = conv1d_float_mve.build(_shape(n_in, n_out), weight[:, :, None], biases, clamp)
        return replace(kernel, name=f"dense_float32_i{n_in}o{n_out}")
    constants = (np.ascontiguousarray(weight, np.float32).reshape(-1), biases)

    def body(data: Any, weights: Any, biases: Any, out: Any) -> None:
        acc = local(1, "float32")
        with T.serial(n_out) as o:
            store(acc, 0, biases[o])
            with T.serial(n_in) as i:
                store(acc, 0, acc[0] + data[i] * weights[o * n_in + i])
            store(out, o, clamp_float(acc[0], clamp))

    return _kernel("float32", n_in, n_out, constants, body)


def _kernel(dtype: str, n_in: int, n_out: int, constants: tuple[Array, ...], body: Any) -> Kernel:
    name = f"dense_{dtype}_i{n_in}o{n_out}"
    parameters = [
        Parameter("data", n_in, dtype),
        *constant_parameters(constants),
        Parameter("out", n_out, dtype),
    ]
    return Kernel(name, prim_func(name, parameters, body), constants, n_in * n_out)
