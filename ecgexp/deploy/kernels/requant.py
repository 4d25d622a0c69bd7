"""From int32 sums to int8 values, and the constants that takes."""

from __future__ import annotations

from typing import Any

import numpy as np

from ecgexp.deploy.kernels.ir import T, f32, i32, round_half_even
from ecgexp.deploy.kernels.kernel import Clamp, QParams
from ecgexp.errors import BuildError

Array = np.ndarray[Any, Any]


def multiplier(x: QParams, w_scale: Array, y: QParams) -> Array:
    """Return float32(s_x * s_w / s_y) per output channel."""
    scale = np.float64(x.scale) * np.asarray(w_scale, np.float64) / np.float64(y.scale)
    rounded: Array = scale.astype(np.float32)
    return rounded


def folded_bias(weight: Array, bias: Array | None, zero_point: int) -> Array:
    """Fold the input's zero point into the int32 bias: b - zx * sum(w).

    Args:
        weight: (c_out, ...) int8.
        bias: (c_out,) int32 or None.
        zero_point: Of the input.

    Raises:
        BuildError: A sum can leave int32.
    """
    flat = weight.reshape(weight.shape[0], -1).astype(np.int64)
    base = np.zeros(weight.shape[0], np.int64) if bias is None else bias.astype(np.int64)
    folded = base - zero_point * flat.sum(axis=1)
    reach = np.abs(flat).sum(axis=1) * 128 + np.maximum(np.abs(base), np.abs(folded))
    if int(reach.max()) >= 2**31:
        raise BuildError(f"int32 sums can overflow: magnitude up to {int(reach.max())}")
    narrowed: Array = folded.astype(np.int32)
    return narrowed


def dequantized(q: QParams) -> Array:
    """Return the real value of each int8 value, -128 first, as (256,) float32.

    A table, not a multiplication in the loop: a compiler may fuse a product into the following sum,
    which would skip the rounding of ONNX Runtime's DequantizeLinear.
    """
    values = np.arange(-128, 128, dtype=np.int32) - q.zero_point
    table: Array = values.astype(np.float32) * np.float32(q.scale)
    return table


def int8_limits(clamp: Clamp | None) -> tuple[int, int]:
    """Return the int8 output range, narrowed by a fused activation."""
    if clamp is None:
        return -128, 127
    return max(-128, round(clamp[0])), min(127, round(clamp[1]))


def quantize_scalar(value: Any, y: QParams, limits: tuple[int, int]) -> Any:
    """Round a float32 expression in units of the output step, add the zero point, saturate.

    Clamping comes first, against whole numbers, so that the rounding trick stays in its range;
    rounding is monotone, so the order does not matter.
    """
    lo, hi = limits
    clamped = T.min(T.max(value, f32(lo - y.zero_point)), f32(hi - y.zero_point))
    return T.Cast("int8", round_half_even(clamped) + i32(y.zero_point))


def requantize_scalar(acc: Any, scale: Any, y: QParams, limits: tuple[int, int]) -> Any:
    """Turn an int32 sum into an int8 value: round(float32(acc) * scale) + zero point, saturated."""
    return quantize_scalar(T.Cast("float32", acc) * scale, y, limits)
