"""Plan a sweep and see it through: every job once, shared work once, one parent run."""

from __future__ import annotations

import json
import logging
import time
import uuid
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from ecgexp.config.compose import Job, save_job
from ecgexp.config.fingerprint import fit_fingerprint, sweep_fingerprint
from ecgexp.config.launcher import compose_launcher
from ecgexp.config.validate import validate
from ecgexp.errors import ConfigError, EcgexpError
from ecgexp.pipeline import Outcome, build_data, home_folder, open_store, run
from ecgexp.selection.overview import log_overview
from ecgexp.sweep.child import find_finished, lost
from ecgexp.sweep.launchers import GOODBYE_S, Launcher, WorkersDied, make_launcher
from ecgexp.sweep.locks import job_lock, sweep_lock
from ecgexp.sweep.task import Task, leaders_first
from ecgexp.tracking import names
from ecgexp.tracking.run import Run

log = logging.getLogger(__name__)

TABLE = "sweep.json"


class _JobsFailed(EcgexpError):
    """Ends the sweep's own run as FAILED."""


@dataclass(frozen=True, kw_only=True)
class _Sweep:
    jobs: Sequence[Job]
    id: str
    folder: Path
    config: dict[str, Any]


def run_jobs(
    jobs: Sequence[Job], *, is_sweep: bool, launcher: Sequence[str] = ()
) -> tuple[list[Outcome], bool]:
    """Run every job.

    Args:
        jobs: Composed configurations, all validated before the first one starts.
        is_sweep: Keep going after a failing job and say so at the end; without it errors rise.
        launcher: Words that choose and set Hydra's launcher.

    Returns:
        One outcome per job that was skipped or started, and whether the user interrupted.

    Raises:
        EcgexpError: A configuration is wrong; or, without a sweep, the job's own error.
    """
    if not is_sweep:
        if launcher:
            raise ConfigError(
                f"{' '.join(launcher)}: a launcher starts the jobs of a sweep; add -m"
            )
        return [_run_alone(jobs[0])], False
    _validate_all(jobs)
    config = jobs[0].config
    sweep_id = sweep_fingerprint(job.fingerprint for job in jobs)
    folder = home_folder(config) / "sweeps" / sweep_id
    starter = make_launcher(compose_launcher(launcher, folder))
    sweep = _Sweep(jobs=jobs, id=sweep_id, folder=folder, config=config)
    with sweep_lock(folder, config, sweep_id):
        return _see_through(sweep, starter)


def _run_alone(job: Job) -> Outcome:
    """Run one job; say so when an earlier start of it was broken off."""
    if job.config["resume"]:
        return run(job)
    validate(job)
    with job_lock(job, wait=False):
        same = f"tags.`{names.FINGERPRINT_TAG}` = '{job.fingerprint}'"
        for dead in open_store(job.config).bury_dead(same):
            log.warning(
                "run %s of this configuration was left RUNNING by a process that is gone and is "
                "now marked KILLED; finish it with `ecgexp run resume=%s`",
                dead.run_id,
                dead.run_id,
            )
        return run(job)


def _validate_all(jobs: Sequence[Job]) -> None:
    faults: dict[str, None] = {}
    for job in jobs:
        if job.config["resume"]:
            raise ConfigError(
                f"resume={job.config['resume']}: finishes one run; without -m. A sweep that is "
                "started again by the same command finishes what is missing"
            )
        try:
            validate(job)
        except ConfigError as error:
            faults |= dict.fromkeys(str(error).splitlines())
    if faults:
        raise ConfigError("\n".join(faults))
    homes = {str(home_folder(job.config)) for job in jobs}
    stores = {str(job.config["tracking"]) for job in jobs}
    if len(homes) > 1 or len(stores) > 1:
        raise ConfigError(
            "paths.home and tracking: one sweep has one store and one folder; sweep other keys"
        )


def _see_through(sweep: _Sweep, launcher: Launcher) -> tuple[list[Outcome], bool]:
    parent = _parent_run(sweep)
    tasks = _write_tasks(sweep, parent)
    outcomes: dict[int, Outcome] = {}
    interrupted = False
    try:
        with parent.active():
            try:
                _skip_finished(tasks, outcomes)
                todo = [task for task in tasks if task.number not in outcomes]
                _prepare_data(todo)
                _launch(launcher, leaders_first(todo), outcomes, len(tasks))
            finally:
                _bury(sweep, tasks, outcomes)
                _log_table(sweep, parent, tasks, outcomes)
                ended = [outcome.run_id for outcome in outcomes.values() if outcome.run_id]
                log_overview(parent, ended, sweep.config)
            failed = sum(outcome.status != "FINISHED" for outcome in outcomes.values())
            if failed:
                raise _JobsFailed(f"{failed} of {len(tasks)} jobs failed")
    except KeyboardInterrupt:
        interrupted = True
    except _JobsFailed as error:
        log.error("%s", error)
    return [outcomes[number] for number in sorted(outcomes)], interrupted


def _parent_run(sweep: _Sweep) -> Run:
    """Return the sweep's run: the one an earlier start made, or a new one."""
    store = open_store(sweep.config)
    same = f"tags.`{names.SWEEP_TAG}` = '{sweep.id}' and tags.`{names.KIND_TAG}` = 'sweep'"
    store.bury_dead(same, parents=True)
    for found in store.search(same, limit=1, parents=True):
        log.info("sweep %s: %d jobs, started again", sweep.id, len(sweep.jobs))
        return store.reopen(found.run_id)
    log.info("sweep %s: %d jobs", sweep.id, len(sweep.jobs))
    return store.start(
        name=f"{sweep.config['name']}-sweep-{sweep.id[:6]}",
        params={},
        tags={names.SWEEP_TAG: sweep.id, names.KIND_TAG: "sweep"},
    )


def _write_tasks(sweep: _Sweep, parent: Run) -> list[Task]:
    session = uuid.uuid4().hex
    tasks = []
    for number, job in enumerate(sweep.jobs, 1):
        stem = sweep.folder / f"{number:03d}-{job.fingerprint}"
        task = Task(
            number=number,
            job_file=stem.with_suffix(".yaml"),
            log_file=stem.with_suffix(".log"),
            group=fit_fingerprint(job.config),
            parent_run_id=parent.run_id,
            sweep_id=sweep.id,
            session=session,
            force=job.config["force"],
        )
        save_job(job, task.job_file)
        tasks.append(task)
    return tasks


def _skip_finished(tasks: Sequence[Task], outcomes: dict[int, Outcome]) -> None:
    for task in tasks:
        finished = find_finished(task.job, task)
        if finished is not None:
            outcomes[task.number] = finished
            log.info(
                "job %d of %d: skipped, run %s is FINISHED (force=true runs it again)",
                *(task.number, len(tasks), finished.run_id),
            )


def _prepare_data(tasks: Sequence[Task]) -> None:
    """Build every window cache once, before workers need it."""
    seen: list[tuple[Any, ...]] = []
    for task in tasks:
        config = task.job.config
        key = (config["dataset"], config["preprocessing"], config["seed"], config["paths"])
        if key in seen:
            continue
        seen.append(key)
        try:
            build_data(config).prepare(progress=True)
        except EcgexpError as error:
            log.warning("job %d: its data cannot be prepared: %s", task.number, error)


def _launch(
    launcher: Launcher, todo: Sequence[Task], outcomes: dict[int, Outcome], n_jobs: int
) -> None:
    """Run the tasks; when a pool of workers broke, run alone what may have broken it."""

    def collect(tasks: Sequence[Task]) -> None:
        for task, ended in launcher.launch(tasks):
            outcomes[task.number] = ended
            how = f", {ended.how}" if ended.how else ""
            log.info("job %d of %d: %s%s", task.number, n_jobs, ended.status, how)

    if not todo:
        return
    for task in todo:
        log.info("job %d of %d: %s", task.number, n_jobs, " ".join(task.job.overrides))
    try:
        collect(todo)
        return
    except WorkersDied as error:
        log.error("%s; its jobs are taken up one at a time", error)
    for task in todo:
        if task.number not in outcomes:
            try:
                collect([task])
            except WorkersDied as error:
                outcomes[task.number] = lost(task, str(error))


def _bury(sweep: _Sweep, tasks: Sequence[Task], outcomes: dict[int, Outcome]) -> None:
    """List what an interruption left, and mark the runs KILLED whose workers could not."""
    pairs = zip(tasks, sweep.jobs, strict=True)
    left = [(task, job) for task, job in pairs if task.number not in outcomes]
    store = open_store(sweep.config)
    session = f"tags.`{names.SESSION_TAG}` = '{tasks[0].session}'"
    deadline = time.monotonic() + (GOODBYE_S if left else 0.0)
    while True:
        store.bury_dead(session)
        running = store.search(f"{session} and attributes.status = 'RUNNING'")
        if not running or time.monotonic() > deadline:
            break
        time.sleep(0.2)
    started = {run.tags[names.FINGERPRINT_TAG] for run in store.search(session)}
    for task, job in left:
        if job.fingerprint in started:
            finished = find_finished(job, task)
            killed = replace(lost(task, "interrupted"), status="KILLED")
            outcomes[task.number] = replace(finished, how="") if finished else killed


def _log_table(
    sweep: _Sweep, parent: Run, tasks: Sequence[Task], outcomes: dict[int, Outcome]
) -> None:
    """Keep what became of every job, with the runs of other sweeps that stand for skipped ones."""
    rows = [
        {
            "job": task.number,
            "fingerprint": job.fingerprint,
            "overrides": list(job.overrides),
            "run_id": ended.run_id if ended else None,
            "status": ended.status if ended else None,
            "how": ended.how if ended else None,
            "error": ended.error if ended else None,
        }
        for task, job in zip(tasks, sweep.jobs, strict=True)
        for ended in (outcomes.get(task.number),)
    ]
    path = sweep.folder / TABLE
    path.write_text(json.dumps(rows, indent=1) + "\n", encoding="utf-8")
    parent.log_artefact(path)
    for task in tasks:
        if task.log_file.is_file():
            parent.log_artefact(task.log_file, "logs")
