"""One store for the tests of a module."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest


@pytest.fixture(scope="module")
def home(fresh_store: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A home folder whose store has no runs yet."""
    folder = tmp_path_factory.mktemp("home")
    shutil.copy(fresh_store, folder)
    return folder
