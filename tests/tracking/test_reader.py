"""The light reader against MLflow's own client, and stores that it must refuse."""

import shutil
import sqlite3
import subprocess
import sys
from pathlib import Path

import pytest

from ecgexp.errors import TrackingError
from ecgexp.tracking import reader
from ecgexp.tracking.found import Found
from ecgexp.tracking.store import Store
from tests.tracking.crowd import open_at_once


def comparable(runs: list[Found]) -> list[tuple[str, ...]]:
    """Written out: not-a-number is unequal to itself."""
    return sorted(
        (run.run_id, run.name, run.status, *(str(sorted(part.items())) for part in
         (run.metrics, run.tags, run.params)))
        for run in runs
    )  # fmt: skip


def test_reads_what_the_client_reads(tmp_path: Path, fresh_store: Path) -> None:
    shutil.copy(fresh_store, tmp_path)
    store = Store(experiment="one", home=tmp_path)
    other = Store(experiment="other", home=tmp_path)
    for number in range(3):
        run = store.start(name=f"run {number}", params={"seed": number}, tags={"t": "ü"})
        with run.active():
            run.log_metrics({"val/loss": 0.5 * number}, step=1)
            run.log_metrics({"val/loss": 0.1, "nan": float("nan"), "inf": float("inf")}, step=2)
    other.start(name="elsewhere", params={}, tags={})
    deleted = store.start(name="deleted", params={}, tags={})
    store.open().delete_run(deleted.run_id)
    assert comparable(store.runs(params=None)) == comparable(store.search())
    assert [run.name for run in store.runs()] == ["run 2", "run 1", "run 0"]
    assert store.runs(params={"seed"})[0].params == {"seed": "2"}
    assert store.runs()[0].params == {}
    assert store.known_experiment_id() == store.experiment_id(store.open())
    assert Store(experiment="unheard of", home=tmp_path).runs() == []


def test_schema_is_the_installed_mlflow_s_newest() -> None:
    """Written for these tables: look at the queries again when MLflow is upgraded."""
    from mlflow.store.db.utils import _get_latest_schema_revision

    assert _get_latest_schema_revision() == reader.SCHEMA
    assert len(reader.known_revisions()) > 50


@pytest.fixture
def newer(tmp_path: Path, fresh_store: Path) -> Store:
    shutil.copy(fresh_store, tmp_path)
    store = Store(experiment="one", home=tmp_path)
    with sqlite3.connect(store.database) as connection:
        connection.execute("update alembic_version set version_num = 'fedcba987654'")
    return store


def test_a_newer_store_is_refused_before_anything_is_written(newer: Store) -> None:
    before = newer.database.read_bytes()
    for use in (newer.open, newer.runs, newer.search):
        with pytest.raises(TrackingError) as caught:
            use()
        message = str(caught.value)
        assert "a newer MLflow wrote this store" in message
        assert "fedcba987654" in message
        assert "the installed MLflow 3." in message
        assert reader.SCHEMA in message
        assert "paths.home=DIR" in message
    assert newer.database.read_bytes() == before


def test_an_older_store_is_not_taken_for_a_newer_one(newer: Store) -> None:
    with sqlite3.connect(newer.database) as connection:
        connection.execute("update alembic_version set version_num = '451aebb31d03'")
    assert reader.check_not_newer(newer.database) is False


def test_a_file_that_is_no_database(tmp_path: Path) -> None:
    (tmp_path / "mlflow.db").write_text("no database, but long enough to be looked at" * 50)
    with pytest.raises(TrackingError, match="file is not a database"):
        Store(experiment="one", home=tmp_path).runs()


KILLED_IN_A_TRANSACTION = """
import os, sqlite3, sys
connection = sqlite3.connect(sys.argv[1])
connection.execute("pragma cache_size = 1")
connection.execute("delete from alembic_version")
connection.executemany("insert into inputs values ('u', 'a', ?, 'c', 'd', 0)",
                       [(str(number) * 9,) for number in range(3000)])
os._exit(1)
"""


def test_what_a_killed_writer_left_is_rolled_back(tmp_path: Path, fresh_store: Path) -> None:
    shutil.copy(fresh_store, tmp_path)
    database = tmp_path / "mlflow.db"
    subprocess.run([sys.executable, "-c", KILLED_IN_A_TRANSACTION, str(database)], check=False)
    assert database.with_name("mlflow.db-journal").stat().st_size > 0
    assert Store(experiment="one", home=tmp_path).runs() == []
    assert reader.check_not_newer(database)


def test_eight_processes_open_a_fresh_store_at_once(tmp_path: Path) -> None:
    wrong, lost = open_at_once(tmp_path / "fresh", 8)
    assert wrong == []
    assert lost == 0
    runs = Store(experiment="crowd", home=tmp_path / "fresh").runs()
    assert [run.status for run in runs] == ["FINISHED"] * 8
