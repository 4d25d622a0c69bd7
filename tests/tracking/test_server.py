"""Runs on a real MLflow server that is killed in the middle of one and comes back."""

from __future__ import annotations

import io
import json
import signal
import time
from collections.abc import Iterator
from contextlib import redirect_stdout
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from ecgexp.__main__ import main
from ecgexp.tracking.remote import ServerStore
from ecgexp.tracking.spool import Spool
from ecgexp.training.checkpoint import load_checkpoint
from tests.integration.conftest import SMALL, Command
from tests.tracking.mlflow_server import MlflowServer, serving

pytestmark = pytest.mark.slow
N_EPOCHS = 8
SECRET = "correct-horse-battery"


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[MlflowServer]:
    with serving(tmp_path_factory.mktemp("server")) as made:
        yield made


@dataclass
class Outage:
    """A run during which the server died, and what became of it."""

    home: Path
    folder: Path
    out: str
    err: str
    sync_while_down: str
    status_before: str
    sync: Any


@pytest.fixture(scope="module")
def environment(server: MlflowServer) -> Iterator[None]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("MLFLOW_TRACKING_URI", server.uri)
        patch.setenv("MLFLOW_TRACKING_USERNAME", "me")
        patch.setenv("MLFLOW_TRACKING_PASSWORD", SECRET)
        patch.setenv("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "0")
        yield


@pytest.fixture(scope="module")
def outage(
    server: MlflowServer, environment: None, tmp_path_factory: pytest.TempPathFactory
) -> Outage:
    """Freeze a run after its first epoch, kill the server, let the run go on to its end."""
    folder = tmp_path_factory.mktemp("outage")
    command = Command(folder / "home", folder)
    words = [*SMALL, "tracking=server", "deploy=none", f"trainer.max_epochs={N_EPOCHS}"]
    process = command.start("run", *words)
    try:
        deadline = time.monotonic() + 200
        while not list(command.home.glob("runs/*/checkpoints/last.ckpt")):
            assert process.poll() is None, process.communicate()
            assert time.monotonic() < deadline
            time.sleep(0.01)
        process.send_signal(signal.SIGSTOP)
        server.kill()
        process.send_signal(signal.SIGCONT)
        out, err = process.communicate(timeout=300)
    finally:
        process.kill()
    assert process.returncode == 0, err
    (run,) = (command.home / "runs").iterdir()
    code, down = said("sync", f"paths.home={command.home}")
    assert code == 2
    server.start()
    (before,) = store(server, command.home).runs()
    code, answer = said("sync", f"paths.home={command.home}", "format=json")
    assert code == 0
    return Outage(command.home, run, out, err, down, before.status, json.loads(answer))


def said(*words: str) -> tuple[int, str]:
    """Run a verb in this process; return its exit code and what it printed."""
    with redirect_stdout(io.StringIO()) as out:
        code = main([*words])
    return code, out.getvalue()


def store(server: MlflowServer, home: Path) -> ServerStore:
    return ServerStore(
        experiment="ecgexp", home=home, uri=server.uri, artifacts=None, timeout_s=30, n_retries=1
    )


def histories(server: MlflowServer, outage: Outage) -> dict[str, list[float]]:
    client, run_id = store(server, outage.home).open(), outage.folder.name
    names = client.get_run(run_id).data.metrics
    return {name: [m.value for m in client.get_metric_history(run_id, name)] for name in names}


def test_a_run_goes_on_without_its_server_and_says_so(server: MlflowServer, outage: Outage) -> None:
    assert json.loads(outage.out)["status"] == "FINISHED"
    assert f"tracking.uri={server.uri}: the MLflow server does not answer" in outage.err
    assert "The run goes on; what it logs is kept in" in outage.err
    assert "send them with `ecgexp sync`" in outage.err
    assert "the MLflow server does not answer" in outage.sync_while_down
    assert outage.status_before == "RUNNING"


def test_sync_sends_everything_and_nothing_twice(server: MlflowServer, outage: Outage) -> None:
    (answer,) = outage.sync
    assert (answer["run_id"], answer["left"]) == (outage.folder.name, {})
    assert answer["sent"]["artefacts"] >= 3
    run = store(server, outage.home).reopen(outage.folder.name)
    assert run.status == "FINISHED"
    assert run.tags["ecgexp.stage.test"] == "done"
    there = histories(server, outage)
    rows = load_checkpoint(outage.folder / "checkpoints" / "last.ckpt").history
    assert len(rows) == N_EPOCHS
    for name in ("train/loss", "val/f1_macro", "val/loss"):
        assert there[name] == pytest.approx([epoch[name] for epoch in rows])
    assert there.keys() >= json.loads(outage.out)["metrics"].keys()
    bundle = run.fetch_artefact("bundle", outage.home / "back")
    onnx = (bundle / "model.onnx").read_bytes()
    assert onnx == (outage.folder / "model.onnx").read_bytes()

    assert said("sync", f"paths.home={outage.home}") == (0, "Nothing waits to be sent.\n")
    # Sent once more, as after a kill between a request and its mark.
    lines = (outage.folder / "spool.jsonl").read_bytes().splitlines(keepends=True)
    last = max(number for number, line in enumerate(lines) if b'"path"' in line)
    (outage.folder / "spool.sent").write_text(str(sum(map(len, lines[: last + 1]))))
    assert said("sync", f"paths.home={outage.home}")[0] == 0
    assert histories(server, outage) == there


def test_the_verbs_work_on_a_server(server: MlflowServer, outage: Outage) -> None:
    words = ["tracking=server", f"paths.home={outage.home}", "--quiet"]
    run_id = outage.folder.name
    assert said("deploy", f"run_id={run_id}", "target=host", *words)[0] == 0
    code, shown = said("select", "f1 > 0", "device=host", *words, "format=json")
    (row,) = json.loads(shown)["runs"]
    assert (code, row["run_id"], row["deployable"]) == (0, run_id, "true")
    assert row["metrics"]["deploy/host/golden_equal"] == 1.0
    assert row["link"].startswith(f"{server.uri}/#/experiments/")
    code, table = said("select", "f1 > 0", *words)
    assert (code, table.splitlines()[-1][:20]) == (0, f"In MLflow: {server.uri}"[:20])
    assert said("gather", "f1 > 0", *words)[0] == 0
    other = store(server, outage.home).start(name="other", params={"seed": 7}, tags={})
    with other.active():
        other.log_metrics({"test/f1_macro": 0.5})
    assert said("compare", run_id, other.run_id, "device=host", *words)[0] == 0
    code, shown = said("ui", "--no-browser", *words)
    assert (code, shown.count(f"{server.uri}/#/experiments/")) == (0, 2)


def test_secrets_stay_in_the_environment(server: MlflowServer, outage: Outage) -> None:
    data = store(server, outage.home).open().get_run(outage.folder.name).data
    kept = [*data.params.values(), *data.tags.values(), outage.out, outage.err]
    files = [path for path in outage.home.rglob("*") if path.is_file()]
    assert {"job.yaml", "config.yaml", "spool.jsonl"} <= {path.name for path in files}
    kept += [path.read_bytes().decode(errors="replace") for path in files]
    assert not [text for text in kept if SECRET in text]


def test_sync_marks_a_run_whose_process_was_killed(
    server: MlflowServer, environment: None, tmp_path: Path
) -> None:
    run = store(server, tmp_path).start(name="killed", params={}, tags={})
    run.set_tags({"ecgexp.process_start": "1.00"})
    Spool(run.folder).append({"server": server.uri, "metrics": [["m", 0.5, 1000, 3]]})
    assert said("sync", f"paths.home={tmp_path}")[0] == 0
    client = store(server, tmp_path).open()
    assert client.get_run(run.run_id).info.status == "KILLED"
    (value,) = client.get_metric_history(run.run_id, "m")
    assert (value.value, value.timestamp, value.step) == (0.5, 1000, 3)


def test_what_a_server_refuses_stays_here(
    server: MlflowServer, environment: None, tmp_path: Path
) -> None:
    folder = tmp_path / "runs" / ("0" * 32)
    folder.mkdir(parents=True)
    Spool(folder).append({"server": server.uri, "tags": {"a": "b"}})
    code, shown = said("sync", f"paths.home={tmp_path}", "format=json")
    (answer,) = json.loads(shown)
    assert (code, answer["left"]) == (2, {"tags": 1})
    assert f"{server.uri} refuses what waits in {folder}" in answer["error"]
    assert "nothing of it was deleted" in answer["error"]
