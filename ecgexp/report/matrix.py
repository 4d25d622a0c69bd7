"""The confusion matrix as a picture."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from matplotlib.axes import Axes
from numpy.typing import NDArray

from ecgexp.report import style


@dataclass(frozen=True, kw_only=True)
class Panel:
    """One matrix of a picture.

    Attributes:
        title: What it shows.
        labels: Class names.
        counts: True class by predicted class (class, class).
    """

    title: str
    labels: tuple[str, ...]
    counts: NDArray[np.int64]


def confusion_matrix(
    labels: Sequence[str], y: NDArray[np.int64], predicted: NDArray[np.int64], path: Path
) -> Path:
    """Draw how often each true class was predicted as each class.

    Args:
        labels: Class names.
        y: True classes (window,).
        predicted: Predicted classes (window,).
        path: PNG file to write.
    """
    n = len(labels)
    counts = np.bincount(y * n + predicted, minlength=n * n).reshape(n, n)
    return confusion_matrices(
        [Panel(title="", labels=tuple(labels), counts=counts)], path, columns=1
    )


def confusion_matrices(panels: Sequence[Panel], path: Path, *, columns: int) -> Path:
    """Draw several matrices side by side.

    Args:
        panels: Row by row.
        path: PNG file to write.
        columns: Matrices in a row.
    """
    side = 1.6 + 0.85 * max(3, *(len(panel.labels) for panel in panels))
    columns = min(columns, len(panels))
    rows = -(-len(panels) // columns)
    figure = style.sheet(columns * (side + 0.8), rows * side)
    places = figure.subplots(rows, columns, squeeze=False).ravel()
    for axes, panel in zip(places, panels, strict=False):
        _draw(axes, panel)
    for axes in places[len(panels) :]:
        axes.set_visible(False)
    return style.save(figure, path)


def _draw(axes: Axes, panel: Panel) -> None:
    counts, n = panel.counts, len(panel.labels)
    shown = [style.readable(label) for label in panel.labels]
    support = counts.sum(axis=1)
    share = counts / np.maximum(support[:, None], 1)
    axes.imshow(share, cmap="Blues", vmin=0, vmax=1)
    for row, column in np.ndindex(n, n):
        if counts[row, column]:
            axes.text(
                column, row, f"{100 * share[row, column]:.1f} %\n{counts[row, column]:,}",
                ha="center", va="center", fontsize=8 if n <= 8 else 5,
                color="white" if share[row, column] > 0.55 else style.TRACE,
            )  # fmt: skip
    axes.set_xticks(range(n), shown, fontsize=9, rotation=45 if max(map(len, shown)) > 6 else 0)
    rows = [f"{label}\n{total:,}" for label, total in zip(shown, support, strict=True)]
    axes.set_yticks(range(n), rows, fontsize=9)
    axes.set_xlabel("predicted", fontsize=9)
    axes.set_ylabel("true, with number of windows", fontsize=9)
    accuracy = counts.trace() / max(counts.sum(), 1)
    title = f"{counts.sum():,} windows, accuracy {accuracy:.3f}; rows add up to 100 %"
    if panel.title:
        title = f"{panel.title}\n{title}"
    axes.set_title(title, fontsize=9)
    axes.tick_params(length=0)
    axes.spines[:].set_visible(False)
