"""Precision, recall and F1 of every class as the table of scikit-learn, with the speed below."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray


def classification_report(
    labels: Sequence[str],
    y: NDArray[np.int64],
    predicted: NDArray[np.int64],
    path: Path,
    *,
    windows_per_s: float,
) -> Path:
    """Write what scikit-learn's `classification_report` says, four digits.

    Args:
        labels: Class names in the order of the classes.
        y: True classes (window,), or a 0 or 1 for each (window, class).
        predicted: Predicted classes, as `y`.
        path: Text file to write.
        windows_per_s: Speed of the network where it answered, one window at a time.
    """
    from sklearn import metrics

    table = metrics.classification_report(
        y,
        predicted,
        labels=np.arange(len(labels)),
        target_names=list(labels),
        digits=4,
        zero_division=0.0,
    )
    speed = f"\n{windows_per_s:,.0f} windows per second, one at a time, in ONNX Runtime\n"
    path.write_text(table + speed, encoding="utf-8")
    return path
