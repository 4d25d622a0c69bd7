"""The rule of every Relax operator: what it becomes on the device."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from ecgexp.deploy import scalar
from ecgexp.deploy.graph import Op
from ecgexp.deploy.kernels import QParams
from ecgexp.deploy.rewrite import rule_scalar, rule_tensor
from ecgexp.deploy.rewrite.deferred import Deferred
from ecgexp.deploy.rewrite.value import Codes, Padded, Real, Table, dequantized, quantized, raw
from ecgexp.deploy.rewrite.walk import Array, Value, Walk


def quantize(walk: Walk, op: Op, x: Value, scale: Array, zero_point: Array) -> Value:
    """Quantize a value; the network's own input is quantized by the caller."""
    qparams = _qparams(op, scale, zero_point, op.dtype)
    if isinstance(x, Deferred):
        return x.to_codes(walk.materialiser, qparams)
    if isinstance(x, Padded):
        inner = quantize(walk, op, x.inner, scale, zero_point)
        assert isinstance(inner, Codes)
        fill = scalar.quantize(np.array([x.fill], np.float32), qparams.scale, qparams.zero_point)
        return Padded(inner=inner, pads=x.pads, fill=int(fill[0]))
    if isinstance(x, Table):
        return quantized(x, qparams)
    if not isinstance(x, Real):
        raise op.fail("its input is quantized already")
    if x.buffer == walk.input and not x.formula:
        if walk.border is None:
            walk.border = walk.materialiser.output(x.buffer.elements, "int8")
            walk.border_qparams = qparams
        if walk.border_qparams == qparams:
            return raw(walk.border, x.order)
    return walk.materialiser.quantize(op, x, qparams)


def dequantize(walk: Walk, op: Op, x: Value, scale: Array, zero_point: Array) -> Value:
    """Read codes as real numbers."""
    qparams = _qparams(op, scale, zero_point, str(zero_point.dtype))
    if isinstance(x, Padded):
        inner = dequantize(walk, op, x.inner, scale, zero_point)
        assert isinstance(inner, Table)
        fill = scalar.dequantize(np.array([x.fill]), qparams.scale, qparams.zero_point)
        return Padded(inner=inner, pads=x.pads, fill=float(fill[0]))
    if not isinstance(x, Codes):
        raise op.fail("its input is not quantized")
    return dequantized(x, qparams)


def _qparams(op: Op, scale: Array, zero_point: Array, dtype: str) -> QParams:
    """Read the parameters; uint8 is int8 shifted by 128."""
    if np.size(scale) != 1 or np.size(zero_point) != 1:
        raise op.fail("an activation needs one scale, not one per channel")
    if dtype not in ("int8", "uint8"):
        raise op.fail(f"activations of type {dtype} have no kernel; supported: int8, uint8")
    shift = 128 if dtype == "uint8" else 0
    return QParams(float(np.float32(scale).reshape(())), int(np.reshape(zero_point, ())) - shift)


RULES: dict[str, Callable[..., Value]] = {
    "quantize": quantize,
    "dequantize": dequantize,
    "nn.conv1d": rule_tensor.convolution,
    "nn.conv2d": rule_tensor.convolution,
    "matmul": rule_tensor.matmul,
    **dict.fromkeys(("nn.max_pool1d", "nn.max_pool2d"), rule_tensor.max_pool),
    **dict.fromkeys(("nn.avg_pool1d", "nn.avg_pool2d"), rule_tensor.average_pool),
    "mean": rule_tensor.mean,
    "max": rule_tensor.maximum_over_time,
    **dict.fromkeys(("reshape", "squeeze", "expand_dims"), rule_tensor.change_shape),
    "permute_dims": rule_tensor.permute,
    "concat": rule_tensor.concatenate,
    "nn.softmax": rule_tensor.softmax,
    **dict.fromkeys(sorted(scalar.UNARY), rule_scalar.unary),
    **dict.fromkeys(scalar.BINARY, rule_scalar.binary),
}
