"""Rewrite an ONNX graph so that every node reaches Relax as operators with readable attributes.

The Relax importer turns Pad into a compiled function whose amounts cannot be read back, and
splits HardSwish with another rounding than ONNX defines; both are replaced before the import.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import helper, numpy_helper

from ecgexp.errors import BuildError

_WINDOWED = ("Conv", "MaxPool", "AveragePool")


class _Rewriter:
    """Replace single nodes of a graph, keeping track of constants and shapes."""

    def __init__(self, model: onnx.ModelProto) -> None:
        self.graph = model.graph
        self.constants = {
            tensor.name: numpy_helper.to_array(tensor) for tensor in self.graph.initializer
        }
        for node in self.graph.node:
            if node.op_type == "Constant" and node.attribute[0].name == "value":
                self.constants[node.output[0]] = numpy_helper.to_array(node.attribute[0].t)
            elif node.op_type == "DequantizeLinear" and node.input[0] in self.constants:
                self.constants[node.output[0]] = self._dequantized(node)
        self.shapes = _shapes(model)
        self.count = 0

    def _dequantized(self, node: onnx.NodeProto) -> NDArray[Any]:
        codes, scale, *zero_point = (self.constants[name] for name in node.input if name)
        axis = _attributes(node).get("axis", 1)
        shape = [-1 if i == axis and np.size(scale) > 1 else 1 for i in range(codes.ndim)]
        steps = codes.astype(np.int64) - sum(z.astype(np.int64).reshape(shape) for z in zero_point)
        return np.asarray(steps.astype(np.float32) * scale.reshape(shape), np.float32)

    def constant(self, value: NDArray[Any]) -> str:
        """Add an initializer and return its name."""
        self.count += 1
        name = f"ecgexp_constant_{self.count}"
        self.graph.initializer.append(numpy_helper.from_array(value, name))
        self.constants[name] = value
        return name

    def shape(self, node: onnx.NodeProto, name: str) -> tuple[int, ...]:
        """Return the static shape of a tensor."""
        if name not in self.shapes:
            raise BuildError(f"{describe(node)}: the shape of tensor {name!r} is not static")
        return self.shapes[name]

    def known(self, node: onnx.NodeProto, index: int) -> NDArray[Any] | None:
        """Return the constant at an optional input, or None where the input is left out."""
        if index >= len(node.input) or not node.input[index]:
            return None
        name = node.input[index]
        if name not in self.constants:
            raise BuildError(f"{describe(node)}: input {name!r} must be a constant")
        value: NDArray[Any] = self.constants[name]
        return value


def describe(node: onnx.NodeProto) -> str:
    """Return operator and name of a node, for messages."""
    return f"ONNX {node.op_type} {node.name or node.output[0]!r}"


def normalise(model: onnx.ModelProto) -> onnx.ModelProto:
    """Return a copy of the model in the subset that the importer reads well.

    Args:
        model: A model whose shapes are static.

    Raises:
        BuildError: A node depends on something that is not constant.
    """
    model = onnx.shape_inference.infer_shapes(model)
    rewriter = _Rewriter(model)
    nodes: list[onnx.NodeProto] = []
    for node in model.graph.node:
        rewrite = _REWRITES.get(node.op_type)
        nodes.extend(rewrite(rewriter, node) if rewrite else [node])
    del model.graph.node[:]
    model.graph.node.extend(nodes)
    return model


def _shapes(model: onnx.ModelProto) -> dict[str, tuple[int, ...]]:
    graph = model.graph
    shapes = {tensor.name: tuple(tensor.dims) for tensor in graph.initializer}
    for value in (*graph.input, *graph.value_info, *graph.output):
        tensor = value.type.tensor_type
        if tensor.HasField("shape") and all(d.HasField("dim_value") for d in tensor.shape.dim):
            shapes[value.name] = tuple(d.dim_value for d in tensor.shape.dim)
    return shapes


def _attributes(node: onnx.NodeProto) -> dict[str, Any]:
    return {a.name: helper.get_attribute_value(a) for a in node.attribute}


def _explicit_pads(rewriter: _Rewriter, node: onnx.NodeProto) -> list[onnx.NodeProto]:
    """Replace auto_pad by the pads that it stands for."""
    attrs = _attributes(node)
    mode = attrs.pop("auto_pad", b"NOTSET").decode()
    if mode == "NOTSET":
        return [node]
    length = rewriter.shape(node, node.input[0])[2:]
    rank = len(length)
    kernel: Sequence[int] = attrs.get("kernel_shape") or rewriter.shape(node, node.input[1])[2:]
    strides = attrs.get("strides") or [1] * rank
    dilations = attrs.get("dilations") or [1] * rank
    before, after = [0] * rank, [0] * rank
    if mode != "VALID":
        for i in range(rank):
            span = (kernel[i] - 1) * dilations[i] + 1
            total = max(0, (-(-length[i] // strides[i]) - 1) * strides[i] + span - length[i])
            small, large = total // 2, total - total // 2
            before[i], after[i] = (small, large) if mode == "SAME_UPPER" else (large, small)
    attrs["pads"] = before + after
    return [helper.make_node(node.op_type, list(node.input), list(node.output), node.name, **attrs)]


def _pad(rewriter: _Rewriter, node: onnx.NodeProto) -> list[onnx.NodeProto]:
    """Replace a constant Pad of one axis by a Concat with constants."""
    attrs = _attributes(node)
    mode = attrs.get("mode", b"constant").decode()
    if mode != "constant":
        raise BuildError(f"{describe(node)}: mode {mode!r} has no kernel; supported: constant")
    shape = rewriter.shape(node, node.input[0])
    pads = rewriter.known(node, 1)
    amounts = [int(p) for p in (attrs["pads"] if pads is None else pads)]
    given = rewriter.known(node, 3)
    axes = list(range(len(shape))) if given is None else [int(a) % len(shape) for a in given]
    value = rewriter.known(node, 2)
    fill = np.float32(attrs.get("value", 0.0) if value is None else value.reshape(()))
    half = len(axes)
    wide = [(a, amounts[i], amounts[i + half]) for i, a in enumerate(axes)]
    wide = [entry for entry in wide if entry[1] or entry[2]]
    if not wide:
        return [helper.make_node("Identity", [node.input[0]], list(node.output), node.name)]
    if len(wide) > 1 or min(wide[0][1:]) < 0:
        raise BuildError(f"{describe(node)}: pads {amounts} must be positive and on one axis only")
    axis, before, after = wide[0]

    def block(amount: int) -> list[str]:
        size = [*shape[:axis], amount, *shape[axis + 1 :]]
        return [rewriter.constant(np.full(size, fill, np.float32))] if amount else []

    parts = [*block(before), node.input[0], *block(after)]
    return [helper.make_node("Concat", parts, list(node.output), node.name, axis=axis)]


def _hard_swish(rewriter: _Rewriter, node: onnx.NodeProto) -> list[onnx.NodeProto]:
    gate = f"{node.output[0]}_gate"
    return [
        helper.make_node(
            "HardSigmoid", [node.input[0]], [gate], f"{node.name}_gate", alpha=1 / 6, beta=0.5
        ),
        helper.make_node("Mul", [node.input[0], gate], list(node.output), node.name),
    ]


def _batch_norm(rewriter: _Rewriter, node: onnx.NodeProto) -> list[onnx.NodeProto]:
    """Replace an inference BatchNormalization by a scale and an offset per channel."""
    known = [rewriter.known(node, i) for i in range(1, 5)]
    gamma, beta, mean, var = (np.asarray(k, np.float64) for k in known)
    rank = len(rewriter.shape(node, node.input[0]))
    epsilon = _attributes(node).get("epsilon", 1e-5)
    shape = (1, -1) + (1,) * (rank - 2)
    scale = gamma / np.sqrt(var + epsilon)
    offset = beta - mean * scale
    scaled = f"{node.output[0]}_scaled"
    factors = [rewriter.constant(v.reshape(shape).astype(np.float32)) for v in (scale, offset)]
    return [
        helper.make_node("Mul", [node.input[0], factors[0]], [scaled], f"{node.name}_scale"),
        helper.make_node("Add", [scaled, factors[1]], [node.output[0]], node.name),
    ]


_REWRITES: dict[str, Callable[[_Rewriter, onnx.NodeProto], list[onnx.NodeProto]]] = {
    **dict.fromkeys(_WINDOWED, _explicit_pads),
    "Pad": _pad,
    "HardSwish": _hard_swish,
    "BatchNormalization": _batch_norm,
}
