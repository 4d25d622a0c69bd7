"""What augmentation does to windows: one row per effect, before and after."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ecgexp.report import style
from ecgexp.types import SignalSpec

Effect = Callable[[NDArray[np.float32], float, np.random.Generator], NDArray[np.float32]]
_COLUMNS = 3
_SHOWN_S = 5.0


def effect_sheet(
    spec: SignalSpec,
    x: NDArray[np.float32],
    effects: Sequence[Effect],
    path: Path,
    *,
    seed: int,
) -> Path:
    """Draw every effect on the same few windows.

    Args:
        spec: Rate and leads.
        x: Windows (window, lead, sample), at least one; the first lead of each is drawn.
        effects: What may happen; each is shown alone, on every window.
        path: PNG file to write.
        seed: Seed of the draws.
    """
    columns = min(_COLUMNS, len(x))
    before = np.ascontiguousarray(x[:columns], dtype=np.float32)
    figure = style.sheet(13, 0.7 + 1.35 * len(effects))
    figure.suptitle("Augmentation: each effect alone; before (grey) and after", fontsize=11)
    panels = figure.subplots(len(effects), columns, squeeze=False)
    time_s = np.arange(x.shape[-1]) / spec.fs_hz
    for row, (axes_row, effect) in enumerate(zip(panels, effects, strict=True)):
        after = effect(before.copy(), spec.fs_hz, np.random.default_rng((seed, row)))
        for axes, old, new in zip(axes_row, before, after, strict=True):
            axes.plot(time_s, old[0], color=style.GREY, linewidth=0.8, alpha=0.6)
            axes.plot(time_s, new[0], color=style.BLUE, linewidth=0.8)
            style.plain(axes)
            axes.tick_params(labelsize=6)
            axes.set_xlim(0, min(_SHOWN_S, x.shape[-1] / spec.fs_hz))
        axes_row[0].set_title(describe(effect), fontsize=8, loc="left")
    figure.supxlabel("time in s; amplitude as the network sees it", fontsize=8)
    return style.save(figure, path)


def describe(effect: Effect) -> str:
    """Return an effect's name and the values it was configured with."""
    function: Any = getattr(effect, "func", effect)
    values = getattr(effect, "keywords", {})
    shown = [f"{key} {value:g}" for key, value in values.items() if isinstance(value, int | float)]
    return f"{style.readable(function.__name__)}: {', '.join(shown)}"
