"""Look at what a quantizer left: operators in float and rectifiers that vanished wrongly."""

from __future__ import annotations

import onnx
from onnx import numpy_helper

from ecgexp.quantization.graph import initializers, producers
from ecgexp.quantization.tie_free import Overrides, fixed

KEPT_FLOAT = frozenset({"Softmax"})
"""Operators that stay in float on purpose: a softmax at the end gains nothing from int8."""

_BORDER = frozenset({"QuantizeLinear", "DequantizeLinear"})
_LOWEST = -128
_SILENT_STEP = 2.0**-7


def float_operators(model: onnx.ModelProto) -> list[str]:
    """Name the operators that read or write an activation outside int8.

    Args:
        model: A network in QDQ form.

    Returns:
        `operator (node)` of each, softmax excepted.
    """
    made_by = producers(model)
    constants = initializers(model)
    read_by: dict[str, set[str]] = {}
    for node in model.graph.node:
        for name in node.input:
            read_by.setdefault(name, set()).add(node.op_type)
    left: list[str] = []
    for node in model.graph.node:
        if node.op_type in KEPT_FLOAT | _BORDER:
            continue
        inputs = [name for name in node.input if name and name not in constants]
        sources = {made_by[name].op_type if name in made_by else "input" for name in inputs}
        targets = {user for name in node.output for user in read_by.get(name, {"output"})}
        if sources != {"DequantizeLinear"} or targets != {"QuantizeLinear"}:
            left.append(f"{node.op_type} ({node.name})")
    return left


def silent_rectifiers(source: onnx.ModelProto, quantized: onnx.ModelProto) -> Overrides:
    """Find removed rectifiers whose output was zero throughout the calibration.

    The quantizer drops a Relu because the grid of its output starts at zero. For an output that
    is always zero it chooses scale 1 and zero point 0, and negative values would pass.

    Args:
        source: The float network.
        quantized: The same network in QDQ form.

    Returns:
        For each such tensor a scale and a zero point that let nothing negative through.
    """
    kept = {node.output[0] for node in quantized.graph.node if node.op_type in ("Relu", "Clip")}
    constants = initializers(quantized)
    points = {
        node.input[0]: int(numpy_helper.to_array(constants[node.input[2]]))
        for node in quantized.graph.node
        if node.op_type == "QuantizeLinear"
    }
    bounds = initializers(source)
    return {
        node.output[0]: [fixed(_SILENT_STEP, _LOWEST)]
        for node in source.graph.node
        if node.op_type in ("Relu", "Clip")
        and node.output[0] not in kept
        and _lower_bound(node, bounds) == 0.0
        and points.get(node.output[0], _LOWEST) != _LOWEST
    }


def _lower_bound(node: onnx.NodeProto, constants: dict[str, onnx.TensorProto]) -> float | None:
    if node.op_type == "Relu":
        return 0.0
    if len(node.input) > 1 and node.input[1] in constants:
        return float(numpy_helper.to_array(constants[node.input[1]]))
    return None
