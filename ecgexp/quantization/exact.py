"""Scales for which the float32 arithmetic of a QDQ network is exact.

With arbitrary scales ONNX Runtime rounds in the middle of every convolution, in an order that
depends on the machine, so that an integer kernel disagrees with it by one step wherever a sum falls
beside a tie: in one window of twenty for the HeartKit guide network. Scales of activations that are
powers of two, and scales of weights with so few significant bits that no partial sum leaves
float32's 24, take the rounding away: the graph as written, ONNX Runtime's integer kernels and the
device then compute the same bits on every machine.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import numpy_helper
from onnxruntime.quantization import QuantType

from ecgexp.quantization.graph import initializers, producers

Overrides = dict[str, list[dict[str, Any]]]

LOWEST, HIGHEST = -128, 127
CLIPPED_SHARE = 0.12
"""Part of a range that a power of two may cut off before the next larger one is taken; measured:
0.12 gives the smallest error of the logits on the guide network and on `cnn_small`."""

_FLOAT32_BITS = 24
_MOST_WEIGHT_BITS = 8
_SUFFIX = "_quantized"


@dataclass(frozen=True, slots=True)
class ExactScales:
    """What to pass to the quantizer.

    Attributes:
        overrides: Scale and zero point per activation tensor, scales per weight tensor.
        unproven: Output channels so wide that a sum might leave float32's 24 bits.
    """

    overrides: Overrides
    unproven: int


def fixed(scale: float, zero_point: int) -> dict[str, Any]:
    """Return the quantizer's way of writing one scale and zero point."""
    return {
        "scale": np.array(scale, np.float32),
        "zero_point": np.array(zero_point, np.int8),
        "quant_type": QuantType.QInt8,
    }


def exact_scales(source: onnx.ModelProto, quantized: onnx.ModelProto) -> ExactScales:
    """Choose exact scales near the ones that the quantizer chose.

    Args:
        source: The float network that was quantized, with constant weights.
        quantized: The same network in QDQ form with calibrated scales.
    """
    constants = {name: numpy_helper.to_array(value) for name, value in _both(source, quantized)}
    overrides: Overrides = {}
    steps: dict[str, float] = {}
    for node in quantized.graph.node:
        if node.op_type != "QuantizeLinear":
            continue
        _, scale_name, point_name = node.input
        step, point = _round_activation(float(constants[scale_name]), int(constants[point_name]))
        steps[scale_name] = step
        # Named after the scale: a pooling's output shares its input's, a graph's output is renamed.
        overrides[scale_name.removesuffix("_scale")] = [fixed(step, point)]
    made_by = producers(quantized)
    unproven = 0
    for node in quantized.graph.node:
        if node.op_type not in ("Conv", "Gemm", "MatMul"):
            continue
        activation, weight = made_by[node.input[0]], made_by[node.input[1]]
        if weight.op_type != "DequantizeLinear" or not weight.input[0].endswith(_SUFFIX):
            continue
        name = weight.input[0].removesuffix(_SUFFIX)
        axis = next((a.i for a in weight.attribute if a.name == "axis"), 0)
        bias = np.zeros(1)
        if len(node.input) > 2:
            bias = constants[made_by[node.input[2]].input[0].removesuffix(_SUFFIX)]
        scales, beyond = _round_weights(
            np.moveaxis(constants[name], axis, 0),
            np.atleast_1d(constants[weight.input[1]]).astype(np.float64),
            np.abs(bias) / steps[activation.input[1]],
        )
        overrides[name] = [{**fixed(scale, 0), "axis": axis} for scale in scales]
        unproven += beyond
    return ExactScales(overrides, unproven)


def _both(*models: onnx.ModelProto) -> list[tuple[str, onnx.TensorProto]]:
    return [pair for model in models for pair in initializers(model).items()]


def _round_activation(scale: float, zero_point: int) -> tuple[float, int]:
    """Return a power of two and the zero point that keeps the lower end of the range."""
    step = 2.0 ** math.ceil(math.log2(scale * (1.0 - CLIPPED_SHARE)))
    if zero_point in (LOWEST, HIGHEST):
        return step, zero_point
    low, high = (LOWEST - zero_point) * scale, (HIGHEST - zero_point) * scale
    # Where the grid is narrower than the range, both ends lose the same.
    excess = max(high - low - (HIGHEST - LOWEST) * step, 0.0)
    point = round(LOWEST - (low + excess / 2.0) / step)
    return step, min(max(point, LOWEST), HIGHEST)


def _round_weights(
    weight: NDArray[np.float32], scale: NDArray[np.float64], bias_steps: NDArray[np.float64]
) -> tuple[NDArray[np.float64], int]:
    """Round scales up to so many bits that no sum of a channel can need more than 24.

    Args:
        weight: Float weights (channel, ...).
        scale: The quantizer's scales (channel,).
        bias_steps: Absolute bias in steps of the input (channel,) or (1,).

    Returns:
        Scales (channel,), and how many channels are too wide for any scale.
    """
    flat = np.abs(weight.reshape(len(weight), -1)).astype(np.float64)
    rounding = flat.shape[1] / 2.0
    bound = (HIGHEST - LOWEST) * (flat.sum(axis=1) / scale + rounding) + bias_steps / scale + 1.0
    bits = np.floor(_FLOAT32_BITS - np.log2(bound))
    unit = 2.0 ** (np.floor(np.log2(scale)) - np.clip(bits, 1, _MOST_WEIGHT_BITS) + 1)
    return np.ceil(scale / unit) * unit, int((bits < 1).sum())
