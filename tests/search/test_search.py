"""`ecgexp search` for real: killed workers, broken trials, limits, confirmation."""

from __future__ import annotations

import json
import signal
import time
from pathlib import Path
from typing import Any

import optuna
import pytest
from optuna.trial import TrialState, create_trial

from ecgexp.__main__ import main
from ecgexp.tracking.found import Found
from ecgexp.tracking.names import PARENT_TAG
from ecgexp.tracking.store import Store
from tests.integration.conftest import Command

pytestmark = pytest.mark.slow

TINY = (
    "search=smoke",
    "dataset.n_patients=40",
    "dataset.windows_per_patient=4",
    "trainer.max_epochs=1",
    "trainer.limit_train_batches=3",
    "trainer.progress=never",
    "quantization.n_calibration=16",
    "quantization.max_drop=null",
    "format=json",
)
TARGET = "deploy/corstone300_m55/"


def trial_runs(home: Path) -> dict[int, Found]:
    """Return the runs of trials by number; each number once.

    A worker that was killed before its run had a configuration leaves a run that is no trial's.
    """
    every = Store(experiment="ecgexp", home=home).search()
    found = [run for run in every if PARENT_TAG in run.tags]
    lost = [run for run in found if run.tags["ecgexp.trial"].endswith(" (lost)")]
    assert {run.status for run in lost} <= {"KILLED"}
    found = [run for run in found if run not in lost]
    runs = {int(run.tags["ecgexp.trial"]): run for run in found}
    assert len(runs) == len(found)
    return runs


def study(url: str, name: str) -> optuna.Study:
    return optuna.load_study(study_name=name, storage=url)


def states(url: str, name: str) -> list[TrialState]:
    try:
        return [trial.state for trial in study(url, name).get_trials(deepcopy=False)]
    except Exception:  # Not made yet.
        return []


def search(home: Path, *words: str) -> int:
    return main(["search", f"paths.home={home}", *TINY, *words])


def own_option(folder: Path, name: str, text: str) -> list[str]:
    """Write a search of one's own; return the words that choose it."""
    (folder / "search").mkdir(exist_ok=True)
    (folder / "search" / f"{name}.yaml").write_text(f"# A test's search.\n{text}")
    return ["--conf", str(folder), f"search={name}"]


def test_killed_and_resumed_by_two_workers(ecgexp: Command, database: str) -> None:
    words = ("search", *TINY, f"search.storage={database}", "search.n_trials=4")
    first = ecgexp.start(*words)
    deadline = time.monotonic() + 400
    while states(database, "smoke").count(TrialState.COMPLETE) < 2 and first.poll() is None:
        if time.monotonic() > deadline:
            break
        time.sleep(0.1)
    first.send_signal(signal.SIGKILL)
    answer = first.communicate()
    assert first.returncode == -signal.SIGKILL, answer
    assert states(database, "smoke").count(TrialState.COMPLETE) >= 2, answer
    before = {path: path.stat().st_mtime_ns for path in ecgexp.home.glob("runs/*/best.ckpt")}
    others = [ecgexp.start(*words) for _ in range(2)]
    answers = [other.communicate(timeout=400) for other in others]
    assert [other.returncode for other in others] == [0, 0], answers
    assert states(database, "smoke") == [TrialState.COMPLETE] * 4
    assert json.loads(answers[0][0])["states"] == {"complete": 4}
    runs = trial_runs(ecgexp.home)
    assert sorted(runs) == [0, 1, 2, 3]
    assert {run.status for run in runs.values()} == {"FINISHED"}
    assert len({run.tags[PARENT_TAG] for run in runs.values()}) == 1
    for trial in study(database, "smoke").get_trials():
        assert trial.user_attrs["mlflow_run_id"] == runs[trial.number].run_id
    kept = sum(path.stat().st_mtime_ns == stamp for path, stamp in before.items())
    assert kept >= 2


BROKEN = """
defaults: [_base, override sampler: grid, _self_]
study: broken
n_trials: 6
fixed: {architecture: cnn_small, deploy: none}
objectives: {val/f1_macro: maximize}
space:
  lr: {key: optimizer.optimizer.lr, choices: [1.0e+30], when: {filters: [[8, 8, 16, 16]]}}
  dropout: {key: architecture.dropout, choices: [2.0], when: {filters: [[4, 8, 8, 16]]}}
  filters:
    key: architecture.layers.filters
    choices:
      - [4, 4, 4, 4]
      - [8, 8, 8, 8]
      - [8, 8, 8, 16]
      - [4, 8, 8, 16]
      - [8, 8, 16, 16]
      - [8, 8, 8, 1000000000000000]
"""


def test_half_of_the_trials_break(home: Path, capsys: pytest.CaptureFixture[str]) -> None:
    option = own_option(home, "broken", BROKEN)
    assert search(home, *option) == 0
    found = json.loads(capsys.readouterr().out)
    assert found["states"] == {"complete": 3, "fail": 3}
    runs = trial_runs(home)
    assert sorted(runs) == list(range(6))
    reasons = {failure["trial"]: failure["reason"] for failure in found["failures"]}
    assert {number for number, run in runs.items() if run.status == "FAILED"} == set(reasons)
    text = "\n".join(reasons.values())
    for part in ("dropout", "the training loss became nan", "allocate memory"):
        assert part in text, text
    # Said in the run, too.
    assert all(runs[number].tags["ecgexp.error"] for number in reasons)


def test_a_trial_gives_what_its_job_gives_alone(
    home: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert search(home, "search.n_trials=2") == 0
    found = json.loads(capsys.readouterr().out)
    page = Path(found["page"]).read_text()
    assert "<script src" not in page
    assert "<link" not in page
    folder = home / "artifacts" / "ecgexp" / found["run_id"] / "artifacts"
    assert {path.name for path in folder.iterdir()} >= {"history.png", "slices.png", "search.html"}
    trial = trial_runs(home)[1]
    assert not [name for name in trial.metrics if name.startswith(("test/", "quantization/"))]
    words = [word for word in trial.tags["ecgexp.overrides"].split() if "paths.home" not in word]
    # A home of its own: nothing to take over.
    assert main(["run", *words, f"paths.home={home / 'alone'}", "format=json"]) == 0
    alone = json.loads(capsys.readouterr().out)["metrics"]
    for name in ("val/loss", "val/f1_macro", "train/loss", "val/kept_f1_macro"):
        assert alone[name] == pytest.approx(trial.metrics[name], rel=1e-6), name


def test_the_pruner_stops_a_hopeless_trial(home: Path, capsys: pytest.CaptureFixture[str]) -> None:
    words = ["search/pruner=median", "search.pruner.n_startup_trials=1"]
    words += ["search.pruner.n_warmup_epochs=0", "trainer.max_epochs=3"]
    assert search(home, *words, "search.n_trials=1") == 0
    made = study(f"sqlite:///{home / 'optuna.db'}", "smoke")
    (first,) = made.get_trials()
    assert sorted(first.intermediate_values) == [0, 1, 2]
    perfect = create_trial(
        params=first.params,
        distributions=first.distributions,
        value=1.0,
        intermediate_values={0: 1.0, 1: 1.0, 2: 1.0},
    )
    made.add_trial(perfect)
    capsys.readouterr()
    assert search(home, *words, "search.n_trials=3") == 0
    assert json.loads(capsys.readouterr().out)["states"] == {"complete": 2, "pruned": 1}
    run = trial_runs(home)[2]
    assert (run.status, run.tags["ecgexp.stage.fit"]) == ("KILLED", "stopped")
    assert "pruned after epoch 0" in run.tags["ecgexp.error"]


DEVICE = """
defaults: [_base, override sampler: random, _self_]
study: device
n_trials: 2
fixed: {architecture: cnn_small, architecture.layers.filters: [4, 4, 8, 8]}
objectives: {val/f1_macro: maximize, deploy/corstone300_m55/cycles_est: minimize}
space:
  lr: {key: optimizer.optimizer.lr, low: 0.002, high: 0.05, log: true}
  dropout: {key: architecture.dropout, choices: [0.0, 0.1]}
"""


@pytest.mark.device
def test_the_device_is_measured_once_before_training_and_confirmed_after(
    home: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    option = own_option(home, "device", DEVICE)
    assert search(home, *option, "search.confirm=best") == 0
    answer = json.loads(capsys.readouterr().out)
    assert answer["states"] == {"complete": 2}
    assert len(list((home / "cache" / "search").glob("*.json"))) == 1
    best = answer["front"][0]
    confirmed = answer["confirmed"]
    assert confirmed["run_id"] == best["run_id"]
    metrics: dict[str, Any] = confirmed["metrics"]
    assert "test/f1_macro" in metrics
    assert metrics[f"{TARGET}golden_equal"] == 1.0
    # What the untrained network cost is what the trained one costs.
    for name in ("cycles_est",):
        before = best["values"][TARGET + name]
        assert metrics[TARGET + name] == pytest.approx(before, rel=0.01)
    tested = [run for run in trial_runs(home).values() if "test/f1_macro" in run.metrics]
    assert [run.run_id for run in tested] == [best["run_id"]]


@pytest.mark.device
def test_an_infeasible_trial_is_not_trained(home: Path, capsys: pytest.CaptureFixture[str]) -> None:
    option = own_option(home, "device", DEVICE)
    assert search(home, *option, "deploy.limits.flash_bytes=500") == 2
    answer = json.loads(capsys.readouterr().out)
    assert (answer["states"], answer["infeasible"]) == ({"pruned": 2}, 2)
    for run in trial_runs(home).values():
        assert run.status == "KILLED"
        assert "ecgexp.stage.fit" not in run.tags
        assert run.tags["ecgexp.deployable"] == "false"
        assert "flash_bytes, deploy.limits.flash_bytes=500" in run.tags["ecgexp.deployable_reason"]
    # With known windows not even the data are read.
    assert "ecgexp.stage.prepare" not in trial_runs(home)[1].tags


def test_another_space_is_refused(home: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert search(home, "search.n_trials=1") == 0
    for words, message in (
        (["search.space.lr.high=0.06"], "search.space.lr.high: study 'smoke' was started with"),
        (["dataset.split_seed=3"], "dataset.split_seed: study 'smoke' was started with 0, now"),
        (["search.space.lr.hig=1"], "search.space.lr.hig"),
    ):
        assert search(home, *words) == 2
        assert message in capsys.readouterr().err
    assert len(trial_runs(home)) == 1
