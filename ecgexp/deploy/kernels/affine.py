"""One factor and one summand per channel of an int8 tensor: batch normalisation by itself."""

from __future__ import annotations

from typing import Any

import numpy as np

from ecgexp.deploy.kernels.ir import Parameter, T, constant_parameters, f32, i32, prim_func, store
from ecgexp.deploy.kernels.kernel import Clamp, Isa, Kernel, QParams, check_isa
from ecgexp.deploy.kernels.requant import int8_limits, quantize_scalar
from ecgexp.errors import BuildError

Array = np.ndarray[Any, Any]


def build(
    *,
    isa: Isa,
    length: int,
    factor: Array,
    summand: Array,
    x: QParams,
    y: QParams,
    clamp: Clamp | None,
) -> Kernel:
    """Build out[t, c] = quantize(dequantize(data[t, c]) * factor[c] + summand[c]).

    Args:
        isa: Instruction set to write for.
        length: Samples.
        factor: (channel,) float32.
        summand: (channel,) float32.
        x: Quantization of the input.
        y: Quantization of the output.
        clamp: Fused activation range, in int8 units.

    Raises:
        BuildError: Factors and summands are not one per channel.
    """
    check_isa(isa)
    if factor.ndim != 1 or factor.shape != summand.shape:
        raise BuildError(f"factors {factor.shape} and summands {summand.shape} must be (channel,)")
    channels = len(factor)
    constants = (factor.astype(np.float32), summand.astype(np.float32))
    limits = int8_limits(clamp)

    def body(data: Any, factors: Any, summands: Any, out: Any) -> None:
        with T.grid(length, channels) as (t, c):
            steps = T.Cast("int32", data[t * channels + c]) - i32(x.zero_point)
            value = T.Cast("float32", steps) * f32(x.scale) * factors[c] + summands[c]
            store(out, t * channels + c, quantize_scalar(value / f32(y.scale), y, limits))

    name = f"affine_int8_l{length}c{channels}"
    parameters = [
        Parameter("data", length * channels, "int8"),
        *constant_parameters(constants),
        Parameter("out", length * channels, "int8"),
    ]
    return Kernel(name, prim_func(name, parameters, body), constants, 0, in_place=True)
