"""Runs: status, stages, artefacts, and the errors of the store."""

import subprocess
from pathlib import Path

import pytest

from ecgexp.errors import DataError, TrackingError
from ecgexp.tracking import provenance
from ecgexp.tracking.store import Store


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> Store:
    return Store(experiment="tests", home=tmp_path_factory.mktemp("home"))


def test_a_good_run_is_finished_and_keeps_everything(store: Store, tmp_path: Path) -> None:
    run = store.start(name="good", params={f"p{i}": i for i in range(150)}, tags={"a": "b"})
    file = tmp_path / "note.txt"
    file.write_text("text")
    with run.active():
        with run.stage("fit"):
            run.log_metrics({"val/f1_macro": 0.5}, step=3)
        run.log_artefact(file, "notes")
    assert run.status == "FINISHED"
    assert run.stage_done("fit")
    assert run.metrics == {"val/f1_macro": 0.5}
    assert run.fetch_artefact("notes", tmp_path / "back").joinpath("note.txt").read_text() == "text"


def test_every_run_says_its_commit(store: Store) -> None:
    checkout = Path(__file__).parents[2]
    if not (checkout / ".git").exists():
        pytest.skip(f"{checkout} is no git checkout")
    head = subprocess.run(
        ["git", "-C", str(checkout), "rev-parse", "HEAD"],
        capture_output=True,
        text=True,
        check=True,
    )
    run = store.start(name="sweep", params={}, tags={"ecgexp.kind": "sweep"})
    assert run.tags["ecgexp.git_sha"] == head.stdout.strip()
    assert run.tags["ecgexp.git_dirty"] in ("true", "false")


@pytest.mark.parametrize(
    ("spoil", "message"), [(False, "is no git checkout"), (True, "not a git repository")]
)
def test_without_a_commit_the_log_says_why(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
    spoil: bool,
    message: str,
) -> None:
    caplog.set_level("INFO")
    if spoil:
        (tmp_path / ".git").mkdir()
    monkeypatch.setattr(provenance, "resource_folder", lambda name: tmp_path / name)
    assert provenance.git_tags() == {}
    assert "no commit is recorded" in caplog.text
    assert message in caplog.text


def test_a_failing_stage_fails_the_run_with_its_message(store: Store) -> None:
    run = store.start(name="bad", params={}, tags={})
    with pytest.raises(DataError), run.active(), run.stage("prepare"):
        raise DataError("paths.data=/nowhere: no such folder")
    assert run.status == "FAILED"
    assert run.tags["ecgexp.stage.prepare"] == "failed"
    assert run.tags["ecgexp.error"] == "paths.data=/nowhere: no such folder"


def test_an_interrupted_run_is_killed(store: Store) -> None:
    run = store.start(name="stopped", params={}, tags={})
    with pytest.raises(KeyboardInterrupt), run.active(), run.stage("fit"):
        raise KeyboardInterrupt
    assert run.status == "KILLED"
    assert run.tags["ecgexp.stage.fit"] == "killed"


def test_an_addition_that_fails_leaves_the_old_status(store: Store) -> None:
    run = store.start(name="old", params={}, tags={})
    with run.active():
        pass
    with pytest.raises(DataError), run.active(keep_status=True), run.stage("deploy"):
        raise DataError("x")
    assert run.status == "FINISHED"
    assert run.tags["ecgexp.stage.deploy"] == "failed"
    with run.active(keep_status=True), run.stage("deploy"):
        pass
    assert "ecgexp.error" not in run.tags


def test_a_run_is_worked_on_by_one_process_at_a_time(store: Store) -> None:
    run = store.start(name="twice", params={}, tags={})
    again = store.reopen(run.run_id)
    with run.active(), pytest.raises(TrackingError, match="another process"), again.active():
        pass
    assert run.status == "FINISHED"


@pytest.mark.parametrize("run_id", ["x", "../../etc/passwd", "0" * 31, "G" * 32])
def test_malformed_run_id(store: Store, run_id: str) -> None:
    with pytest.raises(TrackingError, match="is not a run id"):
        store.reopen(run_id)


def test_unknown_run_id(store: Store) -> None:
    with pytest.raises(TrackingError, match="no such run in sqlite"):
        store.reopen("0" * 32)


def test_missing_artefact_names_the_remedy(store: Store, tmp_path: Path) -> None:
    run = store.start(name="empty", params={}, tags={})
    with pytest.raises(TrackingError, match=f"ecgexp run resume={run.run_id}"):
        run.fetch_artefact("bundle", tmp_path / "bundle")


def test_home_that_cannot_be_written(tmp_path: Path) -> None:
    file = tmp_path / "file"
    file.write_text("")
    with pytest.raises(TrackingError, match=r"paths\.home=.*choose another folder"):
        Store(experiment="x", home=file / "home").open()
