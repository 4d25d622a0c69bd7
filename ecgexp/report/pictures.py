"""Every picture of a run, in one place to import from."""

from __future__ import annotations

from ecgexp.report.channels import channels_kept
from ecgexp.report.curves import learning_curves
from ecgexp.report.matrix import confusion_matrix
from ecgexp.report.strips import error_examples, example_windows

__all__ = [
    "channels_kept",
    "confusion_matrix",
    "error_examples",
    "example_windows",
    "learning_curves",
]
