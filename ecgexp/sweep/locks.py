"""One process at a time for a sweep, and for each of its jobs."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from filelock import FileLock, Timeout

from ecgexp.config.compose import Job
from ecgexp.errors import TrackingError
from ecgexp.pipeline import home_folder, open_store
from ecgexp.tracking import names
from ecgexp.tracking.liveness import owner

log = logging.getLogger(__name__)


@contextmanager
def job_lock(job: Job, *, wait: bool) -> Iterator[None]:
    """Keep other processes that share the home folder off the same experiment.

    Args:
        job: The experiment; its fingerprint names the lock.
        wait: Wait for another process to end its run instead of raising.

    Raises:
        TrackingError: Another process runs this experiment, or the folder cannot be written.
    """
    path = home_folder(job.config) / "locks" / f"job-{job.fingerprint}.lock"
    lock = _lock(path)
    if not _taken(lock):
        who = _who(job.config, f"tags.`{names.FINGERPRINT_TAG}` = '{job.fingerprint}'")
        if not wait:
            raise TrackingError(
                f"this experiment (fingerprint {job.fingerprint}) is already running in {who}; "
                "wait for it or stop it, or change the configuration"
            )
        log.info("waiting for %s, which runs the same experiment", who)
        lock.acquire()
    try:
        yield
    finally:
        lock.release()


@contextmanager
def sweep_lock(folder: Path, config: dict[str, Any], sweep_id: str) -> Iterator[None]:
    """Keep a second start of the same sweep out of its folder.

    Raises:
        TrackingError: The same sweep is running, or the folder cannot be written.
    """
    lock = _lock(folder / "sweep.lock")
    if not _taken(lock):
        who = _who(config, f"tags.`{names.SWEEP_TAG}` = '{sweep_id}'", parents=True)
        raise TrackingError(
            f"{folder}: the same sweep is already running there, in {who}; wait for it or stop it"
        )
    try:
        yield
    finally:
        lock.release()


def _lock(path: Path) -> FileLock:
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch()
    except OSError as error:
        raise TrackingError(
            f"{path}: cannot write there ({error.strerror}); choose another folder with "
            "paths.home=DIR or ECGEXP_HOME"
        ) from error
    return FileLock(path)


def _taken(lock: FileLock) -> bool:
    try:
        lock.acquire(timeout=0)
    except Timeout:
        return False
    return True


def _who(config: dict[str, Any], condition: str, *, parents: bool = False) -> str:
    running = f"{condition} and attributes.status = 'RUNNING'"
    for found in open_store(config).search(running, parents=parents):
        return f"run {found.run_id} ({owner(found.tags)})"
    return "another process"
