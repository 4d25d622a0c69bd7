"""How far a network's probabilities can be trusted: ROC, calibration, accuracy by share kept."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from matplotlib.axes import Axes
from numpy.typing import NDArray
from sklearn.metrics import roc_curve

from ecgexp.dataset.labels import class_rows
from ecgexp.report import style

Floats = NDArray[np.float64]
N_BINS = 10


def certainty(labels: Sequence[str], y: NDArray[np.int64], probability: Floats, path: Path) -> Path:
    """Draw the ROC curve of each class, the calibration, and accuracy against share kept.

    Args:
        labels: Class names.
        y: True classes (window,), or a 0 or 1 for each (window, class).
        probability: Of the classes (window, class).
        path: PNG file to write.
    """
    figure = style.sheet(13, 4.3)
    roc, calibration, kept = figure.subplots(1, 3)
    _draw_roc(roc, labels, class_rows(y, len(labels)), probability)
    y, probability = as_answers(y, probability)
    _draw_calibration(calibration, y, probability)
    _draw_kept(kept, y, probability)
    return style.save(figure, path)


def as_answers(y: NDArray[np.int64], probability: Floats) -> tuple[NDArray[np.int64], Floats]:
    """Make each class of each window a question of its own, where a window can have several.

    Args:
        y: True classes (window,), which stay as they are, or a 0 or 1 for each (window, class).
        probability: Of the classes (window, class).

    Returns:
        Classes (answer,), and their probabilities (answer, class): of no and yes.
    """
    if y.ndim == 1:
        return y, probability
    yes = probability.ravel()
    return y.ravel(), np.stack([1 - yes, yes], axis=1)


def calibration_bins(
    y: NDArray[np.int64], probability: Floats
) -> tuple[Floats, Floats, NDArray[np.int64]]:
    """Sort windows into ten equal ranges of confidence.

    Args:
        y: True classes (window,).
        probability: Of the classes (window, class).

    Returns:
        Mean confidence, accuracy and number of windows of each range that is not empty.
    """
    confidence = probability.max(axis=1)
    hit = probability.argmax(axis=1) == y
    place = np.minimum((confidence * N_BINS).astype(int), N_BINS - 1)
    count = np.bincount(place, minlength=N_BINS)
    used = count > 0
    mean = np.bincount(place, confidence, N_BINS)[used] / count[used]
    accuracy = np.bincount(place, hit, N_BINS)[used] / count[used]
    return mean, accuracy, count[used]


def calibration_error(y: NDArray[np.int64], probability: Floats) -> float:
    """Return the expected calibration error (Guo et al. 2017): mean distance of both, by count.

    Args:
        y: True classes (window,), or a 0 or 1 for each (window, class).
        probability: Of the classes (window, class).
    """
    mean, accuracy, count = calibration_bins(*as_answers(y, probability))
    return float((np.abs(mean - accuracy) * count).sum() / count.sum())


def accuracy_of_kept(y: NDArray[np.int64], probability: Floats) -> tuple[Floats, Floats, Floats]:
    """Keep only the windows above a confidence, for every confidence that occurs.

    Args:
        y: True classes (window,).
        probability: Of the classes (window, class).

    Returns:
        Threshold, share of windows kept, and accuracy among them, from all windows to the surest.
    """
    confidence = probability.max(axis=1)
    order = np.argsort(-confidence, kind="stable")
    hits = np.cumsum((probability.argmax(axis=1) == y)[order])
    n_kept = np.arange(1, len(y) + 1)
    # Equal confidences are kept or dropped together.
    last = np.append(np.diff(confidence[order]) != 0, True)
    threshold, share, accuracy = confidence[order], n_kept / len(y), hits / n_kept
    return threshold[last][::-1], share[last][::-1], accuracy[last][::-1]


def _draw_roc(
    axes: Axes, labels: Sequence[str], rows: NDArray[np.int64], probability: Floats
) -> None:
    for index, label in enumerate(labels):
        positive = rows[:, index] == 1
        if positive.any() and not positive.all():
            false_alarms, hits, _ = roc_curve(positive, probability[:, index])
            axes.plot(false_alarms, hits, linewidth=1.3, label=style.readable(label))
    axes.plot([0, 1], [0, 1], color=style.GREY, linewidth=0.8, linestyle=":")
    axes.set_xlabel("false positive rate", fontsize=9)
    axes.set_ylabel("true positive rate (sensitivity)", fontsize=9)
    axes.set_title("ROC, each class against the rest", fontsize=10)
    axes.legend(fontsize=7 if len(labels) > 8 else 8, frameon=False, loc="lower right")
    style.plain(axes)


def _draw_calibration(axes: Axes, y: NDArray[np.int64], probability: Floats) -> None:
    mean, accuracy, count = calibration_bins(y, probability)
    axes.plot([0, 1], [0, 1], color=style.GREY, linewidth=0.8, linestyle=":")
    axes.plot(mean, accuracy, "o-", color=style.BLUE, linewidth=1.3, markersize=4)
    axes.bar(mean, count / count.sum(), width=0.03, color=style.ORANGE, alpha=0.6)
    axes.set_xlim(0, 1)
    axes.set_ylim(0, 1.02)
    axes.set_xlabel("confidence (bars: share of answers)", fontsize=9)
    axes.set_ylabel("accuracy", fontsize=9)
    error = calibration_error(y, probability)
    axes.set_title(f"Calibration, expected error {error:.3f}", fontsize=10)
    style.plain(axes)


def _draw_kept(axes: Axes, y: NDArray[np.int64], probability: Floats) -> None:
    _, share, accuracy = accuracy_of_kept(y, probability)
    axes.plot(share, accuracy, color=style.GREEN, linewidth=1.5)
    axes.set_xlim(0, 1)
    axes.set_xlabel("share of answers kept, the surest first", fontsize=9)
    axes.set_ylabel("accuracy among them", fontsize=9)
    axes.set_title(f"Threshold curve; all kept: {accuracy[0]:.3f}", fontsize=10)
    style.plain(axes)
