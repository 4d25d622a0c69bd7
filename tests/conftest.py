"""What one test sets for its process, the next one does not find; what takes long comes first."""

from __future__ import annotations

import logging
import os
import shutil
import signal
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import settings

from ecgexp.tracking.store import Store

# Each case of a kernel is compiled: a sample by default, `make property` for all of them.
settings.register_profile("sample", max_examples=60)
settings.register_profile("property", max_examples=500)
settings.load_profile("sample")

# The longest files, the longest first.
FIRST = (
    "integration/test_killed_sweep.py",
    "integration/test_run.py",
    "tracking/test_server.py",
    "integration/test_readme.py",
    "search/test_search.py",
    "dataset/test_cinc2017.py",
    "sweep/test_sweep.py",
    "deploy/test_tune.py",
)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Begin with what takes long, so that no worker ends alone with it; files stay together."""
    files = {Path(__file__).parent / name: rank for rank, name in enumerate(FIRST)}

    def rank(item: pytest.Item) -> tuple[int, bool]:
        return files.get(item.path, len(files)), item.get_closest_marker("slow") is None

    items.sort(key=rank)


@pytest.fixture(autouse=True)
def _process_state() -> Iterator[None]:
    """Put back what `ecgexp.__main__.main` sets up and what MLflow writes into the environment."""
    environment = dict(os.environ)
    handlers = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)}
    logger = logging.getLogger("ecgexp")
    before = (logger.handlers, logger.level, logger.propagate)
    yield
    logger.handlers, logger.level, logger.propagate = before
    for name in os.environ.keys() - environment.keys():
        del os.environ[name]
    os.environ.update(environment)
    for number, handler in handlers.items():
        signal.signal(number, handler)


@pytest.fixture(scope="session")
def fresh_store(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The database of a store without runs, to be copied: MLflow takes seconds to make one."""
    store = Store(experiment="never used", home=tmp_path_factory.mktemp("fresh"))
    store.open()
    return store.database


@pytest.fixture
def home(fresh_store: Path, tmp_path: Path) -> Path:
    """A home folder whose store has no runs yet."""
    folder = tmp_path / "home"
    folder.mkdir()
    shutil.copy(fresh_store, folder)
    return folder
