"""Say when export or quantization changed a network too much."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from ecgexp.errors import ExportError

EXPORT_TOLERANCE = 1e-3
"""Largest difference between torch and ONNX Runtime, relative to the largest logit."""


def check_export(torch_logits: NDArray[np.float32], onnx_logits: NDArray[np.float32]) -> None:
    """Refuse an export that computes something else than the trained network.

    Raises:
        ExportError: The logits differ by more than rounding.
    """
    difference = float(np.max(np.abs(torch_logits - onnx_logits)))
    scale = 1.0 + float(np.max(np.abs(torch_logits)))
    if not difference <= EXPORT_TOLERANCE * scale:
        raise ExportError(
            f"the exported network differs from the trained one by {difference:g} in a logit "
            f"(allowed {EXPORT_TOLERANCE * scale:g}): the architecture uses an operator that "
            "does not export faithfully; compare them layer by layer"
        )


def check_drop(drop: float, max_drop: float | None) -> None:
    """Refuse a network that lost too much by quantization.

    Args:
        drop: Loss of accuracy, as a fraction.
        max_drop: Largest loss accepted; None accepts any.

    Raises:
        ExportError: The loss is larger.
    """
    if max_drop is not None and drop > max_drop:
        raise ExportError(
            f"quantization.max_drop={max_drop:g}: int8 loses {drop:.4f} of validation accuracy; "
            "try quantization.method=percentile or more quantization.n_calibration windows, "
            "train with less weight on outliers, or accept it with a larger quantization.max_drop"
        )
