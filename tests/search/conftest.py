"""Plans of small studies, and the two kinds of database."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.integration.conftest import Command
from tests.postgres import running


@pytest.fixture(scope="session")
def postgres_url() -> Iterator[str]:
    with running() as url:
        yield url


@pytest.fixture(params=["sqlite", "postgresql"])
def database(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """URL of a database without the test's study."""
    if request.param == "sqlite":
        return f"sqlite:///{tmp_path / 'optuna.db'}"
    return str(request.getfixturevalue("postgres_url"))


@pytest.fixture
def ecgexp(home: Path, tmp_path: Path) -> Command:
    """The command on a home without runs, started from a foreign folder."""
    cwd = tmp_path / "elsewhere"
    cwd.mkdir()
    return Command(home, cwd)
