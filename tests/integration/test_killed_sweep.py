"""A sweep that a SIGKILL ended, started again by the same command: every job once, none RUNNING."""

from __future__ import annotations

import importlib.util
import os
import signal
import sqlite3
import subprocess
import sys
import time

import psutil
import pytest

from ecgexp.tracking import names
from ecgexp.tracking.store import Store
from tests.integration.conftest import Command, Done

pytestmark = [pytest.mark.slow, pytest.mark.timeout(1800)]

# Two networks, each trained once and rounded in two ways.
JOBS = ("architecture.dropout=0.1,0.2", "quantization.method=minmax,percentile")
LAUNCHERS = {
    "basic": (),
    "joblib": ("hydra/launcher=joblib", "hydra.launcher.n_jobs=2"),
    "submitit": ("hydra/launcher=submitit_local", "hydra.launcher.timeout_min=20"),
    "ray": ("hydra/launcher=ray", "+hydra.launcher.ray.init.num_cpus=2"),
}
EXTRAS = {"joblib": "joblib", "submitit": "slurm", "ray": "ray"}


def in_second_job(command: Command, stage: str) -> bool:
    """Whether a job is FINISHED and another one in a stage, read without opening MLflow."""
    finished = "select count(*) from runs where status = 'FINISHED'"
    at_work = (
        f"select count(*) from tags where key like 'ecgexp.stage.{stage}' and value = 'running'"
    )
    try:
        with sqlite3.connect(f"file:{command.home / 'mlflow.db'}?mode=ro", uri=True) as connection:
            return all(connection.execute(query).fetchone()[0] for query in (finished, at_work))
    except sqlite3.OperationalError:
        return False


def kill_in_second_job(command: Command, stage: str, *words: str) -> None:
    """Kill a sweep's process alone; its workers are left to themselves."""
    path = command.cwd / "killed.log"
    with path.open("w") as log:
        process = subprocess.Popen(
            [sys.executable, "-m", "ecgexp", *words],
            cwd=command.cwd,
            env=command.environment,
            stdout=log,
            stderr=log,
        )
    while not in_second_job(command, stage):
        assert process.poll() is None, path.read_text()
        time.sleep(0.05)
    process.kill()
    assert process.wait() == -signal.SIGKILL


def losing_a_worker(command: Command, *words: str) -> Done:
    """Run a command, and kill the first of its worker processes that works on a run."""
    process = command.start(*words)
    victim: int | None = None
    query = "select value from tags where key = 'ecgexp.pid'"
    while victim is None and process.poll() is None:
        time.sleep(0.05)
        children = {child.pid for child in psutil.Process(process.pid).children(recursive=True)}
        with sqlite3.connect(f"file:{command.home / 'mlflow.db'}?mode=ro", uri=True) as connection:
            working = {int(pid) for (pid,) in connection.execute(query)}
        victim = next(iter(children & working), None)
    assert victim is not None
    os.kill(victim, signal.SIGKILL)
    out, err = process.communicate(timeout=1200)
    assert "its jobs are taken up one at a time" in err
    return Done(process.returncode, out, err)


def finish(command: Command, *words: str) -> Done:
    """Run a command to its end."""
    process = command.start(*words)
    out, err = process.communicate(timeout=1200)
    return Done(process.returncode, out, err)


@pytest.mark.parametrize("name", LAUNCHERS)
def test_a_killed_sweep_is_finished_by_the_same_command(
    name: str, ecgexp: Command, small: tuple[str, ...]
) -> None:
    if name in EXTRAS and importlib.util.find_spec(name) is None:
        pytest.skip(f"{name} is not installed: pip install 'ecgexp[{EXTRAS[name]}]'")
    words = ("run", "-m", *small, "deploy=none", *JOBS, *LAUNCHERS[name])
    # Where jobs run side by side, nobody knows which stage the second one is in.
    kill_in_second_job(ecgexp, "fit" if name == "basic" else "%", *words)
    store = Store(experiment="ecgexp", home=ecgexp.home)
    assert any(run.status == "RUNNING" for run in store.search(parents=True))

    again = losing_a_worker(ecgexp, *words) if name == "joblib" else finish(ecgexp, *words)
    assert again.code == 0, again.err
    jobs = again.json
    assert [job["status"] for job in jobs] == ["FINISHED"] * 4
    assert sum(job["how"] == "skipped" for job in jobs) >= 1
    runs = store.search()
    assert [run.status for run in runs] == ["FINISHED"] * 4
    assert {run.run_id for run in runs} == {job["run_id"] for job in jobs}
    assert len({run.tags[names.FINGERPRINT_TAG] for run in runs}) == 4
    (parent,) = store.search(parents=True)
    assert parent.status == "FINISHED"
    assert {run.tags[names.PARENT_TAG] for run in runs} == {parent.run_id}
    reused = [run.tags[names.REUSED_TAG] for run in runs if names.REUSED_TAG in run.tags]
    if name == "basic":
        assert [job["how"] for job in jobs] == ["skipped", "reused", "resumed", "reused"]
        assert len(set(reused)) == 2
    assert reused
