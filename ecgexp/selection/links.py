"""Addresses of MLflow's pages on `ecgexp ui` that work as deep links (MLflow 3.17)."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any
from urllib.parse import quote

from ecgexp.config.compose import Job
from ecgexp.pipeline import open_store
from ecgexp.selection.condition import mlflow_filters, read_condition
from ecgexp.selection.figures import full_name, is_cost
from ecgexp.selection.view import VIEW_KEY

# What `conf/select.yaml` sets, for pages that are written where that file is not composed.
DEFAULT_URL = "http://127.0.0.1:5000"


def base_url(config: dict[str, Any]) -> str:
    """Return the address of MLflow's pages: the server's, or the one that `ecgexp ui` serves."""
    server = config["tracking"].get("uri")
    if server:
        return str(server).rstrip("/")
    return f"http://{config['host']}:{config['port']}"


def in_mlflow(config: dict[str, Any]) -> str:
    """Return what the addresses open, and when: a server's always, ours while it is served."""
    return "MLflow" if config["tracking"].get("uri") else "MLflow, while `ecgexp ui` runs"


def run_list_url(job: Job, condition: str = "") -> str:
    """Return the address of the run list, with the condition as its filter where MLflow can."""
    config = job.config
    number = open_store(config).known_experiment_id()
    if number is None:
        return base_url(config)
    url = f"{base_url(config)}/#/experiments/{number}/runs"
    filters = mlflow_filters(read_condition(condition, str(config["device"])))
    if not condition or len(filters) > 1:
        return url
    sort = full_name(str(config["sort"]), str(config["device"]))
    order = f"orderByKey={quote(f'metrics.`{sort}`')}&orderByAsc={str(is_cost(sort)).lower()}"
    return f"{url}?searchFilter={quote(filters[0])}" + (f"&{order}" if "/" in sort else "")


def view_urls(config: dict[str, Any], experiment_id: str) -> dict[str, str]:
    """Return the addresses of our columns and of our charts, once the view's tag is set."""
    url = f"{base_url(config)}/#/experiments/{experiment_id}/runs?viewStateShareKey={VIEW_KEY}"
    return {"columns": url, "charts": f"{url}&compareRunsMode=CHART"}


def run_url(config: dict[str, Any], experiment_id: str, run_id: str) -> str:
    """Return the address of one run's page."""
    return f"{base_url(config)}/#/experiments/{experiment_id}/runs/{run_id}"


def compare_url(config: dict[str, Any], experiment_id: str, run_ids: Sequence[str]) -> str:
    """Return the address of MLflow's comparison of runs: parallel coordinates, scatter, tables."""
    runs, experiments = quote(json.dumps(list(run_ids))), quote(json.dumps([experiment_id]))
    return f"{base_url(config)}/#/compare-runs?runs={runs}&experiments={experiments}"
