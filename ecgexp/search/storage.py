"""The database that the workers of a study share, and the lock that makes them take turns."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from ecgexp.errors import ConfigError, TrackingError
from ecgexp.search.quiet import quiet

if TYPE_CHECKING:
    from optuna.storages import RDBStorage
    from sqlalchemy import URL

FILE = "optuna.db"
WAIT_S = 120.0
_POSTGRES = ("postgresql", "postgresql+psycopg")
# A trial silent for so many heartbeats has lost its worker.
SILENT_BEATS = 4


class Storage:
    """One database: a sqlite file for one machine, PostgreSQL for many.

    Args:
        url: `search.storage`, or None for a file below `home`.
        home: Folder of that file.

    Raises:
        ConfigError: The URL is of another kind, or its driver is missing.
    """

    def __init__(self, *, url: str | None, home: Path) -> None:
        from sqlalchemy import make_url
        from sqlalchemy.exc import ArgumentError

        try:
            self._url: URL = make_url(url or f"sqlite:///{home / FILE}")
        except ArgumentError as error:
            raise ConfigError(
                "search.storage is no database URL: write sqlite:///FILE or "
                "postgresql+psycopg://USER@HOST/DATABASE"
            ) from error
        if self._url.drivername not in ("sqlite", *_POSTGRES):
            raise ConfigError(
                f"search.storage={self}: use sqlite:///FILE on one machine or "
                "postgresql+psycopg://USER@HOST/DATABASE on several"
            )
        if self._is_sqlite and not self._url.database:
            raise ConfigError("search.storage=sqlite:// forgets everything: write sqlite:///FILE")

    def __str__(self) -> str:
        return self._url.render_as_string(hide_password=True)

    @property
    def _is_sqlite(self) -> bool:
        return self._url.drivername == "sqlite"

    def open(self, heartbeat_s: int) -> RDBStorage:
        """Return Optuna's storage, its tables created by one process at a time.

        Raises:
            TrackingError: The database cannot be reached or used.
            ConfigError: Its driver is not installed.
        """
        from optuna.storages import RDBStorage
        from sqlalchemy.exc import SQLAlchemyError

        # Waits for other writers instead of failing.
        arguments = {"timeout": WAIT_S} if self._is_sqlite else {}
        try:
            with self.lock("tables"), quiet():
                return RDBStorage(
                    self._url.render_as_string(hide_password=False),
                    engine_kwargs={"connect_args": arguments},
                    heartbeat_interval=heartbeat_s,
                    grace_period=SILENT_BEATS * heartbeat_s,
                )
        except ImportError as error:
            raise ConfigError(
                f"search.storage={self} needs psycopg: pip install 'ecgexp[postgres]'"
            ) from error
        except (SQLAlchemyError, RuntimeError, OSError) as error:
            reason = str(getattr(error, "orig", None) or error).strip().split("\n")[0]
            raise TrackingError(
                f"search.storage={self}: cannot be used ({reason}); is the server up, the "
                "database made, the password in PGPASSWORD?"
            ) from error

    @contextmanager
    def lock(self, name: str) -> Iterator[None]:
        """Let one process at a time into the block, on this machine or, with PostgreSQL, on all.

        Args:
            name: What is locked.
        """
        if self._is_sqlite:
            from filelock import FileLock

            path = Path(str(self._url.database)).expanduser().resolve()
            path.parent.mkdir(parents=True, exist_ok=True)
            with FileLock(path.with_name(f"{path.name}.{name}.lock")):
                yield
            return
        from sqlalchemy import create_engine, text
        from sqlalchemy.pool import NullPool

        number = int.from_bytes(hashlib.sha256(f"ecgexp {name}".encode()).digest()[:7], "big")
        engine = create_engine(self._url, poolclass=NullPool)
        # The server frees the lock when the connection ends, however it ends.
        with engine.connect() as connection:
            connection.execute(text("select pg_advisory_lock(:number)"), {"number": number})
            try:
                yield
            finally:
                connection.execute(text("select pg_advisory_unlock(:number)"), {"number": number})
