"""ONNX Runtime as the reference: what the deployed network must reproduce."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import onnxruntime as ort
from numpy.typing import NDArray
from onnxruntime.capi import onnxruntime_pybind11_state as ort_errors

from ecgexp.errors import ExportError

ORT_ERRORS = (
    ort_errors.Fail,
    ort_errors.InvalidArgument,
    ort_errors.InvalidGraph,
    ort_errors.InvalidProtobuf,
    ort_errors.NoSuchFile,
    ort_errors.NotImplemented,
    ort_errors.RuntimeException,
)
"""ONNX Runtime's own errors; they share no base class."""

_FATAL_ONLY = 4


def open_session(path: Path, *, optimise: bool = False) -> ort.InferenceSession:
    """Open a model on one CPU thread.

    Args:
        path: ONNX file.
        optimise: Let ONNX Runtime fuse nodes; off, the graph runs exactly as it is written.

    Raises:
        ExportError: ONNX Runtime cannot read the file.
    """
    options = ort.SessionOptions()
    level = ort.GraphOptimizationLevel
    options.graph_optimization_level = level.ORT_ENABLE_ALL if optimise else level.ORT_DISABLE_ALL
    options.intra_op_num_threads = 1
    options.inter_op_num_threads = 1
    options.log_severity_level = _FATAL_ONLY
    # The uint8 kernels that x86 would otherwise use saturate on machines without VNNI.
    options.add_session_config_entry("session.qdqisint8allowed", "1")
    try:
        return ort.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])
    except ORT_ERRORS as error:
        raise ExportError(
            f"{path}: ONNX Runtime cannot load it ({error}); export it again"
        ) from error


def run_onnx(path: Path, x: NDArray[np.float32], *, optimise: bool = False) -> NDArray[np.float32]:
    """Run windows through a batch-1 model, one by one.

    With `optimise` off this is the reference semantics of the project: the graph as written, so
    quantize, dequantize and float operators in the order in which the file has them.

    Args:
        path: ONNX file with one input (1, ...) float32 and one output (1, class) float32.
        x: Windows (window, ...) of the input's shape without its batch axis; may be a memmap.
        optimise: Let ONNX Runtime fuse nodes.

    Returns:
        Outputs (window, class).

    Raises:
        ExportError: The file cannot be run or the windows have another shape.
    """
    session = open_session(path, optimise=optimise)
    entry = session.get_inputs()[0]
    shape = tuple(entry.shape[1:])
    if x.shape[1:] != shape:
        raise ExportError(
            f"{path}: input {entry.name} takes windows of shape {shape}, got {x.shape[1:]}: "
            "the network was exported for another signal"
        )
    outputs = np.empty((len(x), session.get_outputs()[0].shape[-1]), np.float32)
    for index in range(len(x)):
        window = np.ascontiguousarray(x[index : index + 1], dtype=np.float32)
        try:
            outputs[index] = session.run(None, {entry.name: window})[0][0]
        except ORT_ERRORS as error:
            raise ExportError(f"{path}: ONNX Runtime cannot run it ({error})") from error
    return outputs
