"""Start the jobs of a sweep: here, in local processes, by Slurm or by Ray.

Each launcher takes the settings of Hydra's plugin of the same name.
"""

from __future__ import annotations

import functools
import gc
import logging
import os
import signal
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import suppress
from typing import Any, Protocol

from ecgexp.config.launcher import LauncherChoice
from ecgexp.errors import EcgexpError
from ecgexp.pipeline import Outcome
from ecgexp.sweep.child import lost, run_in_worker, run_task
from ecgexp.sweep.task import Task, Turns, leaders_first

log = logging.getLogger(__name__)

Ended = tuple[Task, Outcome]
# Time for an interrupted worker to mark its run.
GOODBYE_S = 15.0
POLL_S = {"local": 0.2, "slurm": 10.0}
# Settings of submitit that have the same name for every kind of executor.
_COMMON = frozenset(
    {
        *("timeout_min", "cpus_per_task", "gpus_per_node", "tasks_per_node"),
        *("mem_gb", "nodes", "name", "stderr_to_stdout"),
    }
)


class WorkersDied(EcgexpError):
    """A pool of workers broke, and nobody can say which job did it."""


class Launcher(Protocol):
    """Runs tasks and yields each with its outcome, in the order in which they end."""

    def launch(self, tasks: Sequence[Task]) -> Iterator[Ended]:
        """Run every task.

        Raises:
            WorkersDied: Workers ended without an answer; what was not yielded is not done.
            KeyboardInterrupt: The user stopped the sweep.
        """


def make_launcher(choice: LauncherChoice) -> Launcher:
    """Return the launcher of a composed choice."""
    if choice.name == "joblib":
        return JoblibLauncher(choice.settings)
    if choice.name == "ray":
        return RayLauncher(choice.settings["ray"])
    if choice.name.startswith("submitit_"):
        return SubmititLauncher(choice.name.removeprefix("submitit_"), choice.settings)
    return BasicLauncher()


class BasicLauncher:
    """One after the other in this process."""

    def launch(self, tasks: Sequence[Task]) -> Iterator[Ended]:
        """Run every task; an interrupted one is yielded before the interrupt is raised."""
        for task in tasks:
            ended = run_task(task)
            yield task, ended
            if ended.status == "KILLED":
                raise KeyboardInterrupt
            gc.collect()


class JoblibLauncher:
    """In processes of this machine.

    Args:
        settings: Arguments of `joblib.Parallel`.
    """

    def __init__(self, settings: dict[str, Any]) -> None:
        self._settings = settings

    def launch(self, tasks: Sequence[Task]) -> Iterator[Ended]:
        """Run every task in a pool; one whose network another one trains waits for it there."""
        from joblib import Parallel, delayed
        from joblib.externals.loky.process_executor import BrokenProcessPool

        pool = Parallel(**self._settings, return_as="generator_unordered")
        try:
            yield from pool(delayed(_numbered)(task, os.getpid()) for task in leaders_first(tasks))
        except BrokenProcessPool as error:
            reason = " ".join(str(error).split())
            raise WorkersDied(f"a worker process ended without an answer: {reason}") from error


def _numbered(task: Task, driver: int) -> Ended:
    _leave_with(driver)
    ended = run_in_worker(task)
    if os.getppid() != driver:
        os._exit(1)  # the next task in the queue is nobody's any more
    return task, ended


@functools.cache
def _leave_with(driver: int) -> None:
    """End this worker when the process that started it is gone; a pool does not see to that."""

    def watch() -> None:
        while os.getppid() == driver:
            time.sleep(0.5)
        os.kill(os.getpid(), signal.SIGTERM)
        time.sleep(GOODBYE_S)
        os._exit(1)

    threading.Thread(target=watch, name="driver-watch", daemon=True).start()


class SubmititLauncher:
    """As jobs of Slurm, or of submitit's stand-in for it on this machine.

    Args:
        cluster: `slurm` or `local`.
        settings: Those of the plugin: partition, time limit, memory and so on.
    """

    def __init__(self, cluster: str, settings: dict[str, Any]) -> None:
        self._cluster = cluster
        self._settings = settings

    def launch(self, tasks: Sequence[Task]) -> Iterator[Ended]:
        """Submit what may start now, and the rest as their networks are trained."""
        executor, turns = self._executor(), Turns(tasks)
        running: dict[Any, Task] = {}
        room = self._most_at_once(len(tasks))
        try:
            while ready := self._submit(executor, turns.take(room - len(running))) | running:
                running = ready
                done = [job for job in running if job.done()]
                for job in done:
                    task = running.pop(job)
                    turns.ended(task)
                    yield task, _answer(job, task)
                if not done:
                    time.sleep(POLL_S[self._cluster])
        finally:
            for job in running:
                with suppress(OSError):
                    job.cancel()

    def _submit(self, executor: Any, tasks: list[Task]) -> dict[Any, Task]:
        if not tasks:
            return {}
        return dict(zip(executor.map_array(Requeued(), tasks), tasks, strict=True))

    def _executor(self) -> Any:
        import submitit

        given = dict(self._settings)
        folder, retries = given.pop("submitit_folder"), given.pop("max_num_timeout", None)
        most = {} if retries is None else {f"{self._cluster}_max_num_timeout": retries}
        executor = submitit.AutoExecutor(cluster=self._cluster, folder=folder, **most)
        executor.update_parameters(
            **{k if k in _COMMON else f"{self._cluster}_{k}": v for k, v in given.items()}
        )
        return executor

    def _most_at_once(self, n: int) -> int:
        """Slurm queues what it has no room for; on one machine everything would start at once."""
        if self._cluster == "slurm":
            return n
        return max(1, (os.cpu_count() or 1) // (self._settings["cpus_per_task"] or 1))


class Requeued:
    """Runs a task; when Slurm takes its node away, asks to be queued again to finish it."""

    def __call__(self, task: Task) -> Outcome:
        """Run the task."""
        return run_in_worker(task)

    def checkpoint(self, task: Task) -> Any:
        """Return what submitit is to submit instead: the same, which takes up the run."""
        from submitit.helpers import DelayedSubmission

        return DelayedSubmission(self, task)


def _answer(job: Any, task: Task) -> Outcome:
    from submitit.core.utils import FailedJobError, UncompletedJobError

    try:
        answer: Outcome = job.result()
    except (FailedJobError, UncompletedJobError) as error:
        return lost(task, f"submitit job {job.job_id} ended without an answer: {error}")
    return answer


class RayLauncher:
    """As tasks of a Ray cluster, by default one that is started on this machine.

    Args:
        settings: `init` for `ray.init`, `remote` for the tasks' options.
    """

    def __init__(self, settings: dict[str, Any]) -> None:
        self._init = settings["init"]
        self._remote = settings["remote"]

    def launch(self, tasks: Sequence[Task]) -> Iterator[Ended]:
        """Start what may start now, and the rest as their networks are trained."""
        os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")
        import ray

        ray.init(**{"include_dashboard": False, "log_to_driver": False, **self._init})
        remote = ray.remote(run_in_worker).options(**{"max_retries": 0, **self._remote})
        turns = Turns(tasks)
        running: dict[Any, Task] = {}
        try:
            while True:
                running |= {remote.remote(task): task for task in turns.take(len(tasks))}
                if not running:
                    return
                for reference in ray.wait(list(running), num_returns=1)[0]:
                    task = running.pop(reference)
                    turns.ended(task)
                    yield task, self._answer(reference, task)
        finally:
            ray.shutdown()

    def _answer(self, reference: Any, task: Task) -> Outcome:
        import ray

        try:
            answer: Outcome = ray.get(reference)
        except ray.exceptions.RayError as error:
            return lost(task, f"its Ray worker ended without an answer: {error}")
        return answer
