"""Front, history, importances and slices of a study: pictures, and one interactive page."""

from __future__ import annotations

import html
import importlib.util
import logging
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ecgexp.search.quiet import quiet
from ecgexp.search.result import complete, front_of

if TYPE_CHECKING:
    from optuna import Study
    from optuna.trial import FrozenTrial

    from ecgexp.tracking.run import Run

log = logging.getLogger(__name__)

PAGE = "search.html"
_LEAST = 2


def log_pictures(study: Study, objectives: dict[str, str], parent: Run) -> Path | None:
    """Write the pictures and the page into the study's run; None before two trials are complete.

    Args:
        study: The study.
        objectives: Metric to direction.
        parent: Where they go.
    """
    from ecgexp.report import search as pictures

    trials = complete(study)
    if len(trials) < _LEAST:
        return None
    names = [*objectives]
    folder = parent.folder / "search"
    on_front = [trial.number for trial in front_of(study)]
    tried = [
        pictures.Tried(number=t.number, values=tuple(t.values), params=dict(t.params))
        for t in trials
    ]
    files = [
        pictures.history(names, [*objectives.values()], tried, folder / "history.png"),
        pictures.slices(names, tried, folder / "slices.png"),
    ]
    if len(names) > 1:
        files.append(pictures.front(names, tried, on_front, folder / "front.png"))
    shares = importances(study, names)
    if shares:
        files.append(pictures.importances(shares, folder / "importances.png"))
    page = _page(study, names, folder / PAGE)
    if page:
        files.append(page)
    for path in files:
        parent.log_artefact(path)
    return page or folder


def importances(study: Study, names: list[str]) -> dict[str, dict[str, float]]:
    """Return the share of each objective's variance by parameter; empty when nothing varies."""
    import optuna

    found = {}
    for index, name in enumerate(names):
        try:
            with quiet():
                found[name] = optuna.importance.get_param_importances(
                    study, target=_cost(study, index)
                )
        except (RuntimeError, ValueError) as error:
            log.info("no importances of %s: %s", name, error)
    return {name: shares for name, shares in found.items() if shares}


def _cost(study: Study, index: int) -> Callable[[FrozenTrial], float]:
    """Return an objective with the sign that makes small values good: Optuna looks at those."""
    from optuna.study import StudyDirection

    sign = -1.0 if study.directions[index] == StudyDirection.MAXIMIZE else 1.0
    return lambda trial: sign * float(trial.values[index])


def _page(study: Study, names: list[str], path: Path) -> Path | None:
    """Write one page that needs no network: plotly's script stands in it."""
    if importlib.util.find_spec("plotly") is None:
        log.warning("no interactive page without plotly: pip install 'ecgexp[search]'")
        return None
    figures = _figures(study, names)
    parts = [
        figure.to_html(full_html=False, include_plotlyjs=index == 0)
        for index, figure in enumerate(figures)
    ]
    title = html.escape(f"study {study.study_name}")
    body = "\n".join(parts)
    text = (
        f'<!DOCTYPE html>\n<html lang="en"><head><meta charset="utf-8"><title>{title}</title>'
        f"</head>\n<body><h1>{title}</h1>\n{body}\n</body></html>\n"
    )
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text, encoding="utf-8")
    return path


def _figures(study: Study, names: list[str]) -> list[Any]:
    from optuna import visualization as draw

    figures: list[Any] = []
    if len(names) in (2, 3):
        figures.append(draw.plot_pareto_front(study, target_names=names))
    for index, name in enumerate(names):

        def value(trial: FrozenTrial, index: int = index) -> float:
            return float(trial.values[index])

        options: dict[str, Any] = {"target": value, "target_name": name}
        figures.append(draw.plot_optimization_history(study, **options))
        figures.append(draw.plot_slice(study, **options))
        figures.append(draw.plot_parallel_coordinate(study, **options))
        try:
            with quiet():
                figures.append(
                    draw.plot_param_importances(study, target=_cost(study, index), target_name=name)
                )
        except (RuntimeError, ValueError) as error:
            log.info("no importances of %s: %s", name, error)
    return figures
