"""Check an ONNX classifier that somebody else trained."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import onnx
from google.protobuf.message import DecodeError  # type: ignore[import-untyped]
from numpy.typing import NDArray

from ecgexp.errors import ExportError
from ecgexp.quantization.arrays import read_arrays
from ecgexp.quantization.graph import operator_counts
from ecgexp.types import Scheme, SignalSpec

_MAKE_STATIC = (
    "python -m onnxruntime.tools.make_dynamic_shape_fixed --input_name {} --input_shape {}"
)


@dataclass(frozen=True, slots=True)
class Classifier:
    """A network that passed every check.

    Attributes:
        network: The model with all its weights inside.
        window_shape: (lead, sample), (channel, row, column) or (feature,).
        spec: Leads, samples and labels, from the file's metadata where it has them. The leads of a
            spectrogram are its channels.
        scheme: `ptq_int8` for a network in QDQ form.
    """

    network: onnx.ModelProto
    window_shape: tuple[int, ...]
    spec: SignalSpec
    scheme: Scheme


def read_classifier(path: Path) -> Classifier:
    """Read an ONNX file and check that a device can run it as a classifier.

    Raises:
        ExportError: The file is missing, truncated or invalid, or its input or output does not
            have one static shape of float32.
    """
    network = _read_network(path)
    shape = _input_shape(network, path)
    n_classes = _n_classes(network, path)
    quantized = "QuantizeLinear" in operator_counts(network)
    return Classifier(
        network=network,
        window_shape=shape[1:],
        spec=_spec(network, shape, n_classes),
        scheme="ptq_int8" if quantized else "none",
    )


def read_windows(path: Path, shape: tuple[int, ...]) -> NDArray[np.float32]:
    """Read golden windows `x` from an `.npz` file.

    Args:
        path: The file.
        shape: Shape of one window.

    Raises:
        ExportError: There is no such array, or it holds something else than finite windows.
    """
    arrays = read_arrays(path)
    if "x" not in arrays:
        raise ExportError(f"golden={path}: no array x, only {sorted(arrays)}")
    x = arrays["x"]
    if x.dtype.kind not in "fiu" or x.ndim == 0 or len(x) == 0 or x.shape[1:] != shape:
        raise ExportError(
            f"golden={path}: x is {x.dtype} {x.shape}, the network takes numbers of shape "
            f"(at least one window, {', '.join(map(str, shape))})"
        )
    with np.errstate(over="ignore"):
        windows = x.astype(np.float32)
    bad = np.flatnonzero(~np.isfinite(windows).reshape(len(windows), -1).all(axis=1))
    if bad.size:
        raise ExportError(
            f"golden={path}: x holds NaN or infinity in {bad.size} of {len(windows)} windows, "
            f"first in window {bad[0]}: leave them out"
        )
    return windows


def _read_network(path: Path) -> onnx.ModelProto:
    if not path.is_file():
        raise ExportError(f"onnx={path}: there is no such file")
    try:
        network = onnx.load(path)
        onnx.checker.check_model(network, full_check=True)
    except (
        DecodeError,
        OSError,
        ValueError,
        onnx.checker.ValidationError,
        onnx.shape_inference.InferenceError,
    ) as error:
        reason = str(error).strip().splitlines()
        raise ExportError(
            f"onnx={path}: no valid ONNX file ({reason[0] if reason else type(error).__name__}); "
            "export it again"
        ) from error
    return network


def _input_shape(network: onnx.ModelProto, path: Path) -> tuple[int, ...]:
    constants = {value.name for value in network.graph.initializer}
    inputs = [value for value in network.graph.input if value.name not in constants]
    if len(inputs) != 1:
        names = [value.name for value in inputs]
        raise ExportError(f"onnx={path}: inputs {names}, a deployable network has exactly one")
    shape = _static_shape(inputs[0], path)
    if len(shape) not in (2, 3, 4) or shape[0] != 1:
        raise ExportError(
            f"onnx={path}: input {inputs[0].name} has shape {shape}; "
            "export it as (1, lead, sample), (1, channel, row, column) or (1, feature)"
        )
    return shape


def _n_classes(network: onnx.ModelProto, path: Path) -> int:
    outputs = list(network.graph.output)
    if len(outputs) != 1:
        names = [value.name for value in outputs]
        raise ExportError(f"onnx={path}: outputs {names}, a deployable network has exactly one")
    shape = _static_shape(outputs[0], path)
    if len(shape) != 2 or shape[0] != 1 or shape[1] < 2:
        raise ExportError(
            f"onnx={path}: output {outputs[0].name} has shape {shape}; "
            "a classifier answers (1, class) with at least 2 classes"
        )
    return shape[1]


def _static_shape(value: onnx.ValueInfoProto, path: Path) -> tuple[int, ...]:
    tensor = value.type.tensor_type
    axes = [axis.dim_param or (axis.dim_value or "?") for axis in tensor.shape.dim]
    if tensor.elem_type != onnx.TensorProto.FLOAT:
        kind = onnx.TensorProto.DataType.Name(tensor.elem_type)
        raise ExportError(f"onnx={path}: {value.name} is {kind}; export it with float32 borders")
    if not axes or any(isinstance(axis, str) for axis in axes):
        fixed = ",".join("1" if isinstance(axis, str) else str(axis) for axis in axes) or "1,1,800"
        command = _MAKE_STATIC.format(value.name, fixed)
        raise ExportError(
            f"onnx={path}: {value.name} has the dynamic shape ({', '.join(map(str, axes))}); "
            f"a device needs fixed sizes, for example: {command} {path.name} fixed.onnx"
        )
    return tuple(int(axis) for axis in axes)


def _spec(network: onnx.ModelProto, shape: tuple[int, ...], n_classes: int) -> SignalSpec:
    n_leads = shape[1] if len(shape) > 2 else 1
    properties = {entry.key: entry.value for entry in network.metadata_props}
    return SignalSpec(
        fs_hz=_positive(properties.get("fs_hz", "")),
        leads=_names(properties.get("leads", ""), n_leads, "lead"),
        n_samples=shape[-1],
        labels=_names(properties.get("labels", ""), n_classes, "class"),
        n_rows=shape[2] if len(shape) == 4 else None,
        several=properties.get("several") == "true",
    )


def _names(text: str, n: int, stem: str) -> tuple[str, ...]:
    """Read the list that our own exporter writes; number the names of any other file."""
    try:
        names = json.loads(text)
    except json.JSONDecodeError:
        names = None
    if isinstance(names, list) and len(names) == n and all(isinstance(x, str) for x in names):
        return tuple(names)
    return tuple(f"{stem}_{index}" for index in range(n))


def _positive(text: str) -> float:
    """Read a sampling rate; 1 Hz stands for an unknown one."""
    try:
        value = float(text)
    except ValueError:
        return 1.0
    return value if 0.0 < value < float("inf") else 1.0
