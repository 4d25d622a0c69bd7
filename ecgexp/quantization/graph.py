"""Small helpers on ONNX graphs."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import onnx


def initializers(model: onnx.ModelProto) -> dict[str, onnx.TensorProto]:
    """Return the constants of a graph by name."""
    return {value.name: value for value in model.graph.initializer}


def consumers(model: onnx.ModelProto, name: str) -> list[onnx.NodeProto]:
    """Return the nodes that read a tensor."""
    return [node for node in model.graph.node if name in node.input]


def producers(model: onnx.ModelProto) -> dict[str, onnx.NodeProto]:
    """Return the node that writes each tensor."""
    return {name: node for node in model.graph.node for name in node.output if name}


def input_shape(model: onnx.ModelProto) -> tuple[int, ...]:
    """Return the shape of the first input; a dynamic axis counts as 0."""
    axes = model.graph.input[0].type.tensor_type.shape.dim
    return tuple(axis.dim_value for axis in axes)


def operator_counts(model: onnx.ModelProto) -> Counter[str]:
    """Count the nodes of a graph by operator."""
    return Counter(node.op_type for node in model.graph.node)


def tidy_names(model: onnx.ModelProto) -> None:
    """Name nodes and tensors after operator and position, the same in every export."""
    fixed = {value.name for value in (*model.graph.input, *model.graph.output)}
    renamed: dict[str, str] = {}
    for index, node in enumerate(model.graph.node):
        node.name = f"{node.op_type.lower()}_{index}"
        for position, output in enumerate(node.output):
            if output and output not in fixed:
                suffix = f"_{position}" if position else ""
                renamed[output] = f"{node.name}_out{suffix}"
    for node in model.graph.node:
        for names in (node.input, node.output):
            for position, name in enumerate(names):
                names[position] = renamed.get(name, name)


def save_atomically(model: onnx.ModelProto, path: Path) -> None:
    """Write a model so that a reader sees all of it or none of it."""
    aside = path.with_name(f"{path.name}.part")
    try:
        aside.write_bytes(model.SerializeToString(deterministic=True))
        aside.replace(path)
    finally:
        aside.unlink(missing_ok=True)
