"""How far apart the channels of a layer are, before and after equalisation."""

from __future__ import annotations

import tempfile
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import numpy_helper

from ecgexp.quantization.graph import initializers
from ecgexp.quantization.ptq import StaticInt8
from ecgexp.quantization.tensors import watch
from ecgexp.training.room import TrainingRoom

PICTURE = "channel_ranges.png"


@dataclass(frozen=True, kw_only=True)
class Spread:
    """The channels of one layer.

    Attributes:
        layer: Name of its weight.
        weights: Largest absolute weight of each output channel (channel,).
        outputs: Largest absolute output of each channel (channel,).
    """

    layer: str
    weights: NDArray[np.float64]
    outputs: NDArray[np.float64]


def measure_spread(
    model: onnx.ModelProto, windows: NDArray[np.float32], scratch: Path
) -> list[Spread]:
    """Measure every convolution and dense layer of a float network.

    Args:
        model: The network, shapes inferred.
        windows: Windows (window, ...).
        scratch: Folder for temporary files.

    Returns:
        One entry per layer, in the order of the graph.
    """
    constants = initializers(model)
    layers = [
        node
        for node in model.graph.node
        if node.op_type in ("Conv", "Gemm") and node.input[1] in constants
    ]
    peaks: dict[str, NDArray[np.float64]] = {}
    for tensors in watch(model, [node.output[0] for node in layers], windows, scratch):
        for node in layers:
            out = np.abs(tensors[node.output[0]][0]).astype(np.float64)
            peak = out.reshape(len(out), -1).max(axis=1)
            peaks[node.output[0]] = np.maximum(peaks.get(node.output[0], 0.0), peak)
    return [
        Spread(
            layer=node.input[1],
            weights=_by_channel(node, numpy_helper.to_array(constants[node.input[1]])),
            outputs=peaks[node.output[0]],
        )
        for node in layers
    ]


def _by_channel(node: onnx.NodeProto, weight: NDArray[np.float32]) -> NDArray[np.float64]:
    transposed = any(a.name == "transB" and a.i for a in node.attribute)
    rows = weight.T if node.op_type == "Gemm" and not transposed else weight
    largest: NDArray[np.float64] = np.abs(rows.reshape(len(rows), -1)).max(axis=1)
    return largest.astype(np.float64)


def log_equalisation(
    room: TrainingRoom, quantizer: StaticInt8, float_onnx: Path, calibration: NDArray[np.float32]
) -> None:
    """Draw the channels of every layer before and after equalisation into a run.

    Args:
        room: The run.
        quantizer: Equalises.
        float_onnx: The exported float network.
        calibration: Windows (window, lead, sample) of the training split.
    """
    from ecgexp.report.spread import channel_ranges

    with tempfile.TemporaryDirectory(prefix="ecgexp-spread-") as name:
        scratch = Path(name)
        found = []
        for plain in (True, False):
            path = quantizer.prepare(float_onnx, calibration, scratch / "net.onnx", plain=plain)
            found.append(measure_spread(onnx.load(path), calibration, scratch))
    room.run.log_artefact(channel_ranges(found[0], found[1], room.folder / PICTURE))
