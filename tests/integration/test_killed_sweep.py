"""A sweep that a SIGKILL ended, started again by the same command: every job once, none RUNNING."""

from __future__ import annotations

import importlib.util
import signal
import sqlite3

import pytest

from ecgexp.tracking import names
from ecgexp.tracking.store import Store
from tests.integration.conftest import Command

pytestmark = [pytest.mark.slow, pytest.mark.timeout(1800)]

ARCHITECTURES = "architecture=cnn_small,tcn,dscnn"
QUANTIZATIONS = "quantization.method=minmax,percentile"
LAUNCHERS = {
    "basic": (),
    "joblib": ("hydra/launcher=joblib", "hydra.launcher.n_jobs=2"),
    "submitit": ("hydra/launcher=submitit_local", "hydra.launcher.timeout_min=20"),
    "ray": ("hydra/launcher=ray", "+hydra.launcher.ray.init.num_cpus=2"),
}
EXTRAS = {"joblib": "joblib", "submitit": "slurm", "ray": "ray"}


def in_third_job(command: Command) -> bool:
    """Whether two jobs are FINISHED and another one trains, read without opening MLflow."""
    database = command.home / "mlflow.db"
    if not database.is_file():
        return False
    try:
        with sqlite3.connect(f"file:{database}?mode=ro", uri=True) as connection:
            finished = "select count(*) from runs where status = 'FINISHED'"
            training = (
                "select count(*) from tags where key = 'ecgexp.stage.fit' and value = 'running'"
            )
            counts = [connection.execute(query).fetchone()[0] for query in (finished, training)]
    except sqlite3.OperationalError:
        return False
    return counts[0] >= 2 and counts[1] >= 1


@pytest.mark.parametrize("name", LAUNCHERS)
def test_a_killed_sweep_is_finished_by_the_same_command(
    name: str, ecgexp: Command, small: tuple[str, ...]
) -> None:
    if name in EXTRAS and importlib.util.find_spec(name) is None:
        pytest.skip(f"{name} is not installed: pip install 'ecgexp[{EXTRAS[name]}]'")
    sweep = (*small, "deploy=none", "trainer.max_epochs=8", ARCHITECTURES, QUANTIZATIONS)
    words = ("run", "-m", *sweep, *LAUNCHERS[name])
    killed = ecgexp.signal_when(lambda: in_third_job(ecgexp), signal.SIGKILL, *words)
    assert killed.code == -signal.SIGKILL, killed.err
    store = Store(experiment="ecgexp", home=ecgexp.home)
    assert any(run.status == "RUNNING" for run in store.search(parents=True))

    again = ecgexp(*words)
    assert again.code == 0, again.err
    jobs = again.json
    assert [job["status"] for job in jobs] == ["FINISHED"] * 6
    assert sum(job["how"] == "skipped" for job in jobs) >= 2
    runs = store.search()
    assert [run.status for run in runs] == ["FINISHED"] * 6
    assert {run.run_id for run in runs} == {job["run_id"] for job in jobs}
    assert len({run.tags[names.FINGERPRINT_TAG] for run in runs}) == 6
    (parent,) = store.search(parents=True)
    assert parent.status == "FINISHED"
    assert {run.tags[names.PARENT_TAG] for run in runs} == {parent.run_id}
    reused = [run.tags[names.REUSED_TAG] for run in runs if names.REUSED_TAG in run.tags]
    if name == "basic":
        assert sum(job["how"] == "resumed" for job in jobs) == 1
        assert len(set(reused)) == 3
    assert reused
