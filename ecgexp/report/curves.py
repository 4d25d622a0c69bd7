"""Learning curves from the per-epoch history of a fit."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

from matplotlib.axes import Axes
from matplotlib.ticker import MaxNLocator

from ecgexp.errors import DataError
from ecgexp.report import style

Row = Mapping[str, float]
_F1_MACRO = "val/f1_macro"
_CLASS_F1 = "val/f1_"


def learning_curves(history: Sequence[Row], path: Path) -> Path:
    """Draw losses, validation scores and each class's F1 over the epochs.

    Args:
        history: One row of metrics per epoch, with `epoch`.
        path: PNG file to write.

    Raises:
        DataError: The history is empty.
    """
    if not history:
        raise DataError(f"{path}: no epoch was finished, there is no learning curve to draw")
    figure = style.sheet(11, 3.6)
    losses, scores, classes = figure.subplots(1, 3)
    losses.set_title("Loss", fontsize=10)
    _line(losses, history, "train/loss", "training", style.BLUE)
    _line(losses, history, "val/loss", "validation", style.ORANGE)
    scores.set_title("Validation scores", fontsize=10)
    _line(scores, history, "val/auroc", "AUROC, macro", style.GREEN)
    _line(scores, history, "val/accuracy", "accuracy", style.ORANGE)
    _line(scores, history, _F1_MACRO, "F1, macro", style.BLUE, dash=(4, 2))
    _mark_best(scores, history)
    classes.set_title("Validation F1 by class", fontsize=10)
    for name in dict.fromkeys(name for row in history for name in row):
        if name.startswith(_CLASS_F1) and name != _F1_MACRO:
            _line(classes, history, name, style.readable(name.removeprefix(_CLASS_F1)))
    for axes in (losses, scores, classes):
        style.plain(axes)
        axes.set_xlabel("epoch", fontsize=8)
        axes.xaxis.set_major_locator(MaxNLocator(integer=True))
        if axes.lines:
            axes.legend(fontsize=7, frameon=False)
    for axes in (scores, classes):
        axes.set_ylim(top=1.02)
    return style.save(figure, path)


def _line(
    axes: Axes,
    history: Sequence[Row],
    name: str,
    label: str,
    colour: str | None = None,
    *,
    dash: tuple[float, float] | None = None,
) -> None:
    rows = [row for row in history if name in row]
    if not rows:
        return
    epochs, values = [row["epoch"] for row in rows], [row[name] for row in rows]
    (line,) = axes.plot(epochs, values, color=colour, label=label, linewidth=1.6)
    if dash:
        line.set_dashes(dash)
    if len(rows) < 3:
        line.set_marker("o")


def _mark_best(axes: Axes, history: Sequence[Row]) -> None:
    rows = [row for row in history if _F1_MACRO in row]
    if rows:
        best = max(rows, key=lambda row: row[_F1_MACRO])
        label = f"highest F1 {best[_F1_MACRO]:.3f}, epoch {best['epoch']:.0f}"
        axes.axvline(best["epoch"], color=style.GREY, linewidth=0.8, linestyle=":")
        axes.plot(best["epoch"], best[_F1_MACRO], "o", color=style.BLUE, label=label)
