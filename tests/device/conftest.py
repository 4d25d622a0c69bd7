"""Stand-in model libraries, targets and images that the device tests share."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import yaml

from ecgexp.deploy import firmware as firmware_module
from ecgexp.deploy.firmware import Firmware
from ecgexp.deploy.runner import RunLog, runner_for
from ecgexp.resources import resource_folder
from ecgexp.target import Target

STANDINS = Path(__file__).parent.parent / "firmware"
MakeTarget = Callable[..., Target]
Deploy = Callable[..., tuple[Firmware, RunLog]]


@pytest.fixture(scope="session")
def cache_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("cache")


@pytest.fixture(scope="session")
def make_target() -> MakeTarget:
    def make(option: str, **changes: Any) -> Target:
        path = resource_folder("conf") / "target" / f"{option}.yaml"
        options = yaml.safe_load(path.read_text())
        del options["_target_"]
        return Target(**{**options, **changes})

    return make


@pytest.fixture(scope="session")
def need_tools() -> None:
    wanted = ("arm-none-eabi-gcc", "qemu-system-arm", "cmake", "make", "cc")
    missing = [tool for tool in wanted if shutil.which(tool) is None]
    if missing:
        pytest.skip(f"not on PATH: {', '.join(missing)}")


@pytest.fixture
def library(tmp_path: Path) -> Callable[..., Path]:
    """Copies of a stand-in network, with a body put in front of its arithmetic."""

    def copy(name: str = "standin_int8", fault: str = "", prelude: str = "") -> Path:
        folder = tmp_path / "library"
        shutil.copytree(STANDINS / name, folder)
        source = folder / "model.c"
        text = source.read_text().replace("/* fault */", fault)
        source.write_text(text.replace('#include "model.h"', f'#include "model.h"\n{prelude}', 1))
        return folder

    return copy


@pytest.fixture(scope="session")
def int8_inputs() -> np.ndarray:
    return np.random.default_rng(7).integers(-128, 128, (6, 32)).astype(np.int8)


@pytest.fixture
def deploy(tmp_path: Path, cache_folder: Path, int8_inputs: np.ndarray) -> Deploy:
    def build_and_run(
        library_folder: Path,
        target: Target,
        inputs: np.ndarray | None = None,
        timeout_s: float = 30.0,
    ) -> tuple[Firmware, RunLog]:
        folder = tmp_path / target.name
        image = firmware_module.build(
            library_folder, int8_inputs if inputs is None else inputs, target, folder
        )
        run = runner_for(target)
        log = run(image, target, timeout_s=timeout_s, folder=folder, cache_folder=cache_folder)
        return image, log

    return build_and_run


@pytest.fixture(scope="session")
def plain(
    need_tools: None,
    make_target: MakeTarget,
    cache_folder: Path,
    int8_inputs: np.ndarray,
    tmp_path_factory: pytest.TempPathFactory,
) -> tuple[Firmware, RunLog]:
    """The stand-in as it is, built and run once on the emulated board."""
    folder, target = tmp_path_factory.mktemp("plain"), make_target("corstone300_m55")
    image = firmware_module.build(STANDINS / "standin_int8", int8_inputs, target, folder)
    run = runner_for(target)
    return image, run(image, target, timeout_s=30, folder=folder, cache_folder=cache_folder)
