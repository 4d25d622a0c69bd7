"""Stores for the tests of a module: copies of one fresh database, for MLflow takes seconds."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from ecgexp.tracking.store import Store


@pytest.fixture(scope="session")
def _fresh(tmp_path_factory: pytest.TempPathFactory) -> Path:
    store = Store(experiment="never used", home=tmp_path_factory.mktemp("fresh"))
    store.open()
    return store.database


@pytest.fixture(scope="module")
def home(_fresh: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A home folder whose store has no runs yet."""
    folder = tmp_path_factory.mktemp("home")
    shutil.copy(_fresh, folder)
    return folder
