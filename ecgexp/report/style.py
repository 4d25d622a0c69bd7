"""The common look of the pictures: colours, sheets and ECG paper."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.collections import LineCollection
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator, MultipleLocator
from numpy.typing import NDArray

from ecgexp.types import SignalSpec

# Okabe and Ito's palette: distinguishable with every kind of colour vision.
BLUE, ORANGE, GREEN, RED = "#0072B2", "#E69F00", "#009E73", "#D55E00"
GREY = "#666666"
TRACE = "#1A1A1A"
PAPER_MAJOR, PAPER_MINOR = "#F2B8B5", "#FAE3E1"
DOTS_PER_INCH = 110
# Longer windows get wide panels.
LONG_S = 4.0
# Longer windows get lines every 0.2 s (a large square of ECG paper) instead of every 40 ms.
COARSE_S = 1.25


def sheet(width_in: float, height_in: float) -> Figure:
    """Return an empty figure with its own Agg canvas; no global pyplot state is touched."""
    figure = Figure(figsize=(width_in, height_in), layout="constrained")
    FigureCanvasAgg(figure)
    return figure


def save(figure: Figure, path: Path) -> Path:
    """Write the figure as PNG and return the path."""
    path.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(path, dpi=DOTS_PER_INCH, format="png")
    return path


def is_long(spec: SignalSpec) -> bool:
    """Whether windows are strips of rhythm rather than single beats."""
    return spec.n_samples / spec.fs_hz > LONG_S


def grid_s(spec: SignalSpec) -> tuple[float, float]:
    """Return the distance of heavy and of fine lines in seconds."""
    return (1.0, 0.2) if spec.n_samples / spec.fs_hz > COARSE_S else (0.2, 0.04)


def draw_window(axes: Axes, spec: SignalSpec, x: NDArray[np.floating]) -> None:
    """Draw one window on ECG paper.

    Leads are stacked; the vertical unit is whatever the preprocessing left (mV, or deviations).

    Args:
        axes: Where to draw.
        spec: Rate and lead names.
        x: Window (lead, sample); an image (lead, row, column) is drawn as it is, leads stacked.
    """
    if x.ndim == 3:
        duration_s = x.shape[-1] / spec.fs_hz
        stacked = np.concatenate(list(x[::-1]))
        axes.imshow(stacked, origin="lower", aspect="auto", extent=(0, duration_s, 0, len(stacked)))
        axes.tick_params(labelsize=7)
        return
    time_s = np.arange(x.shape[-1]) / spec.fs_hz
    step = 1.15 * float(np.ptp(x, axis=-1).max())
    for position, lead in enumerate(x):
        offset = -position * step
        axes.plot(time_s, lead + offset, color=TRACE, linewidth=0.9)
        if len(x) > 1:
            axes.annotate(spec.leads[position], (0, offset), fontsize=6, color=BLUE)
    _rule_paper(axes, *grid_s(spec), x.shape[-1] / spec.fs_hz)
    axes.margins(y=0.12)


def _rule_paper(axes: Axes, heavy_s: float, fine_s: float, duration_s: float) -> None:
    axes.xaxis.set_major_locator(MultipleLocator(heavy_s))
    axes.yaxis.set_major_locator(MaxNLocator(4))
    axes.grid(which="major", color=PAPER_MAJOR, linewidth=0.7)
    # One artist: as minor ticks, each an artist, fine lines took most of a run's drawing time.
    fine = [((at, 0.0), (at, 1.0)) for at in np.arange(0, duration_s + fine_s / 2, fine_s)]
    lines = LineCollection(fine, colors=PAPER_MINOR, linewidths=0.5, zorder=0.4)
    lines.set_transform(axes.get_xaxis_transform())
    axes.add_collection(lines, autolim=False)
    axes.set_xlim(0, duration_s)
    axes.tick_params(labelsize=7, length=0)
    axes.set_axisbelow(True)
    for side in axes.spines.values():
        side.set_color(PAPER_MAJOR)


def readable(label: str) -> str:
    """Return a class name as a person writes it."""
    return label.replace("_", " ")


def plain(axes: Axes) -> None:
    """Give an ordinary chart a light grid and no box."""
    axes.grid(color="#DDDDDD", linewidth=0.6)
    axes.set_axisbelow(True)
    axes.spines[["top", "right"]].set_visible(False)
    axes.tick_params(labelsize=8)
