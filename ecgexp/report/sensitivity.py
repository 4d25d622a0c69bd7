"""What each layer alone costs when it is rounded, as a picture."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Protocol

from ecgexp.report import style


class Row(Protocol):
    """One layer at one width."""

    @property
    def layer(self) -> str:
        """Name of its weight."""

    @property
    def bits(self) -> int:
        """Width."""

    @property
    def logits_sqnr_db(self) -> float:
        """Power of the logits over that of their change, in dB."""

    @property
    def accuracy(self) -> float:
        """Accuracy with only this layer rounded."""


def draw_sensitivity(rows: Sequence[Row], path: Path) -> Path:
    """Draw signal-to-noise ratio and accuracy of every layer rounded alone.

    Args:
        rows: One per layer and width.
        path: PNG file to write.
    """
    layers = list(dict.fromkeys(row.layer for row in rows))
    widths = sorted({row.bits for row in rows}, reverse=True)
    figure = style.sheet(10.0, 1.4 + 0.24 * len(layers))
    left, right = figure.subplots(1, 2, sharey=True)
    colours = [style.BLUE, style.ORANGE, style.GREEN, style.RED, style.GREY, style.TRACE]
    for index, bits in enumerate(widths):
        of_width = {row.layer: row for row in rows if row.bits == bits}
        colour, label = colours[index % len(colours)], f"{bits} bits"
        places = range(len(layers))
        ratios = [of_width[layer].logits_sqnr_db for layer in layers]
        accuracies = [of_width[layer].accuracy for layer in layers]
        left.plot(ratios, places, "o-", color=colour, label=label, markersize=4, linewidth=1)
        right.plot(accuracies, places, "o-", color=colour, markersize=4, linewidth=1)
    left.set_yticks(range(len(layers)), layers, fontsize=7)
    left.invert_yaxis()
    left.set_xlabel("signal to noise of the logits, dB", fontsize=9)
    right.set_xlabel("accuracy, this layer rounded alone", fontsize=9)
    left.legend(fontsize=8, frameon=False)
    for axes in (left, right):
        axes.grid(axis="x", alpha=0.3)
    return style.save(figure, path)
