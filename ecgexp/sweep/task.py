"""What a worker process is given: a job in a file, and where it belongs."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from ecgexp.config.compose import Job, load_job
from ecgexp.tracking import names


@dataclass(frozen=True, kw_only=True)
class Task:
    """One job of a sweep, small and picklable.

    Attributes:
        number: Place in the sweep, from 1.
        job_file: The composed configuration.
        log_file: What the job logs.
        group: Fit fingerprint: tasks of one group share the trained float network.
        parent_run_id: The sweep's run.
        sweep_id: Hash of the sweep's jobs.
        session: One start of the sweep.
        force: Leave earlier sessions' runs alone.
    """

    number: int
    job_file: Path
    log_file: Path
    group: str
    parent_run_id: str
    sweep_id: str
    session: str
    force: bool

    @property
    def job(self) -> Job:
        """The configuration, read from its file."""
        return load_job(self.job_file)

    @property
    def tags(self) -> dict[str, str]:
        """Tags of the job's run beside its parent."""
        return {names.SWEEP_TAG: self.sweep_id, names.SESSION_TAG: self.session}


def leaders_first(tasks: Sequence[Task]) -> list[Task]:
    """Return the first task of every group, then the others, so that workers seldom wait."""
    leaders = {task.group: task for task in reversed(tasks)}
    first = [task for task in tasks if leaders[task.group] is task]
    return [*first, *[task for task in tasks if leaders[task.group] is not task]]


class Turns:
    """Hands out tasks so that a group's others wait until its first has ended.

    Args:
        tasks: In the order in which they should start.
    """

    def __init__(self, tasks: Sequence[Task]) -> None:
        self._waiting = list(tasks)
        self._trained: set[str] = set()
        self._training: set[str] = set()

    def take(self, n: int) -> list[Task]:
        """Return up to `n` tasks that may start now."""
        ready: list[Task] = []
        for task in list(self._waiting):
            if len(ready) == n:
                break
            if task.group in self._trained or task.group not in self._training:
                self._training.add(task.group)
                self._waiting.remove(task)
                ready.append(task)
        return ready

    def ended(self, task: Task) -> None:
        """Let the others of the task's group start."""
        self._trained.add(task.group)
