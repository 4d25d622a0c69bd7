from __future__ import annotations

import shutil
from pathlib import Path
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


def deployer_options(cache: Path, **changes: Any) -> dict[str, Any]:
    """Return the options of the configuration, with a cache folder and some of them changed."""
    options = yaml.safe_load((resource_folder("conf") / "deploy" / "tvm.yaml").read_text())
    del options["_target_"]
    return {**options, "timeout_s": 60.0, "cache_dir": str(cache), **changes}


@pytest.fixture
def need_device() -> None:
    wanted = ("arm-none-eabi-gcc", "qemu-system-arm", "cmake", "make")
    missing = [tool for tool in wanted if shutil.which(tool) is None]
    if missing:
        pytest.skip(f"not on PATH: {', '.join(missing)}")
