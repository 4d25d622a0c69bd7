"""What a network's parameters take in flash, told from its ONNX file without compiling it."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import numpy_helper

from ecgexp.deploy.planes import find_planes

Array = NDArray[Any]
_BORDER = ("QuantizeLinear", "DequantizeLinear")
_NIBBLE = 8


@dataclass(frozen=True, kw_only=True, slots=True)
class Stored:
    """Bytes of a network's parameters.

    Attributes:
        weights: Of convolutions and dense layers: 4 each in float32; in int8 one each, half where
            all of a layer's lie in -8 to 7, or bit planes with their coordinates and how many there
            are of each group, in the form that `deploy.bit_planes` and `deploy.pack_int4` keep.
        biases: 4 each, and whatever else a float network adds or multiplies by.
        scales: 4 for each output channel of int8 weights, 5 for the scale and zero point of each
            int8 activation.
    """

    weights: int
    biases: int
    scales: int

    @property
    def total(self) -> int:
        """Everything."""
        return self.weights + self.biases + self.scales


def stored_bytes(path: Path) -> Stored:
    """Count the bytes of all parameters of a network, float or in QDQ form.

    Constants of the graph that are no parameters of the device do not count: shapes, the scales of
    biases (products of two others) and the zero points of weights (all 0). Nor does what a target's
    kernels add to fill vectors and blocks of channels, which `deploy/<target>/weight_bytes` has.
    """
    graph = onnx.load(path).graph
    constants = {tensor.name: numpy_helper.to_array(tensor) for tensor in graph.initializer}
    readers = {name: node for node in graph.node for name in node.input}
    weights: dict[str, int] = {}
    biases: dict[str, int] = {}
    scales: dict[str, int] = {}
    for node in graph.node:
        name = node.input[0] if node.input else ""
        if node.op_type not in _BORDER:
            for found in node.input:
                value = constants.get(found)
                if value is not None and value.dtype == np.float32:
                    (weights if value.ndim > 1 else biases)[found] = value.nbytes
        elif name not in constants:
            scales[node.input[1]] = sum(constants[found].nbytes for found in node.input[1:])
        elif constants[name].dtype == np.int32:
            biases[name] = constants[name].nbytes
        else:
            weights[name] = _weight_bytes(constants[name], readers.get(node.output[0]))
            scales[node.input[1]] = constants[node.input[1]].nbytes
    return Stored(
        weights=sum(weights.values()), biases=sum(biases.values()), scales=sum(scales.values())
    )


def _weight_bytes(weight: Array, reader: onnx.NodeProto | None) -> int:
    """Return what int8 weights take in the form in which the kernels hold them."""
    if reader is None or weight.ndim < 2:
        return weight.nbytes
    attributes = {a.name: a.i for a in reader.attribute}
    groups = attributes.get("group", 1)
    if reader.op_type != "Conv" and not attributes.get("transB"):
        weight = weight.T
    if groups == 1:
        planes = find_planes(weight.reshape(*weight.shape[:2], -1))
        if planes is not None:
            return planes.n_bytes
    is_depthwise = groups > 1 and weight.shape[1] == 1
    if not is_depthwise and weight.min() >= -_NIBBLE and weight.max() < _NIBBLE:
        return -(-weight.size // 2)
    return weight.nbytes
