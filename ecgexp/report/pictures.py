"""Every picture of a run, in one place to import from."""

from __future__ import annotations

from ecgexp.report.certainty import certainty
from ecgexp.report.channels import channels_kept
from ecgexp.report.curves import learning_curves
from ecgexp.report.effects import effect_sheet
from ecgexp.report.matrix import confusion_matrix
from ecgexp.report.saliency import saliency_strips
from ecgexp.report.strips import error_examples, example_windows

__all__ = [
    "certainty",
    "channels_kept",
    "confusion_matrix",
    "effect_sheet",
    "error_examples",
    "example_windows",
    "learning_curves",
    "saliency_strips",
]
