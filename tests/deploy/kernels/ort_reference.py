"""QDQ graphs of one operator, run by ONNX Runtime as written (no graph optimisation)."""

from __future__ import annotations

import numpy as np
import onnxruntime as ort
from onnx import NodeProto, TensorProto, helper, numpy_helper

from ecgexp.deploy.kernels import QParams


def run_nodes(
    nodes: list[NodeProto],
    initializers: dict[str, np.ndarray],
    inputs: dict[str, np.ndarray],
    output: str,
    dtype: str = "int8",
) -> np.ndarray:
    types = {np.dtype("int8"): TensorProto.INT8, np.dtype("float32"): TensorProto.FLOAT}
    graph = helper.make_graph(
        nodes,
        "one_operator",
        [helper.make_tensor_value_info(n, types[a.dtype], a.shape) for n, a in inputs.items()],
        [helper.make_tensor_value_info(output, types[np.dtype(dtype)], None)],
        [numpy_helper.from_array(np.asarray(a), n) for n, a in initializers.items()],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)])
    model.ir_version = 8
    options = ort.SessionOptions()
    options.graph_optimization_level = ort.GraphOptimizationLevel.ORT_DISABLE_ALL
    options.intra_op_num_threads = 1
    options.log_severity_level = 3
    session = ort.InferenceSession(model.SerializeToString(), options, ["CPUExecutionProvider"])
    return session.run(None, inputs)[0]


def run_quantized(
    node: NodeProto,
    inputs: dict[str, tuple[np.ndarray, QParams]],
    y: QParams,
    weights: dict[str, tuple[np.ndarray, np.ndarray]] | None = None,
) -> np.ndarray:
    """Run dequantize -> node -> quantize; the node reads `<name>_f` and writes `r`.

    `weights` maps a name to integers and per-output-channel float32 scales.
    """
    nodes: list[NodeProto] = []
    initializers: dict[str, np.ndarray] = {}
    for name, (_, q) in inputs.items():
        initializers[f"{name}_s"] = np.float32(q.scale)
        initializers[f"{name}_z"] = np.int8(q.zero_point)
        nodes.append(
            helper.make_node("DequantizeLinear", [name, f"{name}_s", f"{name}_z"], [f"{name}_f"])
        )
    for name, (values, scale) in (weights or {}).items():
        initializers |= {
            name: values,
            f"{name}_s": scale.astype(np.float32),
            f"{name}_z": np.zeros(len(scale), values.dtype),
        }
        nodes.append(
            helper.make_node(
                "DequantizeLinear", [name, f"{name}_s", f"{name}_z"], [f"{name}_f"], axis=0
            )
        )
    initializers |= {"y_s": np.float32(y.scale), "y_z": np.int8(y.zero_point)}
    nodes += [node, helper.make_node("QuantizeLinear", ["r", "y_s", "y_z"], ["y"])]
    return run_nodes(nodes, initializers, {n: a for n, (a, _) in inputs.items()}, "y")
