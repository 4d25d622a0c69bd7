"""What is missing for a deploy is said before anything is compiled."""

from __future__ import annotations

from pathlib import Path

import pytest

from ecgexp.deploy.preflight import require_tools
from ecgexp.errors import BuildError, EcgexpError, RunnerError
from tests.device.conftest import MakeTarget

CROSS = ("arm-none-eabi-gcc", "arm-none-eabi-size", "cmake", "make")


@pytest.mark.parametrize(
    ("option", "present", "error", "message"),
    [
        ("corstone300_m55", (), BuildError, "arm-none-eabi-gcc is not on PATH"),
        ("corstone300_m55", CROSS, RunnerError, "apt-get install qemu-system-arm"),
        ("cortex_m55_large", (*CROSS, "qemu-system-arm"), BuildError, "none of gcc, cc, clang"),
        ("corstone300_m55_fvp", CROSS, RunnerError, "EULA"),
        ("host", ("cmake", "make", "size"), BuildError, "apt-get install gcc libc6-dev"),
    ],
)
def test_the_first_missing_program_is_named(
    option: str,
    present: tuple[str, ...],
    error: type[EcgexpError],
    message: str,
    make_target: MakeTarget,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    _fill(tmp_path, present)
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(error, match=message):
        require_tools(make_target(option))


@pytest.mark.parametrize(
    ("option", "present"),
    [
        ("corstone300_m55", (*CROSS, "qemu-system-arm", "gcc")),
        ("corstone300_m55_fvp", (*CROSS, "FVP_Corstone_SSE-300")),
        ("host", ("cc", "cmake", "make", "size")),
    ],
)
def test_a_complete_machine_passes(
    option: str,
    present: tuple[str, ...],
    make_target: MakeTarget,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    _fill(tmp_path, present)
    monkeypatch.setenv("PATH", str(tmp_path))
    require_tools(make_target(option))


def _fill(folder: Path, tools: tuple[str, ...]) -> None:
    for tool in tools:
        (folder / tool).write_text("#!/bin/sh\n")
        (folder / tool).chmod(0o755)
