"""Totals stay exact whatever dies, and on whichever database."""

from __future__ import annotations

import functools
import signal
import subprocess
import sys
import time
from pathlib import Path

import optuna
import pytest
from optuna.trial import TrialState

from ecgexp.errors import ConfigError, TrackingError
from ecgexp.search import sampler
from ecgexp.search.storage import Storage
from ecgexp.search.study import DEATHS, REASON
from tests.search.sleeper import shared

ROOT = Path(__file__).resolve().parents[2]


def start(url: str, study: str, n: int, folder: Path, seconds: float) -> subprocess.Popen[bytes]:
    words = [url, study, str(n), str(folder), str(seconds)]
    return subprocess.Popen([sys.executable, "-m", "tests.search.sleeper", *words], cwd=ROOT)


def states(url: str, study: str) -> list[TrialState]:
    loaded = optuna.load_study(study_name=study, storage=url)
    return [trial.state for trial in loaded.get_trials(deepcopy=False)]


def wait_for(path: Path) -> None:
    deadline = time.monotonic() + 60
    while not path.exists() and time.monotonic() < deadline:
        time.sleep(0.02)


def test_eight_workers_on_a_fresh_sqlite_run_exactly_the_total(tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path / 'fresh' / 'optuna.db'}"
    workers = [start(url, "race", 12, tmp_path, 0.05) for _ in range(8)]
    assert [worker.wait(120) for worker in workers] == [0] * 8
    assert states(url, "race") == [TrialState.COMPLETE] * 12
    begun = [path.read_text().count("\n") for path in tmp_path.glob("trial-*")]
    assert begun == [1] * 12


def test_a_killed_workers_trial_is_run_again_under_its_number(
    database: str, tmp_path: Path
) -> None:
    first = start(database, "killed", 6, tmp_path, 0.4)
    wait_for(tmp_path / "trial-2")
    first.send_signal(signal.SIGKILL)
    first.wait()
    assert states(database, "killed")[2] == TrialState.RUNNING
    others = [start(database, "killed", 6, tmp_path, 0.1) for _ in range(2)]
    assert [worker.wait(120) for worker in others] == [0, 0]
    assert states(database, "killed") == [TrialState.COMPLETE] * 6
    begun = {path.name: path.read_text().splitlines() for path in tmp_path.glob("trial-*")}
    assert sorted(len(lines) for lines in begun.values()) == [1, 1, 1, 1, 1, 2]
    # The same configuration again, not a new draw.
    assert len(set(begun["trial-2"])) == 1


def test_a_trial_silent_on_another_machine_is_taken_up(database: str, tmp_path: Path) -> None:
    mine = shared(database, tmp_path, study="far", n_trials=1)
    claimed = mine.claim()
    assert claimed is not None
    trial, _ = claimed
    trial.set_user_attr("owner", {**trial.user_attrs["owner"], "ecgexp.host": "elsewhere"})
    assert mine.claim() is None
    deadline = time.monotonic() + 20
    again = None
    while again is None and time.monotonic() < deadline:
        time.sleep(0.5)
        again = mine.claim()
    assert again is not None
    assert again[0].number == trial.number
    # The old worker wakes up: the trial is not its own any more.
    mine.tell(trial, TrialState.COMPLETE, [1.0])
    assert states(database, "far") == [TrialState.RUNNING]
    mine.tell(again[0], TrialState.COMPLETE, [0.5])
    assert states(database, "far") == [TrialState.COMPLETE]


def test_a_trial_that_kills_every_worker_fails(tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path / 'optuna.db'}"
    mine = shared(url, tmp_path, study="deadly", n_trials=1, max_deaths=2)
    for _ in range(2):
        claimed = mine.claim()
        assert claimed is not None
        gone = {**claimed[0].user_attrs["owner"], "ecgexp.process_start": "1.0"}
        claimed[0].set_user_attr("owner", gone)
    assert mine.claim() is None
    (trial,) = mine.trials
    assert (trial.state, trial.user_attrs[DEATHS]) == (TrialState.FAIL, 2)
    assert "its worker died 2 times" in trial.user_attrs[REASON]


def test_an_interrupted_trial_waits_and_the_total_can_grow(tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path / 'optuna.db'}"
    mine = shared(url, tmp_path, n_trials=1)
    claimed = mine.claim()
    assert claimed is not None
    mine.hand_back(claimed[0])
    again = mine.claim()
    assert again is not None
    assert again[1] == claimed[1]
    mine.tell(again[0], TrialState.FAIL, reason="broken")
    assert mine.claim() is None
    more = shared(url, tmp_path, n_trials=2).claim()
    assert more is not None
    assert more[0].number == 1


def test_draws_depend_on_seed_and_number_alone(tmp_path: Path) -> None:
    def words(name: str, starts: int) -> list[list[str]]:
        drawn = []
        for _ in range(starts):
            mine = shared(f"sqlite:///{tmp_path / name}", tmp_path, n_trials=4)
            for _ in range(4 // starts):
                claimed = mine.claim()
                assert claimed is not None
                drawn.append(claimed[1])
                mine.tell(claimed[0], TrialState.COMPLETE, [0.0])
        return drawn

    assert words("one.db", 1) == words("two.db", 2)


def test_a_grid_is_shuffled_complete_and_ends(tmp_path: Path) -> None:
    space = {
        "kind": {"key": "architecture", "choices": ["cnn_small", "dscnn"]},
        "dropout": {"key": "architecture.dropout", "low": 0.0, "high": 0.2, "step": 0.1},
        "stride": {
            "key": "architecture.layers.stride",
            "choices": [1, [2, 1, 1, 1]],
            "when": {"kind": "cnn_small"},
        },
    }
    url = f"sqlite:///{tmp_path / 'optuna.db'}"
    mine = shared(url, tmp_path, n_trials=100, space=space, sampler=functools.partial(sampler.grid))
    drawn = []
    while (claimed := mine.claim()) is not None:
        drawn.append(tuple(claimed[1]))
        mine.tell(claimed[0], TrialState.COMPLETE, [0.0])
    expected = {
        *(("architecture=dscnn", f"architecture.dropout={d}") for d in (0.0, 0.1, 0.2)),
        *(
            (
                "architecture=cnn_small",
                f"architecture.dropout={d}",
                f"architecture.layers.stride={s}",
            )
            for d in (0.0, 0.1, 0.2)
            for s in ("1", "[2,1,1,1]")
        ),
    }
    assert set(drawn) == expected
    assert len(drawn) == 9


def test_another_space_is_refused_with_the_path(tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path / 'optuna.db'}"
    shared(url, tmp_path, {"search.space.lr.high": 0.1, "dataset.fold": 0})
    shared(url, tmp_path, {"dataset.fold": 0, "search.space.lr.high": 0.1})
    with pytest.raises(ConfigError) as refused:
        shared(url, tmp_path, {"search.space.lr.high": 0.2, "dataset.fold": 0})
    assert str(refused.value) == (
        "search.space.lr.high: study 'sleep' was started with 0.1, now it is 0.2; "
        "trials of both cannot be compared: take the old value, or another search.study=NAME"
    )


@pytest.mark.parametrize(
    ("url", "error", "message"),
    [
        ("mysql://host/db", ConfigError, "use sqlite:///FILE on one machine"),
        ("sqlite://", ConfigError, "forgets everything"),
        ("nonsense", ConfigError, "no database URL"),
        (
            "postgresql+psycopg://me:secret@127.0.0.1:1/none",
            TrackingError,
            "search.storage=postgresql+psycopg://me:***@127.0.0.1:1/none: cannot be used",
        ),
    ],
)
def test_a_database_that_cannot_be_used(
    url: str, error: type[Exception], message: str, tmp_path: Path
) -> None:
    with pytest.raises(error) as refused:
        Storage(url=url, home=tmp_path).open(1)
    assert message in str(refused.value)
    assert "secret" not in str(refused.value)
