"""Processes end with their time limit or an interrupt, and take their children along."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from ecgexp.deploy.process import build_environment, find_tool, read_tail, run_process
from ecgexp.errors import BuildError


def _alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    stat = Path(f"/proc/{pid}/stat")
    return not (stat.exists() and stat.read_text().rpartition(")")[2].split()[0] == "Z")


def _wait_for(condition: object, path: Path | None = None, pid: int = 0) -> None:
    deadline = time.monotonic() + 10
    while time.monotonic() < deadline:
        if (path is not None and path.is_file() and path.read_text().strip()) or (
            path is None and not _alive(pid)
        ):
            return
        time.sleep(0.02)
    pytest.fail(f"waited in vain for {condition}")


def test_output_and_status_are_kept(tmp_path: Path) -> None:
    log = tmp_path / "log"
    done = run_process(
        ["sh", "-c", "echo out; echo err >&2; exit 3"],
        cwd=tmp_path,
        stdout=log,
        stderr=log,
        timeout_s=10,
    )
    assert (done.returncode, done.timed_out) == (3, False)
    assert sorted(read_tail(log, 5).splitlines()) == ["err", "out"]


def test_the_time_limit_ends_the_whole_group(tmp_path: Path) -> None:
    log = tmp_path / "log"
    script = f"sleep 60 & echo $! > {tmp_path}/pid; wait"
    started = time.monotonic()
    done = run_process(["sh", "-c", script], cwd=tmp_path, stdout=log, stderr=log, timeout_s=0.5)
    assert done.timed_out
    assert time.monotonic() - started < 5
    _wait_for("the child's end", pid=int((tmp_path / "pid").read_text()))


def test_ctrl_c_leaves_no_process(tmp_path: Path) -> None:
    program = f"""
from pathlib import Path
from ecgexp.deploy.process import run_process
folder = Path({str(tmp_path)!r})
run_process(["sh", "-c", "sleep 60 & echo $! > pid; wait"], cwd=folder, stdout=folder / "log",
            stderr=folder / "log", timeout_s=60)
"""
    process = subprocess.Popen(
        [sys.executable, "-c", program], stderr=subprocess.PIPE, start_new_session=True
    )
    _wait_for("the child's start", path=tmp_path / "pid")
    process.send_signal(signal.SIGINT)
    _, errors = process.communicate(timeout=20)
    assert b"KeyboardInterrupt" in errors
    _wait_for("the child's end", pid=int((tmp_path / "pid").read_text()))


def test_a_missing_tool_names_its_package(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(BuildError) as caught:
        find_tool("arm-none-eabi-gcc", "it builds the firmware", BuildError)
    assert "arm-none-eabi-gcc is not on PATH, but it builds the firmware: apt-get install " in str(
        caught.value
    )
    assert "libnewlib-arm-none-eabi" in str(caught.value)


def test_flags_for_other_builds_do_not_reach_ours(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CFLAGS", "-O0")
    monkeypatch.setenv("ECGEXP_TEST", "1")
    environment = build_environment()
    assert "CFLAGS" not in environment
    assert environment["ECGEXP_TEST"] == "1"
