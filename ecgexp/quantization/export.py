"""Export a torch network to a static ONNX graph that is cheap to quantize and to compile."""

from __future__ import annotations

import contextlib
import copy
import json
import logging
import warnings
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import onnx
import torch
from onnx import helper, numpy_helper
from torch import nn

from ecgexp.errors import ExportError
from ecgexp.quantization.evaluate import check_export
from ecgexp.quantization.graph import (
    consumers,
    initializers,
    input_shape,
    producers,
    save_atomically,
    tidy_names,
)
from ecgexp.quantization.reference import run_onnx
from ecgexp.types import SignalSpec

log = logging.getLogger(__name__)

OPSET = 18
"""What the exporter writes by itself; any other number costs a conversion."""


def export_onnx(network: nn.Module, spec: SignalSpec, path: Path) -> Path:
    """Write a network as ONNX with batch 1, input `x` and output `logits`.

    Batch normalisation is folded into the convolution in front of it; where there is none it
    becomes a depthwise convolution of width one. Paddings are attributes of their operators and a
    hard sigmoid becomes a scaled convolution and a clip, so that a quantizer needs no node for it.

    Args:
        network: Maps (batch, *window_shape) to (batch, class) logits; left as it is.
        spec: Shape of a window and the labels, written into the file's metadata.
        path: File to write; it appears only when it is complete.

    Returns:
        `path`.

    Raises:
        ExportError: A weight is not finite, the exporter refuses the network, or the file computes
            something else.
    """
    _check_finite(network)
    frozen = copy.deepcopy(network).cpu().eval()
    model = _trace(frozen, torch.zeros(1, *spec.window_shape))
    _strip(model)
    _make_pool_pads_explicit(model)
    _fold_hard_sigmoid(model)
    _make_norms_convolutions(model)
    tidy_names(model)
    metadata = {
        "labels": json.dumps(spec.labels),
        "leads": json.dumps(spec.leads),
        "fs_hz": f"{spec.fs_hz:g}",
        **({"several": "true"} if spec.several else {}),
    }
    helper.set_model_props(model, metadata)
    onnx.checker.check_model(model, full_check=True)
    unchecked = path.with_name(f"{path.name}.unchecked")
    try:
        save_atomically(model, unchecked)
        _compare(frozen, unchecked, spec)
        unchecked.replace(path)
    finally:
        unchecked.unlink(missing_ok=True)
    log.info("exported %s: %d nodes, opset %d", path.name, len(model.graph.node), OPSET)
    return path


def _check_finite(network: nn.Module) -> None:
    for name, tensor in network.state_dict().items():
        if tensor.is_floating_point() and not bool(torch.isfinite(tensor).all()):
            raise ExportError(
                f"weight {name} of the network is not finite: training diverged; "
                "lower optimizer lr or clip gradients, then train again"
            )


def _compare(network: nn.Module, path: Path, spec: SignalSpec) -> None:
    generator = torch.Generator().manual_seed(0)
    x = torch.randn(4, *spec.window_shape, generator=generator)
    with torch.no_grad():
        expected = network(x).numpy()
    check_export(expected, run_onnx(path, x.numpy()))


def _trace(network: nn.Module, window: torch.Tensor) -> onnx.ModelProto:
    with _quiet(), torch.no_grad():
        try:
            program = torch.onnx.export(
                network,
                (window,),
                dynamo=True,
                input_names=["x"],
                output_names=["logits"],
                opset_version=OPSET,
                external_data=False,
                verbose=False,
            )
        except torch.onnx.errors.OnnxExporterError as error:
            raise ExportError(
                f"{type(network).__name__} cannot be exported to ONNX ({error.__class__.__name__}: "
                f"{str(error).strip().splitlines()[0]}); use operators that torch.export can trace"
            ) from error
    if program is None:
        raise ExportError(f"{type(network).__name__}: the ONNX exporter returned nothing")
    return program.model_proto


@contextlib.contextmanager
def _quiet() -> Iterator[None]:
    """Keep the exporter's remarks about its own deprecations and missing torchvision away."""
    loggers = [logging.getLogger(name) for name in ("torch.onnx", "onnxscript", "onnx_ir")]
    levels = [logger.level for logger in loggers]
    for logger in loggers:
        logger.setLevel(logging.ERROR)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        for logger, level in zip(loggers, levels, strict=True):
            logger.setLevel(level)


def _strip(model: onnx.ModelProto) -> None:
    """Drop stack traces and module paths: they hold folder names of this machine."""
    graph = model.graph
    for item in (model, graph, *graph.node, *graph.input, *graph.output, *graph.initializer):
        item.ClearField("metadata_props")
        item.ClearField("doc_string")
    graph.ClearField("value_info")
    graph.name = "ecgexp"


def _make_pool_pads_explicit(model: onnx.ModelProto) -> None:
    """Turn `ceil_mode` and a padding in front into pads of the pooling itself."""
    inferred = onnx.shape_inference.infer_shapes(model, strict_mode=True)
    length = {
        value.name: value.type.tensor_type.shape.dim[-1].dim_value
        for value in (*inferred.graph.value_info, *inferred.graph.input)
    }
    made_by = producers(model)
    weights = initializers(model)
    for node in model.graph.node:
        if node.op_type != "MaxPool":
            continue
        attributes = {a.name: helper.get_attribute_value(a) for a in node.attribute}
        if len(attributes["kernel_shape"]) > 1:
            continue  # over images the exporter writes the pads itself
        kernel, stride = attributes["kernel_shape"][0], attributes["strides"][0]
        left = attributes["pads"][0]
        covered = (length[node.output[0]] - 1) * stride + kernel
        pad = made_by.get(node.input[0])
        if pad is not None and pad.op_type == "Pad":
            left += int(numpy_helper.to_array(weights[pad.input[1]])[2])
            node.input[0] = pad.input[0]
            model.graph.node.remove(pad)
        # For ceil_mode the exporter may count a last window that holds padding only.
        right = min(max(0, covered - length[node.input[0]] - left), kernel - 1)
        del node.attribute[:]
        for name, value in (
            ("kernel_shape", [kernel]),
            ("strides", [stride]),
            ("pads", [left, right]),
        ):
            node.attribute.append(helper.make_attribute(name, value))


def _fold_hard_sigmoid(model: onnx.ModelProto) -> None:
    """Turn Conv -> HardSigmoid(a, b) into Conv(a w, a bias + b) -> Clip(0, 1)."""
    graph = model.graph
    weights = initializers(model)
    made_by = producers(model)
    for index, node in enumerate(graph.node):
        if node.op_type != "HardSigmoid":
            continue
        conv = made_by.get(node.input[0])
        if conv is None or conv.op_type != "Conv" or len(consumers(model, conv.output[0])) != 1:
            continue
        attributes = {a.name: a.f for a in node.attribute}
        alpha, beta = attributes.get("alpha", 0.2), attributes.get("beta", 0.5)
        weight = numpy_helper.to_array(weights[conv.input[1]])
        bias = np.zeros(weight.shape[0], np.float32)
        if len(conv.input) == 3:
            bias = numpy_helper.to_array(weights[conv.input[2]])
        stem = conv.output[0]
        new = {
            f"{stem}.weight": (weight * np.float32(alpha)).astype(np.float32),
            f"{stem}.bias": (bias * np.float32(alpha) + np.float32(beta)).astype(np.float32),
            f"{stem}.low": np.float32(0.0),
            f"{stem}.high": np.float32(1.0),
        }
        graph.initializer.extend(
            numpy_helper.from_array(np.asarray(value), name) for name, value in new.items()
        )
        names = list(new)
        del conv.input[1:]
        conv.input.extend(names[:2])
        graph.node[index].CopyFrom(
            helper.make_node("Clip", [stem, *names[2:]], list(node.output), name=node.name)
        )
    _drop_unused_initializers(model)


def _make_norms_convolutions(model: onnx.ModelProto) -> None:
    """Turn a BatchNormalization that follows no Conv into a depthwise Conv of width one."""
    graph = model.graph
    weights = initializers(model)
    ones = [1] * (len(input_shape(model)) - 2)
    for node in graph.node:
        if node.op_type != "BatchNormalization":
            continue
        gamma, beta, mean, var = (
            numpy_helper.to_array(weights[name]).astype(np.float64) for name in node.input[1:]
        )
        epsilon = next((a.f for a in node.attribute if a.name == "epsilon"), 1e-5)
        scale = gamma / np.sqrt(var + epsilon)
        stem = node.output[0]
        weight = scale.reshape(-1, 1, *ones)
        new = {f"{stem}.weight": weight, f"{stem}.bias": beta - mean * scale}
        graph.initializer.extend(
            numpy_helper.from_array(value.astype(np.float32), name) for name, value in new.items()
        )
        node.CopyFrom(
            helper.make_node(
                "Conv",
                [node.input[0], *new],
                [stem],
                name=node.name,
                kernel_shape=ones,
                group=len(scale),
            )
        )
    _drop_unused_initializers(model)


def _drop_unused_initializers(model: onnx.ModelProto) -> None:
    used = {name for node in model.graph.node for name in node.input}
    kept = [value for value in model.graph.initializer if value.name in used]
    del model.graph.initializer[:]
    model.graph.initializer.extend(kept)
