"""Windows with the samples marked on which the answer hangs."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from ecgexp.report import style
from ecgexp.types import SignalSpec

_SMOOTH_S = 0.04


def saliency_strips(
    spec: SignalSpec,
    x: NDArray[np.float32],
    weight: NDArray[np.float32],
    titles: Sequence[str],
    path: Path,
) -> Path:
    """Draw windows on ECG paper; the redder the ground, the more the answer hangs on it.

    Args:
        spec: Rate and lead names.
        x: Windows (window, lead, sample), or images, whose weights are drawn instead.
        weight: Saliency of the same shape, 0 to 1.
        titles: One per window.
        path: PNG file to write.
    """
    columns = 1 if style.is_long(spec) else 2
    rows = -(-len(x) // columns)
    figure = style.sheet(11, 0.5 + rows * 1.9)
    panels = figure.subplots(rows, columns, squeeze=False)
    for axes in panels.flat[len(x) :]:
        axes.set_visible(False)
    for axes, window, marks, title in zip(panels.flat, x, weight, titles, strict=False):
        style.draw_window(axes, spec, window if window.ndim == 2 else marks)
        axes.set_title(title, fontsize=9, loc="left")
        if window.ndim == 2:
            ground = _smooth(marks.max(axis=0), max(1, round(_SMOOTH_S * spec.fs_hz)))
            low, high = axes.get_ylim()
            axes.imshow(
                ground[None], aspect="auto", cmap="Reds", alpha=0.55, vmin=0, vmax=1.2,
                extent=(0, window.shape[-1] / spec.fs_hz, low, high), zorder=0,
            )  # fmt: skip
            axes.set_ylim(low, high)
    figure.supxlabel("time in s; ground: |gradient x input| of the predicted class", fontsize=8)
    return style.save(figure, path)


def _smooth(values: NDArray[np.float32], width: int) -> NDArray[np.float64]:
    smoothed = np.convolve(values, np.ones(width) / width, mode="same")
    result: NDArray[np.float64] = smoothed / max(float(smoothed.max()), 1e-12)
    return result
