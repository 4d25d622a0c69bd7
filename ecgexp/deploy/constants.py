"""Evaluate the nodes of an ONNX graph that depend on nothing but constants and static shapes.

Exporters write paddings and shapes as small computations; the importer wants their results.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import helper, numpy_helper
from onnx.reference import ReferenceEvaluator

# Dequantized weights must stay recognisable as integers with scales.
_KEPT = ("QuantizeLinear", "DequantizeLinear", "Constant", "Identity")
_MOST_ELEMENTS = 1 << 22


def fold_constants(model: onnx.ModelProto) -> onnx.ModelProto:
    """Return a copy of the model with constant nodes replaced by initializers.

    Args:
        model: Any model; what cannot be evaluated stays as it is.
    """
    while True:
        model = onnx.shape_inference.infer_shapes(model)
        constants = _constants(model)
        known: dict[str, NDArray[Any]] = {}
        kept = []
        for node in model.graph.node:
            values = _evaluate(node, {**constants, **known}, model)
            if values is None:
                kept.append(node)
            else:
                known.update(zip(node.output, values, strict=True))
        if not known:
            return model
        del model.graph.node[:]
        model.graph.node.extend(kept)
        read = {name for node in kept for name in node.input}
        read.update(value.name for value in model.graph.output)
        model.graph.initializer.extend(
            numpy_helper.from_array(value, name) for name, value in known.items() if name in read
        )


def _constants(model: onnx.ModelProto) -> dict[str, NDArray[Any]]:
    constants = {t.name: numpy_helper.to_array(t) for t in model.graph.initializer}
    for node in model.graph.node:
        if node.op_type == "Constant" and node.attribute[0].name == "value":
            constants[node.output[0]] = numpy_helper.to_array(node.attribute[0].t)
    return constants


def _evaluate(
    node: onnx.NodeProto, known: dict[str, NDArray[Any]], model: onnx.ModelProto
) -> list[NDArray[Any]] | None:
    """Return the outputs of a node, or None where it must stay."""
    if node.op_type == "Shape":
        shape = _static_shape(model, node.input[0])
        if shape is not None and not node.attribute:
            return [np.array(shape, np.int64)]
    names = [name for name in node.input if name]
    if node.op_type in _KEPT or not names or any(name not in known for name in names):
        return None
    if node.domain not in ("", "ai.onnx") or any(a.HasField("g") for a in node.attribute):
        return None
    graph = helper.make_graph(
        [node],
        "constant",
        [],
        [onnx.ValueInfoProto(name=name) for name in node.output],
        [numpy_helper.from_array(known[name], name) for name in dict.fromkeys(names)],
    )
    alone = helper.make_model(graph, opset_imports=model.opset_import, ir_version=model.ir_version)
    try:
        values = ReferenceEvaluator(alone).run(None, {})
    except (NotImplementedError, TypeError, ValueError, RuntimeError):
        return None
    arrays = [np.asarray(value) for value in values]
    return arrays if sum(array.size for array in arrays) <= _MOST_ELEMENTS else None


def _static_shape(model: onnx.ModelProto, name: str) -> tuple[int, ...] | None:
    for value in (*model.graph.input, *model.graph.value_info):
        tensor = value.type.tensor_type
        if value.name == name and tensor.HasField("shape"):
            sizes = tuple(d.dim_value for d in tensor.shape.dim)
            return sizes if all(size > 0 for size in sizes) else None
    return None
