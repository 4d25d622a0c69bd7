"""Build the firmware around a model library and measure its sections."""

from __future__ import annotations

import logging
import re
import shutil
import time
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from ecgexp.deploy.process import (
    build_environment,
    find_tool,
    install_hint,
    read_tail,
    run_process,
)
from ecgexp.errors import BuildError
from ecgexp.resources import resource_folder
from ecgexp.target import Target

log = logging.getLogger(__name__)

_TIMEOUT_S = 180.0
# GCC knows the Cortex-M85 since version 13; the firmware around the kernels runs the same on both.
_COMPILER_CPU = {"cortex-m85": "cortex-m55"}
_INPUT_TYPES = {"int8_t": "int8", "float": "float32"}
_NOT_FLASH = frozenset({".bss", ".tbss", ".stack", ".ecgexp.arena", ".ecgexp.golden"})
_RAM = frozenset({".data", ".bss", ".tdata", ".tbss", ".ecgexp.arena"})
_NOT_LOADED = re.compile(r"\.(debug|comment|ARM\.attributes|note\.GNU-stack|gnu_debug)")
_OVERFLOW = re.compile(r"region `(\w+)' overflowed by (\d+) bytes")
_NO_LIBRARY = re.compile(r"(nosys\.specs|string\.h|math\.h).*: No such file|spec file .nosys")
_REASON = re.compile(r"error:|undefined reference|cannot find|multiple definition|CMake Error")


@dataclass(frozen=True, kw_only=True, slots=True)
class Firmware:
    """A linked image.

    Attributes:
        elf: The image.
        map: The linker's map.
        sections: Bytes per section that takes memory.
        flash_bytes: Code, constants, weights and start values; without the golden inputs.
        ram_bytes: Arena with input and output, variables; without the stack, which is measured.
        golden_bytes: Golden inputs, which belong to the measurement only.
        n_windows: Golden inputs in the image.
    """

    elf: Path
    map: Path
    sections: dict[str, int]
    flash_bytes: int
    ram_bytes: int
    golden_bytes: int
    n_windows: int

    def total_ram_bytes(self, stack_bytes: int | None) -> int:
        """Return the RAM in use together with the measured stack (None: not measured)."""
        return self.ram_bytes + (stack_bytes or 0)


def build(
    library_folder: Path, golden_inputs: np.ndarray, target: Target, folder: Path
) -> Firmware:
    """Build the firmware of a target around a model library.

    Args:
        library_folder: Folder with `model.h`, `*.c` and `*.o`.
        golden_inputs: (window, element) in the data type of the network's input.
        target: Where it will run.
        folder: Gets `firmware.elf`, `firmware.map` and `build.log`.

    Raises:
        BuildError: A tool is missing, the library does not match, the compiler or linker fails,
            or the image does not fit.
    """
    started = time.perf_counter()
    _check_library(library_folder, golden_inputs)
    find_build_tools(target)
    tree = folder.resolve() / "build"
    shutil.rmtree(tree, ignore_errors=True)
    tree.mkdir(parents=True)
    for stale in ("firmware.elf", "firmware.map"):
        (folder / stale).unlink(missing_ok=True)
    try:
        _compile(library_folder, golden_inputs, target, tree)
        firmware = _collect(tree, folder, len(golden_inputs), target)
    finally:
        shutil.rmtree(tree)
    log.info(
        "built firmware for %s in %.1f s: flash %d bytes, RAM %d bytes without the stack",
        target.name,
        time.perf_counter() - started,
        firmware.flash_bytes,
        firmware.ram_bytes,
    )
    return firmware


def find_build_tools(target: Target) -> None:
    """Check that the programs that build a target's firmware are there.

    Args:
        target: What will be built for.

    Raises:
        BuildError: One is missing; the message names it and its package.
    """
    purpose = f"it builds the firmware for target {target.name}"
    compiler = "cc" if target.on_host else "arm-none-eabi-gcc"
    size = "size" if target.on_host else "arm-none-eabi-size"
    for tool in (compiler, "cmake", "make", size):
        find_tool(tool, purpose, BuildError)


def build_commands(
    library_folder: Path, n_windows: int, target: Target, tree: Path
) -> tuple[list[str], list[str]]:
    """Return the commands that configure and build the tree."""
    source = resource_folder("firmware")
    toolchain = "host" if target.on_host else "arm-none-eabi"
    configure = [
        "cmake",
        "-S",
        str(source),
        "-B",
        str(tree),
        "-G",
        "Unix Makefiles",
        f"-DCMAKE_TOOLCHAIN_FILE={source / 'cmake' / toolchain}.cmake",
        "-DCMAKE_BUILD_TYPE=",
        f"-DECGEXP_PORT={target.port}",
        f"-DECGEXP_CPU={'' if target.on_host else compiler_cpu(target)}",
        f"-DECGEXP_FLOAT_ABI={target.float_abi}",
        f"-DECGEXP_MODEL={library_folder.resolve()}",
        f"-DECGEXP_WINDOWS={n_windows}",
    ]
    return configure, ["cmake", "--build", str(tree), "--parallel", "2"]


def compiler_cpu(target: Target) -> str:
    """Return the core of a board as the C compiler calls it."""
    return _COMPILER_CPU.get(target.cpu, target.cpu)


def memory_script(target: Target) -> str:
    """Write the part of the linker script that the target decides."""
    regions = "\n".join(
        f"    {region.name} (rwx) : ORIGIN = {region.origin:#010x}, LENGTH = {region.size_bytes}"
        for region in target.regions
    )
    aliases = "\n".join(
        f'REGION_ALIAS("{kind.upper()}", {getattr(target.placed, kind)})'
        for kind in ("code", "weights", "data", "arena", "golden")
    )
    return (
        f"/* Memory of target {target.name}. */\nMEMORY\n{{\n{regions}\n}}\n{aliases}\n"
        f"ecgexp_stack_bytes = {target.stack_bytes};\n"
    )


def parse_sections(text: str) -> dict[str, int]:
    """Read `size -A` and keep what takes memory at run time.

    Args:
        text: Output of `size -A`.

    Returns:
        Section name to bytes, in link order.
    """
    sections = {}
    for line in text.splitlines():
        parts = line.split()
        if len(parts) == 3 and parts[0].startswith(".") and not _NOT_LOADED.match(parts[0]):
            sections[parts[0]] = int(parts[1])
    return sections


def explain_failure(text: str, target: Target, build_log: Path, timed_out: bool) -> str:
    """Turn a build log into one message.

    Args:
        text: The log.
        target: What was built for.
        build_log: Where the whole log lies.
        timed_out: Whether the build was killed.
    """
    if timed_out:
        return f"the firmware build took more than {_TIMEOUT_S:.0f} s: see {build_log}"
    overflows = dict(_OVERFLOW.findall(text))
    if overflows:
        sizes = {region.name: region.size_bytes for region in target.regions}
        parts = [
            f"{name} has {sizes[name]} bytes but needs {sizes[name] + int(excess)}"
            for name, excess in overflows.items()
        ]
        return (
            f"the image does not fit target {target.name}: {'; '.join(parts)}. Use a smaller "
            f"network, quantize it, or a larger target (cortex_m55_large). "
            f"Log: {build_log}"
        )
    if _NO_LIBRARY.search(text):
        hint = install_hint("arm-none-eabi-gcc")
        return f"the cross compiler has no C library: {hint}. Log: {build_log}"
    lines = text.splitlines()
    reasons = [line.strip() for line in lines if _REASON.search(line)][:5] or lines[-5:]
    return f"the firmware build for {target.name} failed: {' | '.join(reasons)}. Log: {build_log}"


def _compile(library_folder: Path, golden_inputs: np.ndarray, target: Target, tree: Path) -> None:
    (tree / "golden.bin").write_bytes(np.ascontiguousarray(golden_inputs).tobytes())
    if not target.on_host:
        (tree / "memory.ld").write_text(memory_script(target), encoding="ascii")
    build_log = tree.parent / "build.log"
    build_log.unlink(missing_ok=True)
    for command in build_commands(library_folder, len(golden_inputs), target, tree):
        finished = run_process(
            command,
            cwd=tree,
            stdout=build_log,
            stderr=build_log,
            timeout_s=_TIMEOUT_S,
            environment=build_environment(),
        )
        if finished.timed_out or finished.returncode != 0:
            text = read_tail(build_log, n_lines=400)
            raise BuildError(explain_failure(text, target, build_log, finished.timed_out))


def _check_library(library_folder: Path, golden_inputs: np.ndarray) -> None:
    header = library_folder / "model.h"
    if not header.is_file():
        raise BuildError(f"{library_folder} is no model library: it has no model.h")
    text = header.read_text(encoding="utf-8")
    elements = re.search(r"#define\s+ECGEXP_INPUT_ELEMENTS\s+(\d+)", text)
    c_type = re.search(r"typedef\s+(\w+)\s+ecgexp_input_t\s*;", text)
    if elements is None or c_type is None or c_type[1] not in _INPUT_TYPES:
        raise BuildError(
            f"{header} must define ECGEXP_INPUT_ELEMENTS and a typedef of "
            f"{' or '.join(_INPUT_TYPES)} to ecgexp_input_t"
        )
    wanted = (int(elements[1]), _INPUT_TYPES[c_type[1]])
    if golden_inputs.ndim != 2 or (golden_inputs.shape[1], str(golden_inputs.dtype)) != wanted:
        raise BuildError(
            f"golden inputs are {golden_inputs.dtype} {golden_inputs.shape}, but {header} wants "
            f"{wanted[1]} (window, {wanted[0]})"
        )
    if len(golden_inputs) == 0:
        raise BuildError("there is no golden input to run: set deploy.n_golden to 1 or more")


def _collect(tree: Path, folder: Path, n_windows: int, target: Target) -> Firmware:
    linked = tree / ("ecgexp_firmware" if target.on_host else "ecgexp_firmware.elf")
    elf = folder / "firmware.elf"
    map_file = folder / "firmware.map"
    linked.replace(elf)
    (tree / "ecgexp_firmware.map").replace(map_file)
    sections = _read_sections(elf, folder, target)
    return Firmware(
        elf=elf,
        map=map_file,
        sections=sections,
        flash_bytes=sum(n for name, n in sections.items() if name not in _NOT_FLASH),
        ram_bytes=sum(n for name, n in sections.items() if name in _RAM),
        golden_bytes=sections.get(".ecgexp.golden", 0),
        n_windows=n_windows,
    )


def _read_sections(elf: Path, folder: Path, target: Target) -> dict[str, int]:
    tool = "size" if target.on_host else "arm-none-eabi-size"
    listing = folder / "sections.txt"
    listing.unlink(missing_ok=True)
    command = [tool, "-A", "-d", str(elf.resolve())]
    finished = run_process(
        command, cwd=folder, stdout=listing, stderr=listing, timeout_s=_TIMEOUT_S
    )
    text = listing.read_text(encoding="utf-8")
    if finished.returncode != 0:
        raise BuildError(f"{tool} cannot read {elf}: {text.strip()}")
    return parse_sections(text)
