"""A PostgreSQL server of its own for a test, where its programs are installed."""

from __future__ import annotations

import os
import pwd
import shutil
import socket
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

# root may not run the server.
SERVANTS = ("postgres", "nobody")


def find_programs() -> Path | None:
    """Return the folder with `initdb` and `pg_ctl`."""
    found = shutil.which("initdb")
    places = [Path(found).resolve().parent] if found else []
    places += sorted(Path("/usr/lib/postgresql").glob("*/bin"), reverse=True)
    return next((p for p in places if (p / "initdb").is_file() and (p / "pg_ctl").is_file()), None)


def as_servant() -> tuple[list[str], str]:
    """Return the prefix and the name of the user that runs the server."""
    if os.geteuid() != 0:
        return [], pwd.getpwuid(os.geteuid()).pw_name
    names = {entry.pw_name for entry in pwd.getpwall()}
    name = next((servant for servant in SERVANTS if servant in names), None)
    if name is None or shutil.which("setpriv") is None:
        pytest.skip("root cannot run PostgreSQL, and there is no user or setpriv to do it")
    return ["setpriv", f"--reuid={name}", "--clear-groups", "--"], name


@contextmanager
def running() -> Iterator[str]:
    """Start a server on a free port; yield the URL of an empty database; stop and remove it."""
    programs = find_programs()
    if programs is None:
        pytest.skip("no PostgreSQL: apt-get install postgresql")
    prefix, user = as_servant()
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    folder = Path(tempfile.mkdtemp(prefix="ecgexp-pg-", dir="/tmp"))
    data, log = folder / "data", folder / "log"
    if prefix:
        shutil.chown(folder, user)

    def call(*words: str) -> None:
        done = subprocess.run(
            [*prefix, *words], cwd=folder, capture_output=True, text=True, timeout=120
        )
        if done.returncode:
            text = log.read_text() if log.is_file() else ""
            raise RuntimeError(f"{words[0]}: {done.stdout}{done.stderr}{text}")

    options = (
        f"-p {port} -k {folder} -c listen_addresses=127.0.0.1 -c fsync=off -c max_connections=300"
    )
    try:
        call(str(programs / "initdb"), "-D", str(data), "-U", "ecgexp", "-A", "trust", "--no-sync")
        call(
            str(programs / "pg_ctl"), "-D", str(data), "-l", str(log), "-o", options, "-w", "start"
        )
        yield f"postgresql+psycopg://ecgexp@127.0.0.1:{port}/postgres"
    finally:
        subprocess.run(
            [*prefix, str(programs / "pg_ctl"), "-D", str(data), "-m", "immediate", "stop"],
            cwd=folder,
            capture_output=True,
            timeout=60,
        )
        shutil.rmtree(folder, ignore_errors=True)
