"""Images: what is placed where, what counts as flash and RAM, and what refuses to build."""

from __future__ import annotations

import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from ecgexp.deploy.firmware import Firmware, build, explain_failure, memory_script, parse_sections
from ecgexp.deploy.runner import RunLog
from ecgexp.errors import BuildError
from tests.device.conftest import MakeTarget

WEIGHTS = 4 * 32
ARENA = 32 + 16 + 64 + 16  # input, padded output, arena, guard


def _addresses(elf: Path) -> dict[str, int]:
    done = subprocess.run(
        ["arm-none-eabi-size", "-A", "-d", elf], capture_output=True, text=True, check=True
    )
    rows = [line.split() for line in done.stdout.splitlines()]
    return {row[0]: int(row[2]) for row in rows if len(row) == 3 and row[0].startswith(".")}


@pytest.mark.device
@pytest.mark.usefixtures("need_tools")
@pytest.mark.parametrize(
    ("option", "weights_at"), [("corstone300_m55", 0x11000000), ("cortex_m55_large", 0x60000000)]
)
def test_sections_lie_where_the_target_says(
    option: str,
    weights_at: int,
    make_target: MakeTarget,
    library: Callable[..., Path],
    int8_inputs: np.ndarray,
    tmp_path: Path,
) -> None:
    image = build(library(), int8_inputs, make_target(option), tmp_path / "with space, comma")
    sections, addresses = image.sections, _addresses(image.elf)
    assert addresses[".text"] == 0x10000000
    assert addresses[".ecgexp.weights"] == weights_at
    assert addresses[".data"] == 0x30000000
    assert addresses[".ecgexp.arena"] >> 20 == 0x300
    assert addresses[".ecgexp.golden"] >> 28 == 6
    assert sections[".ecgexp.weights"] == WEIGHTS
    assert sections[".ecgexp.golden"] == image.golden_bytes == 16 + int8_inputs.nbytes
    assert sections[".ecgexp.arena"] == ARENA
    assert image.flash_bytes == sections[".text"] + WEIGHTS + sections[".data"]
    assert image.ram_bytes == ARENA + sections[".data"] + sections[".bss"]
    assert image.total_ram_bytes(400) == image.ram_bytes + 400
    assert image.flash_bytes < 6000
    assert not (image.elf.parent / "build").exists()


@pytest.mark.device
@pytest.mark.usefixtures("need_tools")
def test_golden_inputs_change_no_figure_and_builds_repeat(
    plain: tuple[Firmware, RunLog],
    make_target: MakeTarget,
    library: Callable[..., Path],
    tmp_path: Path,
) -> None:
    target, folder = make_target("corstone300_m55"), library()
    few = plain[0]
    many = build(folder, np.zeros((300, 32), np.int8), target, tmp_path / "many")
    again = build(folder, np.zeros((300, 32), np.int8), target, tmp_path / "again")
    assert (few.flash_bytes, few.ram_bytes) == (many.flash_bytes, many.ram_bytes)
    assert many.golden_bytes == 16 + 300 * 32
    assert many.elf.read_bytes() == again.elf.read_bytes()


@pytest.mark.device
@pytest.mark.usefixtures("need_tools")
def test_an_image_that_does_not_fit_names_the_region(
    make_target: MakeTarget, library: Callable[..., Path], int8_inputs: np.ndarray, tmp_path: Path
) -> None:
    memory = {**make_target("corstone300_m55").memory}
    memory["itcm"] = {"origin": 0x10000000, "size_bytes": 2048}
    target = make_target("corstone300_m55", memory=memory)
    with pytest.raises(BuildError, match=r"itcm has 2048 bytes but needs \d{4}\.") as caught:
        build(library(), int8_inputs, target, tmp_path / "out")
    assert "does not fit target corstone300_m55" in str(caught.value)
    assert not (tmp_path / "out" / "firmware.elf").exists()


@pytest.mark.device
@pytest.mark.usefixtures("need_tools")
def test_a_compiler_error_is_quoted(
    make_target: MakeTarget, library: Callable[..., Path], int8_inputs: np.ndarray, tmp_path: Path
) -> None:
    broken = library(fault="undeclared_thing();")
    with pytest.raises(BuildError, match=r"error: implicit declaration .*Log: .*build.log"):
        build(broken, int8_inputs, make_target("corstone300_m55"), tmp_path / "out")
    assert "undeclared_thing" in (tmp_path / "out" / "build.log").read_text()


@pytest.mark.parametrize(
    ("inputs", "message"),
    [
        (np.zeros((2, 31), np.int8), r"int8 \(2, 31\), but .*model.h wants int8 \(window, 32\)"),
        (np.zeros((2, 32), np.float32), r"golden inputs are float32"),
        (np.zeros((0, 32), np.int8), r"no golden input to run"),
    ],
)
def test_inputs_must_match_the_library(
    inputs: np.ndarray,
    message: str,
    make_target: MakeTarget,
    library: Callable[..., Path],
    tmp_path: Path,
) -> None:
    with pytest.raises(BuildError, match=message):
        build(library(), inputs, make_target("host"), tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_a_folder_without_a_library_is_refused(make_target: MakeTarget, tmp_path: Path) -> None:
    with pytest.raises(BuildError, match=r"is no model library: it has no model\.h"):
        build(tmp_path, np.zeros((1, 1), np.int8), make_target("host"), tmp_path / "out")


@pytest.mark.parametrize(
    ("present", "missing", "package"),
    [
        ((), "arm-none-eabi-gcc", "gcc-arm-none-eabi libnewlib-arm-none-eabi"),
        (("arm-none-eabi-gcc",), "cmake", "cmake"),
        (("arm-none-eabi-gcc", "cmake"), "make", "make"),
        (("arm-none-eabi-gcc", "cmake", "make"), "arm-none-eabi-size", "binutils-arm-none-eabi"),
    ],
)
def test_a_missing_tool_is_named_before_anything_is_written(
    present: tuple[str, ...],
    missing: str,
    package: str,
    make_target: MakeTarget,
    library: Callable[..., Path],
    int8_inputs: np.ndarray,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    tools = tmp_path / "bin"
    tools.mkdir()
    for tool in present:
        (tools / tool).symlink_to(shutil.which("true") or "/bin/true")
    monkeypatch.setenv("PATH", str(tools))
    with pytest.raises(BuildError) as caught:
        build(library(), int8_inputs, make_target("corstone300_m55"), tmp_path / "out")
    assert f"{missing} is not on PATH" in str(caught.value)
    assert f"apt-get install {package}" in str(caught.value)
    assert not (tmp_path / "out").exists()


def test_the_memory_script_has_every_region_and_alias(make_target: MakeTarget) -> None:
    script = memory_script(make_target("cortex_m55_large"))
    assert "itcm (rwx) : ORIGIN = 0x10000000, LENGTH = 524288" in script
    assert 'REGION_ALIAS("WEIGHTS", ddr)' in script
    assert 'REGION_ALIAS("GOLDEN", ddr)' in script
    assert "ecgexp_stack_bytes = 16384;" in script


def test_only_sections_that_take_memory_are_read() -> None:
    listing = """firmware.elf  :
section            size         addr
.text              4336    268435456
.ecgexp.weights     128    285212672
.debug_info       15176            0
.comment             38            0
.ARM.attributes      60            0
Total             19738
"""
    assert parse_sections(listing) == {".text": 4336, ".ecgexp.weights": 128}


def test_a_build_that_takes_too_long_says_so(make_target: MakeTarget) -> None:
    message = explain_failure("", make_target("host"), Path("build.log"), timed_out=True)
    assert message == "the firmware build took more than 180 s: see build.log"


@pytest.mark.parametrize(
    "line",
    [
        "arm-none-eabi-gcc: fatal error: cannot read spec file 'nosys.specs': No such file",
        "/firmware/src/bench.c:9:10: fatal error: math.h: No such file or directory",
    ],
)
def test_a_compiler_without_a_library_names_the_package(line: str, make_target: MakeTarget) -> None:
    target = make_target("corstone300_m55")
    message = explain_failure(line, target, Path("build.log"), timed_out=False)
    assert "the cross compiler has no C library: apt-get install " in message
    assert "libnewlib-arm-none-eabi" in message
