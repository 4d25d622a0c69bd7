"""Put networks with one input shape side by side, to build and run them as one."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import onnx
from onnx import TensorProto, compose, helper

from tests.deploy.zoo import N_CLASSES, ZOO

OPSET = 20


def input_shape(name: str, folder: Path) -> tuple[int, ...]:
    """Return the shape of the input of a network of the zoo."""
    graph = onnx.load(ZOO[name](folder / f"{name}.onnx")).graph
    return tuple(d.dim_value for d in graph.input[0].type.tensor_type.shape.dim)


def merge(names: Sequence[str], folder: Path) -> Path:
    """Write one network whose outputs are those of several of the zoo, one after the other."""
    nodes, constants, outputs = [], [], []
    for name in names:
        model = onnx.load(ZOO[name](folder / f"{name}.onnx"))
        graph = compose.add_prefix(model, f"{name}_", rename_inputs=False).graph
        nodes += graph.node
        constants += graph.initializer
        outputs.append(graph.output[0].name)
        entry = graph.input[0]
    nodes.append(helper.make_node("Concat", outputs, ["all"], "all", axis=1))
    shape = [1, N_CLASSES * len(names)]
    result = helper.make_tensor_value_info("all", TensorProto.FLOAT, shape)
    merged = helper.make_graph(nodes, "merged", [entry], [result], constants)
    path = folder / "merged.onnx"
    opset = helper.make_opsetid("", OPSET)
    onnx.save(helper.make_model(merged, opset_imports=[opset], ir_version=9), path)
    return path
