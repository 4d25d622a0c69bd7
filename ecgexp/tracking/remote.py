"""An MLflow server as the store: many machines write into it, none of them holds its database."""

from __future__ import annotations

import functools
import logging
import os
import re
from collections.abc import Collection
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ecgexp.errors import ConfigError, TrackingError
from ecgexp.tracking.found import Found
from ecgexp.tracking.guard import Guard
from ecgexp.tracking.keeping import WAIT_S, KeepingClient, deliver
from ecgexp.tracking.liveness import is_gone
from ecgexp.tracking.run import Run
from ecgexp.tracking.spool import Spool
from ecgexp.tracking.store import Store, found, quieten

if TYPE_CHECKING:
    from mlflow.tracking import MlflowClient

log = logging.getLogger(__name__)

PAGE = 1000
_ADDRESS = re.compile(r"https?://[^/\s@]+(/[^\s@]*)?")


class ServerStore(Store):
    """Runs on an MLflow server; working folders and caches stay below `paths.home`.

    Args:
        experiment: Name of the MLflow experiment.
        home: Folder for what stays on this machine.
        uri: Address of the server, without user or password.
        artifacts: Where a new experiment keeps its artefacts; None leaves it to the server.
        timeout_s: Seconds that a request may take.
        n_retries: How often a failed request is made again.

    Raises:
        ConfigError: The address is missing or is none.
    """

    def __init__(
        self,
        *,
        experiment: str,
        home: Path,
        uri: str | None,
        artifacts: str | None,
        timeout_s: int,
        n_retries: int,
    ) -> None:
        super().__init__(experiment=experiment, home=home)
        if not uri:
            raise ConfigError(
                "tracking.uri is not set: write tracking.uri=http://HOST:PORT or set "
                "MLFLOW_TRACKING_URI"
            )
        if not _ADDRESS.fullmatch(uri):
            raise ConfigError(
                "tracking.uri or MLFLOW_TRACKING_URI is no plain http:// or https:// address; user "
                "and password belong in MLFLOW_TRACKING_USERNAME and MLFLOW_TRACKING_PASSWORD"
            )
        self.uri = uri.rstrip("/")
        self._artifacts = artifacts
        self._settings = {
            "MLFLOW_HTTP_REQUEST_TIMEOUT": timeout_s,
            "MLFLOW_HTTP_REQUEST_MAX_RETRIES": n_retries,
            "MLFLOW_HTTP_REQUEST_BACKOFF_FACTOR": 1,
            # It would stand in the middle of `format=json`.
            "MLFLOW_SUPPRESS_PRINTING_URL_TO_STDOUT": "true",
        }

    def open(self) -> MlflowClient:
        """Return a client that knows when nobody answers.

        Raises:
            TrackingError: The server does not answer, does not let us in, or is none of MLflow's.
        """
        from mlflow.exceptions import MlflowException
        from mlflow.tracking import MlflowClient

        quieten()
        for name, value in self._settings.items():
            os.environ.setdefault(name, str(value))
        client: Any = Guard(MlflowClient(tracking_uri=self.uri), self.uri)
        try:
            client.search_experiments(max_results=1)
        except MlflowException as error:
            raise TrackingError(
                f"tracking.uri={self.uri}: what answers there is no MLflow server that we can use "
                f"({error.error_code}); correct tracking.uri or MLFLOW_TRACKING_URI"
            ) from error
        return client  # type: ignore[no-any-return]

    def runs(self, params: Collection[str] | None = ()) -> list[Found]:
        """Return every run of the experiment that is not deleted, newest first.

        Args:
            params: Names of the parameters to return; None for all of them.

        Raises:
            TrackingError: The server does not answer.
        """
        client = self.open()
        number = self._known_id(client)
        runs: list[Found] = []
        token: str | None = None
        while number is not None:
            page = client.search_runs([number], max_results=PAGE, page_token=token)
            runs += [_with(found(row), params) for row in page]
            token = page.token
            if not token:
                break
        return runs

    def known_experiment_id(self) -> str | None:
        """Return the id of the experiment, or None as long as it has none."""
        return self._known_id(self.open())

    def send_spooled(self, run_id: str) -> None:
        """Send what a run on this machine kept; mark it KILLED if its process is gone.

        Raises:
            Unreachable: The server does not answer; the rest waits.
            TrackingError: It refuses something, for example because the run was deleted.
        """
        from mlflow.exceptions import MlflowException

        client = self.open()
        folder = self.folder(run_id)
        try:
            Spool(folder).send(functools.partial(deliver, client, run_id, folder), wait_s=WAIT_S)
            row = client.get_run(run_id)
        except MlflowException as error:
            raise TrackingError(
                f"run_id={run_id}: {self.uri} refuses what waits in {folder}: {error.message}; "
                "nothing of it was deleted"
            ) from error
        if row.info.status == "RUNNING" and is_gone(row.data.tags):
            self._as_run(client, row).bury()

    def _known_id(self, client: MlflowClient) -> str | None:
        known = client.get_experiment_by_name(self.experiment)
        return None if known is None else str(known.experiment_id)

    def _artifact_location(self) -> str | None:
        if self._artifacts is None:
            return None
        base = self._artifacts
        if "://" not in base:
            base = Path(base).expanduser().resolve().as_uri()
        return f"{base.rstrip('/')}/{self.experiment}"

    def _as_run(self, client: MlflowClient, row: Any) -> Run:
        run_id = str(row.info.run_id)
        folder = self.folder(run_id)
        keeping: Any = KeepingClient(client=client, row=row, folder=folder, server=self.uri)
        run = Run(client=keeping, run_id=run_id, folder=folder)
        if Spool(folder).waits:
            keeping.send_waiting()  # left by a process that was killed while nobody answered
        return run


def _with(run: Found, params: Collection[str] | None) -> Found:
    if params is not None:
        for name in [name for name in run.params if name not in params]:
            del run.params[name]
    return run
