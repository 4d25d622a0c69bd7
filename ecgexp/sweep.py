"""Run the jobs of a sweep one after the other; a failing job does not stop its siblings."""

from __future__ import annotations

import gc
import logging
import uuid
from collections.abc import Sequence

from ecgexp.config.compose import Job
from ecgexp.config.validate import validate
from ecgexp.errors import EcgexpError
from ecgexp.pipeline import Outcome, find_by_sweep, run, run_name

log = logging.getLogger(__name__)


def run_jobs(jobs: Sequence[Job], *, is_sweep: bool) -> tuple[list[Outcome], bool]:
    """Run every job.

    Args:
        jobs: Composed configurations, all validated before the first one starts.
        is_sweep: Keep going after a failing job and say so at the end; without it errors rise.

    Returns:
        One outcome per started job, and whether the user interrupted.

    Raises:
        EcgexpError: A configuration is wrong; or, without a sweep, the job's own error.
    """
    if not is_sweep:
        return [run(jobs[0])], False
    for job in jobs:
        validate(job)
    sweep_id = uuid.uuid4().hex
    outcomes: list[Outcome] = []
    for number, job in enumerate(jobs, 1):
        log.info("job %d of %d: %s", number, len(jobs), " ".join(job.overrides))
        try:
            outcomes.append(run(job, sweep_id=sweep_id))
        except KeyboardInterrupt:
            outcomes += find_by_sweep(job, sweep_id)[:1]
            return outcomes, True
        except Exception as error:  # The boundary between jobs: whatever one did, the others run.
            if not isinstance(error, EcgexpError):
                log.exception("job %d of %d broke", number, len(jobs))
            else:
                log.error("job %d of %d failed: %s", number, len(jobs), error)
            outcomes.append(_failed(job, sweep_id, error))
        gc.collect()
    return outcomes, False


def _failed(job: Job, sweep_id: str, error: Exception) -> Outcome:
    """Return the outcome of a job that raised: its run if it got that far."""
    for outcome in find_by_sweep(job, sweep_id)[:1]:
        if outcome.status == "FAILED":
            return outcome
    return Outcome(
        run_id="", name=run_name(job), status="FAILED", metrics={}, tags={}, error=str(error)
    )
