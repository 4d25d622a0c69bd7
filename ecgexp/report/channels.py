"""What pruning left of each layer, as a picture."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from torch import nn

from ecgexp.report import style


def channels_kept(before: nn.Module, after: nn.Module, path: Path) -> Path:
    """Draw the channels of every convolution and dense layer before and after pruning.

    Args:
        before: The network as it was.
        after: The same layers with fewer channels.
        path: PNG file to write.
    """
    was, left = _channels(before), _channels(after)
    names = list(was)
    figure = style.sheet(8.0, 1.2 + 0.22 * len(names))
    axes = figure.subplots()
    y = np.arange(len(names))
    axes.barh(y, list(was.values()), color=style.PAPER_MAJOR, label="before")
    axes.barh(y, [left[name] for name in names], color=style.BLUE, height=0.5, label="after")
    axes.set_yticks(y, names, fontsize=7)
    axes.invert_yaxis()
    axes.set_xlabel("channels", fontsize=9)
    axes.legend(fontsize=8, frameon=False)
    axes.set_title(f"{sum(left.values()):,} of {sum(was.values()):,} channels left", fontsize=9)
    return style.save(figure, path)


def _channels(network: nn.Module) -> dict[str, int]:
    return {
        name: module.get_parameter("weight").shape[0]
        for name, module in network.named_modules()
        if isinstance(module, nn.Conv1d | nn.Conv2d | nn.Linear)
    }
