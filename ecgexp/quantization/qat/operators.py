"""The float operators of a QDQ graph in torch, for any batch size."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
import onnx
import torch
from numpy.typing import NDArray
from onnx import helper
from torch import Tensor
from torch.nn import functional

from ecgexp.errors import ExportError

Compute = Callable[..., Tensor]
Constants = Mapping[str, NDArray[Any]]


def compile_node(node: onnx.NodeProto, constants: Constants) -> Compute:
    """Return a function of the node's tensor inputs; shapes and axes are read here, once.

    Args:
        node: Any node but a quantization.
        constants: Values of the graph's constants.

    Raises:
        ExportError: The operator, or the way it is used, is not known here.
    """
    attributes = {a.name: helper.get_attribute_value(a) for a in node.attribute}
    maker = _MAKERS.get(node.op_type)
    if maker is None:
        raise ExportError(
            f"{node.name}: training with quantization does not know {node.op_type}; use "
            "quantization=ptq_int8 for this architecture"
        )
    return maker(node, attributes, constants)


def _sides(node: onnx.NodeProto, pads: list[int]) -> list[int]:
    """Turn ONNX's [all begins, all ends] into torch's pairs from the last axis backwards."""
    n = len(pads) // 2
    if min(pads) < 0:
        raise ExportError(f"{node.name}: padding {pads} cuts; it cannot be trained")
    return [side for axis in reversed(range(n)) for side in (pads[axis], pads[n + axis])]


def _spatial(values: dict[str, Any], n: int) -> dict[str, list[int]]:
    return {
        "strides": list(values.get("strides", [1] * n)),
        "dilations": list(values.get("dilations", [1] * n)),
        "pads": list(values.get("pads", [0] * 2 * n)),
    }


def _conv(node: onnx.NodeProto, values: dict[str, Any], _: Constants) -> Compute:
    n = len(values["kernel_shape"])
    place = _spatial(values, n)
    sides = _sides(node, place["pads"])
    convolve: Any = functional.conv1d if n == 1 else functional.conv2d

    def compute(x: Tensor, weight: Tensor, bias: Tensor | None = None) -> Tensor:
        padded = functional.pad(x, sides) if any(sides) else x
        result: Tensor = convolve(
            padded, weight, bias, place["strides"], 0, place["dilations"], values.get("group", 1)
        )
        return result

    return compute


def _gemm(node: onnx.NodeProto, values: dict[str, Any], _: Constants) -> Compute:
    if values.get("transA", 0) or values.get("alpha", 1.0) != 1.0 or values.get("beta", 1.0) != 1.0:
        raise ExportError(f"{node.name}: a Gemm with transA, alpha or beta cannot be trained")
    transposed = bool(values.get("transB", 0))

    def compute(x: Tensor, weight: Tensor, bias: Tensor | None = None) -> Tensor:
        return functional.linear(x, weight if transposed else weight.T, bias)

    return compute


def _max_pool(node: onnx.NodeProto, values: dict[str, Any], _: Constants) -> Compute:
    kernel = list(values["kernel_shape"])
    place = _spatial(values, len(kernel))
    sides = _sides(node, place["pads"])
    ceil = bool(values.get("ceil_mode", 0))
    pool: Any = functional.max_pool1d if len(kernel) == 1 else functional.max_pool2d

    def compute(x: Tensor) -> Tensor:
        padded = functional.pad(x, sides, value=-torch.inf) if any(sides) else x
        result: Tensor = pool(
            padded, kernel, place["strides"], 0, place["dilations"], ceil_mode=ceil
        )
        return result

    return compute


def _average_pool(node: onnx.NodeProto, values: dict[str, Any], _: Constants) -> Compute:
    kernel = list(values["kernel_shape"])
    place = _spatial(values, len(kernel))
    n = len(kernel)
    begins, ends = place["pads"][:n], place["pads"][n:]
    if begins != ends or values.get("ceil_mode", 0):
        raise ExportError(f"{node.name}: an average pool with uneven padding cannot be trained")
    inside = bool(values.get("count_include_pad", 0))
    pool: Any = functional.avg_pool1d if n == 1 else functional.avg_pool2d
    return lambda x: pool(x, kernel, place["strides"], begins, count_include_pad=inside)


def _reduce(kind: str) -> Callable[..., Compute]:
    def make(node: onnx.NodeProto, values: dict[str, Any], constants: Constants) -> Compute:
        axes = values.get("axes")
        if axes is None:
            axes = constants[node.input[1]].tolist()
        keep = bool(values.get("keepdims", 1))
        if kind == "mean":
            return lambda x, *_: x.mean(tuple(axes), keepdim=keep)
        return lambda x, *_: x.amax(tuple(axes), keepdim=keep)

    return make


def _reshape(node: onnx.NodeProto, _: dict[str, Any], constants: Constants) -> Compute:
    shape = [int(size) for size in constants[node.input[1]]]
    # The graph is of batch 1; training is not.
    return lambda x, *_: x.reshape(x.shape[0], *shape[1:])


def _pad(node: onnx.NodeProto, values: dict[str, Any], constants: Constants) -> Compute:
    if values.get("mode", b"constant") != b"constant" or len(node.input) > 3:
        raise ExportError(f"{node.name}: only constant padding of all axes can be trained")
    sides = _sides(node, constants[node.input[1]].tolist())
    value = float(constants[node.input[2]]) if len(node.input) > 2 and node.input[2] else 0.0
    return lambda x, *_: functional.pad(x, sides, value=value)


def _clip(node: onnx.NodeProto, _: dict[str, Any], constants: Constants) -> Compute:
    bounds = [
        float(constants[node.input[i]]) if len(node.input) > i and node.input[i] else None
        for i in (1, 2)
    ]
    return lambda x, *_: x.clamp(bounds[0], bounds[1])


def _slice(node: onnx.NodeProto, _: dict[str, Any], constants: Constants) -> Compute:
    starts, ends, axes = (constants[name].tolist() for name in node.input[1:4])
    steps = constants[node.input[4]].tolist() if len(node.input) > 4 else [1] * len(axes)

    def compute(x: Tensor, *_: Tensor) -> Tensor:
        index: list[slice] = [slice(None)] * x.ndim
        for start, end, axis, step in zip(starts, ends, axes, steps, strict=True):
            index[axis] = slice(start, end, step)
        return x[tuple(index)]

    return compute


def _axes_of(node: onnx.NodeProto, values: dict[str, Any], constants: Constants) -> list[int]:
    axes = values.get("axes")
    return list(axes) if axes is not None else list(constants[node.input[1]].tolist())


def _squeeze(node: onnx.NodeProto, values: dict[str, Any], constants: Constants) -> Compute:
    axes = tuple(_axes_of(node, values, constants))
    return lambda x, *_: x.squeeze(axes)


def _unsqueeze(node: onnx.NodeProto, values: dict[str, Any], constants: Constants) -> Compute:
    (axis,) = _axes_of(node, values, constants)
    return lambda x, *_: x.unsqueeze(int(axis))


def _plain(function: Compute) -> Callable[..., Compute]:
    return lambda node, values, constants: function


_MAKERS: dict[str, Callable[..., Compute]] = {
    "Add": _plain(torch.add),
    "AveragePool": _average_pool,
    "Clip": _clip,
    "Concat": lambda node, values, _: lambda *parts: torch.cat(parts, values["axis"]),
    "Conv": _conv,
    "Flatten": lambda node, values, _: lambda x: x.flatten(values.get("axis", 1)),
    "Gemm": _gemm,
    "GlobalAveragePool": _plain(lambda x: x.mean(tuple(range(2, x.ndim)), keepdim=True)),
    "HardSigmoid": lambda node, values, _: (
        lambda x: (x * values.get("alpha", 0.2) + values.get("beta", 0.5)).clamp(0, 1)
    ),
    "HardSwish": _plain(functional.hardswish),
    "LeakyRelu": lambda node, values, _: (
        lambda x: functional.leaky_relu(x, values.get("alpha", 0.01))
    ),
    "MatMul": _plain(torch.matmul),
    "MaxPool": _max_pool,
    "Mul": _plain(torch.mul),
    "Pad": _pad,
    "ReduceMax": _reduce("max"),
    "ReduceMean": _reduce("mean"),
    "Relu": _plain(torch.relu),
    "Reshape": _reshape,
    "Sigmoid": _plain(torch.sigmoid),
    "Slice": _slice,
    "Softmax": lambda node, values, _: lambda x: x.softmax(values.get("axis", -1)),
    "Squeeze": _squeeze,
    "Tanh": _plain(torch.tanh),
    "Transpose": lambda node, values, _: lambda x: x.permute(values["perm"]),
    "Unsqueeze": _unsqueeze,
}


def as_constants(model: onnx.ModelProto) -> dict[str, NDArray[Any]]:
    """Return the values of a graph's constants by name."""
    return {
        value.name: np.asarray(onnx.numpy_helper.to_array(value))
        for value in model.graph.initializer
    }
