"""A small real configuration: synthetic recordings, two epochs, the host as target."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from ecgexp.__main__ import main

SMALL = (
    "debug=smoke",
    "dataset.n_patients=40",
    "dataset.windows_per_patient=4",
    "architecture=cnn_small",
    "trainer.progress=never",
    "quantization.n_calibration=32",
    "quantization.max_drop=null",
    "format=json",
)


@dataclass
class Done:
    """How a command ended."""

    code: int
    out: str
    err: str

    @property
    def json(self) -> Any:
        return json.loads(self.out)


class Command:
    """Runs `ecgexp` in processes of its own on one home folder."""

    def __init__(self, home: Path, cwd: Path) -> None:
        self.home, self.cwd = home, cwd
        self.environment = {**os.environ, "ECGEXP_HOME": str(home), "OMP_NUM_THREADS": "1"}

    def start(self, *words: str) -> subprocess.Popen[str]:
        return subprocess.Popen(
            [sys.executable, "-m", "ecgexp", *words],
            cwd=self.cwd,
            env=self.environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )

    def __call__(self, *words: str) -> Done:
        process = self.start(*words)
        out, err = process.communicate(timeout=400)
        return Done(process.returncode, out, err)

    def interrupt_when(self, ready: Callable[[], bool], *words: str) -> Done:
        """Send Ctrl-C once `ready` says so."""
        return self.signal_when(ready, signal.SIGINT, *words)

    def signal_when(self, ready: Callable[[], bool], number: int, *words: str) -> Done:
        process = self.start(*words)
        deadline = time.monotonic() + 200
        while not ready() and process.poll() is None and time.monotonic() < deadline:
            time.sleep(0.05)
        process.send_signal(number)
        out, err = process.communicate(timeout=200)
        return Done(process.returncode, out, err)


@pytest.fixture
def ecgexp(home: Path, tmp_path: Path) -> Command:
    """The command on a home without runs, started from a foreign folder."""
    cwd = tmp_path / "elsewhere"
    cwd.mkdir()
    return Command(home, cwd)


@pytest.fixture
def here(
    home: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> Callable[..., Done]:
    """The command on the same home in this process, whose imports are done."""
    monkeypatch.setenv("ECGEXP_HOME", str(home))

    def run(*words: str) -> Done:
        capsys.readouterr()
        code = main([*words])
        return Done(code, *capsys.readouterr())

    return run


@pytest.fixture
def small() -> tuple[str, ...]:
    return SMALL
