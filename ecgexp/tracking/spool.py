"""What a server could not be told: JSON lines in the run's folder, sent later in their order."""

from __future__ import annotations

import json
import os
import shutil
import uuid
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from filelock import FileLock, Timeout

NAME = "spool"
FILE = f"{NAME}.jsonl"

Entry = dict[str, Any]


class Spool:
    """One run's spool. The file only grows; a second one says how much of it was sent.

    Several processes may use it: one appends with one write per line, one at a time sends.

    Args:
        folder: The run's folder.
        name: Beginning of its files' names.
    """

    def __init__(self, folder: Path, name: str = NAME) -> None:
        self.path = folder / f"{name}.jsonl"
        self._mark = folder / f"{name}.sent"
        self._copies = folder / name

    @property
    def waits(self) -> bool:
        """Whether something has not been sent."""
        return self.path.is_file() and self.path.stat().st_size > self._sent()

    def append(self, entry: Entry) -> None:
        """Add an entry; a kill leaves the whole line or a piece that is skipped."""
        line = json.dumps(entry).encode() + b"\n"
        number = os.open(self.path, os.O_RDWR | os.O_APPEND | os.O_CREAT, 0o644)
        try:
            size = os.fstat(number).st_size
            if size and os.pread(number, 1, size - 1) != b"\n":
                line = b"\n" + line
            os.write(number, line)
        finally:
            os.close(number)

    def keep(self, path: Path) -> str:
        """Copy a file or folder aside, since it may change before it is sent.

        Returns:
            Where the copy is, relative to the run's folder.
        """
        place = self._copies / uuid.uuid4().hex[:12]
        if path.is_dir():
            shutil.copytree(path, place)
            return str(place.relative_to(self.path.parent))
        place.mkdir(parents=True)
        shutil.copyfile(path, place / path.name)
        return str((place / path.name).relative_to(self.path.parent))

    def waiting(self) -> list[Entry]:
        """Return what has not been sent, oldest first."""
        return [entry for entry, _ in self._unsent() if entry]

    def send(self, deliver: Callable[[Entry], None], *, wait_s: float = 0.0) -> Counter[str]:
        """Send what waits; what is sent is marked at once, so nothing is sent for nothing.

        Args:
            deliver: Sends one entry; an error ends the sending and leaves the rest.
            wait_s: Seconds to wait for another process that sends.

        Returns:
            How many metrics, tags, files and states were sent.
        """
        sent: Counter[str] = Counter()
        if not self.waits:
            return sent
        try:
            with FileLock(f"{self.path}.lock", timeout=wait_s):
                for entry, end in self._unsent():
                    if entry:
                        deliver(entry)
                        sent += count(entry)
                        self._forget(entry)
                    self._set_sent(end)
        except Timeout:
            return sent
        return sent

    def _unsent(self) -> Iterator[tuple[Entry, int]]:
        """Yield entries and the place behind each; a damaged line is an empty entry."""
        if not self.waits:
            return
        end = self._sent()
        with self.path.open("rb") as file:
            file.seek(end)
            for line in file:
                end += len(line)
                try:
                    yield json.loads(line), end
                except ValueError:  # what a kill left of a line
                    yield {}, end

    def _sent(self) -> int:
        return int(self._mark.read_text() or 0) if self._mark.is_file() else 0

    def _set_sent(self, end: int) -> None:
        aside = self._mark.with_name(f".{self._mark.name}.part")
        aside.write_text(str(end))
        aside.replace(self._mark)

    def _forget(self, entry: Entry) -> None:
        if "path" in entry:
            shutil.rmtree(self._copies / Path(entry["path"]).parts[1], ignore_errors=True)


def count(entry: Entry) -> Counter[str]:
    """Return how many metrics, tags, files and states an entry holds."""
    held = Counter(
        metrics=len(entry.get("metrics", ())),
        tags=len(entry.get("tags", ())),
        artefacts=int("path" in entry),
        states=int("status" in entry),
    )
    return +held
