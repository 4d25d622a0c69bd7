"""Cross-layer equalisation on the exported graph: channels of one layer get one range.

A layer's output channel may be divided by s and the input channels that read it multiplied by s
without a change of the function, as long as everything between is positively homogeneous (Nagel et
al. 2019, section 4.1). Per-channel scales make weights insensitive to it; what gains is the
activation between, whose channels share one int8 range.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import numpy_helper

from ecgexp.quantization.graph import consumers, initializers
from ecgexp.quantization.tensors import watch

_HOMOGENEOUS = frozenset({"Relu", "MaxPool", "AveragePool", "GlobalAveragePool", "ReduceMean"})
_MOST = 16.0
"""Largest factor: beyond it biases and accumulators would be stretched for little."""


@dataclass(frozen=True)
class Link:
    """A layer, and everything that reads its output channel by channel.

    Attributes:
        writer: Name of the weight whose output channels are scaled.
        bias: Name of its bias, or None.
        readers: Nodes whose input channels are scaled the other way.
        clips: Clip nodes between that must not have an effect on their upper side.
    """

    writer: str
    bias: str | None
    readers: list[onnx.NodeProto] = field(default_factory=list)
    clips: list[onnx.NodeProto] = field(default_factory=list)


def equalize(
    model: onnx.ModelProto, windows: NDArray[np.float32], scratch: Path
) -> tuple[onnx.ModelProto, int]:
    """Equalise every link of a float network.

    ReLU6 is treated as ReLU where no calibration window reaches its upper bound; elsewhere the
    link is left alone.

    Args:
        model: The float network, norms folded, shapes inferred.
        windows: Calibration windows (window, ...).
        scratch: Folder for temporary files.

    Returns:
        The network, and how many links were equalised.
    """
    changed = onnx.ModelProto()
    changed.CopyFrom(model)
    links = list(_links(changed))
    tensors = sorted({node.output[0] for link in links for node in link.clips})
    written = {link.writer: _writer_output(changed, link.writer) for link in links}
    peaks = _peaks(changed, sorted({*tensors, *written.values()}), windows, scratch)
    n_done = 0
    for link in links:
        if any(_reaches_top(changed, node, peaks[node.output[0]]) for node in link.clips):
            continue
        _apply(changed, link, peaks[written[link.writer]])
        n_done += 1
    return changed, n_done


def _links(model: onnx.ModelProto) -> Iterator[Link]:
    constants = initializers(model)
    for node in model.graph.node:
        if node.op_type != "Conv" or node.input[1] not in constants:
            continue
        bias = node.input[2] if len(node.input) > 2 else None
        link = Link(writer=node.input[1], bias=bias)
        if _follow(model, node.output[0], link) and link.readers:
            yield link


def _follow(model: onnx.ModelProto, name: str, link: Link) -> bool:
    """Collect what reads a tensor; False when something lets no factor pass."""
    if any(value.name == name for value in model.graph.output):
        return False
    constants = initializers(model)
    for node in consumers(model, name):
        if node.op_type in ("Conv", "Gemm"):
            if node.input[0] != name or node.input[1] not in constants:
                return False
            link.readers.append(node)
        elif node.op_type in _HOMOGENEOUS:
            if not _follow(model, node.output[0], link):
                return False
        elif node.op_type == "Clip" and _bound(model, node, 1) == 0.0:
            link.clips.append(node)
            if not _follow(model, node.output[0], link):
                return False
        elif node.op_type == "Mul" and _is_gated(model, node, name):
            if not _follow(model, node.output[0], link):
                return False
        else:
            return False
    return True


def _is_gated(model: onnx.ModelProto, node: onnx.NodeProto, name: str) -> bool:
    """Whether a product scales a signal by a gate that comes from other layers."""
    other = next((entry for entry in node.input if entry != name), name)
    made = next((n for n in model.graph.node if other in n.output), None)
    return made is not None and made.op_type in ("Sigmoid", "HardSigmoid")


def _bound(model: onnx.ModelProto, node: onnx.NodeProto, position: int) -> float | None:
    constants = initializers(model)
    if len(node.input) > position and node.input[position] in constants:
        return float(numpy_helper.to_array(constants[node.input[position]]))
    return None


def _writer_output(model: onnx.ModelProto, weight: str) -> str:
    return str(next(n.output[0] for n in model.graph.node if weight in n.input))


def _peaks(
    model: onnx.ModelProto, names: list[str], windows: NDArray[np.float32], scratch: Path
) -> dict[str, NDArray[np.float64]]:
    """Return the largest absolute value per channel of some tensors."""
    found: dict[str, NDArray[np.float64]] = {}
    for tensors in watch(model, names, windows, scratch):
        for name in names:
            x = np.abs(tensors[name][0]).astype(np.float64)
            peak = x.reshape(x.shape[0], -1).max(axis=1)
            found[name] = np.maximum(found.get(name, 0.0), peak)
    return found


def _reaches_top(model: onnx.ModelProto, node: onnx.NodeProto, peak: NDArray[np.float64]) -> bool:
    top = _bound(model, node, 2)
    return top is not None and bool(peak.max() >= top)


def _apply(model: onnx.ModelProto, link: Link, peak: NDArray[np.float64]) -> None:
    """Bring the channels' peaks and the ranges of the weights that read them together.

    s = sqrt(peak / range) with both in units of their geometric means: the note's formula with the
    measured activation in the place of the first layer's weights, whose scales are per channel.
    """
    spread = _reading_range(model, link, len(peak))
    alive = (peak > 0) & (spread > 0)
    if not alive.any():
        return
    ratio = np.ones(len(peak))
    ratio[alive] = peak[alive] / spread[alive]
    ratio[alive] /= np.exp(np.log(ratio[alive]).mean())
    factor = np.clip(np.sqrt(ratio), 1 / _MOST, _MOST)
    _scale(model, link.writer, 1 / factor, axis=0)
    if link.bias is not None:
        _scale(model, link.bias, 1 / factor, axis=0)
    for node in link.readers:
        if _groups(node) == 1:
            _scale(model, node.input[1], factor, axis=_input_axis(node))
        else:
            _scale_grouped(model, node.input[1], factor, _groups(node))
    for node in link.clips:
        # Nothing reached the bound; at the new scale it would.
        if len(node.input) > 2:
            node.input[2] = ""


def _groups(node: onnx.NodeProto) -> int:
    return int(next((a.i for a in node.attribute if a.name == "group"), 1))


def _input_axis(node: onnx.NodeProto) -> int:
    if node.op_type == "Gemm":
        return 1 if any(a.name == "transB" and a.i for a in node.attribute) else 0
    return 1


def _reading_range(model: onnx.ModelProto, link: Link, channels: int) -> NDArray[np.float64]:
    """Return the largest absolute weight that reads each channel."""
    constants = initializers(model)
    found = np.zeros(channels)
    for node in link.readers:
        value = np.abs(numpy_helper.to_array(constants[node.input[1]]).astype(np.float64))
        if _groups(node) == 1:
            moved = np.moveaxis(value, _input_axis(node), 0)
            found = np.maximum(found, moved.reshape(channels, -1).max(axis=1))
        else:
            split = value.reshape(_groups(node), -1, *value.shape[1:])
            found = np.maximum(found, np.moveaxis(split, 2, 1).reshape(channels, -1).max(axis=1))
    return found


def _scale(model: onnx.ModelProto, name: str, factor: NDArray[np.float64], *, axis: int) -> None:
    tensor = initializers(model)[name]
    value = numpy_helper.to_array(tensor).astype(np.float64)
    shape = [1] * value.ndim
    shape[axis] = -1
    if value.shape[axis] != len(factor):
        # A dense layer behind a flattened signal: every channel has several inputs.
        factor = np.repeat(factor, value.shape[axis] // len(factor))
    changed = (value * factor.reshape(shape)).astype(np.float32)
    tensor.CopyFrom(numpy_helper.from_array(changed, name))


def _scale_grouped(
    model: onnx.ModelProto, name: str, factor: NDArray[np.float64], groups: int
) -> None:
    """Scale the input channels of a grouped convolution; of a depthwise one, its channels."""
    tensor = initializers(model)[name]
    value = numpy_helper.to_array(tensor).astype(np.float64)
    per_group = factor.reshape(groups, 1, -1, *[1] * (value.ndim - 2))
    split = value.reshape(groups, -1, *value.shape[1:])
    changed = (split * per_group).reshape(value.shape).astype(np.float32)
    tensor.CopyFrom(numpy_helper.from_array(changed, name))
