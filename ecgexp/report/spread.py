"""Ranges of a layer's channels before and after equalisation, as a picture."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Protocol

import numpy as np
from matplotlib.axes import Axes
from matplotlib.ticker import FuncFormatter, LogLocator, NullLocator
from numpy.typing import NDArray

from ecgexp.report import style

_LEAST_SHARE = 1e-4


class Row(Protocol):
    """The channels of one layer."""

    @property
    def layer(self) -> str:
        """Name of its weight."""

    @property
    def weights(self) -> NDArray[np.float64]:
        """Largest absolute weight of each output channel."""

    @property
    def outputs(self) -> NDArray[np.float64]:
        """Largest absolute output of each channel."""


def channel_ranges(before: Sequence[Row], after: Sequence[Row], path: Path) -> Path:
    """Draw the channels' ranges of every layer, each as a share of the layer's largest.

    A line reaches from the smallest to the largest channel, the box holds the middle half.

    Args:
        before: Layers in the order of the network.
        after: The same layers, equalised.
        path: PNG file to write.
    """
    figure = style.sheet(10.0, 1.5 + 0.34 * len(before))
    left, right = figure.subplots(1, 2, sharey=True)
    for axes, of, title in (
        (left, "weights", "largest weight of each output channel"),
        (right, "outputs", "largest output of each channel"),
    ):
        for rows, shift, colour in ((before, -0.18, style.GREY), (after, 0.18, style.BLUE)):
            _boxes(axes, [getattr(row, of) for row in rows], shift, colour)
        axes.set_xscale("log")
        axes.xaxis.set_major_locator(LogLocator(subs=(1.0, 2.0, 5.0)))
        axes.xaxis.set_minor_locator(NullLocator())
        axes.xaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))
        axes.set_xlabel(f"{title},\nas a share of the layer's largest", fontsize=8)
        style.plain(axes)
    left.set_yticks(range(len(before)), [row.layer for row in before], fontsize=7)
    left.set_ylim(len(before) - 0.4, -0.6)
    for colour, label in ((style.GREY, "before"), (style.BLUE, "equalised")):
        left.plot([], [], color=colour, linewidth=5, label=label)
    left.legend(fontsize=8, frameon=False, loc="best")
    return style.save(figure, path)


def _boxes(axes: Axes, layers: Sequence[NDArray[np.float64]], shift: float, colour: str) -> None:
    shares = [np.maximum(layer / max(float(layer.max()), 1e-30), _LEAST_SHARE) for layer in layers]
    drawn = axes.boxplot(
        shares,
        positions=np.arange(len(layers)) + shift,
        orientation="horizontal",
        widths=0.28,
        whis=(0, 100),
        patch_artist=True,
        manage_ticks=False,
        medianprops={"color": "white"},
    )
    for box in drawn["boxes"]:
        box.set(facecolor=colour, edgecolor=colour)
    for line in (*drawn["whiskers"], *drawn["caps"]):
        line.set(color=colour)
