"""A run's client that loses nothing: what the server does not take waits in the run's folder."""

from __future__ import annotations

import logging
import math
import time
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

from ecgexp.tracking.guard import Unreachable
from ecgexp.tracking.names import HEARTBEAT_TAG
from ecgexp.tracking.spool import Entry, Spool, count

if TYPE_CHECKING:
    from mlflow.entities import Metric, RunTag

log = logging.getLogger(__name__)

# At the end of a run: how long another process may still send.
WAIT_S = 30.0


class KeepingClient:
    """The calls of `MlflowClient` that `Run` makes.

    While something waits, everything new waits behind it, and nobody waits for the server: the
    heartbeat's thread asks it now and then, the end of the run does once more, then `ecgexp sync`.

    Args:
        client: A guarded client.
        row: The run as the server gave it.
        folder: The run's folder.
        server: Address of the server, for who sends later.
    """

    def __init__(self, *, client: Any, row: Any, folder: Path, server: str) -> None:
        self._client = client
        self._run_id = str(row.info.run_id)
        self._folder, self._server = folder, server
        self._spool = Spool(folder)
        self._known = _snapshot(row)

    def get_run(self, run_id: str) -> Any:
        """Return the run; while the server is silent, as far as this process knows it."""
        if not self._spool.waits:
            try:
                self._known = _snapshot(self._client.get_run(run_id))
            except Unreachable as error:
                log.debug("run %s is told from memory: %s", run_id, error)
        return self._known

    def get_metric_history(self, run_id: str, key: str) -> Any:
        """Return every value of a metric, from the server."""
        return self._client.get_metric_history(run_id, key)

    def download_artifacts(self, run_id: str, path: str, into: str) -> str:
        """Fetch an artefact from the server."""
        return str(self._client.download_artifacts(run_id, path, into))

    def log_batch(
        self, _run_id: str, metrics: Sequence[Metric] = (), tags: Sequence[RunTag] = ()
    ) -> None:
        """Log metrics and tags, or keep them."""
        if [tag.key for tag in tags] == [HEARTBEAT_TAG]:
            self._beat(tags[0])
            return
        self._write(
            {
                "metrics": [[m.key, _plain(m.value), m.timestamp, m.step] for m in metrics],
                "tags": {tag.key: tag.value for tag in tags},
            }
        )

    def log_artifact(self, _run_id: str, path: str, folder: str) -> None:
        """Send a file, or keep a copy."""
        self._write_artefact(Path(path), folder)

    def log_artifacts(self, _run_id: str, path: str, folder: str) -> None:
        """Send a folder's contents, or keep a copy."""
        self._write_artefact(Path(path), folder)

    def update_run(self, _run_id: str, status: str) -> None:
        """Set the status."""
        self._write({"status": status})

    def delete_tag(self, _run_id: str, key: str) -> None:
        """Remove a tag."""
        self._write({"untag": key})

    def set_terminated(self, run_id: str, status: str) -> None:
        """Set the final status; say so when something stays here."""
        self._write({"status": status, "end_time": int(time.time() * 1000)})
        if self._spool.waits:
            self.send_waiting(wait_s=WAIT_S)
        waiting = sum((count(entry) for entry in self._spool.waiting()), Counter[str]())
        if waiting:
            log.warning(
                "run %s: the MLflow server does not answer; %s are kept in %s; send them with "
                "`ecgexp sync`",
                run_id,
                in_words(waiting),
                self._folder,
            )

    def send_waiting(self, *, wait_s: float = 0.0) -> None:
        """Send what waits, if the server answers."""
        from mlflow.exceptions import MlflowException

        try:
            sent = self._spool.send(self._deliver, wait_s=wait_s)
        except Unreachable as error:
            log.debug("still waiting: %s", error)
            return
        except MlflowException as error:
            log.warning("run %s: the MLflow server refuses what waits: %s", self._run_id, error)
            return
        if sent:
            log.info("run %s: the MLflow server answers; %s sent", self._run_id, in_words(sent))

    def _beat(self, tag: RunTag) -> None:
        if self._spool.waits:
            self.send_waiting()
        try:
            self._client.log_batch(self._run_id, tags=[tag])
        except Unreachable as error:
            log.debug("a heartbeat was lost: %s", error)

    def _write_artefact(self, path: Path, folder: str) -> None:
        entry: Entry = {"path": str(path), "folder": folder}
        if not self._spool.waits and self._sent(entry):
            return
        self._keep({**entry, "path": self._spool.keep(path)})

    def _write(self, entry: Entry) -> None:
        _apply(entry, self._known)
        if not self._spool.waits and self._sent(entry):
            return
        self._keep(entry)

    def _keep(self, entry: Entry) -> None:
        self._spool.append({"server": self._server, **entry})

    def _sent(self, entry: Entry) -> bool:
        try:
            self._deliver(entry)
        except Unreachable as error:
            log.warning("%s. The run goes on; what it logs is kept in %s", error, self._folder)
            return False
        return True

    def _deliver(self, entry: Entry) -> None:
        deliver(self._client, self._run_id, self._folder, entry)


def deliver(client: Any, run_id: str, folder: Path, entry: Entry) -> None:
    """Send one entry; sent twice it changes nothing.

    Args:
        client: A guarded client.
        run_id: The run.
        folder: The run's folder, which relative paths start from.
        entry: One line of the spool.

    Raises:
        Unreachable: The server does not answer.
    """
    from mlflow.entities import Metric, RunTag

    metrics = [Metric(key, float(value), *when) for key, value, *when in entry.get("metrics", ())]
    tags = [RunTag(key, value) for key, value in entry.get("tags", {}).items()]
    if metrics or tags:
        client.log_batch(run_id, metrics=metrics, tags=tags)
    if "path" in entry:
        path = folder / entry["path"]
        send = client.log_artifacts if path.is_dir() else client.log_artifact
        send(run_id, str(path), entry["folder"])
    if "untag" in entry and entry["untag"] in client.get_run(run_id).data.tags:
        client.delete_tag(run_id, entry["untag"])
    if "end_time" in entry:
        client.set_terminated(run_id, status=entry["status"], end_time=entry["end_time"])
    elif "status" in entry:
        client.update_run(run_id, status=entry["status"])


def in_words(counted: Counter[str]) -> str:
    """Return `12 metrics, 3 tags`."""
    return ", ".join(f"{number} {name}" for name, number in counted.items())


def _plain(value: float) -> float | str:
    """Return what JSON can hold: figures that are no numbers as text."""
    return value if math.isfinite(value) else str(value)


def _snapshot(row: Any) -> Any:
    return SimpleNamespace(
        info=SimpleNamespace(experiment_id=row.info.experiment_id, status=row.info.status),
        data=SimpleNamespace(tags=dict(row.data.tags), metrics=dict(row.data.metrics)),
    )


def _apply(entry: Entry, known: Any) -> None:
    known.data.metrics.update({row[0]: float(row[1]) for row in entry.get("metrics", ())})
    known.data.tags.update(entry.get("tags", {}))
    known.data.tags.pop(entry.get("untag"), None)
    known.info.status = entry.get("status", known.info.status)
