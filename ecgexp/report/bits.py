"""Bits per weight, layer by layer."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from ecgexp.report import style


def bits_per_layer(
    bits: Mapping[str, float], weights: Mapping[str, int], average: float, path: Path
) -> Path:
    """Draw how many bits the weights of each layer have, and how many weights there are.

    Args:
        bits: Bits per weight by layer, in the order of the network.
        weights: Weights by layer.
        average: Bits per weight of the network.
        path: PNG file to write.
    """
    figure = style.sheet(1.5 + 0.8 * len(bits), 3.4)
    axes = figure.subplots()
    bars = axes.bar(list(bits), list(bits.values()), color=style.BLUE)
    axes.bar_label(bars, [f"{value:.2f}" for value in bits.values()], fontsize=7)
    axes.axhline(average, color=style.ORANGE, linewidth=1.2, label=f"network: {average:.2f}")
    axes.set_xticks(
        range(len(bits)),
        [f"{style.readable(name)}\n{weights[name]:,} weights" for name in bits],
        fontsize=7,
        rotation=45 if len(bits) > 12 else 0,
    )
    axes.set_ylabel("bits per weight", fontsize=8)
    style.plain(axes)
    axes.legend(fontsize=7, frameon=False)
    return style.save(figure, path)
