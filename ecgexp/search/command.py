"""What `ecgexp search` does: work on a study, sum it up, confirm what was chosen."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from ecgexp.config.compose import Job, load_job
from ecgexp.interrupt import ends_with_its_parent
from ecgexp.pipeline import Outcome, open_store, run
from ecgexp.search.driver import Driver
from ecgexp.search.page import log_pictures
from ecgexp.search.result import Result, choose, read_result
from ecgexp.search.study import RUN
from ecgexp.search.workers import run_workers

log = logging.getLogger(__name__)


def work(job: Job, words: Sequence[str], folders: Sequence[Path]) -> None:
    """Be one of the workers that another process has started."""
    with ends_with_its_parent():
        Driver(job=job, words=words, folders=folders, is_worker=True).work()


def search(job: Job, words: Sequence[str], folders: Sequence[Path]) -> tuple[Result, bool]:
    """Run the study up to its total number of trials.

    Args:
        job: Composed from `conf/search.yaml`.
        words: Command-line overrides.
        folders: Further config folders.

    Returns:
        What was found, and whether the user interrupted.

    Raises:
        EcgexpError: The search cannot begin; single trials raise nothing.
    """
    driver = Driver(job=job, words=words, folders=folders, is_worker=False)
    plan = driver.plan
    interrupted = False
    try:
        if plan.n_workers > 1:
            run_workers(plan.n_workers, words, folders, plan.max_deaths)
        driver.work()
    except KeyboardInterrupt:
        interrupted = True
    result = read_result(
        driver.shared.study,
        n_trials=plan.n_trials,
        objectives=plan.objectives,
        parent_run_id=driver.parent_run_id,
    )
    result = replace(result, page=log_pictures(driver.shared.study, plan.objectives, driver.parent))
    confirmed = None
    if plan.confirm is not None and not interrupted:
        confirmed = _confirm(driver)
    driver.close(result, interrupted=interrupted)
    return replace(result, confirmed=confirmed), interrupted


def _confirm(driver: Driver) -> Outcome:
    """Finish the chosen trial's run: test split and device, once."""
    trial = choose(driver.shared.study, driver.plan.confirm or "best")
    store = open_store(driver.base.config)
    chosen = store.reopen(str(trial.user_attrs[RUN]))
    log.info("confirming trial %d, run %s, on the test split", trial.number, chosen.run_id)
    job = load_job(chosen.folder / "job.yaml")
    return run(replace(job, config={**job.config, "resume": chosen.run_id}))
