"""Choose among runs: read a condition, query the store, mark the Pareto front."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any
from urllib.parse import quote

from ecgexp.config.compose import Job
from ecgexp.config.validate import validate
from ecgexp.errors import ConfigError
from ecgexp.pipeline import open_store
from ecgexp.tracking.names import TEST_F1, deploy_metric
from ecgexp.tracking.store import Found

UNITS = {"us": 1e-3, "ms": 1.0, "s": 1e3, "b": 1.0, "kib": 1024.0, "mib": 1024.0**2, "%": 0.01}
_COMPARISON = re.compile(
    r"^\s*(?P<name>[A-Za-z][\w/.-]*)\s*(?P<sign><=|>=|!=|==|=|<|>)\s*"
    r"(?P<number>[-+]?[\d.]+(?:[eE][-+]?\d+)?)\s*(?P<unit>us|ms|s|[kKmM]i[bB]|[bB]|%)?\s*$"
)


@dataclass(frozen=True, kw_only=True)
class Row:
    """One selected run and whether it is on the Pareto front of F1, instructions and flash."""

    run: Found
    pareto: bool


def short_names(target: str) -> dict[str, str]:
    """Return the short metric names that a condition may use."""
    return {
        "f1": TEST_F1,
        "accuracy": "test/accuracy",
        "instructions": deploy_metric(target, "instructions"),
        "cycles": deploy_metric(target, "cycles_est"),
        "latency": deploy_metric(target, "latency_est_ms"),
        "flash": deploy_metric(target, "flash_bytes"),
        "ram": deploy_metric(target, "ram_bytes"),
    }


def mlflow_filters(condition: str, target: str) -> list[str]:
    """Translate a condition into MLflow filters, one per alternative of `or`.

    Raises:
        ConfigError: A comparison cannot be read.
    """
    if not condition.strip():
        return ["attributes.status = 'FINISHED'"]
    alternatives = re.split(r"\s+or\s+", condition.strip(), flags=re.IGNORECASE)
    return [_conjunction(alternative, target) for alternative in alternatives]


def _conjunction(text: str, target: str) -> str:
    parts = ["attributes.status = 'FINISHED'"]
    for piece in re.split(r"\s+and\s+", text, flags=re.IGNORECASE):
        match = _COMPARISON.match(piece)
        if match is None:
            raise ConfigError(
                f"condition {piece.strip()!r}: write NAME SIGN NUMBER [unit], for example "
                "'test/f1_macro > 0.8', joined by and / or, without brackets"
            )
        name = short_names(target).get(match["name"], match["name"])
        if "/" not in name:
            raise ConfigError(
                f"condition {piece.strip()!r}: unknown name {name!r}; use a full metric name or "
                f"one of {', '.join(short_names(target))}"
            )
        number = float(match["number"]) * UNITS[(match["unit"] or "b").lower()]
        sign = "=" if match["sign"] == "==" else match["sign"]
        parts.append(f"metrics.`{name}` {sign} {number!r}")
    return " and ".join(parts)


def select(job: Job, condition: str) -> list[Row]:
    """Return the runs that meet a condition, best first.

    Args:
        job: Composed from `conf/select.yaml`.
        condition: Comparisons joined by `and` and `or`; empty for every run.
    """
    validate(job)
    config = job.config
    store = open_store(config)
    found: dict[str, Found] = {}
    for filter_string in mlflow_filters(condition, config["device"]):
        found.update({run.run_id: run for run in store.search(filter_string)})
    key = short_names(config["device"]).get(config["sort"], config["sort"])
    # Quality is best when high, every cost when low; runs without the figure come last.
    sign = 1.0 if key.startswith("deploy/") and not key.endswith("golden_equal") else -1.0
    runs = sorted(found.values(), key=lambda run: sign * run.metrics.get(key, -sign * float("inf")))
    front = pareto_front([_objectives(run, config["device"]) for run in runs])
    rows = [Row(run=run, pareto=on_front) for run, on_front in zip(runs, front, strict=True)]
    return rows[: config["limit"]]


def _objectives(run: Found, target: str) -> tuple[float, ...] | None:
    """Return costs to minimise, or None when a figure is missing."""
    names = short_names(target)
    try:
        return (
            -run.metrics[names["f1"]],
            run.metrics[names["instructions"]],
            run.metrics[names["flash"]],
        )
    except KeyError:
        return None


def pareto_front(costs: Sequence[tuple[float, ...] | None]) -> list[bool]:
    """Mark the rows that no other row beats in every cost.

    Args:
        costs: One tuple of values to minimise per row; None is never on the front.
    """
    return [
        cost is not None and not any(_dominates(other, cost) for other in costs if other)
        for cost in costs
    ]


def _dominates(first: tuple[float, ...], second: tuple[float, ...]) -> bool:
    pairs = list(zip(first, second, strict=True))
    return all(a <= b for a, b in pairs) and any(a < b for a, b in pairs)


def run_list_url(job: Job, condition: str = "") -> str:
    """Return the address of MLflow's run list on `ecgexp ui`, with the condition as its filter."""
    config = job.config
    store = open_store(config)
    experiment = store.experiment_id(store.open())
    url = f"{base_url(config)}/#/experiments/{experiment}/runs"
    filters = mlflow_filters(condition, config["device"])
    return f"{url}?searchFilter={quote(filters[0])}" if condition and len(filters) == 1 else url


def base_url(config: dict[str, Any]) -> str:
    """Return the address that `ecgexp ui` serves."""
    return f"http://{config['host']}:{config['port']}"
