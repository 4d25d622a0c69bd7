"""SIGKILL in the middle of a quantization that trains: the run ends as if nothing had happened."""

from __future__ import annotations

import json
import signal
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from ecgexp.__main__ import main
from tests.integration.conftest import Command

pytestmark = [pytest.mark.slow, pytest.mark.timeout(1800)]

# Ten epochs of codes; the second half begins with two that are pruned and assigned already.
ALQ = (
    "debug=smoke",
    "dataset.n_patients=20",
    "dataset.windows_per_patient=4",
    "dataset.batch_size=16",
    "architecture=cnn_small",
    "trainer.progress=never",
    "trainer.limit_train_batches=2",
    "deploy=none",
    "format=json",
    "quantization=alq",
    "quantization.bits=2.5",
    "quantization.rounds=1",
    "quantization.top_k=0.4",
    "quantization.finish.0.epochs=5",
    "quantization.finish.1.epochs=1",
    "quantization.activations.n_calibration=8",
    "quantization.activations.max_drop=null",
)


@pytest.fixture
def here(
    ecgexp: Command, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> Callable[..., Any]:
    """`ecgexp run` in this process, whose imports are done, and its answer."""
    monkeypatch.setenv("ECGEXP_HOME", str(ecgexp.home))

    def run(*words: str) -> Any:
        capsys.readouterr()
        code = main(["run", *words])
        out, err = capsys.readouterr()
        assert code == 0, err
        return json.loads(out)

    return run


def kill_when_there(path: str, command: Command, *words: str) -> Path:
    """Start a run, kill it when its folder has a file, and return that folder."""
    before = {*command.home.glob("runs/*")}
    process = command.start("run", *words)
    found: set[Path] = set()
    while not found and process.poll() is None:
        time.sleep(0.02)
        found = {each for each in {*command.home.glob("runs/*")} - before if (each / path).exists()}
    process.send_signal(signal.SIGKILL)
    _, err = process.communicate()
    assert process.returncode == -signal.SIGKILL, err
    return found.pop()


def test_alq_is_taken_up_where_it_was(ecgexp: Command, here: Callable[..., Any]) -> None:
    whole = here(*ALQ)
    folder = kill_when_there("checkpoints-alq/last.ckpt", ecgexp, *ALQ)
    assert not (folder / "model_alq_float.onnx").exists(), "killed too late"
    resumed = here(f"resume={folder.name}", "format=json")
    assert resumed["run_id"] == folder.name
    expected, found = whole["metrics"], resumed["metrics"]
    names = [n for n in expected if n.startswith(("alq/train/l", "model/", "quant", "test/"))]
    assert {"alq/train/loss", "quantization/alq_bits_per_weight"} <= {*names}
    assert {name: found.get(name) for name in names} == {name: expected[name] for name in names}
    first = ecgexp.home / "runs" / whole["run_id"] / "model.onnx"
    assert (folder / "model.onnx").read_bytes() == first.read_bytes()
