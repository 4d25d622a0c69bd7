"""Windows drawn as ECG strips: examples of classes, examples of mistakes."""

from __future__ import annotations

from pathlib import Path
from typing import Protocol

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from numpy.typing import NDArray

from ecgexp.dataset.labels import class_rows
from ecgexp.report import style
from ecgexp.training.metrics import sigmoid
from ecgexp.types import SignalSpec

_AXES = "time in s, fine grid {grid}; amplitude as the network sees it, after preprocessing"
_IMAGE_AXES = "time in s; rows of the images as the network sees them, the lowest frequency below"


class Strips(Protocol):
    """Windows with where they come from; `ecgexp.dataset.windows.WindowSet` is one."""

    @property
    def x(self) -> NDArray[np.float32]:
        """Signals (window, lead, sample)."""

    @property
    def y(self) -> NDArray[np.int64]:
        """Classes (window,), or a 0 or 1 for each (window, class)."""

    @property
    def record(self) -> NDArray[np.str_]:
        """Record names (window,)."""

    @property
    def start(self) -> NDArray[np.int64]:
        """First samples in the record, at the record's rate (window,)."""


def error_examples(
    spec: SignalSpec,
    windows: Strips,
    logits: NDArray[np.floating],
    path: Path,
    *,
    n: int = 10,
    threshold: float | None = None,
) -> Path:
    """Draw the mistakes the network was surest of, with what it said and what was right.

    Every kind of mistake (true class, predicted class) shows its surest example before any kind
    shows a second one.

    Args:
        spec: Rate, leads and labels.
        windows: What was predicted.
        logits: The predictions (window, class).
        path: PNG file to write.
        n: Largest number of mistakes to draw.
        threshold: Probability from which a class is named, where windows can have several.
    """
    y = np.asarray(windows.y)
    title, chosen, captions = (
        _mistakes(spec, y, logits, n)
        if threshold is None
        else _wrong_answers(spec, y, sigmoid(logits), threshold, n)
    )
    if not len(chosen):
        figure = style.sheet(6, 1)
        figure.suptitle(title, fontsize=11)
        return style.save(figure, path)
    columns = 2 if style.is_long(spec) else min(5, len(chosen))
    rows = -(-len(chosen) // columns)
    figure = style.sheet(12, 0.6 + rows * (1.7 if style.is_long(spec) else 2.4))
    figure.suptitle(f"{title}; the surest of each kind first", fontsize=11)
    panels = figure.subplots(rows, columns, squeeze=False)
    for axes in panels.flat[len(chosen) :]:
        axes.set_visible(False)
    for axes, index, caption in zip(panels.flat, chosen, captions, strict=False):
        style.draw_window(axes, spec, windows.x[index])
        axes.set_title(caption, fontsize=9, color=style.RED, loc="left", pad=12)
        _name_source(axes, windows, int(index))
    _name_axes(figure, spec)
    return style.save(figure, path)


def _mistakes(
    spec: SignalSpec, y: NDArray[np.int64], logits: NDArray[np.floating], n: int
) -> tuple[str, NDArray[np.int64], list[str]]:
    """Return a heading, windows whose one class was mistaken, and a caption for each."""
    shown = [style.readable(label) for label in spec.labels]
    confidence, predicted = _confidence(logits), logits.argmax(axis=1)
    chosen = surest_mistakes(y, predicted, confidence, n)
    captions = [
        f"{shown[y[i]]} taken for {shown[predicted[i]]} ({100 * confidence[i]:.0f} %)"
        for i in chosen
    ]
    return f"{(y != predicted).sum():,} mistakes in {len(y):,} windows", chosen, captions


def _wrong_answers(
    spec: SignalSpec,
    y: NDArray[np.int64],
    probability: NDArray[np.float64],
    threshold: float,
    n: int,
) -> tuple[str, NDArray[np.int64], list[str]]:
    """Return the same of windows with several classes: of which one was missed or made up."""
    named = (probability >= threshold).astype(np.int64)
    kind = 2 * np.arange(spec.n_classes)
    confidence = np.where(named == 1, probability, 1 - probability)
    answers = surest_mistakes((kind + y).ravel(), (kind + named).ravel(), confidence.ravel(), n)
    chosen, of_class = np.divmod(answers, spec.n_classes)
    captions = [
        f"{style.readable(spec.labels[k])} {'missed' if y[i, k] else 'made up'} "
        f"({100 * confidence[i, k]:.0f} % sure)"
        for i, k in zip(chosen, of_class, strict=True)
    ]
    wrong = y != named
    title = f"{wrong.sum():,} wrong answers in {wrong.any(axis=1).sum():,} of {len(y):,} windows"
    return title, chosen, captions


def surest_mistakes(
    y: NDArray[np.int64], predicted: NDArray[np.int64], confidence: NDArray[np.floating], n: int
) -> NDArray[np.int64]:
    """Choose mistakes: the surest of each (true, predicted) pair, then the second of each, ...

    Args:
        y: True classes (window,).
        predicted: Predicted classes (window,).
        confidence: Probability of the predicted class (window,).
        n: Largest number to choose.

    Returns:
        Indices of at most `n` windows.
    """
    wrong = np.flatnonzero(y != predicted)
    wrong = wrong[np.argsort(-confidence[wrong], kind="stable")]
    turn: dict[tuple[int, int], int] = {}
    ranked = []
    for position, index in enumerate(wrong):
        pair = (int(y[index]), int(predicted[index]))
        turn[pair] = turn.get(pair, -1) + 1
        ranked.append((turn[pair], position, index))
    return np.array([index for _, _, index in sorted(ranked)[:n]], dtype=np.int64)


def example_windows(
    spec: SignalSpec, windows: Strips, path: Path, *, seed: int, n_per_class: int | None = None
) -> Path:
    """Draw some windows of every class, one row per class.

    Args:
        spec: Rate, leads and labels.
        windows: Where to draw them from.
        path: PNG file to write.
        seed: Seed of the choice.
        n_per_class: Windows per class; None chooses by the length of a window.
    """
    columns = n_per_class or (2 if style.is_long(spec) else 5)
    y = class_rows(np.asarray(windows.y), spec.n_classes)
    draw = np.random.default_rng(seed)
    figure = style.sheet(12, 0.5 + spec.n_classes * (1.75 if style.is_long(spec) else 2.1))
    panels = figure.subplots(spec.n_classes, columns, squeeze=False)
    for row, (axes_row, label) in enumerate(zip(panels, spec.labels, strict=True)):
        members = np.flatnonzero(y[:, row])
        chosen = _spread(draw.permutation(members), np.asarray(windows.record))[:columns]
        axes_row[0].set_ylabel(f"{style.readable(label)}\n{len(members):,} windows", fontsize=9)
        for axes in axes_row[len(chosen) :]:
            axes.set_xticks([])
            axes.set_yticks([])
            axes.spines[:].set_visible(False)
        for axes, index in zip(axes_row, chosen, strict=False):
            style.draw_window(axes, spec, windows.x[index])
            _name_source(axes, windows, int(index))
    _name_axes(figure, spec)
    return style.save(figure, path)


def _spread(indices: NDArray[np.intp], record: NDArray[np.str_]) -> NDArray[np.intp]:
    """Put the first window of each record before any second one."""
    _, first = np.unique(record[indices], return_index=True)
    is_first = np.zeros(len(indices), dtype=bool)
    is_first[first] = True
    return np.concatenate([indices[is_first], indices[~is_first]])


def _confidence(logits: NDArray[np.floating]) -> NDArray[np.float64]:
    shifted = logits.astype(np.float64) - logits.max(axis=1, keepdims=True)
    confidence: NDArray[np.float64] = 1.0 / np.exp(shifted).sum(axis=1)
    return confidence


def _name_axes(figure: Figure, spec: SignalSpec) -> None:
    axes = _AXES if spec.n_rows is None else _IMAGE_AXES
    figure.supxlabel(axes.format(grid=f"{style.grid_s(spec)[1]:g} s"), fontsize=8)


def _name_source(axes: Axes, windows: Strips, index: int) -> None:
    source = f"record {windows.record[index]}, sample {int(windows.start[index]):,}"
    axes.text(0, 1.02, source, transform=axes.transAxes, fontsize=6.5, color=style.GREY)
