"""Scalar functions in float32, with the arithmetic of ONNX Runtime.

An int8 value has 256 codes, so a function of one int8 tensor is a table. Its entries must be what
ONNX Runtime computes: plain arithmetic is the same in NumPy, the rest is asked of ONNX Runtime.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import onnxruntime
from numpy.typing import NDArray
from onnx import TensorProto, helper

Floats = NDArray[np.float32]

CODES = np.arange(-128, 128, dtype=np.int64)

_ONNX_OF_RELAX = {
    "sigmoid": ("Sigmoid", 13),
    "tanh": ("Tanh", 13),
    "erf": ("Erf", 13),
    "nn.leakyrelu": ("LeakyRelu", 16),
    "nn.gelu": ("Gelu", 20),
    "nn.gelu_tanh": ("Gelu", 20),
}

UNARY = frozenset({"nn.relu", "clip", *_ONNX_OF_RELAX})
BINARY: dict[str, Callable[..., Any]] = {
    "add": np.add,
    "subtract": np.subtract,
    "multiply": np.multiply,
    "divide": np.divide,
    "maximum": np.maximum,
    "minimum": np.minimum,
}


def unary(kind: str, attrs: dict[str, Any], x: Floats) -> Floats:
    """Apply a scalar function to every element.

    Args:
        kind: One of `UNARY`.
        attrs: Attributes of the Relax operator.
        x: Any shape.
    """
    if kind == "nn.relu":
        return np.maximum(x, np.float32(0))
    if kind == "clip":
        return np.clip(x, np.float32(attrs["min"]), np.float32(attrs["max"]))
    extra: dict[str, Any] = {}
    if kind == "nn.leakyrelu":
        extra["alpha"] = float(attrs["alpha"])
    if kind == "nn.gelu_tanh":
        extra["approximate"] = "tanh"
    operator, opset = _ONNX_OF_RELAX[kind]
    return _run(operator, opset, extra, x)


def binary(kind: str, a: Floats | np.float32, b: Floats | np.float32) -> Floats:
    """Apply one of `BINARY` with NumPy's broadcasting, rounding to float32 once."""
    with np.errstate(divide="ignore", invalid="ignore", over="ignore"):
        return np.asarray(BINARY[kind](a, b), np.float32)


def quantize(x: Floats, scale: float, zero_point: int) -> NDArray[np.int8]:
    """Quantize as ONNX Runtime's QuantizeLinear does.

    Args:
        x: Real numbers, any shape.
        scale: Step.
        zero_point: Code of 0.0.
    """
    with np.errstate(over="ignore"):
        steps = np.rint(np.asarray(x, np.float32) / np.float32(scale))
    return np.asarray(np.clip(steps + np.float32(zero_point), -128, 127), np.int8)


def dequantize(codes: NDArray[Any], scale: float, zero_point: int) -> Floats:
    """Dequantize as ONNX Runtime's DequantizeLinear does: float32(code - zero_point) * scale."""
    steps = (np.asarray(codes, np.int64) - zero_point).astype(np.float32)
    return steps * np.float32(scale)


def _run(operator: str, opset: int, attrs: dict[str, Any], x: Floats) -> Floats:
    graph = helper.make_graph(
        [helper.make_node(operator, ["x"], ["y"], **attrs)],
        "scalar",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, [x.size])],
        [helper.make_tensor_value_info("y", TensorProto.FLOAT, [x.size])],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", opset)], ir_version=8)
    options = onnxruntime.SessionOptions()
    options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_DISABLE_ALL
    options.intra_op_num_threads = 1
    session = onnxruntime.InferenceSession(
        model.SerializeToString(), options, providers=["CPUExecutionProvider"]
    )
    (y,) = session.run(None, {"x": x.reshape(-1)})
    return np.asarray(y, np.float32).reshape(x.shape)
