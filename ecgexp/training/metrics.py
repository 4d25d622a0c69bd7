"""Measures of a classifier as pure functions of labels and logits."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from ecgexp.dataset.labels import class_rows
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
    return {
        names.ACCURACY: float((y == logits.argmax(axis=1)).mean()),
        **_by_class(
            labels,
            matrix.diagonal(),
            true=matrix.sum(axis=1),
            predicted=matrix.sum(axis=0),
            f1_labels=f1_labels,
        ),
        **_area(class_rows(y, len(labels)), softmax(logits)),
    }


def multilabel_metrics(
    labels: Sequence[str],
    y: NDArray[np.int64],
    logits: NDArray[np.floating],
    *,
    threshold: float,
    f1_labels: Sequence[str] | None = None,
) -> dict[str, float]:
    """Measure a network that may name several classes of a window, or none, on one split.

    Args:
        labels: Class names in the order of the logits.
        y: A 0 or 1 for each class, (window, class).
        logits: Outputs of the network, (window, class).
        threshold: Probability, the sigmoid of a logit, from which a class is named.
        f1_labels: Classes whose mean F1 is `f1_selected`; one that does not occur counts as 0.

    Returns:
        The names of `classification_metrics`, per class and over the classes that occur, as there.
        `accuracy` is the share of windows of which every class is right; a false alarm of a class
        that does not occur lowers nothing else.
    """
    named = named_classes(logits, threshold)
    return {
        names.ACCURACY: float((y == named).all(axis=1).mean()),
        **_by_class(
            labels,
            (y * named).sum(axis=0),
            true=y.sum(axis=0),
            predicted=named.sum(axis=0),
            f1_labels=f1_labels,
        ),
        **_area(y, sigmoid(logits)),
    }


def measured(
    labels: Sequence[str],
    y: NDArray[np.int64],
    logits: NDArray[np.floating],
    *,
    threshold: float | None,
    f1_labels: Sequence[str] | None,
) -> dict[str, float]:
    """Return `multilabel_metrics` where there is a threshold, else `classification_metrics`."""
    if threshold is None:
        return classification_metrics(labels, y, logits, f1_labels=f1_labels)
    return multilabel_metrics(labels, y, logits, threshold=threshold, f1_labels=f1_labels)


def answers_of(logits: NDArray[np.floating], threshold: float | None) -> NDArray[np.int64]:
    """Return the likeliest class (window,), or, with a threshold, those named (window, class)."""
    return logits.argmax(axis=1) if threshold is None else named_classes(logits, threshold)


def probabilities(logits: NDArray[np.floating], *, several: bool) -> Floats:
    """Return the probability of each class (window, class), by itself or out of one whole."""
    return sigmoid(logits) if several else softmax(logits)


def named_classes(logits: NDArray[np.floating], threshold: float) -> NDArray[np.int64]:
    """Return a 0 or 1 for each class (window, class): is its probability at the threshold?"""
    return (sigmoid(logits) >= threshold).astype(np.int64)


def sigmoid(logits: NDArray[np.floating]) -> Floats:
    """Return the probability of each class by itself (window, class)."""
    probability: Floats = 0.5 * (1.0 + np.tanh(0.5 * logits.astype(np.float64)))
    return probability


def _by_class(
    labels: Sequence[str],
    hits: NDArray[np.int64],
    *,
    true: NDArray[np.int64],
    predicted: NDArray[np.int64],
    f1_labels: Sequence[str] | None,
) -> dict[str, float]:
    recall = hits / np.maximum(true, 1)
    precision = hits / np.maximum(predicted, 1)
    f1 = 2 * hits / np.maximum(true + predicted, 1)
    present = [int(k) for k in np.flatnonzero(true)]
    figures = {
        names.F1_MACRO: float(f1[present].mean()),
        names.PRECISION_MACRO: float(precision[present].mean()),
        names.RECALL_MACRO: float(recall[present].mean()),
    }
    if f1_labels:
        figures[names.F1_SELECTED] = float(np.mean([f1[labels.index(k)] for k in f1_labels]))
    for measure, values in ((names.F1, f1), (names.PRECISION, precision), (names.RECALL, recall)):
        figures.update({names.of_class(measure, labels[k]): float(values[k]) for k in present})
    return figures


def _area(rows: NDArray[np.int64], probability: Floats) -> dict[str, float]:
    areas = [
        auroc(of_class == 1, score)
        for of_class, score in zip(rows.T, probability.T, strict=True)
        if 0 < of_class.sum() < len(of_class)
    ]
    return {names.AUROC: float(np.mean(areas))} if areas else {}
