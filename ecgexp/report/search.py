"""Pictures of a search: front, history, slices, importances."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.ticker import NullFormatter

from ecgexp.report import style

_LONGEST = 26


@dataclass(frozen=True, kw_only=True)
class Tried:
    """A trial that was trained to its end.

    Attributes:
        number: Its number.
        values: The objectives.
        params: Chosen values by parameter name.
    """

    number: int
    values: tuple[float, ...]
    params: dict[str, Any]


def front(names: Sequence[str], tried: Sequence[Tried], best: Sequence[int], path: Path) -> Path:
    """Draw each pair of neighbouring objectives, the trials that none beats joined by a line.

    Args:
        names: The objectives.
        tried: All trials.
        best: Numbers of the trials on the front.
        path: PNG file to write.
    """
    pairs = list(zip(range(1, len(names)), range(len(names) - 1), strict=True))
    figure = style.sheet(6.4 * len(pairs), 4.6)
    panels = figure.subplots(1, len(pairs), squeeze=False)[0]
    for axes, (across, up) in zip(panels, pairs, strict=True):
        rest = [t.values for t in tried if t.number not in best]
        chosen = sorted((t for t in tried if t.number in best), key=lambda t: t.values[across])
        if rest:
            values = np.array(rest)
            axes.plot(
                values[:, across], values[:, up], "o", color=style.GREY, alpha=0.5,
                markersize=4, label=f"{len(rest)} others",
            )  # fmt: skip
        values = np.array([t.values for t in chosen])
        axes.plot(
            values[:, across], values[:, up], "o-", color=style.BLUE, markersize=6,
            linewidth=1.2, label=f"{len(chosen)} on the front",
        )  # fmt: skip
        for trial in chosen:
            axes.annotate(
                str(trial.number), (trial.values[across], trial.values[up]), fontsize=7,
                xytext=(4, -9), textcoords="offset points",
            )  # fmt: skip
        _name(axes, names[across], names[up])
        _log_if_wide(axes, [t.values[across] for t in tried])
        axes.legend(fontsize=8, frameon=False)
    return style.save(figure, path)


def history(
    names: Sequence[str], directions: Sequence[str], tried: Sequence[Tried], path: Path
) -> Path:
    """Draw every objective over the trials, with the best so far.

    Args:
        names: The objectives.
        directions: `maximize` or `minimize` each.
        tried: All trials, by number.
        path: PNG file to write.
    """
    figure = style.sheet(7, 2.6 * len(names))
    panels = figure.subplots(len(names), 1, squeeze=False)[:, 0]
    ordered = sorted(tried, key=lambda trial: trial.number)
    numbers = [trial.number for trial in ordered]
    for index, axes in enumerate(panels):
        values = np.array([trial.values[index] for trial in ordered])
        best = np.maximum if directions[index] == "maximize" else np.minimum
        axes.plot(numbers, values, "o", color=style.GREY, markersize=4, label="trials")
        axes.step(
            numbers, best.accumulate(values), where="post", color=style.BLUE, label="best so far"
        )
        _name(axes, "trial", names[index])
        axes.legend(fontsize=8, frameon=False)
    return style.save(figure, path)


def slices(names: Sequence[str], tried: Sequence[Tried], path: Path) -> Path:
    """Draw every objective over every parameter.

    Args:
        names: The objectives.
        tried: All trials.
        path: PNG file to write.
    """
    params = list(dict.fromkeys(name for trial in tried for name in trial.params))
    figure = style.sheet(2.6 * len(params), 2.8 * len(names))
    panels = figure.subplots(len(names), len(params), squeeze=False)
    for row, name in enumerate(names):
        for column, param in enumerate(params):
            axes = panels[row, column]
            have = [trial for trial in tried if param in trial.params]
            chosen = [trial.params[param] for trial in have]
            values = [trial.values[row] for trial in have]
            if all(isinstance(c, int | float) and not isinstance(c, bool) for c in chosen):
                axes.plot(chosen, values, "o", color=style.BLUE, alpha=0.6, markersize=4)
                _log_if_wide(axes, chosen)
            else:
                kinds = sorted({str(c) for c in chosen})
                places = [kinds.index(str(c)) for c in chosen]
                axes.plot(places, values, "o", color=style.BLUE, alpha=0.6, markersize=4)
                shown = [_short(kind) for kind in kinds]
                axes.set_xticks(range(len(kinds)), shown, rotation=60, ha="right")
                axes.set_xlim(-0.6, len(kinds) - 0.4)
            _name(axes, param, name if column == 0 else "")
            axes.tick_params(labelsize=6)
    return style.save(figure, path)


def importances(shares: Mapping[str, Mapping[str, float]], path: Path) -> Path:
    """Draw how much of each objective every parameter explains.

    Args:
        shares: Objective to parameter to share, 0..1.
        path: PNG file to write.
    """
    params = list(dict.fromkeys(name for share in shares.values() for name in share))
    figure = style.sheet(7, 1.2 + 0.32 * len(params) * len(shares))
    axes = figure.subplots()
    height = 0.8 / len(shares)
    colours = (style.BLUE, style.ORANGE, style.GREEN, style.RED)
    rows = np.arange(len(params))
    for index, (name, share) in enumerate(shares.items()):
        values = [share.get(param, 0.0) for param in params]
        colour = colours[index % len(colours)]
        axes.barh(rows + index * height, values, height=height, color=colour, label=name)
    axes.set_yticks(rows + height * (len(shares) - 1) / 2, params)
    axes.invert_yaxis()
    _name(axes, "share of what the parameters explain", "")
    axes.legend(fontsize=8, frameon=False)
    return style.save(figure, path)


def _name(axes: Axes, across: str, up: str) -> None:
    style.plain(axes)
    axes.set_xlabel(across, fontsize=8)
    axes.set_ylabel(up.removeprefix("deploy/").replace("/", "\n"), fontsize=8)


def _log_if_wide(axes: Axes, values: Sequence[float]) -> None:
    if min(values) > 0 and max(values) > 8 * min(values):
        axes.set_xscale("log")
        axes.xaxis.set_minor_formatter(NullFormatter())


def _short(text: str) -> str:
    return text if len(text) <= _LONGEST else f"{text[: _LONGEST - 1]}…"
