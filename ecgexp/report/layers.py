"""What each layer of a network costs on the target, as a picture."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from ecgexp.report import style

_WIDTH_IN = 9.0
_ROW_IN = 0.2
_MARGIN_IN = 1.1
_LONGEST_NAME = 44


def layer_costs(
    names: Sequence[str],
    instructions: Sequence[float],
    floors: Sequence[float],
    title: str,
    path: Path,
) -> Path:
    """Draw one bar per layer, in the order of the network, beside what it takes at least.

    Args:
        names: Layers.
        instructions: Executed instructions per inference and layer.
        floors: Instructions that the dot products of a layer take by themselves.
        title: What ran where.
        path: PNG file to write.
    """
    figure = style.sheet(_WIDTH_IN, _MARGIN_IN + _ROW_IN * len(names))
    axes = figure.subplots()
    rows = np.arange(len(names))
    axes.barh(rows - 0.18, instructions, height=0.5, color=style.BLUE, label="instructions")
    axes.barh(rows + 0.25, floors, height=0.28, color=style.ORANGE, label="floor: MACs / 16")
    total = sum(instructions)
    for row, count in enumerate(instructions):
        share = f" {count:,.0f}" + (f" ({100 * count / total:.0f} %)" if total else "")
        axes.text(count, row - 0.18, share, va="center", fontsize=6, color=style.GREY)
    axes.set_yticks(rows, [_short(name) for name in names])
    style.plain(axes)
    axes.tick_params(axis="y", labelsize=6, length=0)
    axes.grid(visible=False, axis="y")
    axes.set_ylim(len(names) - 0.4, -0.6)
    axes.set_xlim(0, 1.18 * max([*instructions, 1.0]))
    axes.xaxis.set_major_formatter(lambda value, _: f"{value:,.0f}")
    axes.set_xlabel("instructions per inference", fontsize=8)
    axes.legend(fontsize=7, loc="lower right", frameon=False)
    axes.set_title(title, fontsize=9)
    return style.save(figure, path)


def _short(name: str) -> str:
    return name if len(name) <= _LONGEST_NAME else f"{name[: _LONGEST_NAME - 1]}…"
