"""Tell a run that is being worked on from one whose process is gone."""

from __future__ import annotations

import logging
import socket
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager

import psutil

from ecgexp.tracking.names import HEARTBEAT_TAG, HOST_TAG, PID_TAG, PROCESS_START_TAG

log = logging.getLogger(__name__)

HEARTBEAT_S = 30.0
# A process on another machine that has been silent for so long counts as gone.
SILENT_S = 600.0
# The kernel counts a process's start in ticks since boot; the clock may be corrected meanwhile.
_START_TOLERANCE_S = 5.0


def owner_tags() -> dict[str, str]:
    """Return tags that name this process: machine, process id, its start, a first heartbeat."""
    process = psutil.Process()
    return {
        HOST_TAG: socket.gethostname(),
        PID_TAG: str(process.pid),
        PROCESS_START_TAG: f"{process.create_time():.2f}",
        HEARTBEAT_TAG: f"{time.time():.0f}",
    }


def is_gone(tags: Mapping[str, str]) -> bool:
    """Whether the process that a run's tags name has ended.

    On this machine the process table answers; of another machine, a heartbeat older than
    `SILENT_S`. Without tags nobody can tell, and the run counts as alive.
    """
    try:
        pid, started = int(tags[PID_TAG]), float(tags[PROCESS_START_TAG])
        if tags[HOST_TAG] != socket.gethostname():
            return time.time() - float(tags[HEARTBEAT_TAG]) > SILENT_S
    except (KeyError, ValueError):
        return False
    return not _lives(pid, started)


def owner(tags: Mapping[str, str]) -> str:
    """Return the process that a run's tags name, in words."""
    return f"process {tags.get(PID_TAG, '?')} on {tags.get(HOST_TAG, '?')}"


def _lives(pid: int, started: float) -> bool:
    try:
        process = psutil.Process(pid)
        same = abs(process.create_time() - started) < _START_TOLERANCE_S
        return bool(same and process.status() != psutil.STATUS_ZOMBIE)
    except psutil.NoSuchProcess:
        return False
    except psutil.AccessDenied:
        return True


@contextmanager
def heartbeat(beat: Callable[[dict[str, str]], None]) -> Iterator[None]:
    """Call `beat` with a fresh heartbeat tag every `HEARTBEAT_S` seconds, in a thread.

    Args:
        beat: Writes tags; a store that does not answer costs one beat, not the run.
    """
    from mlflow.exceptions import MlflowException

    stop = threading.Event()

    def keep_beating() -> None:
        while not stop.wait(HEARTBEAT_S):
            try:
                beat({HEARTBEAT_TAG: f"{time.time():.0f}"})
            except MlflowException as error:
                log.debug("a heartbeat was lost: %s", error)

    thread = threading.Thread(target=keep_beating, name="heartbeat", daemon=True)
    thread.start()
    try:
        yield
    finally:
        stop.set()
        thread.join()
