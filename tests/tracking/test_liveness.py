"""Runs whose process is gone are told from those that are worked on."""

import json
import subprocess
import sys
import time
from pathlib import Path

import pytest

from ecgexp.tracking import liveness, names
from ecgexp.tracking.liveness import heartbeat, is_gone, owner_tags
from ecgexp.tracking.store import Store


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> Store:
    return Store(experiment="tests", home=tmp_path_factory.mktemp("home"))


def tags_of_an_ended_process() -> dict[str, str]:
    code = (
        "import json; from ecgexp.tracking.liveness import owner_tags as o; print(json.dumps(o()))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    return dict(json.loads(done.stdout))


def test_this_process_lives() -> None:
    assert not is_gone(owner_tags())


def test_an_ended_process_is_gone() -> None:
    assert is_gone(tags_of_an_ended_process())


def test_a_number_that_another_process_has_taken_over_is_gone() -> None:
    assert is_gone({**owner_tags(), names.PROCESS_START_TAG: "1000.0"})


@pytest.mark.parametrize(("silent_s", "gone"), [(5, False), (3600, True)])
def test_elsewhere_the_heartbeat_decides(silent_s: float, gone: bool) -> None:
    beat = f"{time.time() - silent_s:.0f}"
    tags = {**tags_of_an_ended_process(), names.HOST_TAG: "elsewhere", names.HEARTBEAT_TAG: beat}
    assert is_gone(tags) is gone


def test_without_tags_nobody_can_tell() -> None:
    assert not is_gone({})


def test_a_heart_beats_until_the_work_ends(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(liveness, "HEARTBEAT_S", 0.02)
    beats: list[dict[str, str]] = []
    with heartbeat(beats.append):
        deadline = time.monotonic() + 10
        while len(beats) < 2 and time.monotonic() < deadline:
            time.sleep(0.01)
    n_beats = len(beats)
    assert n_beats >= 2
    assert abs(float(beats[-1][names.HEARTBEAT_TAG]) - time.time()) < 60
    time.sleep(0.1)
    assert len(beats) == n_beats


def test_dead_runs_are_marked_killed_and_live_ones_are_left(store: Store) -> None:
    alive = store.start(name="alive", params={}, tags={})
    dead = store.start(name="dead", params={}, tags={})
    dead.set_tags({**tags_of_an_ended_process(), "ecgexp.stage.fit": "running"})
    held = store.start(name="held", params={}, tags={})
    held.set_tags({**tags_of_an_ended_process(), names.KIND_TAG: "sweep"})
    assert [run.run_id for run in store.bury_dead()] == [dead.run_id]
    assert (alive.status, dead.status, held.status) == ("RUNNING", "KILLED", "RUNNING")
    assert dead.tags["ecgexp.stage.fit"] == "killed"
    assert "is gone" in dead.tags[names.ERROR_TAG]
    assert [run.run_id for run in store.bury_dead(parents=True)] == [held.run_id]


def test_a_searched_run_is_a_job_or_a_parent(home: Path) -> None:
    store = Store(experiment="tests", home=home)
    parent = store.start(name="sweep", params={}, tags={names.KIND_TAG: "sweep"})
    job = store.start(name="job", params={}, tags={names.PARENT_TAG: parent.run_id})
    assert [run.run_id for run in store.search()] == [job.run_id]
    assert [run.run_id for run in store.search(parents=True)] == [parent.run_id]
