"""Read MLflow's SQLite database without MLflow, whose import alone takes three seconds."""

from __future__ import annotations

import importlib.util
import re
import sqlite3
from collections.abc import Collection, Iterator
from contextlib import contextmanager
from importlib.metadata import version
from pathlib import Path

from ecgexp.errors import TrackingError
from ecgexp.tracking.found import Found

# Revision of the tables that the queries below were written for: MLflow 3.17's.
SCHEMA = "dc11669786a5"
_BUSY_S = 30.0
_REVISION = re.compile(r"^revision(?:\s*:\s*\w+)?\s*=\s*[\"'](\w+)[\"']", re.MULTILINE)


def check_not_newer(database: Path) -> bool:
    """Refuse a database that a newer MLflow has migrated.

    Args:
        database: MLflow's SQLite file; one that is missing or still empty is all right.

    Returns:
        Whether the tables are those that this module can read.

    Raises:
        TrackingError: The file is no database, or its revision is one that the installed MLflow
            does not know.
    """
    if not database.is_file() or not database.stat().st_size:
        return False
    with _connect(database) as connection:
        tables = {name for (name,) in connection.execute("select name from sqlite_master")}
        if "alembic_version" not in tables:
            return False
        found = {name for (name,) in connection.execute("select version_num from alembic_version")}
    if found == {SCHEMA}:
        return True
    if found <= known_revisions():
        return False
    raise TrackingError(
        f"{database}: a newer MLflow wrote this store (its tables have revision "
        f"{', '.join(sorted(found))}; the installed MLflow {version('mlflow')} knows revisions up "
        f"to {SCHEMA}); use the ecgexp that made it, or another store with paths.home=DIR"
    )


def known_revisions() -> set[str]:
    """Return the revisions that the installed MLflow can migrate from, without importing it."""
    spec = importlib.util.find_spec("mlflow")
    if spec is None or spec.origin is None:
        return {SCHEMA}
    folder = Path(spec.origin).parent / "store" / "db_migrations" / "versions"
    matches = (_REVISION.search(path.read_text("utf-8")) for path in folder.glob("*.py"))
    return {SCHEMA, *(match[1] for match in matches if match)}


def experiment_id(database: Path, experiment: str) -> str | None:
    """Return the id of an experiment that is not deleted, or None."""
    with _connect(database) as connection:
        return _experiment_id(connection, experiment)


def read_runs(
    database: Path, experiment: str, *, params: Collection[str] | None = ()
) -> list[Found]:
    """Return every run of an experiment that is not deleted, newest first.

    Args:
        database: MLflow's SQLite file, with the tables that `check_not_newer` returns True for.
        experiment: Name of the experiment; one that is missing has no runs.
        params: Names of the parameters to read; None for all of them.
    """
    with _connect(database) as connection:
        number = _experiment_id(connection, experiment)
        if number is None:
            return []
        rows = connection.execute(
            "select run_uuid, name, status from runs where experiment_id = ? and "
            "lifecycle_stage = 'active' order by start_time desc, run_uuid",
            (int(number),),
        )
        runs = {
            run_id: Found(
                run_id=run_id, name=name or "", status=status, metrics={}, tags={}, params={}
            )
            for run_id, name, status in rows
        }
        for run_id, key, value, is_nan in connection.execute(
            _join("latest_metrics", "value, t.is_nan"), (int(number),)
        ):
            runs[run_id].metrics[key] = float("nan") if is_nan else value
        for run_id, key, value in connection.execute(_join("tags", "value"), (int(number),)):
            runs[run_id].tags[key] = value
        for run_id, key, value in _params(connection, int(number), params):
            runs[run_id].params[key] = value
    return list(runs.values())


def _join(table: str, columns: str) -> str:
    return (
        f"select t.run_uuid, t.key, t.{columns} from {table} t join runs r using (run_uuid) "
        "where r.experiment_id = ? and r.lifecycle_stage = 'active'"
    )


def _params(
    connection: sqlite3.Connection, number: int, names: Collection[str] | None
) -> list[tuple[str, str, str]]:
    query = _join("params", "value")
    if names is None:
        return connection.execute(query, (number,)).fetchall()
    marks = ", ".join("?" * len(names))
    return connection.execute(f"{query} and t.key in ({marks})", (number, *names)).fetchall()


def _experiment_id(connection: sqlite3.Connection, experiment: str) -> str | None:
    row = connection.execute(
        "select experiment_id from experiments where name = ? and lifecycle_stage = 'active'",
        (experiment,),
    ).fetchone()
    return None if row is None else str(row[0])


@contextmanager
def _connect(database: Path) -> Iterator[sqlite3.Connection]:
    """Open the file, which must be there; what goes wrong names it."""
    try:
        # Not mode=ro: a killed writer's journal has to be rolled back before anyone can read.
        connection = sqlite3.connect(f"{database.as_uri()}?mode=rw", uri=True, timeout=_BUSY_S)
        try:
            # One moment of the store for all queries, whoever writes meanwhile.
            connection.execute("begin")
            yield connection
        finally:
            connection.close()
    except sqlite3.Error as error:
        raise TrackingError(
            f"{database}: cannot read the MLflow store there ({error}); choose another folder "
            "with paths.home=DIR or ECGEXP_HOME"
        ) from error
