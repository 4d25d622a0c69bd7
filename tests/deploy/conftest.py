from __future__ import annotations

import shutil
from typing import Any

import pytest
import yaml

from ecgexp.resources import resource_folder
from ecgexp.target import Target


def load_target(name: str, **changes: Any) -> Target:
    """Return a target of the configuration, with some of its fields changed."""
    path = resource_folder("conf") / "target" / f"{name}.yaml"
    options = yaml.safe_load(path.read_text())
    del options["_target_"]
    return Target(**{**options, **changes})


@pytest.fixture
def need_device() -> None:
    wanted = ("arm-none-eabi-gcc", "qemu-system-arm", "cmake", "make")
    missing = [tool for tool in wanted if shutil.which(tool) is None]
    if missing:
        pytest.skip(f"not on PATH: {', '.join(missing)}")
