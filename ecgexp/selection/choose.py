"""Query the store, mark the Pareto front, sort."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from ecgexp.config.compose import Job
from ecgexp.config.validate import validate
from ecgexp.errors import ConfigError
from ecgexp.pipeline import open_store
from ecgexp.selection.condition import Condition, meets, read_condition
from ecgexp.selection.figures import costs, figure, full_name, is_cost, short_names
from ecgexp.selection.front import pareto_front
from ecgexp.tracking.found import Found
from ecgexp.tracking.names import KIND_TAG

ORDERS = ("auto", "ascending", "descending")


@dataclass(frozen=True, kw_only=True)
class Row:
    """One selected run and whether it is on the Pareto front of the selected ones."""

    run: Found
    pareto: bool


def select(job: Job, condition: str) -> list[Row]:
    """Return the finished runs that meet a condition, best first.

    Args:
        job: Composed from `conf/select.yaml`.
        condition: Comparisons joined by `and` and `or`; empty for every run.

    Raises:
        ConfigError: The condition, a column or an order cannot be used.
        TrackingError: The store cannot be read.
    """
    validate(job)
    config = job.config
    target = str(config["device"])
    wanted = read_condition(condition, target)
    columns = column_names(config)
    if config["order"] not in ORDERS:
        raise ConfigError(f"order={config['order']!r}: use one of {', '.join(ORDERS)}")
    runs = open_store(config).runs(params=_parameters(wanted, [*columns, config["sort"]]))
    sort = full_name(str(config["sort"]), target)
    objectives = [full_name(str(name), target) for name in config["pareto"]]
    for key, names in (("columns", columns), ("sort", [sort]), ("pareto", objectives)):
        _require_known(key, [*names], runs, config)
    chosen = [
        run
        for run in runs
        if run.status == "FINISHED" and KIND_TAG not in run.tags and meets(run, wanted)
    ]
    front = pareto_front([costs(run, objectives) for run in chosen])
    rows = [Row(run=run, pareto=best) for run, best in zip(chosen, front, strict=True)]
    return _ordered(rows, sort, config["order"])[: config["limit"]]


def column_names(config: dict[str, Any]) -> dict[str, str]:
    """Return what the table's columns stand for by the names the user gave them."""
    target = str(config["device"])
    return {full_name(str(name), target): str(name) for name in config["columns"]}


def _parameters(condition: Condition, names: list[str]) -> set[str]:
    compared = {part.name for alternative in condition for part in alternative}
    return {name for name in (*names, *compared) if "/" not in name}


def _require_known(key: str, names: list[str], runs: list[Found], config: dict[str, Any]) -> None:
    """Refuse a name that no run has, unless some stage may yet write it."""
    short = set(short_names(str(config["device"])).values())
    for name in names:
        if name not in short and runs and all(figure(run, name) is None for run in runs):
            raise ConfigError(
                f"{key}={name}: no run in {config['paths']['home']} has a metric, tag or parameter "
                f"of this name; use a full name as MLflow shows it, or one of "
                f"{', '.join(short_names(str(config['device'])))}"
            )


def _ordered(rows: list[Row], name: str, order: str) -> list[Row]:
    """Sort stably; rows without the figure come last."""
    values = {row.run.run_id: figure(row.run, name) for row in rows}
    known = [row for row in rows if _is_sortable(values[row.run.run_id])]
    numbers = all(isinstance(values[row.run.run_id], float) for row in known)
    descending = order == "descending" or (order == "auto" and numbers and not is_cost(name))

    def key(row: Row) -> Any:
        value = values[row.run.run_id]
        return value if numbers else str(value)

    known.sort(key=key, reverse=descending)
    return [*known, *(row for row in rows if not _is_sortable(values[row.run.run_id]))]


def _is_sortable(value: float | str | None) -> bool:
    return value is not None and value == value
