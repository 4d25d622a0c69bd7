"""Bias correction: take away the mean error that rounded weights put on every channel."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import numpy_helper

from ecgexp.quantization.graph import initializers
from ecgexp.quantization.tensors import watch

_SUFFIX = "_quantized"


def correct_biases(
    source: onnx.ModelProto,
    quantized: onnx.ModelProto,
    windows: NDArray[np.float32],
    scratch: Path,
) -> onnx.ModelProto:
    """Return the float network whose biases make up for its rounded weights.

    The mean of a layer's output moves by (rounded - exact weights) x mean input; padding is not
    looked at (Nagel et al. 2019, section 4.2, with measured means).

    Args:
        source: The float network, norms folded.
        quantized: The same in QDQ form, for the rounded weights.
        windows: Calibration windows (window, ...).
        scratch: Folder for temporary files.
    """
    rounded = _rounded_weights(quantized)
    constants = initializers(source)
    nodes = [
        n for n in source.graph.node if n.op_type in ("Conv", "Gemm") and n.input[1] in rounded
    ]
    means = _channel_means(source, [node.input[0] for node in nodes], windows, scratch)
    model = onnx.ModelProto()
    model.CopyFrom(source)
    targets = {node.output[0]: node for node in model.graph.node}
    for node in nodes:
        exact = numpy_helper.to_array(constants[node.input[1]]).astype(np.float64)
        error = rounded[node.input[1]] - exact
        if node.op_type == "Gemm":
            transposed = any(a.name == "transB" and a.i for a in node.attribute)
            moved = (error if transposed else error.T) @ means[node.input[0]]
        else:
            moved = _conv_shift(node, error.sum(axis=tuple(range(2, error.ndim))), means)
        _add_bias(model, targets[node.output[0]], -moved)
    return model


def _rounded_weights(quantized: onnx.ModelProto) -> dict[str, NDArray[np.float64]]:
    constants = initializers(quantized)
    found = {}
    for node in quantized.graph.node:
        if node.op_type != "DequantizeLinear" or node.input[0] not in constants:
            continue
        whole = numpy_helper.to_array(constants[node.input[0]])
        scale = numpy_helper.to_array(constants[node.input[1]]).astype(np.float64)
        if whole.dtype == np.int8:
            axis = next((a.i for a in node.attribute if a.name == "axis"), 0)
            shape = [1] * whole.ndim
            shape[axis] = -1
            found[node.input[0].removesuffix(_SUFFIX)] = whole * scale.reshape(shape)
    return found


def _channel_means(
    source: onnx.ModelProto, names: list[str], windows: NDArray[np.float32], scratch: Path
) -> dict[str, NDArray[np.float64]]:
    sums: dict[str, NDArray[np.float64]] = {}
    for tensors in watch(source, sorted(set(names)), windows, scratch):
        for name in set(names):
            x = tensors[name].astype(np.float64)
            mean = x.reshape(*x.shape[:2], -1).mean(axis=(0, 2))
            sums[name] = sums.get(name, 0.0) + mean / len(windows)
    return sums


def _conv_shift(
    node: onnx.NodeProto, error: NDArray[np.float64], means: dict[str, NDArray[np.float64]]
) -> NDArray[np.float64]:
    groups = next((a.i for a in node.attribute if a.name == "group"), 1)
    inputs = means[node.input[0]].reshape(groups, -1)
    per_group = error.reshape(groups, -1, error.shape[1])
    moved: NDArray[np.float64] = np.einsum("goi,gi->go", per_group, inputs).ravel()
    return moved


def _add_bias(model: onnx.ModelProto, node: onnx.NodeProto, change: NDArray[np.float64]) -> None:
    own = initializers(model)
    name = f"{node.input[1]}_bias_corrected"
    before: NDArray[np.float64] = np.zeros(len(change))
    if len(node.input) > 2:
        before = numpy_helper.to_array(own[node.input[2]]).astype(np.float64)
        node.input[2] = name
    else:
        node.input.append(name)
    value = (before + change).astype(np.float32)
    model.graph.initializer.append(numpy_helper.from_array(value, name))
