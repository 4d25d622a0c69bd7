"""Find the codes of a network again in its exported graph."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import numpy_helper

from ecgexp.errors import ExportError
from ecgexp.quantization.alq.coordinates import integers
from ecgexp.quantization.alq.groups import Groups
from ecgexp.quantization.graph import initializers
from ecgexp.quantization.tie_free import Overrides, fixed

_WEIGHTED = ("Conv", "Gemm", "MatMul")
_CLOSE = 1e-4
"""Norms that are folded in round weights in float32; steps of int8 are far coarser."""


def weight_scales(path: Path, layers: Sequence[Groups]) -> Overrides:
    """Return the scales with which a static quantizer finds the layers' whole numbers again.

    Folded norms have multiplied every output channel by a number of either sign; the whole numbers
    of a channel stay what they are, up to that sign.

    Args:
        path: The exported network.
        layers: Codes of its layers in the order in which they are computed, rounded to `int8`.

    Raises:
        ExportError: The graph's weights are not those of the codes.
    """
    model = onnx.load(path)
    constants = initializers(model)
    nodes = [node for node in model.graph.node if node.op_type in _WEIGHTED]
    if len(nodes) != len(layers):
        raise ExportError(
            f"{path}: {len(nodes)} layers with weights, {len(layers)} of them have codes; "
            "normalisation must stand right behind a convolution, where it folds away"
        )
    return {
        node.input[1]: [
            {**fixed(float(scale), 0), "axis": 0}
            for scale in _scales(path, node, numpy_helper.to_array(constants[node.input[1]]), layer)
        ]
        for node, layer in zip(nodes, layers, strict=True)
    }


def _scales(
    path: Path, node: onnx.NodeProto, weight: NDArray[Any], layer: Groups
) -> NDArray[np.float64]:
    whole = integers(layer).weight.numpy().astype(np.float64)
    flat, of = weight.reshape(len(weight), -1).astype(np.float64), whole.reshape(len(whole), -1)
    if weight.shape != whole.shape:
        raise ExportError(f"{path}: weights of {node.name} have shape {weight.shape}")
    energy = np.square(of).sum(1)
    factor = (flat * of).sum(1) / np.where(energy > 0, energy, 1.0)
    if np.abs(flat - factor[:, None] * of).max() > _CLOSE * np.abs(flat).max():
        raise ExportError(f"{path}: weights of {node.name} are not those of the code")
    scales: NDArray[np.float64] = np.where(factor == 0, 1.0, np.abs(factor))
    return scales
