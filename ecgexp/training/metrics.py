"""Measures of a classifier as pure functions of labels and logits."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from ecgexp.training import metric_names as names

Floats = NDArray[np.float64]


def confusion_matrix(
    y: NDArray[np.int64], predicted: NDArray[np.int64], n_classes: int
) -> NDArray[np.int64]:
    """Count windows by true class (row) and predicted class (column), shape (class, class)."""
    flat = np.bincount(y * n_classes + predicted, minlength=n_classes * n_classes)
    return flat.reshape(n_classes, n_classes).astype(np.int64)


def softmax(logits: NDArray[np.floating]) -> Floats:
    """Return class probabilities (window, class) of logits (window, class)."""
    shifted = logits.astype(np.float64) - logits.max(axis=1, keepdims=True)
    exponentials = np.exp(shifted)
    probability: Floats = exponentials / exponentials.sum(axis=1, keepdims=True)
    return probability


def auroc(positive: NDArray[np.bool_], score: NDArray[np.floating]) -> float:
    """Return the area under the ROC curve; equal scores count half.

    Args:
        positive: Whether each window is of the class, (window,); both kinds must occur.
        score: Higher means more of the class, (window,).
    """
    _, rank_of, counts = np.unique(score, return_inverse=True, return_counts=True)
    mean_rank = np.cumsum(counts) - (counts - 1) / 2
    n_positive = int(positive.sum())
    n_negative = positive.size - n_positive
    rank_sum = float(mean_rank[rank_of[positive]].sum())
    return (rank_sum - n_positive * (n_positive + 1) / 2) / (n_positive * n_negative)


def classification_metrics(
    labels: Sequence[str],
    y: NDArray[np.int64],
    logits: NDArray[np.floating],
    *,
    f1_labels: Sequence[str] | None = None,
) -> dict[str, float]:
    """Measure a classifier on one split.

    Macro figures are means over the classes that occur in `y`, and only those have figures of
    their own: a class without a true window has no recall, and its false alarms already count
    against the class they were taken from. Precision is 0 for a class that is never predicted.

    Args:
        labels: Class names in the order of the logits.
        y: True classes, (window,).
        logits: Outputs of the network, (window, class).
        f1_labels: Classes whose mean F1 is `f1_selected`; one that does not occur counts as 0.

    Returns:
        Bare names (`accuracy`, `f1_macro`, `f1_<label>`, ...) to values in 0..1. `recall` is the
        sensitivity, `precision` the positive predictive value; `auroc` is the macro mean of one
        class against the rest on softmax probabilities.
    """
    matrix = confusion_matrix(y, logits.argmax(axis=1), len(labels))
    hits = matrix.diagonal().astype(np.float64)
    support = matrix.sum(axis=1)
    predicted = matrix.sum(axis=0)
    recall = hits / np.maximum(support, 1)
    precision = hits / np.maximum(predicted, 1)
    f1 = 2 * hits / np.maximum(support + predicted, 1)
    present = [int(k) for k in np.flatnonzero(support)]
    figures = {
        names.ACCURACY: float(hits.sum() / y.size),
        names.F1_MACRO: float(f1[present].mean()),
        names.PRECISION_MACRO: float(precision[present].mean()),
        names.RECALL_MACRO: float(recall[present].mean()),
    }
    if f1_labels:
        figures[names.F1_SELECTED] = float(np.mean([f1[labels.index(k)] for k in f1_labels]))
    areas = _areas(y, softmax(logits), present)
    if areas:
        figures[names.AUROC] = float(np.mean(areas))
    for measure, values in ((names.F1, f1), (names.PRECISION, precision), (names.RECALL, recall)):
        figures.update({names.of_class(measure, labels[k]): float(values[k]) for k in present})
    return figures


def _areas(y: NDArray[np.int64], probability: Floats, present: Sequence[int]) -> list[float]:
    return [auroc(y == k, probability[:, k]) for k in present if (y != k).any()]
