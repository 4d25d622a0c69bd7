"""Names of the training metrics, part of the interface; no heavy import."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

TRAIN = "train"
VAL = "val"
TEST = "test"

LOSS = "loss"
ACCURACY = "accuracy"
F1_MACRO = "f1_macro"
PRECISION_MACRO = "precision_macro"
RECALL_MACRO = "recall_macro"
AUROC = "auroc"
F1_SELECTED = "f1_selected"
F1_PRIOR_CORRECTED = "f1_prior_corrected"
LEARNING_RATE = "learning_rate"

F1 = "f1"
PRECISION = "precision"
RECALL = "recall"

OVERALL = (ACCURACY, F1_MACRO, PRECISION_MACRO, RECALL_MACRO, AUROC)
CONDITIONAL = (F1_SELECTED, F1_PRIOR_CORRECTED)  # what only some objectives log
PER_CLASS = (F1, PRECISION, RECALL)

TRAIN_LOSS = f"{TRAIN}/{LOSS}"
TRAIN_LEARNING_RATE = f"{TRAIN}/{LEARNING_RATE}"
VAL_LOSS = f"{VAL}/{LOSS}"
VAL_F1_MACRO = f"{VAL}/{F1_MACRO}"
TEST_F1_MACRO = f"{TEST}/{F1_MACRO}"
TEST_ACCURACY = f"{TEST}/{ACCURACY}"


def of_class(measure: str, label: str) -> str:
    """Return the name of one class's measure, for example `f1_AFIB`."""
    return f"{measure}_{label}"


def of_split(split: str, metrics: Mapping[str, float]) -> dict[str, float]:
    """Prefix bare metric names with the split they were measured on."""
    return {f"{split}/{name}": value for name, value in metrics.items()}


def validation_names(labels: Sequence[str]) -> tuple[str, ...]:
    """Return every name that a fit may log for its validation split, what can be monitored."""
    per_class = (of_class(measure, label) for measure in PER_CLASS for label in labels)
    return tuple(f"{VAL}/{name}" for name in (LOSS, *OVERALL, *CONDITIONAL, *per_class))
