"""One MLflow run: status, stages, metrics, artefacts."""

from __future__ import annotations

import logging
import re
import time
from collections.abc import Collection, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from filelock import FileLock, Timeout

from ecgexp.errors import EcgexpError, StoppedEarly, TrackingError
from ecgexp.interrupt import uninterrupted
from ecgexp.tracking.liveness import heartbeat, owner, owner_tags
from ecgexp.tracking.names import ERROR_TAG, STAGE_TAG

if TYPE_CHECKING:
    from mlflow.tracking import MlflowClient

log = logging.getLogger(__name__)


def is_run_id(text: str) -> bool:
    """Whether a text has the form of an MLflow run id, and so is safe as a folder name."""
    return re.fullmatch(r"[0-9a-f]{32}", text) is not None


class Run:
    """Writes into one run through `MlflowClient`.

    Args:
        client: An open client.
        run_id: The run's id.
        folder: Working folder of the run on this machine.
    """

    def __init__(self, *, client: MlflowClient, run_id: str, folder: Path) -> None:
        self._client = client
        self.run_id = run_id
        self.folder = folder
        folder.mkdir(parents=True, exist_ok=True)

    @property
    def experiment_id(self) -> str:
        """Id of the experiment that holds the run."""
        return str(self._read().info.experiment_id)

    @property
    def status(self) -> str:
        """MLflow's status word: RUNNING, FINISHED, FAILED or KILLED."""
        return str(self._read().info.status)

    @property
    def tags(self) -> dict[str, str]:
        """Tags as stored now."""
        return dict(self._read().data.tags)

    @property
    def metrics(self) -> dict[str, float]:
        """Last value of every metric."""
        return dict(self._read().data.metrics)

    def _read(self) -> Any:
        with uninterrupted():
            return self._client.get_run(self.run_id)

    def log_metrics(self, metrics: dict[str, float], step: int = 0) -> None:
        """Log values in batches; not-a-number is kept, since it is a finding."""
        from mlflow.entities import Metric

        now = int(time.time() * 1000)
        entries = [Metric(key, float(value), now, step) for key, value in metrics.items()]
        with uninterrupted():
            for first in range(0, len(entries), 1000):
                self._client.log_batch(self.run_id, metrics=entries[first : first + 1000])

    def copy_metrics(self, source: Run, keys: Collection[str]) -> None:
        """Log the whole history of some of another run's metrics."""
        entries = [
            entry
            for key in source.metrics
            if key in keys
            for entry in self._client.get_metric_history(source.run_id, key)
        ]
        with uninterrupted():
            for first in range(0, len(entries), 1000):
                self._client.log_batch(self.run_id, metrics=entries[first : first + 1000])

    def set_tags(self, tags: dict[str, str]) -> None:
        """Set or overwrite tags."""
        from mlflow.entities import RunTag

        entries = [RunTag(key, value[:5000]) for key, value in tags.items()]
        with uninterrupted():
            self._client.log_batch(self.run_id, tags=entries)

    def log_artefact(self, path: Path, folder: str = "") -> None:
        """Copy a file, or a folder's contents, into the run's artefacts."""
        with uninterrupted():
            if path.is_dir():
                self._client.log_artifacts(self.run_id, str(path), folder)
            else:
                self._client.log_artifact(self.run_id, str(path), folder)

    def fetch_artefact(self, name: str, into: Path) -> Path:
        """Copy an artefact folder or file to this machine.

        Raises:
            TrackingError: The run has no such artefact.
        """
        from mlflow.exceptions import MlflowException

        into.mkdir(parents=True, exist_ok=True)
        try:
            return Path(self._client.download_artifacts(self.run_id, name, str(into)))
        except (MlflowException, OSError) as error:
            raise TrackingError(
                f"run_id={self.run_id} has no artefact {name!r}; was it interrupted before that "
                f"stage? Finish it with `ecgexp run resume={self.run_id}`"
            ) from error

    def stage_done(self, name: str) -> bool:
        """Whether a stage of this run ended well."""
        return self.tags.get(STAGE_TAG + name) == "done"

    @contextmanager
    def stage(self, name: str) -> Iterator[None]:
        """Tag a stage running, then done, failed or killed, and log its duration."""
        log.info("%s: start", name)
        started = time.monotonic()
        self.set_tags({STAGE_TAG + name: "running"})
        try:
            yield
        except KeyboardInterrupt:
            self.set_tags({STAGE_TAG + name: "killed"})
            raise
        except StoppedEarly:
            self.set_tags({STAGE_TAG + name: "stopped"})
            raise
        except BaseException:
            self.set_tags({STAGE_TAG + name: "failed"})
            raise
        self.set_tags({STAGE_TAG + name: "done"})
        log.info("%s: done in %.1f s", name, time.monotonic() - started)

    @contextmanager
    def active(self, *, keep_status: bool = False) -> Iterator[None]:
        """Hold the run RUNNING; leave it FINISHED, FAILED or KILLED whatever happens.

        Args:
            keep_status: Give the run its earlier status back, for additions to an old run.
        """
        lock = FileLock(self.folder / "run.lock")
        try:
            lock.acquire(timeout=0)
        except Timeout as error:
            raise TrackingError(
                f"run_id={self.run_id}: another process works on this run; wait for it or stop it"
            ) from error
        try:
            yield from self._hold(keep_status)
        finally:
            lock.release()

    def _hold(self, keep_status: bool) -> Iterator[None]:
        before = self.status if keep_status else None
        self.set_tags(owner_tags())
        with uninterrupted():
            self._client.update_run(self.run_id, status="RUNNING")
        try:
            with heartbeat(self.set_tags):
                yield
        except KeyboardInterrupt:
            self.end(before or "KILLED", "interrupted")
            raise
        except StoppedEarly as error:
            self.end(before or "KILLED", str(error))
            raise
        except BaseException as error:
            kind = "" if isinstance(error, EcgexpError) else f"{type(error).__name__}: "
            self.end(before or "FAILED", f"{kind}{error}")
            raise
        self.end(before or "FINISHED", None)

    def bury(self) -> None:
        """Mark a run KILLED whose process is gone, and the stage in which it was."""
        tags = self.tags
        self.set_tags(
            {
                **{
                    key: "killed"
                    for key, value in tags.items()
                    if key.startswith(STAGE_TAG) and value == "running"
                },
                ERROR_TAG: f"{owner(tags)} is gone",
            }
        )
        with uninterrupted():
            self._client.set_terminated(self.run_id, status="KILLED")

    def end(self, status: str, error: str | None) -> None:
        """Set the final status, and the reason where there is one."""
        if error is not None:
            self.set_tags({ERROR_TAG: error})
        with uninterrupted():
            if error is None and ERROR_TAG in self.tags:
                self._client.delete_tag(self.run_id, ERROR_TAG)
            self._client.set_terminated(self.run_id, status=status)

    def lightning_logger(self, prefix: str = "") -> Any:
        """Return a Lightning logger that writes here and leaves the run's status alone."""
        from ecgexp.tracking.lightning import RunLogger

        return RunLogger(run=self, prefix=prefix)
