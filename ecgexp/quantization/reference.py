"""ONNX Runtime as the reference: what the deployed network must reproduce."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import onnxruntime as ort
from numpy.typing import NDArray

from ecgexp.errors import ExportError

_SILENT = 4


def open_session(path: Path, *, optimise: bool = False) -> ort.InferenceSession:
    """Open a model on one CPU thread.

    Args:
        path: ONNX file.
        optimise: Let ONNX Runtime fuse nodes; off, the graph runs exactly as it is written.

    Raises:
        ExportError: ONNX Runtime cannot read or run the file.
    """
    options = ort.SessionOptions()
    level = ort.GraphOptimizationLevel
    options.graph_optimization_level = level.ORT_ENABLE_ALL if optimise else level.ORT_DISABLE_ALL
    options.intra_op_num_threads = 1
    options.inter_op_num_threads = 1
    options.log_severity_level = _SILENT
    try:
        return ort.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])
    except Exception as error:
        # ONNX Runtime raises a dozen unrelated types from a private module.
        raise ExportError(
            f"{path}: ONNX Runtime cannot load it ({error}); export it again"
        ) from None


def run_onnx(path: Path, x: NDArray[np.float32], *, optimise: bool = False) -> NDArray[np.float32]:
    """Run windows through a batch-1 model, one by one.

    With `optimise` off this is the reference semantics of the project: the graph as written, so
    quantize, dequantize and float operators in the order in which the file has them.

    Args:
        path: ONNX file with one input (1, ...) float32 and one output (1, class) float32.
        x: Windows (window, ...) of the input's shape without its batch axis.
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
            f"{path}: input {entry.name} takes windows of shape {shape}, got {x.shape[1:]}"
        )
    outputs = np.empty((len(x), session.get_outputs()[0].shape[-1]), np.float32)
    windows = np.ascontiguousarray(x, dtype=np.float32)
    for index in range(len(windows)):
        outputs[index] = session.run(None, {entry.name: windows[index : index + 1]})[0][0]
    return outputs
