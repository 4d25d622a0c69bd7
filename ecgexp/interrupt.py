"""Hold Ctrl-C back where it would do harm; end with the process that started this one."""

from __future__ import annotations

import os
import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType

HELD_BACK = (signal.SIGINT, signal.SIGTERM)


@contextmanager
def uninterrupted() -> Iterator[None]:
    """Deliver SIGINT and SIGTERM after the block instead of inside it.

    An exception in the middle of a write leaves MLflow's SQLite session open, and with it the
    database locked: the run could then not even be marked KILLED. One between the start of a
    process and the note of its number leaves the process running.
    """
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    caught: list[tuple[signal.Signals, FrameType | None]] = []

    def keep(number: int, frame: FrameType | None) -> None:
        caught.append((signal.Signals(number), frame))

    before = {number: signal.signal(number, keep) for number in HELD_BACK}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
    for held, frame in caught:
        handler = before[held]
        if callable(handler):
            handler(held, frame)


@contextmanager
def ends_with_its_parent() -> Iterator[None]:
    """End this process when the one that started it is gone, so that no orphan works on."""
    parent, stop = os.getppid(), threading.Event()

    def watch() -> None:
        while not stop.wait(0.5):
            if os.getppid() != parent:
                os.kill(os.getpid(), signal.SIGTERM)
                return

    thread = threading.Thread(target=watch, name="parent-watch", daemon=True)
    thread.start()
    try:
        yield
    finally:
        stop.set()
        thread.join()
