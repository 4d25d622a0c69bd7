"""Scales for which no sum of an int8 network falls beside a rounding tie.

ONNX Runtime runs a QDQ graph in float32 and rounds in the middle of every convolution, in an order
that depends on the machine. An integer kernel then disagrees with it by one step wherever a sum
lies beside a tie: in one window of twenty for the HeartKit guide network. Here every
requantization factor (input scale x weight scale / output scale) becomes a fraction p/q with a
small odd q. Sums are integers, so results are multiples of 1/q and stay 1/(2q) away from any tie,
far more than float32 loses: the graph as written, fused integer kernels and the device give the
same bits. The scales move by 0.2 % at most, a quarter of a step of the largest weight.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import numpy_helper
from onnxruntime.quantization import QuantType

from ecgexp.quantization.graph import initializers, producers

Overrides = dict[str, list[dict[str, Any]]]

LARGEST_SHIFT = 1.0 / 512.0
LARGEST_DENOMINATOR = 2**14
"""Beside int8's 128 steps a distance of 1/(2q) needs 22 of float32's 24 bits at most."""

_WEIGHTED = ("Conv", "Gemm", "MatMul")
_MEANS = ("ReduceMean", "GlobalAveragePool")
_SUFFIX = "_quantized"


@dataclass(frozen=True, slots=True)
class TieFreeScales:
    """What to pass to the quantizer.

    Attributes:
        overrides: Scales of weights, and of the outputs of means and products.
        left: Requantization factors too small for any such fraction.
    """

    overrides: Overrides
    left: int


def fixed(scale: float, zero_point: int) -> dict[str, Any]:
    """Return the quantizer's way of writing one scale and zero point."""
    return {
        "scale": np.array(scale, np.float32),
        "zero_point": np.array(zero_point, np.int8),
        "quant_type": QuantType.QInt8,
    }


def nearest_fraction(factor: float) -> float | None:
    """Return the fraction with the smallest odd denominator within `LARGEST_SHIFT` of a factor.

    Returns:
        The fraction, or None when its denominator would be above `LARGEST_DENOMINATOR`.
    """
    denominators = np.arange(1, LARGEST_DENOMINATOR, 2)
    fractions = np.rint(factor * denominators) / denominators
    fits = np.abs(fractions - factor) <= LARGEST_SHIFT * factor
    return float(fractions[np.argmax(fits)]) if fits.any() else None


def tie_free_scales(source: onnx.ModelProto, quantized: onnx.ModelProto) -> TieFreeScales:
    """Choose tie-free scales beside the ones that the quantizer chose.

    Args:
        source: The float network that was quantized, with inferred shapes.
        quantized: The same network in QDQ form with calibrated scales.
    """
    graph = _Scales(quantized)
    lengths = _lengths(source)
    overrides: Overrides = {}
    left = 0
    for node in quantized.graph.node:
        output = graph.behind(node)
        if output is None:
            continue
        if node.op_type in _WEIGHTED and graph.is_weight(node.input[1]):
            weight = graph.made_by[node.input[1]]
            ratio = graph.step(node.input[0]) / float(graph.values[output[0]])
            scales = np.atleast_1d(graph.values[weight.input[1]]).astype(np.float64)
            chosen = [nearest_fraction(ratio * scale) for scale in scales]
            left += chosen.count(None)
            axis = next((a.i for a in weight.attribute if a.name == "axis"), 0)
            overrides[weight.input[0].removesuffix(_SUFFIX)] = [
                {**fixed(float(old) if new is None else new / ratio, 0), "axis": axis}
                for old, new in zip(scales, chosen, strict=True)
            ]
        elif node.op_type in _MEANS or node.op_type == "Mul":
            steps = [graph.step(name) for name in node.input if name in graph.made_by]
            product = float(np.prod(steps))
            if node.op_type in _MEANS:
                product /= lengths[graph.source_of(node.input[0])] / lengths[node.output[0]]
            factor = nearest_fraction(product / float(graph.values[output[0]]))
            if factor is None:
                left += 1
                continue
            graph.values[output[0]] = np.asarray(product / factor, np.float32)
            point = int(graph.values[output[1]])
            overrides[output[0].removesuffix("_scale")] = [fixed(product / factor, point)]
    return TieFreeScales(overrides, left)


def quantized_tensors(model: onnx.ModelProto) -> list[str]:
    """Return the activations with a range of their own, as the quantizer names them."""
    names = [
        node.input[1].removesuffix("_scale")
        for node in model.graph.node
        if node.op_type == "QuantizeLinear"
    ]
    return list(dict.fromkeys(names))


class _Scales:
    """Scales of a QDQ graph by the names of its tensors."""

    def __init__(self, model: onnx.ModelProto) -> None:
        self.values: dict[str, NDArray[Any]] = {
            name: numpy_helper.to_array(value) for name, value in initializers(model).items()
        }
        self.made_by = producers(model)
        self._behind = {
            node.input[0]: (node.input[1], node.input[2])
            for node in model.graph.node
            if node.op_type == "QuantizeLinear"
        }

    def behind(self, node: onnx.NodeProto) -> tuple[str, str] | None:
        """Return the names of the scale and the zero point that quantize a node's output."""
        return self._behind.get(node.output[0])

    def step(self, name: str) -> float:
        """Return the scale of a dequantized tensor."""
        return float(self.values[self.made_by[name].input[1]])

    def is_weight(self, name: str) -> bool:
        """Say whether a tensor is a dequantized constant."""
        node = self.made_by.get(name)
        return node is not None and node.input[0] in self.values

    def source_of(self, name: str) -> str:
        """Return the tensor in front of a quantize-dequantize pair."""
        quantize = self.made_by[self.made_by[name].input[0]]
        return str(quantize.input[0])


def _lengths(model: onnx.ModelProto) -> dict[str, int]:
    inferred = onnx.shape_inference.infer_shapes(model)
    graph = inferred.graph
    return {
        value.name: int(np.prod([axis.dim_value for axis in value.type.tensor_type.shape.dim]))
        for value in (*graph.input, *graph.value_info, *graph.output)
    }
