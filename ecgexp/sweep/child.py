"""Run one job of a sweep: skip what is done, finish what was broken off, else start."""

from __future__ import annotations

import logging
import os
import signal
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from types import FrameType

from ecgexp.config.compose import Job
from ecgexp.errors import EcgexpError
from ecgexp.pipeline import Outcome, open_store, outcome, run, run_name
from ecgexp.pipeline.job import JOB_FILE, keep_configuration
from ecgexp.sweep.locks import job_lock
from ecgexp.sweep.task import Task
from ecgexp.tracking import names

log = logging.getLogger(__name__)

SKIPPED, RESUMED, REUSED = "skipped", "resumed", "reused"


def run_task(task: Task) -> Outcome:
    """Run a job in this process; whatever it does, the others run.

    Returns:
        How it ended; KILLED after an interruption.
    """
    job = task.job
    with _logged(task):
        try:
            with job_lock(job, wait=True):
                ended = find_finished(job, task) or _run(job, task)
        except KeyboardInterrupt:
            return _broken(job, task, "KILLED", "interrupted")
        except Exception as error:  # The boundary between jobs: whatever one did, the others run.
            reason = str(error)
            if isinstance(error, EcgexpError):
                log.error("job %d failed: %s", task.number, error)
            else:
                log.exception("job %d broke", task.number)
                reason = f"{type(error).__name__}: {error}"
            ended = _broken(job, task, "FAILED", reason)
    return ended


def run_in_worker(task: Task) -> Outcome:
    """Run a job in a process that a launcher started: output goes to the task's log file."""
    if threading.current_thread() is threading.main_thread():
        signal.signal(signal.SIGTERM, _interrupt)
        signal.signal(signal.SIGINT, _interrupt)
    with _redirected(task):
        return run_task(task)


def find_finished(job: Job, task: Task) -> Outcome | None:
    """Return the FINISHED run of the same experiment, if there is one that saw the test split."""
    store = open_store(job.config)
    whole = f"attributes.status = 'FINISHED' and tags.`{names.STAGE_TAG}test` = 'done'"
    for found in store.search(f"{_same(job, task)} and {whole}", limit=1):
        return replace(outcome(store.reopen(found.run_id)), how=SKIPPED)
    return None


def lost(task: Task, reason: str) -> Outcome:
    """Return the outcome of a job whose process ended without an answer."""
    job = task.job
    open_store(job.config).bury_dead(_same(job, task))
    return _broken(job, task, "FAILED", reason)


def _run(job: Job, task: Task) -> Outcome:
    store = open_store(job.config)
    store.bury_dead(_same(job, task))
    for found in store.search(_same(job, task)):
        broken = store.reopen(found.run_id)
        is_trial = names.PARENT_TAG in found.tags and names.SWEEP_TAG not in found.tags
        if found.status not in ("FAILED", "KILLED") or is_trial:
            continue
        if not (broken.folder / JOB_FILE).is_file():  # killed before it wrote anything
            keep_configuration(job, broken.folder)
        log.info("job %d: taking up run %s, %s", task.number, found.run_id, found.status)
        broken.set_tags({**task.tags, names.PARENT_TAG: task.parent_run_id})
        ended = run(replace(job, config={**job.config, "resume": found.run_id}))
        return replace(ended, how=RESUMED)
    ended = run(job, parent_run_id=task.parent_run_id, tags=task.tags)
    return replace(ended, how=REUSED if names.REUSED_TAG in ended.tags else "")


def _same(job: Job, task: Task) -> str:
    """Return MLflow's filter for the runs that may stand for a job."""
    condition = f"tags.`{names.FINGERPRINT_TAG}` = '{job.fingerprint}'"
    if task.force:
        condition += f" and tags.`{names.SESSION_TAG}` = '{task.session}'"
    return condition


def _broken(job: Job, task: Task, status: str, reason: str) -> Outcome:
    """Return the outcome of a job that did not end well: its run if it got that far."""
    store = open_store(job.config)
    condition = f"{_same(job, task)} and tags.`{names.SESSION_TAG}` = '{task.session}'"
    for found in store.search(condition, limit=1):
        if found.status in ("FAILED", "KILLED"):
            return replace(outcome(store.reopen(found.run_id)), status=status, error=reason)
    return Outcome(run_id="", name=run_name(job), status=status, metrics={}, tags={}, error=reason)


@contextmanager
def _logged(task: Task) -> Iterator[None]:
    """Write ecgexp's log lines to the task's file too."""
    logger = logging.getLogger("ecgexp")
    handler = logging.FileHandler(task.log_file, encoding="utf-8")
    handler.setFormatter(logging.Formatter("%(asctime)s %(levelname)-7s %(message)s"))
    level = logger.level
    logger.addHandler(handler)
    logger.setLevel(level or logging.INFO)
    try:
        yield
    finally:
        logger.removeHandler(handler)
        logger.setLevel(level)
        handler.close()


@contextmanager
def _redirected(task: Task) -> Iterator[None]:
    """Send what the process prints, whoever prints it, to the task's file."""
    sys.stdout.flush()
    sys.stderr.flush()
    before = os.dup(1), os.dup(2)
    file = os.open(task.log_file, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o644)
    try:
        os.dup2(file, 1)
        os.dup2(file, 2)
        yield
    finally:
        sys.stdout.flush()
        sys.stderr.flush()
        for number, kept in enumerate(before, 1):
            os.dup2(kept, number)
            os.close(kept)
        os.close(file)


def _interrupt(_signal: int, _frame: FrameType | None) -> None:
    """Treat a polite kill like Ctrl-C, so that no run is left RUNNING."""
    raise KeyboardInterrupt
