"""What quality costs: named points, one panel for each cost."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from matplotlib.axes import Axes
from matplotlib.ticker import FuncFormatter, LogLocator, NullFormatter

from ecgexp.report import style

# More names than this would cover each other: only those on the front get one.
_MOST_NAMES = 16
# Further apart than this, costs are drawn on a logarithmic axis.
_WIDE = 4.0


@dataclass(frozen=True, kw_only=True)
class Point:
    """One network.

    Attributes:
        name: What it is called beside its mark.
        quality: Up is better.
        costs: By name what it costs, and whether no other point is at least as good and as cheap;
            a panel leaves out who has no such cost.
    """

    name: str
    quality: float
    costs: Mapping[str, tuple[float, bool]]


def tradeoff(points: Sequence[Point], quality: str, costs: Mapping[str, str], path: Path) -> Path:
    """Draw quality over each cost; the points that none beats in a panel are joined.

    Args:
        points: The networks.
        quality: What the vertical axis is called.
        costs: Panels from left to right: the name of a cost, and what its axis is called.
        path: PNG file to write.
    """
    figure = style.sheet(5.6 * len(costs), 4.4)
    panels = figure.subplots(1, len(costs), squeeze=False, sharey=True)[0]
    for axes, (cost, title) in zip(panels, costs.items(), strict=True):
        _panel(axes, [point for point in points if cost in point.costs], cost)
        axes.set_xlabel(title, fontsize=9)
    panels[0].set_ylabel(quality, fontsize=9)
    return style.save(figure, path)


def _panel(axes: Axes, points: Sequence[Point], cost: str) -> None:
    style.plain(axes)
    drawn = sorted(points, key=lambda point: (point.costs[cost][0], point.quality))
    rest = [point for point in drawn if not point.costs[cost][1]]
    best = [point for point in drawn if point.costs[cost][1]]
    for some, line, colour, label in (
        (rest, "o", style.GREY, f"{len(rest)} others"),
        (best, "o-", style.BLUE, "no other is as good and as cheap"),
    ):
        axes.plot(
            [point.costs[cost][0] for point in some], [point.quality for point in some], line,
            color=colour, linewidth=1.2, label=label if some else None,
        )  # fmt: skip
    for point, above in zip(drawn, _above(drawn, cost), strict=True):
        x, is_best = point.costs[cost]
        if is_best or len(drawn) <= _MOST_NAMES:
            axes.annotate(
                point.name, (x, point.quality), fontsize=8, ha="center",
                va="bottom" if above else "top", xytext=(0, 6 if above else -7),
                textcoords="offset points", color=style.BLUE if is_best else style.GREY,
            )  # fmt: skip
    _scale(axes, [point.costs[cost][0] for point in drawn])
    axes.margins(x=0.16, y=0.16)
    axes.legend(fontsize=8, frameon=False, loc="best")


def _above(points: Sequence[Point], cost: str) -> list[bool]:
    """Whether a point's name goes above it: away from its nearest neighbour."""
    places = np.array([[np.log(max(p.costs[cost][0], 1.0)), p.quality] for p in points])
    spread = np.maximum(np.ptp(places, axis=0), 1e-9)
    apart = (places[:, None] - places[None]) / spread
    distance = np.hypot(apart[..., 0], apart[..., 1]) + np.diag(np.full(len(points), np.inf))
    found = []
    for index, nearest in enumerate(distance.argmin(axis=1)):
        higher = apart[index, nearest, 1]
        found.append(bool(higher > 0 or (higher == 0 and index < nearest)))
    return found


def _scale(axes: Axes, values: Sequence[float]) -> None:
    if min(values) > 0 and max(values) > _WIDE * min(values):
        axes.set_xscale("log")
        axes.xaxis.set_major_locator(LogLocator(subs=(1.0, 2.0, 5.0)))
        axes.xaxis.set_minor_formatter(NullFormatter())
    axes.xaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:,.0f}"))
    axes.tick_params(axis="x", labelrotation=20)
