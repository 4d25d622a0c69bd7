"""The page and the picture of many runs: those of a sweep, a study, or any selection."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ecgexp.pipeline import open_store
from ecgexp.selection.figures import costs, figure, full_name, is_cost, short_names
from ecgexp.selection.front import pareto_front
from ecgexp.selection.links import DEFAULT_URL
from ecgexp.tracking import names
from ecgexp.tracking.found import Found

if TYPE_CHECKING:
    from ecgexp.tracking.run import Run

PAGE, PICTURE = "sweep.html", "front.png"
QUALITY, COST = "f1", "cycles"
FIGURES = ("f1", "int8", "int8_drop", "instructions", "cycles", "flash", "ram")
OBJECTIVES = ("f1", "instructions", "flash")


def log_overview(parent: Run, run_ids: Collection[str], config: dict[str, Any]) -> list[Path]:
    """Log page and picture of some runs into the run that holds them; nothing for fewer than two.

    Args:
        parent: The sweep's or study's run.
        run_ids: Its jobs' runs.
        config: A job's configuration: where the store is, and the target.
    """
    runs = [run for run in open_store(config).runs() if run.run_id in set(run_ids)]
    done = [run for run in runs if run.status == "FINISHED"]
    if len(done) < 2:
        return []
    target = str(config["target"]["name"])
    number = parent.experiment_id
    pages = config["tracking"].get("uri") or DEFAULT_URL
    links = {run.run_id: f"{pages}/#/experiments/{number}/runs/{run.run_id}" for run in done}
    title = parent.tags.get("mlflow.runName", "sweep")
    files = write_overview(parent.folder, done, target, title=title, links=links)
    for path in files:
        parent.log_artefact(path)
    return files


def write_overview(
    folder: Path, runs: Sequence[Found], target: str, *, title: str, links: dict[str, str]
) -> list[Path]:
    """Write `sweep.html`, and `front.png` where two runs have both figures; return the paths."""
    from ecgexp.report.page import Axis, Entry, write_runs_page

    chosen = varied_options(runs)
    figures = [
        name
        for name in (full_name(short, target) for short in FIGURES)
        if any(figure(run, name) is not None for run in runs)
    ]
    called = {full: short for short, full in short_names(target).items()}
    axes = [Axis(name=name, title=name, is_cost=None) for name in chosen]
    axes += [Axis(name=name, title=called[name], is_cost=is_cost(name)) for name in figures]
    objectives = [full_name(name, target) for name in OBJECTIVES]
    front = pareto_front([costs(run, objectives) for run in runs])
    entries = [
        Entry(
            run_id=run.run_id,
            name=run.name,
            link=links.get(run.run_id, ""),
            pareto=best,
            values=(
                *(values[position] for values in chosen.values()),
                *(figure(run, name) for name in figures),
            ),
        )
        for position, (run, best) in enumerate(zip(runs, front, strict=True))
    ]
    entries.sort(key=lambda entry: _descending(entry.values[len(chosen)]) if figures else 0.0)
    page = write_runs_page(
        folder / PAGE,
        title=title,
        note=f"{len(runs)} runs on {target}; Pareto front of {', '.join(OBJECTIVES)}. Cycles are "
        "estimated from the instruction mix. Links open MLflow while `ecgexp ui` runs.",
        axes=axes,
        entries=entries,
        shown=(full_name(COST, target), full_name(QUALITY, target)),
    )
    return [page, *_picture(folder / PICTURE, runs, target)]


def varied_options(runs: Sequence[Found]) -> dict[str, list[float | str | None]]:
    """Return the command-line options in which the runs differ, with each run's value."""
    given = [_overrides(run) for run in runs]
    keys = dict.fromkeys(key for options in given for key in options)
    found = {key: [options.get(key) for options in given] for key in keys}
    return {key: _numbers(values) for key, values in found.items() if len(set(values)) > 1}


def _overrides(run: Found) -> dict[str, str]:
    options: dict[str, str] = {}
    key = ""
    for word in run.tags.get(names.OVERRIDES_TAG, "").split(" "):
        name, sign, value = word.partition("=")
        if sign and name:
            key = name.lstrip("+~")
            options[key] = value
        elif key:
            options[key] += f" {word}"
    return options


def _numbers(values: Sequence[str | None]) -> list[float | str | None]:
    try:
        return [None if value is None else float(value) for value in values]
    except ValueError:
        return list(values)


def _descending(value: float | str | None) -> float:
    return -value if isinstance(value, float) and value == value else float("inf")


def _picture(path: Path, runs: Sequence[Found], target: str) -> list[Path]:
    from ecgexp.report.search import Tried, front

    pair = [full_name(name, target) for name in (QUALITY, COST)]
    weighed = [costs(run, pair) for run in runs]
    marks = pareto_front(weighed)
    tried = [
        Tried(number=number, values=tuple(runs[number].metrics[name] for name in pair), params={})
        for number, values in enumerate(weighed)
        if values is not None
    ]
    if len(tried) < 2:
        return []
    best = [number for number, mark in enumerate(marks) if mark]
    return [front([QUALITY, COST], tried, best, path)]
