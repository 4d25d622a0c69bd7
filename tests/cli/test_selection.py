"""Conditions of `ecgexp select`: translation, Pareto front, and a real store."""

from pathlib import Path

import pytest

from ecgexp.config.compose import Job, compose
from ecgexp.errors import ConfigError
from ecgexp.pipeline import open_store
from ecgexp.selection import mlflow_filters, pareto_front, run_list_url, select

M55 = "corstone300_m55"


def test_full_names_and_exponents() -> None:
    (text,) = mlflow_filters("test/f1_macro > 0.8 and deploy/x/instructions < 2e6", M55)
    assert text == (
        "attributes.status = 'FINISHED' and metrics.`test/f1_macro` > 0.8"
        " and metrics.`deploy/x/instructions` < 2000000.0"
    )


def test_short_names_and_units() -> None:
    (text,) = mlflow_filters("f1 >= 90 % and latency < 5000 us and flash <= 64 KiB", M55)
    assert "metrics.`test/f1_macro` >= 0.9" in text
    assert f"metrics.`deploy/{M55}/latency_est_ms` < 5.0" in text
    assert f"metrics.`deploy/{M55}/flash_bytes` <= 65536.0" in text


def test_or_gives_alternatives() -> None:
    assert len(mlflow_filters("f1 > 0.9 or accuracy > 0.95", M55)) == 2


@pytest.mark.parametrize("condition", ["f1", "f1 > high", "(f1 > 0.9)", "f1 >< 3", "f1 > 0.9 and"])
def test_unreadable_condition(condition: str) -> None:
    with pytest.raises(ConfigError, match="write NAME SIGN NUMBER"):
        mlflow_filters(condition, M55)


def test_unknown_short_name() -> None:
    with pytest.raises(ConfigError, match="unknown name 'speed'"):
        mlflow_filters("speed > 3", M55)


def test_pareto_front() -> None:
    costs = [(1.0, 5.0), (2.0, 2.0), (3.0, 3.0), None, (1.0, 5.0)]
    assert pareto_front(costs) == [True, True, False, False, True]


def fill(job: Job, name: str, f1: float, instructions: float) -> str:
    run = open_store(job.config).start(name=name, params={}, tags={})
    with run.active():
        run.log_metrics(
            {
                "test/f1_macro": f1,
                f"deploy/{M55}/instructions": instructions,
                f"deploy/{M55}/flash_bytes": 1000.0,
            }
        )
    return run.run_id


def test_select_reads_a_real_store(tmp_path: Path) -> None:
    job = compose("select", [f"paths.home={tmp_path}"])
    good, small = fill(job, "good", 0.95, 2e6), fill(job, "small", 0.85, 1e6)
    fill(job, "worse", 0.80, 3e6)
    rows = select(job, "f1 > 0.8 or instructions < 1.5e6")
    assert [(row.run.run_id, row.pareto) for row in rows] == [(good, True), (small, True)]
    assert [row.pareto for row in select(job, "")] == [True, True, False]
    assert "searchFilter=attributes.status" in run_list_url(job, "f1 > 0.8")
    by_cost = compose("select", [f"paths.home={tmp_path}", "sort=instructions"])
    assert [row.run.name for row in select(by_cost, "")] == ["small", "good", "worse"]
