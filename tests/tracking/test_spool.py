"""What waits is neither lost, nor sent twice for nothing, nor torn by a kill."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from ecgexp.__main__ import main
from ecgexp.config.compose import compose
from ecgexp.config.validate import validate
from ecgexp.errors import ConfigError
from ecgexp.tracking.guard import Unreachable
from ecgexp.tracking.remote import ServerStore
from ecgexp.tracking.spool import Spool

NOBODY = "http://127.0.0.1:1"


def store(home: Path, uri: str | None = NOBODY) -> ServerStore:
    return ServerStore(experiment="e", home=home, uri=uri, artifacts=None, timeout_s=2, n_retries=0)


def test_entries_are_sent_in_order_and_once(tmp_path: Path) -> None:
    spool = Spool(tmp_path)
    assert not spool.waits
    for number in range(3):
        spool.append({"tags": {"n": str(number)}})
    got: list[object] = []
    assert spool.send(got.append) == {"tags": 3}
    spool.append({"metrics": [["m", "nan", 1, 2]]})
    assert spool.send(got.append) == {"metrics": 1}
    assert list(got) == [
        *({"tags": {"n": str(number)}} for number in range(3)),
        {"metrics": [["m", "nan", 1, 2]]},
    ]
    assert not spool.waits
    assert spool.send(got.append) == {}


def test_an_error_leaves_the_rest_and_what_was_sent_is_not_sent_again(tmp_path: Path) -> None:
    spool = Spool(tmp_path)
    for number in range(4):
        spool.append({"tags": {"n": str(number)}})
    got: list[str] = []

    def two_then_silence(entry: dict[str, dict[str, str]]) -> None:
        if len(got) == 2:
            raise Unreachable("gone")
        got.append(entry["tags"]["n"])

    with pytest.raises(Unreachable):
        spool.send(two_then_silence)
    assert len(spool.waiting()) == 2
    spool.send(lambda entry: got.append(entry["tags"]["n"]))
    assert got == ["0", "1", "2", "3"]


def test_a_line_that_a_kill_tore_is_left_out_and_the_next_is_whole(tmp_path: Path) -> None:
    Spool(tmp_path).append({"tags": {"a": "1"}})
    with (tmp_path / "spool.jsonl").open("ab") as file:
        file.write(b'{"tags": {"b"')
    spool = Spool(tmp_path)
    spool.append({"tags": {"c": "3"}})
    assert spool.waiting() == [{"tags": {"a": "1"}}, {"tags": {"c": "3"}}]
    assert spool.send(lambda entry: None) == {"tags": 2}
    assert not spool.waits


def test_a_file_is_kept_as_it_was(tmp_path: Path) -> None:
    run, source = tmp_path / "run", tmp_path / "curves.txt"
    run.mkdir()
    source.write_text("before")
    spool = Spool(run)
    spool.append({"path": spool.keep(source), "folder": ""})
    source.write_text("after")
    sent: list[str] = []
    spool.send(lambda entry: sent.append((run / entry["path"]).read_text()))
    assert sent == ["before"]
    assert list((run / "spool").iterdir()) == []


def test_nobody_there_is_one_error_and_nothing_is_half_written(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "0")
    words = ["run", "tracking=server", f"tracking.uri={NOBODY}", f"paths.home={tmp_path}"]
    assert main([*words, "deploy=none", "debug=smoke"]) == 2
    said = capsys.readouterr().err
    assert f"tracking.uri={NOBODY}: the MLflow server does not answer (Connection refused)" in said
    assert "start it, correct tracking.uri or MLFLOW_TRACKING_URI, or keep runs on this" in said
    assert "Traceback" not in said
    assert {path.name for path in tmp_path.iterdir()} <= {"locks"}


@pytest.mark.parametrize("uri", [None, "postgresql://h/d", "http://me:pw@h:1", "host:5000"])
def test_an_address_that_is_none(tmp_path: Path, uri: str | None) -> None:
    with pytest.raises(ConfigError, match=r"tracking\.uri .*MLFLOW_TRACKING_URI") as caught:
        store(tmp_path, uri)
    assert "pw" not in str(caught.value)


@pytest.mark.parametrize(
    ("primary", "word"),
    [
        ("config", "tracking.uri='http://me:hunter2@host:5000'"),
        ("search", "search.storage='postgresql+psycopg://me:hunter2@host/db'"),
    ],
)
def test_a_password_in_a_configuration_is_refused_and_not_repeated(primary: str, word: str) -> None:
    chosen = ["tracking=server"] if primary == "config" else ["search=smoke"]
    with pytest.raises(ConfigError) as caught:
        validate(compose(primary, [*chosen, word]))
    key = word.partition("=")[0]
    assert f"{key}=" in str(caught.value)
    assert "MLFLOW_TRACKING_PASSWORD, or PGPASSWORD" in str(caught.value)
    assert "hunter2" not in str(caught.value)


def test_sync_with_nothing_to_send(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["sync", f"paths.home={tmp_path}"]) == 0
    assert capsys.readouterr().out == "Nothing waits to be sent.\n"


def test_sync_says_who_does_not_answer_and_keeps_everything(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "0")
    for run_id in ("a" * 32, "b" * 32):
        folder = tmp_path / "runs" / run_id
        folder.mkdir(parents=True)
        Spool(folder).append({"server": NOBODY, "metrics": [["m", 1.0, 5, 0]]})
    assert main(["sync", f"paths.home={tmp_path}", "format=json"]) == 2
    said = capsys.readouterr()
    assert said.out, said.err
    answers = json.loads(said.out)
    assert [answer["left"] for answer in answers] == [{"metrics": 1}] * 2
    assert all(f"{NOBODY}: the MLflow server does not answer" in a["error"] for a in answers)
