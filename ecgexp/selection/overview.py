"""The page and the picture of many runs: those of a sweep, a study, or any selection."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ecgexp.pipeline import open_store
from ecgexp.selection.figures import costs, figure, full_name, is_cost, short_names
from ecgexp.selection.front import pareto_front
from ecgexp.selection.links import DEFAULT_URL, in_mlflow
from ecgexp.tracking import names
from ecgexp.tracking.found import Found

if TYPE_CHECKING:
    from ecgexp.tracking.run import Run

PAGE, PICTURE = "sweep.html", "front.png"
QUALITY, COST = "f1", "cycles"
FIGURES = (
    *("f1", "model_accuracy", "int8", "int8_drop", "bytes", "instructions", "cycles", "flash"),
    "ram",
)
OBJECTIVES = ("f1", "instructions", "flash")
# What the picture shows: the first of the qualities that runs have, over every cost they have.
QUALITIES = {
    "model_accuracy": "accuracy of the deployed network, test split",
    "f1": "macro F1 of the float network, test split",
}
COSTS = {
    "bytes": "bytes of all parameters as stored on the device",
    "instructions": "instructions per inference on {target}",
}


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
    note = f"Links open {in_mlflow(config)}."
    files = write_overview(parent.folder, done, target, title=title, links=links, note=note)
    for path in files:
        parent.log_artefact(path)
    return files


def write_overview(
    folder: Path,
    runs: Sequence[Found],
    target: str,
    *,
    title: str,
    links: dict[str, str],
    note: str,
) -> list[Path]:
    """Write `sweep.html`, and `front.png` where two runs have what it shows; return the paths."""
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
        f"estimated from the instruction mix. {note}",
        axes=axes,
        entries=entries,
        shown=(full_name(COST, target), full_name(QUALITY, target)),
    )
    titles = [
        ", ".join(_shown(values[position]) for values in chosen.values()) or run.name
        for position, run in enumerate(runs)
    ]
    return [page, *_picture(folder / PICTURE, runs, target, titles)]


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


def _shown(value: float | str | None) -> str:
    return f"{value:g}" if isinstance(value, float) else value or "default"


def _descending(value: float | str | None) -> float:
    return -value if isinstance(value, float) and value == value else float("inf")


def _picture(path: Path, runs: Sequence[Found], target: str, names: Sequence[str]) -> list[Path]:
    """Draw quality over the costs that two runs or more have beside it."""
    from ecgexp.report.tradeoff import Point, tradeoff

    for quality, called in QUALITIES.items():
        up = full_name(quality, target)
        drawn: dict[str, str] = {}
        weighed: dict[str, list[tuple[float, bool] | None]] = {}
        for short, title in COSTS.items():
            full = full_name(short, target)
            pairs = [costs(run, [up, full]) for run in runs]
            if sum(pair is not None for pair in pairs) > 1:
                drawn[full] = title.format(target=target)
                weighed[full] = [
                    None if pair is None else (pair[1], best)
                    for pair, best in zip(pairs, pareto_front(pairs), strict=True)
                ]
        if drawn:
            points = [
                Point(
                    name=name,
                    quality=run.metrics[up],
                    costs={full: found for full in drawn if (found := weighed[full][position])},
                )
                for position, (run, name) in enumerate(zip(runs, names, strict=True))
                if up in run.metrics
            ]
            return [tradeoff(points, called, drawn, path)]
    return []
