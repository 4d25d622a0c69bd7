"""The MLflow store: one database and one artefact folder below `paths.home`."""

from __future__ import annotations

import logging
import os
from collections.abc import Collection
from pathlib import Path
from typing import TYPE_CHECKING, Any

from filelock import FileLock

from ecgexp.errors import TrackingError
from ecgexp.interrupt import uninterrupted
from ecgexp.tracking import reader
from ecgexp.tracking.found import Found
from ecgexp.tracking.liveness import is_gone, owner_tags
from ecgexp.tracking.names import KIND_TAG
from ecgexp.tracking.provenance import git_tags
from ecgexp.tracking.run import Run, is_run_id

if TYPE_CHECKING:
    from mlflow.tracking import MlflowClient

log = logging.getLogger(__name__)


class Store:
    """Opens, finds and searches runs. Only `MlflowClient` is used, never an active run.

    Args:
        experiment: Name of the MLflow experiment.
        home: Folder for the database `mlflow.db` and the `artifacts` folder.
    """

    def __init__(self, *, experiment: str, home: Path) -> None:
        self.home = home.expanduser().resolve()
        self.experiment = experiment
        self.database = self.home / "mlflow.db"
        self.uri = f"sqlite:///{self.database}"
        self.artifact_root = self.home / "artifacts"

    def open(self) -> MlflowClient:
        """Return a client on the database, created and migrated by one process at a time.

        Raises:
            TrackingError: The folder or the database cannot be used, or a newer MLflow wrote it.
        """
        reader.check_not_newer(self.database)
        from mlflow.exceptions import MlflowException
        from mlflow.tracking import MlflowClient

        quieten()
        try:
            self.artifact_root.mkdir(parents=True, exist_ok=True)
            with FileLock(self.home / "mlflow.lock", timeout=120):
                client = MlflowClient(tracking_uri=self.uri)
                client.search_experiments(max_results=1)
        except (OSError, MlflowException) as error:
            raise TrackingError(
                f"paths.home={self.home}: cannot open the MLflow store there ({error}); "
                "choose another folder with paths.home=DIR or ECGEXP_HOME"
            ) from error
        return client

    def experiment_id(self, client: MlflowClient) -> str:
        """Return the id of the experiment, created when it is new."""
        from mlflow.exceptions import MlflowException

        known = client.get_experiment_by_name(self.experiment)
        if known is not None:
            return str(known.experiment_id)
        location = self._artifact_location()
        try:
            return str(client.create_experiment(self.experiment, artifact_location=location))
        except MlflowException:
            # Another process was first.
            return str(client.get_experiment_by_name(self.experiment).experiment_id)

    def start(self, *, name: str, params: dict[str, Any], tags: dict[str, str]) -> Run:
        """Create a run of this commit with its flattened parameters, which never change again."""
        from mlflow.entities import Param

        client = self.open()
        # MLflow's limits: 6000 characters a value, 100 parameters a call.
        items = [Param(key, str(value)[:6000]) for key, value in params.items()]
        every = {**tags, **git_tags()}
        with uninterrupted():
            created = client.create_run(
                self.experiment_id(client), run_name=name, tags={**every, **owner_tags()}
            )
            run_id = created.info.run_id
            for first in range(0, len(items), 100):
                client.log_batch(run_id, params=items[first : first + 100])
        return self._as_run(client, created)

    def reopen(self, run_id: str) -> Run:
        """Return an existing run to add to.

        Raises:
            TrackingError: The id is malformed or unknown.
        """
        from mlflow.exceptions import MlflowException

        if not is_run_id(run_id):
            raise TrackingError(
                f"run_id={run_id!r} is not a run id: 32 hexadecimal digits; see `ecgexp select`"
            )
        client = self.open()
        try:
            row = client.get_run(run_id)
        except MlflowException as error:
            raise TrackingError(
                f"run_id={run_id}: no such run in {self.uri}; list them with `ecgexp select`"
            ) from error
        return self._as_run(client, row)

    def search(
        self, filter_string: str = "", limit: int = 1000, *, parents: bool = False
    ) -> list[Found]:
        """Return the runs that match an MLflow filter, newest first.

        Args:
            filter_string: MLflow's filter; none returns every run.
            limit: Most runs to read.
            parents: Return the runs that hold those of a sweep or study instead of the jobs' own.

        Raises:
            TrackingError: MLflow refuses the filter.
        """
        from mlflow.exceptions import MlflowException

        client = self.open()
        try:
            # A read broken off keeps its lock on SQLite as a write does.
            with uninterrupted():
                rows = client.search_runs(
                    [self.experiment_id(client)], filter_string=filter_string, max_results=limit
                )
        except MlflowException as error:
            raise TrackingError(f"filter {filter_string!r}: {error.message}") from error
        return [found(row) for row in rows if (KIND_TAG in row.data.tags) == parents]

    def bury_dead(self, filter_string: str = "", *, parents: bool = False) -> list[Found]:
        """Mark the RUNNING runs KILLED whose process is gone, and return them, newest first.

        Args:
            filter_string: MLflow's filter that narrows the runs.
            parents: Look at the runs of sweeps and studies instead of the jobs' own.
        """
        condition = " and ".join(filter(None, ["attributes.status = 'RUNNING'", filter_string]))
        dead = [run for run in self.search(condition, parents=parents) if is_gone(run.tags)]
        for run in dead:
            self.reopen(run.run_id).bury()
        return dead

    def runs(self, params: Collection[str] | None = ()) -> list[Found]:
        """Return every run of the experiment that is not deleted, newest first, fast.

        MLflow is imported only where its store has to be migrated first.

        Args:
            params: Names of the parameters to read; None for all of them.

        Raises:
            TrackingError: The database cannot be read, or a newer MLflow wrote it.
        """
        if not self._is_readable():
            return []
        return reader.read_runs(self.database, self.experiment, params=params)

    def known_experiment_id(self) -> str | None:
        """Return the id of the experiment, or None as long as it has none; fast like `runs`."""
        if not self._is_readable():
            return None
        return reader.experiment_id(self.database, self.experiment)

    def _is_readable(self) -> bool:
        if not self.database.is_file():
            return False
        if not reader.check_not_newer(self.database):
            self.open()
        return True

    def tag_experiment(self, tags: dict[str, str]) -> str:
        """Set tags of the experiment itself and return its id."""
        client = self.open()
        number = self.experiment_id(client)
        with uninterrupted():
            for key, value in tags.items():
                client.set_experiment_tag(number, key, value)
        return number

    def folder(self, run_id: str) -> Path:
        """Return the working folder of a run on this machine."""
        return self.home / "runs" / run_id

    def _artifact_location(self) -> str | None:
        """Return where a new experiment keeps its artefacts; None leaves it to MLflow."""
        return (self.artifact_root / self.experiment).as_uri()

    def _as_run(self, client: MlflowClient, row: Any) -> Run:
        run_id = str(row.info.run_id)
        return Run(client=client, run_id=run_id, folder=self.folder(run_id))


def found(row: Any) -> Found:
    """Return MLflow's run entity in our form."""
    return Found(
        run_id=row.info.run_id,
        name=row.info.run_name or "",
        status=row.info.status,
        metrics=dict(row.data.metrics),
        tags=dict(row.data.tags),
        params=dict(row.data.params),
    )


def quieten() -> None:
    """Keep the database migration's log lines and a bar per fetched file off the terminal."""
    os.environ.setdefault("MLFLOW_ENABLE_ARTIFACTS_PROGRESS_BAR", "false")
    for name in ("alembic", "mlflow.store.db.utils", "mlflow.store"):
        logging.getLogger(name).setLevel(logging.WARNING)
