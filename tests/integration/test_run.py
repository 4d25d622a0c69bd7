"""The main job, in a process of its own where that counts; a run holds all, faults say so."""

from __future__ import annotations

import signal
import sqlite3
from collections.abc import Callable
from pathlib import Path

import pytest

from ecgexp.tracking.store import Found, Store
from tests.integration.conftest import Command, Done

pytestmark = pytest.mark.slow

Here = Callable[..., Done]
METRICS = {
    "test/f1_macro",
    "test/accuracy",
    "quantization/int8_accuracy",
    "quantization/accuracy_drop",
}
DEVICE = {
    "instructions",
    "cycles_est",
    "latency_est_ms",
    "instructions_per_mac",
    "macs",
    "flash_bytes",
    "ram_bytes",
    "arena_bytes",
    "stack_bytes",
    "golden_equal",
}


def runs(home: Path) -> list[Found]:
    return Store(experiment="ecgexp", home=home).search()


def tag_is(command: Command, name: str, value: str, count: int = 1) -> bool:
    """Look into the store's database without opening MLflow."""
    database = command.home / "mlflow.db"
    if not database.is_file():
        return False
    try:
        with sqlite3.connect(f"file:{database}?mode=ro", uri=True) as connection:
            query = "select count(*) from tags where key = ? and value = ?"
            return bool(connection.execute(query, (name, value)).fetchone()[0] >= count)
    except sqlite3.OperationalError:
        return False


@pytest.mark.device
def test_one_run_holds_everything(ecgexp: Command, here: Here, small: tuple[str, ...]) -> None:
    done = ecgexp("run", *small)
    assert done.code == 0, done.err
    metrics = done.json["metrics"]
    target = "deploy/corstone300_m55/"
    assert METRICS | {target + name for name in DEVICE} <= set(metrics)
    assert metrics[target + "golden_equal"] == 1.0
    (run,) = runs(ecgexp.home)
    assert run.status == "FINISHED"
    for stage in ("prepare", "fit", "export", "quantize", "test", "deploy"):
        assert run.tags[f"ecgexp.stage.{stage}"] == "done"
    assert {"ecgexp.fingerprint", "ecgexp.deployable", "ecgexp.fidelity"} <= set(run.tags)
    artefacts = ecgexp.home / "artifacts" / "ecgexp" / run.run_id / "artifacts"
    for name in (
        "learning_curves.png",
        "confusion_matrix.png",
        "error_examples.png",
        "bundle",
        "predictions",
    ):
        assert (artefacts / name).exists(), name
    assert list(artefacts.glob("deploy/corstone300_m55/*.elf"))

    again = here("deploy", f"run_id={run.run_id}", "format=json")
    assert again.code == 0, again.err
    assert again.json["metrics"][target + "instructions"] == metrics[target + "instructions"]
    host = here("deploy", f"run_id={run.run_id}", "target=host", "format=json")
    assert host.code == 0, host.err
    (run,) = runs(ecgexp.home)
    assert run.status == "FINISHED"
    assert run.metrics["deploy/host/golden_equal"] == 1.0

    chosen = here("select", "test/f1_macro > 0 and instructions > 1e3", "format=json")
    assert [row["run_id"] for row in chosen.json["runs"]] == [run.run_id]


def test_a_failing_job_of_a_sweep_leaves_its_siblings(
    home: Path, here: Here, small: tuple[str, ...]
) -> None:
    done = here("run", "-m", *small, "architecture.dropout=2.0,0.1,3.0", "deploy=none")
    assert done.code == 2
    jobs = done.json
    assert [job["status"] for job in jobs] == ["FAILED", "FINISHED", "FAILED"]
    assert "dropout" in jobs[0]["error"]
    assert sorted(run.status for run in runs(home)) == ["FAILED", "FAILED", "FINISHED"]


def test_a_job_of_a_sweep_gives_what_it_gives_alone(
    ecgexp: Command, here: Here, small: tuple[str, ...]
) -> None:
    swept = here("run", "-m", *small, "seed=1,2", "deploy=none")
    alone = ecgexp("run", *small, "seed=2", "deploy=none")
    assert swept.json[1]["metrics"]["test/f1_macro"] == alone.json["metrics"]["test/f1_macro"]
    assert swept.json[1]["metrics"]["val/loss"] == alone.json["metrics"]["val/loss"]


def test_ctrl_c_in_fit_then_resume(ecgexp: Command, here: Here, small: tuple[str, ...]) -> None:
    words = [*small, "deploy=none", "trainer.max_epochs=3"]
    whole = here("run", *words)

    def first_epoch_saved() -> bool:
        saved = ecgexp.home.glob("runs/*/checkpoints/last.ckpt")
        return sum(1 for _ in saved) == 2

    stopped = ecgexp.interrupt_when(first_epoch_saved, "run", *words, "name=stopped")
    assert stopped.code == 130, stopped.err
    killed = next(run for run in runs(ecgexp.home) if run.name.startswith("stopped"))
    assert killed.status == "KILLED"
    assert killed.tags["ecgexp.stage.fit"] == "killed"
    resumed = here("run", f"resume={killed.run_id}", "format=json")
    assert resumed.code == 0, resumed.err
    assert resumed.json["run_id"] == killed.run_id
    for name in ("test/f1_macro", "val/loss", "train/loss"):
        assert resumed.json["metrics"][name] == whole.json["metrics"][name]


@pytest.mark.device
def test_ctrl_c_in_deploy_then_resume(ecgexp: Command, here: Here, small: tuple[str, ...]) -> None:
    stopped = ecgexp.interrupt_when(
        lambda: tag_is(ecgexp, "ecgexp.stage.deploy", "running"), "run", *small
    )
    assert stopped.code == 130, stopped.err
    (killed,) = runs(ecgexp.home)
    assert (killed.status, killed.tags["ecgexp.stage.deploy"]) == ("KILLED", "killed")
    resumed = here("run", f"resume={killed.run_id}", "format=json")
    assert resumed.code == 0, resumed.err
    assert resumed.json["metrics"]["deploy/corstone300_m55/golden_equal"] == 1.0


def test_ctrl_c_in_the_second_job_of_a_sweep(ecgexp: Command, small: tuple[str, ...]) -> None:
    stopped = ecgexp.interrupt_when(
        lambda: tag_is(ecgexp, "ecgexp.stage.prepare", "done", count=2),
        *("run", "-m", *small, "deploy=none", "seed=1,2,3", "trainer.max_epochs=50"),
    )
    assert stopped.code == 130, stopped.err
    assert [job["status"] for job in stopped.json] == ["FINISHED", "KILLED"]
    assert len(runs(ecgexp.home)) == 2


def test_a_killed_run_can_be_finished(ecgexp: Command, here: Here, small: tuple[str, ...]) -> None:
    """SIGKILL leaves no chance to clean up; the run is still taken up again."""
    done = ecgexp.signal_when(
        lambda: tag_is(ecgexp, "ecgexp.stage.fit", "running"),
        *(signal.SIGKILL, "run", *small, "deploy=none"),
    )
    assert done.code == -signal.SIGKILL
    (run,) = runs(ecgexp.home)
    assert run.status == "RUNNING"
    resumed = here("run", f"resume={run.run_id}", "format=json")
    assert resumed.code == 0, resumed.err
    assert [run.status for run in runs(ecgexp.home)] == ["FINISHED"]


def test_max_drop_fails_the_stage(home: Path, here: Here, small: tuple[str, ...]) -> None:
    words = ("trainer.max_epochs=8", "trainer.limit_train_batches=1.0", "deploy=none")
    coarse = ("quantization.method=percentile", "quantization.percentile=51")
    done = here("run", *small, *words, *coarse, "quantization.max_drop=0.0")
    (run,) = runs(home)
    assert run.metrics["quantization/val_accuracy_drop"] > 0
    assert (done.code, run.status) == (2, "FAILED")
    assert "quantization.max_drop" in done.err
    assert not any(name.startswith("test/") for name in run.metrics), "the test split decided"


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["run", "dataset=mitdb", "paths.data=/nowhere"], "/nowhere"),
        (["run", "optimizer.lrr=1"], "optimizer.lrr"),
        (["deploy", "run_id=abc"], "is not a run id"),
        (["deploy", f"run_id={'0' * 32}"], "no such run"),
        (["deploy"], "give exactly one of run_id=RUN and onnx=net.onnx"),
        (["deploy", "onnx=/nowhere.onnx"], "/nowhere.onnx"),
        (["run", f"resume={'0' * 32}"], "no such run"),
        (["select", "f1 >"], "write NAME SIGN NUMBER"),
        (["fly"], "unknown verb 'fly'"),
        (["data", "destroy"], "use one of download, inspect"),
    ],
)
def test_bad_words(home: Path, here: Here, words: list[str], message: str) -> None:
    done = here(*words)
    assert done.code == 2
    assert message in done.err
    assert done.err.count("error:") == 1
    assert "Traceback" not in done.err
    assert all(run.status == "FAILED" for run in runs(home))


def test_a_missing_tool_is_missed_before_training(ecgexp: Command, small: tuple[str, ...]) -> None:
    ecgexp.environment["PATH"] = "/nowhere"
    done = ecgexp("run", *small)
    assert done.code == 2
    assert "apt" in done.err
    (run,) = runs(ecgexp.home)
    assert (run.status, run.tags["ecgexp.stage.prepare"]) == ("FAILED", "failed")


def test_a_corrupted_checkpoint_is_named(home: Path, here: Here, small: tuple[str, ...]) -> None:
    assert here("run", *small, "deploy=none").code == 0
    (folder,) = (home / "runs").iterdir()
    (folder / "best.ckpt").write_bytes(b"not a checkpoint")
    (folder / "model_float.onnx").unlink()
    resumed = here("run", f"resume={folder.name}")
    assert (resumed.code, str(folder / "best.ckpt") in resumed.err) == (2, True)
    (run,) = runs(home)
    assert run.status == "FAILED"
