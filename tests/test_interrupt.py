"""Ctrl-C during a write waits for the end of the write."""

import os
import signal
import subprocess
import sys
import threading
from pathlib import Path

import pytest

from ecgexp.interrupt import uninterrupted


def test_signal_is_delivered_after_the_block() -> None:
    finished = []

    def write() -> None:
        with uninterrupted():
            os.kill(os.getpid(), signal.SIGINT)
            finished.append(True)

    with pytest.raises(KeyboardInterrupt):
        write()
    assert finished


def test_handlers_are_put_back_after_an_error() -> None:
    before = signal.getsignal(signal.SIGINT)
    with pytest.raises(ValueError, match="x"), uninterrupted():
        raise ValueError("x")
    assert signal.getsignal(signal.SIGINT) is before


def test_other_threads_leave_the_handlers_alone() -> None:
    before = signal.getsignal(signal.SIGINT)
    seen = []

    def work() -> None:
        with uninterrupted():
            seen.append(signal.getsignal(signal.SIGINT))

    thread = threading.Thread(target=work)
    thread.start()
    thread.join()
    assert seen == [before]


def test_the_status_of_an_interruption_is_130_wherever_it_came(tmp_path: Path) -> None:
    """As if Ctrl-C had come inside a text that an import executes."""
    script = tmp_path / "script.py"
    script.write_text(
        "import sys\n"
        "from ecgexp.__main__ import main\n"
        "from ecgexp.cli import doctor\n"
        "doctor.main = lambda words: exec('raise KeyboardInterrupt')\n"
        "sys.exit(main(['doctor']))\n"
    )
    done = subprocess.run(
        [sys.executable, "-m", "script"],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert (done.returncode, done.stderr) == (130, "interrupted\n")
